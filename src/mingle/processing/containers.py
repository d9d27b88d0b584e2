"""Opening film and sound containers with FFmpeg; every fault of its becomes one InputError."""

from collections.abc import Generator
from contextlib import contextmanager
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING

from mingle.errors import InputError, missing_extra
from mingle.messages import MediaSource
from mingle.processing.sources import describe

if TYPE_CHECKING:
    import av.container

EXPECTED = {
    "film": "MP4, MKV, WebM, MOV, AVI",
    "recording": "WAV, FLAC, MP3, Ogg, Opus, M4A",
}


@contextmanager
def open_container(
    file: Path | BytesIO, source: MediaSource, what: str
) -> Generator["av.container.InputContainer"]:
    """Open what `open_source` gave for a "film" or a "recording"; `source` is for messages."""
    try:
        import av
        import av.error
    except ImportError as error:
        raise missing_extra("media", "av") from error
    if isinstance(file, BytesIO):
        file.seek(0)
    fault = "of another type"
    try:
        with av.open(file, "r") as container:
            if container.format.name != "tty":  # FFmpeg takes any text for terminal art
                yield container
                return
    except av.error.FFmpegError as error:
        fault = error.strerror or str(error)
    raise InputError(
        f"{describe(source)} is not a whole {what} ({fault}); expected {EXPECTED[what]} "
        "or another format that FFmpeg reads"
    )
