"""Where models lie on this machine."""

import os
import shutil
from pathlib import Path

from mingle.errors import CapacityError

SPARE_BYTES = 256 << 20  # left free on the disk, so that logs and the system can still write


def home() -> Path:
    """The folder of all pulled models: $MINGLE_HOME, or ~/.cache/mingle."""
    return Path(os.environ.get("MINGLE_HOME") or Path.home() / ".cache" / "mingle").expanduser()


def folder_of(name: str) -> Path:
    """Where the model of this name lies, or would lie once it is pulled."""
    return home() / "models" / name


def size_of(folder: Path) -> int:
    """Bytes in a folder, links not followed."""
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())


def free_bytes(folder: Path) -> int:
    """Free space on the disk that holds the folder, or will hold it."""
    while not folder.exists():
        folder = folder.parent
    return shutil.disk_usage(folder).free


def check_room(folder: Path, num_bytes: int, free: int | None = None) -> None:
    """Raise CapacityError unless the disk has room for so many bytes and a little more."""
    free = free_bytes(folder) if free is None else free
    if num_bytes + SPARE_BYTES > free:
        raise CapacityError(
            f"{readable(num_bytes)} are to be written to {folder}, but only {readable(free)} are "
            "free there; make room, or set MINGLE_HOME to a folder on a larger disk"
        )


def readable(num_bytes: int) -> str:
    """Bytes for people: 1.5 GB, in powers of ten as disks and hubs count."""
    for unit, size in (("TB", 10**12), ("GB", 10**9), ("MB", 10**6), ("kB", 10**3)):
        if num_bytes >= size:
            return f"{num_bytes / size:.1f} {unit}"
    return f"{num_bytes} bytes"
