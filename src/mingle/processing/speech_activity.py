"""Does somebody speak? Sound in, a probability every 32 ms out; and turns made of them."""

import importlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
from jaxtyping import Float32

from mingle.errors import missing_extra

RATE_HZ = 16_000
WINDOW = 512  # samples: 32 ms
CONTEXT = 64  # samples before the window that the network looks at too
WINDOW_MS = 1000 * WINDOW // RATE_HZ
HYSTERESIS = 0.15  # speech goes on until the probability falls so far below the threshold
SURE_WINDOWS = 2  # so many in a row begin a turn: 64 ms; one alone is a click

Samples = Float32[np.ndarray, " samples"]


class SpeechActivity:
    """One stream of sound at 16 kHz. Remembers what it heard; not for several threads."""

    def __init__(self, session: Any):
        self._session = session
        self._state = np.zeros((2, 1, 128), np.float32)
        self._held = np.zeros(CONTEXT, np.float32)

    def feed(self, samples: Samples) -> Iterator[float]:
        """The probability of speech in each window that these samples complete."""
        self._held = np.concatenate((self._held, samples))
        while len(self._held) >= CONTEXT + WINDOW:
            window = self._held[None, : CONTEXT + WINDOW]
            given = {"input": window, "state": self._state, "sr": np.array(RATE_HZ, np.int64)}
            probability, self._state = self._session.run(None, given)
            self._held = self._held[WINDOW:]
            yield float(probability[0, 0])


@dataclass(frozen=True, kw_only=True)
class TurnSettings:
    """When a turn begins and ends. `threshold` in (0, 1); silence of `silence_ms` ends it."""

    threshold: float = 0.5
    silence_ms: int = 500
    padding_ms: int = 300
    """Sound before the detected beginning that belongs to the turn."""


@dataclass(frozen=True, kw_only=True)
class Change:
    """Speech began or ended, `at_ms` after the stream's first sample."""

    kind: Literal["started", "stopped"]
    at_ms: int


class TurnDetector:
    """Probabilities in, beginnings and ends of turns out: a state machine without a clock."""

    def __init__(self, settings: TurnSettings):
        self.settings = settings
        self._windows = 0
        self._loud = 0  # windows in a row above the threshold
        self._quiet = 0
        self.speaking = False

    def feed(self, probability: float) -> Change | None:
        """Take the next window."""
        self._windows += 1
        threshold = self.settings.threshold
        if not self.speaking:
            self._loud = self._loud + 1 if probability >= threshold else 0
            if self._loud < SURE_WINDOWS:
                return None
            self.speaking, self._quiet = True, 0
            start = (self._windows - self._loud) * WINDOW_MS - self.settings.padding_ms
            return Change(kind="started", at_ms=max(0, start))
        loud = probability >= max(0.01, threshold - HYSTERESIS)
        self._quiet = 0 if loud else self._quiet + 1
        if self._quiet * WINDOW_MS < self.settings.silence_ms:
            return None
        self.speaking, self._loud = False, 0
        return Change(kind="stopped", at_ms=self._windows * WINDOW_MS)


def open_speech_activity(file: Path) -> Callable[[], SpeechActivity]:
    """Load Silero VAD once, from a file whose hash was checked; the result makes listeners."""
    try:
        onnx: Any = importlib.import_module("onnxruntime")  # it has no types
    except ImportError as error:
        raise missing_extra("serve", "onnxruntime") from error
    options = onnx.SessionOptions()
    options.intra_op_num_threads = 1  # a window takes a fraction of a millisecond
    options.inter_op_num_threads = 1
    session = onnx.InferenceSession(str(file), options, providers=["CPUExecutionProvider"])
    return lambda: SpeechActivity(session)
