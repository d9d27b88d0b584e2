"""Changing the sample rate: the windowed sinc that the official audio path uses."""

import math

import numpy as np
from jaxtyping import Float, Float32

ZERO_CROSSINGS = 6  # of the sinc on each side
ROLLOFF = 0.99  # of the lower Nyquist frequency


def resample(
    samples: Float32[np.ndarray, " samples"], source_hz: int, target_hz: int
) -> Float32[np.ndarray, " resampled"]:
    """Convert one channel; a recording of n samples gives ceil(n * target / source).

    Hann-windowed sinc with 6 zero crossings and roll-off 0.99 (torchaudio's defaults, which made
    the features that the model learned from). Works for any pair of whole rates.
    """
    if source_hz == target_hz:
        return samples
    common = math.gcd(source_hz, target_hz)
    step, phases = source_hz // common, target_hz // common
    count = math.ceil(len(samples) * phases / step)
    cutoff = min(step, phases) * ROLLOFF
    reach = math.ceil(ZERO_CROSSINGS * step / cutoff)
    padded = np.pad(samples, (reach, reach + step + 1))
    output = np.empty(count, dtype=np.float32)
    for phase in range(min(phases, count)):
        # this phase's samples stand `step` source samples apart
        centre = phase * step / phases
        first = math.floor(centre)
        offsets = np.arange(first - reach, first + reach + 2)
        weights = _kernel((offsets - centre) / step * cutoff) * (cutoff / step)
        taps = np.lib.stride_tricks.sliding_window_view(padded[first:], len(offsets))[::step]
        target = output[phase::phases]
        target[:] = taps[: len(target)] @ weights.astype(np.float32)
    return output


def _kernel(time: Float[np.ndarray, " taps"]) -> Float[np.ndarray, " taps"]:
    """sin(pi t) / (pi t) under a Hann window that ends at the last zero crossing."""
    time = np.clip(time, -ZERO_CROSSINGS, ZERO_CROSSINGS)
    return np.sinc(time) * np.cos(time * math.pi / ZERO_CROSSINGS / 2) ** 2
