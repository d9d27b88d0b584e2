"""What an audio tower hears: log-mel frames of a recording."""

import functools
import math
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Float32, Float64

from mingle.errors import InputError
from mingle.messages import MediaSource
from mingle.processing.recording import decode_recording
from mingle.processing.resample import resample
from mingle.processing.sources import describe

FLOOR = 1e-10  # power below this counts as silence
RANGE = 8.0  # decades below the loudest point of a clip that are kept


@dataclass(frozen=True, kw_only=True)
class AudioSettings:
    """The features that an audio tower reads. `window` and `hop` in samples."""

    sample_rate_hz: int
    window: int
    hop: int
    mels: int
    max_seconds: float
    frames_per_token: int

    def tokens(self, frames: int) -> int:
        """Thinker tokens that so many mel frames become."""
        return math.ceil(frames / self.frames_per_token)


def prepare_recording(
    source: MediaSource, settings: AudioSettings
) -> Float32[np.ndarray, "frames mels"]:
    """Decode a recording and give its log-mel frames. Raises InputError for unusable sound."""
    recording = decode_recording(source, max_seconds=settings.max_seconds)
    samples = resample(recording.samples, recording.sample_rate_hz, settings.sample_rate_hz)
    least = settings.window // 2 + 1
    if len(samples) < least:
        raise InputError(
            f"recording {describe(source)} lasts {recording.seconds:.4f} s; "
            f"at least {least / settings.sample_rate_hz:.4f} s are needed"
        )
    return log_mel(samples, settings)


def log_mel(
    samples: Float32[np.ndarray, " samples"], settings: AudioSettings
) -> Float32[np.ndarray, "frames mels"]:
    """Whisper's log-mel, floored 80 dB below the clip's peak, scaled to about [-1, 1].

    One frame for each whole hop of samples; raises nothing, silence gives -1.5 throughout.
    """
    hann = 0.5 - 0.5 * np.cos(2 * math.pi * np.arange(settings.window) / settings.window)
    power = np.abs(np.fft.rfft(windows(samples, settings) * hann)) ** 2
    return log_bands(power, settings)


def windows(
    samples: Float32[np.ndarray, " samples"], settings: AudioSettings
) -> Float32[np.ndarray, "frames window"]:
    """Overlapping windows centred on multiples of the hop; the edges are reflected."""
    padded = np.pad(samples, settings.window // 2, mode="reflect")
    every = np.lib.stride_tricks.sliding_window_view(padded, settings.window)
    return every[:: settings.hop][: len(samples) // settings.hop]


def log_bands(
    power: Float[np.ndarray, "frames bins"], settings: AudioSettings
) -> Float32[np.ndarray, "frames mels"]:
    """Power spectra -> log-mel frames."""
    bands = power @ mel_filters(settings.sample_rate_hz, settings.window, settings.mels).T
    level = np.log10(np.maximum(bands, FLOOR))
    level = np.maximum(level, level.max(initial=-np.inf) - RANGE)
    return ((level + 4) / 4).astype(np.float32)


@functools.cache
def mel_filters(sample_rate_hz: int, window: int, mels: int) -> Float64[np.ndarray, "mels bins"]:
    """Triangular bands from 0 Hz to Nyquist, even on the Slaney scale, each of unit area."""
    edges = _mel_to_hz(np.linspace(0, _hz_to_mel(sample_rate_hz / 2), mels + 2))
    bins = np.fft.rfftfreq(window, 1 / sample_rate_hz)
    rising = (bins - edges[:-2, None]) / np.diff(edges)[:-1, None]
    falling = (edges[2:, None] - bins) / np.diff(edges)[1:, None]
    triangles = np.maximum(0, np.minimum(rising, falling))
    return triangles * (2 / (edges[2:] - edges[:-2]))[:, None]


# Slaney's scale: linear to 1 kHz (15 bands), then 27 bands for each factor of 6.4
_LINEAR_HZ = 200 / 3
_BREAK_HZ = 1000.0
_BREAK_MEL = _BREAK_HZ / _LINEAR_HZ
_LOG_STEP = math.log(6.4) / 27


def _hz_to_mel(hz: float) -> float:
    if hz < _BREAK_HZ:
        return hz / _LINEAR_HZ
    return _BREAK_MEL + math.log(hz / _BREAK_HZ) / _LOG_STEP


def _mel_to_hz(mel: Float[np.ndarray, " points"]) -> Float[np.ndarray, " points"]:
    above = _BREAK_HZ * np.exp(_LOG_STEP * (mel - _BREAK_MEL))
    return np.where(mel < _BREAK_MEL, mel * _LINEAR_HZ, above)
