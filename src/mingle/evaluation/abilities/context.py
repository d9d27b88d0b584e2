"""Recognition with context: rare names with the right list, with none and with a wrong one."""

from collections.abc import Sequence

import numpy as np

from mingle.engine.assistant import Assistant
from mingle.evaluation.abilities.figure import RESAMPLES, Ability, Effort, Figure, mean
from mingle.evaluation.abilities.recognition import Heard, error_rate
from mingle.worlds.names import NamedSentence, sample_named
from mingle.worlds.rooms import distort
from mingle.worlds.sentences import normalise
from mingle.worlds.voices import FLITE, SAMPLE_RATE, UNHEARD, synthesise

SEED = 20_261
SENTENCES = 120
DISTRACTORS = 9


def measure(assistant: Assistant, effort: Effort) -> list[Figure]:
    """Errors on names without and with context, and what a wrong context costs."""
    rng = np.random.default_rng(SEED)
    sentences = [sample_named(rng, DISTRACTORS) for _ in range(effort.of(SENTENCES))]
    spoken = [_speak(rng, sentence) for sentence in sentences]
    lists: dict[str, list[tuple[str, ...]]] = {
        "none": [() for _ in sentences],
        "right": [_mixed(rng, (s.name, *s.others)) for s in sentences],
        "wrong": [s.others for s in sentences],
    }
    heard = {
        kind: [
            Heard(
                wanted=normalise(sentence.text),
                got=normalise(assistant.transcribe((samples, SAMPLE_RATE), hotwords=words).text),
            )
            for sentence, samples, words in zip(sentences, spoken, hints, strict=True)
        ]
        for kind, hints in lists.items()
    }
    missed = {kind: _missed(sentences, rows) for kind, rows in heard.items()}
    figures = [
        _plain(f"name errors, {kind} list", mean(missed[kind]), len(sentences)) for kind in lists
    ]
    figures += [
        _plain(f"WER, {kind} list", error_rate(heard[kind]), len(sentences)) for kind in lists
    ]
    return [*figures, _saved(missed), _cost(heard)]


def _speak(rng: np.random.Generator, sentence: NamedSentence) -> np.ndarray:
    voices = (*FLITE, *UNHEARD)
    voice = voices[rng.integers(len(voices))]
    return distort(rng, synthesise(sentence.text, voice).samples)


def _mixed(rng: np.random.Generator, words: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(words[i] for i in rng.permutation(len(words)))


def _missed(sentences: Sequence[NamedSentence], heard: Sequence[Heard]) -> list[float]:
    """1 where the name was not written down, 0 where it was."""
    pairs = zip(sentences, heard, strict=True)
    return [float(normalise(s.name) not in one.got.split()) for s, one in pairs]


def _saved(missed: dict[str, list[float]]) -> Figure:
    """The share of name errors that the right list saves, with a bootstrap interval."""
    none, right = np.array(missed["none"]), np.array(missed["right"])
    picks = np.random.default_rng(0).integers(len(none), size=(RESAMPLES, len(none)))
    shares = 1 - right[picks].sum(1) / np.maximum(none[picks].sum(1), 1)
    low, high = np.quantile(shares, (0.025, 0.975))
    return Figure(
        name="name errors saved by the right list",
        value=float(1 - right.sum() / max(none.sum(), 1)),
        low=float(low),
        high=float(high),
        count=len(none),
        better="higher",
        bar=0.3,
        goal=0.5,
    )


def _cost(heard: dict[str, list[Heard]]) -> Figure:
    """How much a wrong list adds to the word error rate, with a bootstrap interval."""
    extra = np.array(
        [w.edits - n.edits for n, w in zip(heard["none"], heard["wrong"], strict=True)]
    )
    words = np.array([len(one.wanted.split()) for one in heard["none"]])
    picks = np.random.default_rng(0).integers(len(words), size=(RESAMPLES, len(words)))
    low, high = np.quantile(extra[picks].sum(1) / words[picks].sum(1), (0.025, 0.975))
    return Figure(
        name="WER that a wrong list adds",
        value=float(extra.sum() / words.sum()),
        low=float(low),
        high=float(high),
        count=len(words),
        better="lower",
        bar=0.02,
    )


def _plain(name: str, value: tuple[float, float, float], count: int) -> Figure:
    middle, low, high = value
    return Figure(name=name, value=middle, low=low, high=high, count=count, better="lower")


ABILITY = Ability(
    name="context",
    title="Recognition with context",
    parts=("audio",),
    data="120 synthetic sentences with a rare name each; lists of 10 names (right) or 9 (wrong)",
    measure=measure,
)
