"""Log-mel filterbank features as Kaldi computes them: what the speaker encoder hears."""

import math

import numpy as np
from jaxtyping import Float32, Float64

from mingle.errors import InputError

WINDOW = 400  # samples: 25 ms at 16 kHz
HOP = 160  # 10 ms
FFT = 512  # the next power of two
PREEMPHASIS = 0.97
LOW_HZ = 20.0
FLOOR = float(np.finfo(np.float32).eps)


def filterbank(
    samples: Float32[np.ndarray, " samples"], *, sample_rate_hz: int = 16000, bands: int = 80
) -> Float32[np.ndarray, "frames bands"]:
    """Frames of 25 ms every 10 ms, only whole ones; no dither. (Kaldi's compute-fbank-feats)

    Samples are taken in [-1, 1], which shifts all values by a constant against 16-bit ones.
    """
    if len(samples) < WINDOW:
        raise InputError(f"{len(samples)} samples are less than one window of {WINDOW}")
    frames = np.lib.stride_tricks.sliding_window_view(samples.astype(np.float64), WINDOW)[::HOP]
    frames = frames - frames.mean(axis=1, keepdims=True)
    before = np.concatenate((frames[:, :1], frames[:, :-1]), axis=1)
    frames = (frames - PREEMPHASIS * before) * _povey()
    power = np.abs(np.fft.rfft(frames, FFT)) ** 2
    energies = power[:, : FFT // 2] @ _mel_filters(sample_rate_hz, bands).T
    return np.log(np.maximum(energies, FLOOR)).astype(np.float32)


def _povey() -> Float64[np.ndarray, " window"]:
    """A Hann window to the power 0.85."""
    ramp = 2 * math.pi * np.arange(WINDOW) / (WINDOW - 1)
    return (0.5 - 0.5 * np.cos(ramp)) ** 0.85


def _mel_filters(sample_rate_hz: int, bands: int) -> Float64[np.ndarray, "bands bins"]:
    """Triangles of equal width on the mel scale, not normalised."""
    low, high = _mel(np.array([LOW_HZ, sample_rate_hz / 2]))
    width = (high - low) / (bands + 1)
    peaks = low + width * np.arange(1, bands + 1)[:, None]
    at = _mel(np.arange(FFT // 2) * sample_rate_hz / FFT)
    return np.maximum(0.0, 1 - np.abs(at - peaks) / width)


def _mel(hertz: Float64[np.ndarray, " points"]) -> Float64[np.ndarray, " points"]:
    return 1127.0 * np.log1p(hertz / 700.0)
