"""Where media come from: a path, encoded bytes, or data in memory; checked before any decoding."""

import re
from io import BytesIO
from pathlib import Path

from mingle.errors import InputError
from mingle.messages import MediaSource

_URL = re.compile(r"(?:[a-z][a-z0-9+.-]*://|data:)", re.IGNORECASE)


def open_source(source: MediaSource, what: str) -> Path | BytesIO:
    """Give a decoder something to read; `what` names the medium in messages ("picture").

    Raises InputError for a path that does not lead to a file with bytes in it, for empty bytes,
    for URLs (fetching is not done here), and for objects that are neither path nor bytes.
    """
    if isinstance(source, str | Path):
        return _existing_file(source, what)
    if isinstance(source, bytes | bytearray):
        if not source:
            raise InputError(f"{what}: the data is empty (0 bytes); send an encoded {what}")
        return BytesIO(source)
    raise InputError(
        f"{what}: found {describe(source)}; expected a path, encoded bytes, or the data itself"
    )


def describe(source: MediaSource) -> str:
    """Name a source in a message, short: the path, or what kind of object it is."""
    if isinstance(source, str | Path):
        text = str(source)
        return f"'{text if len(text) <= 120 else text[:117] + '...'}'"
    if isinstance(source, bytes | bytearray):
        return f"{len(source)} bytes"
    return f"a {type(source).__name__}"


def is_folder(source: MediaSource) -> bool:
    """Whether the source is the path of an existing folder."""
    if not isinstance(source, str | Path):
        return False
    try:
        return Path(source).is_dir()
    except (OSError, ValueError):  # a name that no file system takes
        return False


def _existing_file(source: str | Path, what: str) -> Path:
    name = describe(source)
    if isinstance(source, str) and _URL.match(source):
        raise InputError(f"{what} {name} is a URL; download it and give the file or its bytes")
    path = Path(source)
    try:
        found = path.stat()
    except FileNotFoundError:
        raise InputError(f"{what} {name} does not exist; check the path") from None
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else error
        raise InputError(f"{what} {name} cannot be read ({reason}); check the path") from error
    if path.is_dir():
        raise InputError(f"{what} {name} is a folder; expected a file")
    if path.is_file() and not found.st_size:
        raise InputError(f"{what} {name} is empty (0 bytes); expected an encoded {what}")
    return path
