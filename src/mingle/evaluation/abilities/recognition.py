"""Speech recognition: word error rates on real prompts, on strangers, and on synthetic voices."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from jaxtyping import Float32

from mingle.engine.assistant import Assistant
from mingle.evaluation.abilities.figure import Ability, Effort, Figure, ratio
from mingle.evaluation.recogniser import NAME, Recogniser, words_of
from mingle.processing.words import distance
from mingle.worlds import prompts, strangers
from mingle.worlds.rooms import distort
from mingle.worlds.sentences import normalise, sample_sentence
from mingle.worlds.voices import SAMPLE_RATE, UNHEARD, synthesise

SEED = 20_260
SYNTHETIC = 100
WORST = 20


@dataclass(frozen=True, kw_only=True)
class Spoken:
    """A recording at 16 kHz and its normalised words."""

    samples: Float32[np.ndarray, " samples"]
    text: str


@dataclass(frozen=True, kw_only=True)
class Heard:
    """What was said and what was written down."""

    wanted: str
    got: str

    @property
    def edits(self) -> int:
        """Words put in, left out or mistaken."""
        return distance(self.wanted.split(), self.got.split())


def real() -> list[Spoken]:
    """The held-out prompts: their words are in no training text, their speaker is in training."""
    return [Spoken(samples=p.samples, text=p.text) for p in prompts.load("held_out")]


def unknown() -> list[Spoken]:
    """Two real speakers who are not in training, nor are their words."""
    return [Spoken(samples=one.samples, text=one.text) for one in strangers.load()]


def synthetic(count: int) -> list[Spoken]:
    """Held-out sentences by the voices that are never used in training, in random rooms."""
    rng = np.random.default_rng(SEED)
    made = []
    for _ in range(count):
        text = sample_sentence(rng, "held_out")
        voice = UNHEARD[rng.integers(len(UNHEARD))]
        spoken = synthesise(text, voice, speed=float(rng.uniform(0.8, 1.2)))
        made.append(Spoken(samples=distort(rng, spoken.samples), text=normalise(text)))
    return made


def measure(assistant: Assistant, effort: Effort) -> list[Figure]:
    """Error rates of the model, and of Whisper's own decoder on the same recordings."""
    step = max(1, round(1 / effort.share))
    sets = (
        ("real", "WER on real prompts (speaker in training)", real()[::step], 0.25, 0.08),
        ("strangers", "WER on real speakers not in training", unknown()[::step], None, None),
        (
            "synthetic", "WER on synthetic voices not in training",
            synthetic(effort.of(SYNTHETIC)), None, None,
        ),
    )  # fmt: skip
    judge = Recogniser()
    figures = []
    for kind, name, spoken, bar, goal in sets:
        ours = [_transcribed(assistant, one) for one in spoken]
        theirs = [
            Heard(wanted=x.text, got=" ".join(words_of(judge.hear(x.samples)))) for x in spoken
        ]
        figures.append(_figure(name, ours, bar, goal))
        figures.append(_figure(f"{name}: {NAME}", theirs, None, None))
        if (folder := effort.folder("recognition")) is not None:
            _write(folder, kind, spoken, ours)
    return figures


def error_rate(heard: Sequence[Heard]) -> tuple[float, float, float]:
    """Edits for each word that was said, with its interval."""
    return ratio([one.edits for one in heard], [len(one.wanted.split()) for one in heard])


def _transcribed(assistant: Assistant, spoken: Spoken) -> Heard:
    said = assistant.transcribe((spoken.samples, SAMPLE_RATE))
    return Heard(wanted=spoken.text, got=normalise(said.text))


def _figure(name: str, heard: Sequence[Heard], bar: float | None, goal: float | None) -> Figure:
    value, low, high = error_rate(heard)
    return Figure(
        name=name,
        value=value,
        low=low,
        high=high,
        count=len(heard),
        better="lower",
        bar=bar,
        goal=goal,
    )


def _write(folder: Path, kind: str, spoken: Sequence[Spoken], heard: Sequence[Heard]) -> None:
    """What was heard, the worst first, and the sound of the very worst."""
    order = sorted(range(len(heard)), key=lambda i: -heard[i].edits)
    lines = [f"{heard[i].edits}\t{heard[i].wanted}\n\t{heard[i].got}" for i in order[:WORST]]
    (folder / f"{kind}_worst.txt").write_text("\n".join(lines) + "\n", encoding="utf-8")
    import soundfile

    for rank, i in enumerate(order[:3], start=1):
        soundfile.write(folder / f"{kind}_worst_{rank}.wav", spoken[i].samples, SAMPLE_RATE)


ABILITY = Ability(
    name="recognition",
    title="Speech recognition",
    parts=("audio",),
    data=(
        "125 real telephone prompts of three words or more, 9 recordings of two other real "
        "speakers (LibriVox), 100 synthetic sentences; unseen texts"
    ),
    measure=measure,
)
