"""Pulling a model: choose the files, check the disk, fetch, check the hashes, record the pin."""

import contextlib
import errno
import json
import os
import shutil
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

from mingle.checkpoints import store
from mingle.checkpoints.family import Family
from mingle.checkpoints.hub import Hub, Listing, Progress, RemoteFile, digest_of
from mingle.errors import CapacityError, CheckpointError, InputError

RECORD = "mingle-pull.json"
SCRATCH = ".mingle-pull"
ALWAYS = ("config.json", "LICENSE*", "README.md")


@dataclass(frozen=True)
class Wanted:
    """A file to fetch and the listing it stands in."""

    listing: Listing
    file: RemoteFile


@dataclass(frozen=True, kw_only=True)
class Origin:
    """Where a model is pulled from; `lenders`: a family's name -> its repository on this hub."""

    hub: Hub
    repository: str
    revision: str | None = None
    lenders: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class Plan:
    """What a pull will do: every file of the model, those still missing, and remarks for people."""

    files: tuple[Wanted, ...]
    missing: tuple[Wanted, ...]
    remarks: tuple[str, ...]

    @property
    def missing_bytes(self) -> int:
        """Bytes still to fetch, those of interrupted files included."""
        return sum(wanted.file.num_bytes for wanted in self.missing)


def plan_pull(
    family: Family, target: Path, origin: Origin, parts: Sequence[str] | None = None
) -> Plan:
    """Choose the files that the parts need (None: all parts), here and at the lenders.

    Raises InputError if the repository is no such model.
    """
    listing = origin.hub.list_files(origin.repository, origin.revision)
    chosen = {one.path: Wanted(listing, one) for one in listing.files if needed(family, one, parts)}
    remarks: list[str] = []
    for lender, names in family.borrowed.items():
        lacking = [name for name in names if name not in chosen]
        if lacking and lender in origin.lenders:
            other = origin.hub.list_files(origin.lenders[lender], None)
            lent = {one.path: Wanted(other, one) for one in other.files if one.path in lacking}
            chosen |= lent
            what = ", ".join(lent)
            remarks.append(f"{origin.repository} lacks {what}: taken from {other.repository}")
    if "config.json" not in chosen:
        raise InputError(f"{origin.repository} holds no config.json, so it is no {family.name}")
    missing = [one for path, one in chosen.items() if not _is_here(target / path, one.file)]
    return Plan(files=tuple(chosen.values()), missing=tuple(missing), remarks=tuple(remarks))


def needed(family: Family, file: RemoteFile, parts: Sequence[str] | None = None) -> bool:
    """Whether a file of the repository belongs to what the parts (None: all) load.

    The processor's files belong to every part.
    """
    patterns = [*ALWAYS, *family.files]
    for part in family.parts:
        if parts is None or part.name in parts:
            patterns += [*part.configs, *part.optional_configs, *part.files]
            for weights in part.weights:
                stem = f"{weights.folder}/{weights.stem}" if weights.folder else weights.stem
                if weights.stem.endswith(".pt"):
                    patterns.append(stem)
                else:
                    patterns += [f"{stem}*.safetensors", f"{stem}.safetensors.index.json"]
    depth = file.path.count("/")
    return any(p.count("/") == depth and fnmatchcase(file.path, p) for p in patterns)


def run_pull(plan: Plan, target: Path, hub: Hub, progress: Progress = lambda _: None) -> None:
    """Fetch what is missing. Interrupted, it goes on where it stopped when it is called again.

    A file stands in `target` only when it is whole and its hash is right. Raises CapacityError
    (disk, network) and CheckpointError (hash).
    """
    store.check_room(target, plan.missing_bytes - _size_of_scratch(target))
    scratch = target / SCRATCH
    with _disk_errors(target):
        scratch.mkdir(parents=True, exist_ok=True)
        for wanted in plan.missing:
            _fetch(wanted, target, scratch, hub, progress)
        shutil.rmtree(scratch)
        _write_record(plan, target)


def read_record(folder: Path) -> dict[str, Any] | None:
    """What an earlier, finished pull wrote down; None if there is none."""
    file = folder / RECORD
    return json.loads(file.read_text(encoding="utf-8")) if file.is_file() else None


def _fetch(wanted: Wanted, target: Path, scratch: Path, hub: Hub, progress: Progress) -> None:
    file = wanted.file
    # a revision of its own: what another one left half-fetched is not added to
    part = scratch / f"{file.path.replace('/', '--')}.{_mark(wanted)}.part"
    if part.exists() and part.stat().st_size > file.num_bytes:
        part.unlink()
    hub.fetch(wanted.listing, file, part, progress)
    _check(part, wanted)
    place = target / file.path
    place.parent.mkdir(parents=True, exist_ok=True)
    os.replace(part, place)


def _check(part: Path, wanted: Wanted) -> None:
    file, size = wanted.file, part.stat().st_size
    if size < file.num_bytes:
        raise CapacityError(
            f"{file.path} broke off after {size} of {file.num_bytes} bytes; "
            "run the same command again, it goes on from there"
        )
    kind, _, expected = file.digest.partition(":")
    found = digest_of(part, kind).partition(":")[2] if expected else expected
    if size != file.num_bytes or found != expected:
        part.unlink()
        says = (
            f"{kind} {found[:12]}..., expected {expected[:12]}..." if expected else f"{size} bytes"
        )
        raise CheckpointError(
            f"{file.path} from {wanted.listing.repository} is not what the hub lists ({says}); "
            "it was thrown away: run the same command again"
        )


def _mark(wanted: Wanted) -> str:
    return (wanted.file.digest.partition(":")[2] or wanted.listing.revision or "folder")[:12]


def _is_here(path: Path, file: RemoteFile) -> bool:
    """Files come into the folder only after their hash was checked, so the size is enough."""
    return path.is_file() and path.stat().st_size == file.num_bytes


def _size_of_scratch(target: Path) -> int:
    return store.size_of(target / SCRATCH) if (target / SCRATCH).is_dir() else 0


def _write_record(plan: Plan, target: Path) -> None:
    files = {
        wanted.file.path: {
            "hub": wanted.listing.hub,
            "repository": wanted.listing.repository,
            "revision": wanted.listing.revision,
            "bytes": wanted.file.num_bytes,
            "digest": wanted.file.digest,
        }
        for wanted in plan.files
    }
    earlier = (read_record(target) or {}).get("files", {})
    content = {"files": dict(sorted((earlier | files).items()))}
    fresh = target / f"{RECORD}.new"
    fresh.write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")
    os.replace(fresh, target / RECORD)


@contextlib.contextmanager
def _disk_errors(target: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        full = error.errno in (errno.ENOSPC, errno.EDQUOT)
        reason = "its disk is full" if full else error.strerror or str(error)
        raise CapacityError(
            f"{target} cannot be written: {reason}; when that is mended run the same command "
            "again, it goes on from there"
        ) from error
