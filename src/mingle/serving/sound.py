"""Sound on the wire: formats, their rates and media types."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from mingle.processing.sound_file import carried_rate, encode_sound

Samples = NDArray[Any]

STREAM_HZ = 24_000
"""What OpenAI's clients play raw samples at; they are not told any other rate."""

SLOW, FAST = 0.8, 1.25
"""The talker knows three speeds; a factor below or above these asks for another than its own."""

MEDIA_TYPES = {
    "wav": "audio/wav",
    "flac": "audio/flac",
    "mp3": "audio/mpeg",
    "opus": "audio/ogg",
    "aac": "audio/aac",
    "pcm": "audio/pcm",
}


def rate_of(form: str) -> int | None:
    """The rate that a format is sent at; None is the model's own."""
    if form in ("pcm", "pcm16", "opus"):
        return STREAM_HZ if form != "opus" else carried_rate("opus", 48_000)
    return 44_100 if form in ("mp3", "aac") else None


def pace_of(factor: float) -> str | None:
    """The talker's word for a speed; None is its own."""
    return "slow" if factor < SLOW else "fast" if factor > FAST else None


def encoded(samples: Samples, rate_hz: int, form: str) -> bytes:
    """A whole sound as the bytes of a file."""
    if form in ("pcm", "pcm16"):
        return pcm16(samples)
    return encode_sound(samples, rate_hz, form)


def pcm16(samples: Samples) -> bytes:
    """Samples in [-1, 1] as 16 bits, little endian; louder ones are limited to that."""
    return (np.clip(samples, -1.0, 1.0) * 32767.0).round().astype("<i2").tobytes()


def from_pcm16(data: bytes) -> Samples:
    """16 bits, little endian -> samples in [-1, 1)."""
    return np.frombuffer(data, "<i2").astype(np.float32) / 32768.0
