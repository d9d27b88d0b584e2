"""Writing sound: files that appear whole or not at all, and bytes for those who ask over a wire."""

import contextlib
import os
import shutil
from collections.abc import Generator
from io import BytesIO
from pathlib import Path
from types import TracebackType
from typing import Any

import numpy as np
from jaxtyping import Float32

from mingle.errors import CapacityError, InputError, missing_extra
from mingle.processing.aac_file import AacFile

FORMATS: dict[str, tuple[str, str]] = {
    "wav": ("WAV", "PCM_16"),
    "flac": ("FLAC", "PCM_16"),
    "mp3": ("MP3", "MPEG_LAYER_III"),
    "opus": ("OGG", "OPUS"),
    "aac": ("ADTS", "AAC"),
    "pcm": ("RAW", "PCM_16"),
}
"""Format -> container and coding, in libsndfile's words but for aac, which it does not know.

pcm is 16 bit, little endian, without a header.
"""

RATES: dict[str, tuple[int, ...]] = {
    "opus": (48000, 24000, 16000, 12000, 8000),
    "mp3": (44100, 48000, 32000, 24000, 22050, 16000, 12000, 11025, 8000),
    "aac": (44100, 48000, 32000, 24000, 22050, 16000, 12000, 11025, 8000),
}
"""Formats that can only carry some rates, the best one first."""


FULL = 1 << 16  # bytes: a disk with less free is called full


def format_of(path: Path) -> str:
    """The format that a file's name asks for; raises InputError for one we cannot write."""
    name = {"ogg": "opus", "raw": "pcm"}.get(path.suffix[1:].lower(), path.suffix[1:].lower())
    if name not in FORMATS:
        known = ", ".join(f".{one}" for one in FORMATS)
        raise InputError(f"'{path.name}' ends in '{path.suffix}'; expected one of {known}")
    return name


def carried_rate(format_name: str, wanted_hz: int) -> int:
    """The rate nearest above `wanted_hz` that a format can carry, else its greatest."""
    rates = RATES.get(format_name, (wanted_hz,))
    return min((rate for rate in rates if rate >= wanted_hz), default=max(rates))


class SoundWriter:
    """Writes mono samples bit by bit. A file gets its name only when it is whole.

    Use it in a `with` statement: leaving by an exception leaves nothing behind.
    """

    def __init__(self, target: Path | BytesIO, format_name: str, sample_rate_hz: int):
        if format_name not in FORMATS:
            raise InputError(f"format {format_name!r}; expected one of {', '.join(FORMATS)}")
        self.sample_rate_hz, self.num_samples = sample_rate_hz, 0
        self._path = target if isinstance(target, Path) else None
        self._partial: Any = target
        if self._path is not None:
            self._partial = self._path.with_name(f".{self._path.name}.{os.getpid()}.part")
            if not self._path.parent.is_dir():
                raise InputError(f"there is no folder {self._path.parent} to write into")
        with self._told():
            self._file = _opened(self._partial, format_name, sample_rate_hz)

    def write(self, samples: Float32[np.ndarray, " samples"]) -> None:
        """Append samples in [-1, 1]; louder ones are limited to that. Raises CapacityError."""
        with self._told():
            self._file.write(np.clip(samples, -1.0, 1.0))
        self.num_samples += len(samples)

    def __enter__(self) -> "SoundWriter":
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        try:
            with self._told() if kind is None else contextlib.suppress(*_file_errors()):
                self._file.close()  # writes what is still buffered
                if kind is None and self._path is not None:
                    os.replace(self._partial, self._path)
        finally:
            if self._path is not None:
                Path(self._partial).unlink(missing_ok=True)

    @contextlib.contextmanager
    def _told(self) -> Generator[None]:
        """What hinders writing, as a CapacityError in one line."""
        try:
            yield
        except _file_errors() as error:
            full = self._path is not None and shutil.disk_usage(self._path.parent).free < FULL
            reason = "its disk is full" if full else str(error)
            if self._path is not None:
                Path(self._partial).unlink(missing_ok=True)
            target = self._path or "the sound"
            raise CapacityError(f"{target} cannot be written: {reason}") from error


def encode_sound(
    samples: Float32[np.ndarray, " samples"], sample_rate_hz: int, format_name: str
) -> bytes:
    """A whole sound as the bytes of a file. The rate must be one that the format carries."""
    target = BytesIO()
    with SoundWriter(target, format_name, sample_rate_hz) as writer:
        writer.write(samples)
    return target.getvalue()


def _opened(target: Path | BytesIO, format_name: str, sample_rate_hz: int) -> Any:
    if format_name == "aac":
        return AacFile(target, sample_rate_hz)
    container, coding = FORMATS[format_name]
    return _soundfile().SoundFile(target, "w", sample_rate_hz, 1, coding, format=container)


def _file_errors() -> tuple[type[BaseException], ...]:
    return (OSError, _soundfile().SoundFileRuntimeError)


def _soundfile() -> Any:
    try:
        import soundfile  # pyright: ignore[reportMissingTypeStubs]
    except ImportError as error:
        raise missing_extra("media", "soundfile") from error
    return soundfile
