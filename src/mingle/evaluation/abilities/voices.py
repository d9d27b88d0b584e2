"""Voices: are they told apart, are clones like whom they copy, do speed and pitch obey?"""

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
from jaxtyping import Float32

from mingle.engine.assistant import Assistant
from mingle.evaluation.abilities.figure import Ability, Effort, Figure, ratio, share
from mingle.evaluation.abilities.speech import VOICES as NUM_VOICES
from mingle.evaluation.abilities.speech import sentences
from mingle.evaluation.speaker_judge import NAME, RATE_HZ, SpeakerJudge
from mingle.processing.pitch import track_pitch
from mingle.talker.instruction import Style
from mingle.talker.voice import Voice as SpokenBy
from mingle.worlds.voices import FLITE, UNHEARD, Voice, synthesise

SPOKEN = 10  # sentences of each voice, of each clone, and at each speed and pitch
KNOWN_BY = 6  # recordings that the judge knows a voice by
SPEEDS, PITCHES = (0.8, 1.25), (0.85, 1.2)
PITCH_HOP = 160  # samples

Samples = Float32[np.ndarray, " _"]  # each recording of its own length


def measure(assistant: Assistant, effort: Effort) -> list[Figure]:
    """Shares of recordings whose own voice is the judge's nearest; what speed and pitch became."""
    judge, texts = SpeakerJudge(), sentences(60, common=True)
    enrolled = {voice.name: _known_by(judge, voice, texts[:KNOWN_BY]) for voice in _others()}
    speech, said = assistant.speech, texts[KNOWN_BY : KNOWN_BY + effort.of(SPOKEN, 2)]
    folder = effort.folder("voices")

    def speak(text: str, voice: SpokenBy, style: Style | None = None) -> Samples:
        chunks = list(speech.speaker.speak(text, voice=voice, style=style))
        assert chunks[0].sample_rate_hz == RATE_HZ, "judge and pitch tracker hear 16 kHz"
        return np.concatenate([chunk.samples for chunk in chunks])

    own = [speech.voice(name) for name in list(speech.files.presets)[:NUM_VOICES]]
    clones = [
        speech.voices.clone([(synthesise(texts[-1], voice).samples, RATE_HZ)], name=voice.name)
        for voice in UNHEARD
    ]
    figures = []
    for title, voices, bar, goal in (
        ("voices that are told apart", own, None, None),
        ("clones that are likest to whom they copy", clones, 0.80, 0.95),
    ):
        right = []
        for voice in voices:
            for number, text in enumerate(said):
                samples = speak(text, voice)
                right.append(_nearest(judge.hear(samples), enrolled) == voice.name)
                if number == 0:
                    _keep(folder, voice.name, samples)
        figures.append(_share(title, right, bar, goal))
    plain = [speak(text, own[0]) for text in said]
    for factor in SPEEDS:
        asked = [speak(text, own[0], Style(speed=str(factor))) for text in said]
        figures.append(_became(f"speed at {factor} asked", plain, asked, len))
    for factor in PITCHES:
        asked = [speak(text, own[0], Style(pitch=str(factor))) for text in said]
        figures.append(_became(f"pitch at {factor} asked", asked, plain, _pitch_hz))
    return figures


def _others() -> list[Voice]:
    """Whom a recording may be taken for: every voice that nano learned, and those held out."""
    return [*FLITE, *UNHEARD]


def _known_by(judge: SpeakerJudge, voice: Voice, texts: Sequence[str]) -> np.ndarray:
    mean = np.mean([judge.hear(synthesise(text, voice).samples) for text in texts], axis=0)
    return mean / np.linalg.norm(mean)


def _nearest(heard: np.ndarray, enrolled: dict[str, np.ndarray]) -> str:
    return max(enrolled, key=lambda name: float(heard @ enrolled[name]))


def _pitch_hz(samples: Samples) -> float:
    return track_pitch(samples, RATE_HZ, PITCH_HOP, len(samples) // PITCH_HOP).mean_hz


def _share(name: str, right: Sequence[bool], bar: float | None, goal: float | None) -> Figure:
    value, low, high = share(right)
    return Figure(
        name=name, value=value, low=low, high=high, count=len(right), better="higher",
        bar=bar, goal=goal,
    )  # fmt: skip


def _became(
    name: str,
    tops: Sequence[Samples],
    bottoms: Sequence[Samples],
    size: Callable[[Samples], float],
) -> Figure:
    value, low, high = ratio([size(one) for one in tops], [size(one) for one in bottoms])
    return Figure(name=name, value=value, low=low, high=high, count=len(tops), better="higher")


def _keep(folder: Path | None, name: str, samples: Samples) -> None:
    if folder is not None:
        import soundfile

        soundfile.write(folder / f"{name}.wav", samples, RATE_HZ)


ABILITY = Ability(
    name="voices",
    title="Voices and clones",
    parts=("talker",),
    data=(
        f"{NUM_VOICES} voices and clones of 4 unheard ones, {SPOKEN} held-out sentences each, "
        f"among 8 voices; judge: {NAME}"
    ),
    measure=measure,
)
