"""How high a voice is: the fundamental frequency of a recording, ten milliseconds at a time."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float32

LOWEST_HZ, HIGHEST_HZ = 60.0, 420.0
WINDOW_S = 0.048  # nearly three periods of the lowest pitch
VOICED = 0.5  # correlation with the period before, above which a frame has a pitch
OCTAVE_COST = 0.08  # a period twice as long must correlate better by this
QUIET = 0.02  # of the loudest frame: below it there is no voice


@dataclass(frozen=True, kw_only=True)
class Pitch:
    """The fundamental frequency in Hz at each frame's centre; between voiced frames it is bridged.

    A recording without any voice has 120 Hz throughout and no voiced frame.
    """

    hz: Float32[np.ndarray, " frames"]
    voiced: Bool[np.ndarray, " frames"]
    strength: Float32[np.ndarray, " frames"]
    """Correlation with the period before, 0 to 1; 0 where it is quiet."""

    @property
    def mean_hz(self) -> float:
        """The geometric mean over the voiced frames; NaN without any."""
        if not self.voiced.any():
            return float("nan")
        return float(np.exp(np.log(self.hz[self.voiced]).mean()))


def track_pitch(
    samples: Float32[np.ndarray, " samples"], rate_hz: int, hop: int, num_frames: int
) -> Pitch:
    """Follow the pitch; frame t is centred at sample `t * hop + hop / 2`.

    The best peak of the autocorrelation, divided by that of the window. (Boersma 1993)
    """
    correlation, level = _autocorrelations(samples, rate_hz, hop, num_frames)
    first, last = int(rate_hz / HIGHEST_HZ), int(rate_hz / LOWEST_HZ)
    lags = np.arange(first, last + 1)
    scores = correlation[:, first : last + 1] - OCTAVE_COST * np.log2(lags / first)
    best = scores.argmax(axis=1)
    rows = np.arange(num_frames)
    strength = correlation[rows, first + best]
    strength = np.where(level > QUIET * level.max(initial=1e-9), strength, 0).clip(0, 1)
    strength = strength.astype(np.float32)
    voiced = strength > VOICED
    voiced &= (best > 0) & (best < len(lags) - 1)
    lag = first + best + _vertex(correlation, first + best)
    log_hz = np.log(rate_hz / lag)
    if not voiced.any():
        hz = np.full(num_frames, 120, np.float32)
        return Pitch(hz=hz, voiced=voiced, strength=strength)
    bridged = np.interp(rows, rows[voiced], _smooth(log_hz[voiced]))
    hz = np.exp(bridged).astype(np.float32)
    return Pitch(hz=hz, voiced=voiced, strength=strength)


def _autocorrelations(
    samples: np.ndarray, rate_hz: int, hop: int, num_frames: int
) -> tuple[np.ndarray, np.ndarray]:
    """Normalised autocorrelation of every frame, and its root mean square."""
    size = int(WINDOW_S * rate_hz)
    before = (size - hop) // 2
    after = max(0, (num_frames - 1) * hop + size - before - len(samples))
    padded = np.pad(samples, (before, after))
    frames = np.lib.stride_tricks.sliding_window_view(padded, size)[::hop][:num_frames]
    window = np.hanning(size).astype(np.float32)
    shaped = (frames - frames.mean(axis=1, keepdims=True)) * window
    length = 1 << (2 * size - 1).bit_length()

    def correlate(rows: np.ndarray) -> np.ndarray:
        spectrum = np.fft.rfft(rows, length)
        power = spectrum.real**2 + spectrum.imag**2
        return np.fft.irfft(power, length)[..., : size // 2]

    of_window = correlate(window)
    found = correlate(shaped)
    energy = found[:, :1]
    normalised = found / np.maximum(energy, 1e-9) / (of_window / of_window[0])
    return normalised, np.sqrt(np.maximum(energy[:, 0], 0) / size)


def _vertex(correlation: np.ndarray, peak: np.ndarray) -> np.ndarray:
    """Where between samples the parabola through the peak and its neighbours is highest."""
    rows = np.arange(len(peak))
    left, middle, right = (correlation[rows, peak + step] for step in (-1, 0, 1))
    bend = left - 2 * middle + right
    shift = 0.5 * (left - right) / np.where(bend < -1e-9, bend, -1e-9)
    return shift.clip(-0.5, 0.5)


def _smooth(values: np.ndarray) -> np.ndarray:
    """Median of five: a single octave error vanishes."""
    padded = np.pad(values, 2, mode="edge")
    return np.median(np.lib.stride_tricks.sliding_window_view(padded, 5), axis=1)
