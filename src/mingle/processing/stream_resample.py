"""Changing the sample rate of sound that arrives in chunks, without a seam between them."""

import math

import numpy as np
from jaxtyping import Float32

from mingle.processing.resample import ROLLOFF, ZERO_CROSSINGS, resample


class StreamResampler:
    """Holds the few samples that the next outputs still need; one object for one stream.

    Joined, the chunks equal `resample` of everything (1e-6 of full scale).
    """

    def __init__(self, source_hz: int, target_hz: int):
        self.source_hz, self.target_hz = source_hz, target_hz
        common = math.gcd(source_hz, target_hz)
        self._step, self._phases = source_hz // common, target_hz // common
        crossing = self._step / (min(self._step, self._phases) * ROLLOFF)
        self._reach = math.ceil(ZERO_CROSSINGS * crossing) + 1
        self._held = np.empty(0, np.float32)
        self._start = 0  # where `_held` begins in the source, a multiple of the step
        self._given = 0  # outputs handed out

    def feed(
        self, samples: Float32[np.ndarray, " samples"], *, last: bool = False
    ) -> Float32[np.ndarray, " resampled"]:
        """Take a chunk, return what can be computed; the last call returns all that is left."""
        if self.source_hz == self.target_hz:
            return samples
        self._held = np.concatenate((self._held, samples.astype(np.float32)))
        known = self._start + len(self._held)
        ready = known - (0 if last else self._reach)
        end = max(self._given, math.ceil(ready * self._phases / self._step))
        if end == self._given:
            return np.empty(0, np.float32)
        offset = self._start // self._step * self._phases
        output = resample(self._held, self.source_hz, self.target_hz)
        output = output[self._given - offset : end - offset]
        self._given = end
        self._forget()
        return output

    def _forget(self) -> None:
        """Drop what no later output needs."""
        needed = self._given * self._step // self._phases - self._reach
        start = max(self._start, needed // self._step * self._step)
        self._held = self._held[start - self._start :]
        self._start = start
