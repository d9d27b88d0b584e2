"""Recordings: decode any container and mix the channels to one."""

import math
import operator
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import Any, cast

import numpy as np
from jaxtyping import Float32
from numpy.typing import NDArray

from mingle.errors import InputError, missing_extra
from mingle.messages import MediaSource
from mingle.processing.containers import open_container
from mingle.processing.sources import describe, open_source


@dataclass(frozen=True, kw_only=True)
class Recording:
    """One channel of sound, float32 in about [-1, 1]."""

    samples: Float32[np.ndarray, " samples"]
    sample_rate_hz: int

    @property
    def seconds(self) -> float:
        """How long it lasts."""
        return len(self.samples) / self.sample_rate_hz


def decode_recording(source: MediaSource, *, max_seconds: float = math.inf) -> Recording:
    """Decode and mix all channels to one, at the recording's own rate.

    Takes a path, encoded bytes (any container that libsndfile or FFmpeg reads), a Recording, or
    `(samples, sample_rate_hz)` with samples [samples] or [samples, channels]; integers are scaled
    to [-1, 1). Raises InputError for empty, broken, too long or non-finite sound.
    """
    if isinstance(source, Recording):
        samples, rate = source.samples, source.sample_rate_hz
    elif isinstance(source, tuple):
        samples, rate = _from_memory(cast("tuple[Any, ...]", source))
    else:
        samples, rate = _from_file(source, max_seconds)
    if not samples.size:
        raise InputError(f"recording {describe(source)} has no samples; send one with sound")
    if len(samples) > max_seconds * rate:
        raise InputError(_too_long(source, len(samples) / rate, max_seconds))
    if not np.isfinite(samples).all():
        raise InputError(
            f"recording {describe(source)} has samples that are not finite (NaN or infinite); "
            "export it again"
        )
    mono = samples.mean(axis=1) if samples.ndim == 2 else samples
    return Recording(samples=mono.astype(np.float32), sample_rate_hz=rate)


def _from_memory(source: tuple[Any, ...]) -> tuple[np.ndarray[Any, np.dtype[Any]], int]:
    """(samples, rate) -> float samples [samples] or [samples, channels]."""
    if len(source) != 2:
        raise InputError(f"recording: found a tuple of {len(source)}; expected (samples, rate)")
    samples, rate = np.asarray(source[0]), _whole_rate(source[1])
    if samples.ndim not in (1, 2) or samples.dtype.kind not in "fiu":
        raise InputError(
            f"recording: found samples {samples.dtype} of shape {samples.shape}; "
            "expected numbers [samples] or [samples, channels]"
        )
    if samples.ndim == 2 and samples.shape[1] > samples.shape[0]:
        samples = samples.T  # more channels than samples: the axes came the other way round
    if samples.dtype.kind in "iu":
        half = 2.0 ** (8 * samples.dtype.itemsize - 1)
        offset = half if samples.dtype.kind == "u" else 0.0
        samples = (samples - offset) / half
    return samples, rate


def _whole_rate(rate: Any) -> int:
    whole = operator.index(rate) if hasattr(rate, "__index__") else -1
    if not 1000 <= whole <= 768_000:
        raise InputError(f"recording: the sample rate is {rate!r}; expected 1000 to 768000 Hz")
    return whole


def _from_file(
    source: MediaSource, max_seconds: float
) -> tuple[np.ndarray[Any, np.dtype[Any]], int]:
    """libsndfile first (exact, quick), FFmpeg for the containers that it does not know."""
    soundfile = _soundfile()
    file = open_source(source, "recording")
    _refuse_cut_wav(file, source)
    try:
        with soundfile.SoundFile(file) as sound:
            rate = int(sound.samplerate)
            if 0 < sound.frames < 2**62 and sound.frames > max_seconds * rate:
                raise InputError(_too_long(source, sound.frames / rate, max_seconds))
            limit = -1 if math.isinf(max_seconds) else int(max_seconds * rate) + 1
            return sound.read(frames=limit, dtype="float32", always_2d=True), rate
    except soundfile.LibsndfileError:
        return _from_container(file, source, max_seconds)


def _soundfile() -> Any:
    try:
        import soundfile  # pyright: ignore[reportMissingTypeStubs]
    except ImportError as error:
        raise missing_extra("media", "soundfile") from error
    return soundfile


def _from_container(
    file: Path | BytesIO, source: MediaSource, max_seconds: float
) -> tuple[NDArray[Any], int]:
    """The first audio stream of any container that FFmpeg reads: [samples, channels]."""
    pieces: list[NDArray[Any]] = []
    with open_container(file, source, "recording") as container:
        import av

        if not container.streams.audio:
            raise InputError(f"{describe(source)} holds no sound; expected a recording")
        stream = container.streams.audio[0]
        rate, total = stream.rate, 0
        plain = av.AudioResampler(format="fltp", layout=stream.layout, rate=rate)
        for frame in container.decode(stream):
            for chunk in plain.resample(frame):
                pieces.append(chunk.to_ndarray().T)
                total += chunk.samples
            if total > max_seconds * rate:
                raise InputError(_too_long(source, total / rate, max_seconds))
    return np.concatenate(pieces) if pieces else np.empty((0, 1), np.float32), rate


def _refuse_cut_wav(file: Path | BytesIO, source: MediaSource) -> None:
    """libsndfile reads the rest of a cut-off WAV file in silence; its header tells."""
    if isinstance(file, Path):
        size = file.stat().st_size
        with file.open("rb") as opened:
            head = opened.read(12)
    else:
        size, head = len(file.getvalue()), file.getvalue()[:12]
    declared = int.from_bytes(head[4:8], "little") + 8
    streamed = declared in (8, 0xFFFFFFFF + 8)  # a recorder that could not go back and fill it in
    if head[:4] == b"RIFF" and head[8:] == b"WAVE" and not streamed and declared > size + 1:
        raise InputError(
            f"recording {describe(source)} is cut off: {size} of {declared} bytes are there; "
            "send the whole file"
        )


def _too_long(source: MediaSource, seconds: float, most: float) -> str:
    return (
        f"recording {describe(source)} lasts {seconds:.0f} s or more; "
        f"at most {most:.0f} s are taken at once: split it"
    )
