"""Where models come from: Hugging Face, ModelScope, or a folder; each lists files and fetches them.

Hubs are reached through their own libraries. Nothing of a repository is ever executed: files are
lists of bytes here, checked against the hash that the hub states.
"""

import errno
import hashlib
import io
import logging
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol, cast, runtime_checkable

from mingle.errors import CapacityError, CheckpointError, InputError, missing_extra

PIECE = 8 << 20  # bytes read and written at a time
BLOCK = 64 << 20  # bytes asked of Hugging Face in one request

Progress = Callable[[int], object]
"""Told how many more bytes are here."""


@dataclass(frozen=True)
class RemoteFile:
    """A file in a repository: path, size, and its hash as the hub states it.

    `digest` is `sha256:...`, or `git:...` (the id git gives a file's content), or empty.
    """

    path: str
    num_bytes: int
    digest: str = ""


@dataclass(frozen=True, kw_only=True)
class Listing:
    """The files of a repository at one revision; `revision` is a commit where the hub has them."""

    hub: str
    repository: str
    revision: str
    files: tuple[RemoteFile, ...]


@runtime_checkable
class Hub(Protocol):
    """What pulling needs of a hub."""

    name: str

    def list_files(self, repository: str, revision: str | None) -> Listing:
        """The files at a revision (None: the newest), with sizes and hashes."""
        ...

    def fetch(self, listing: Listing, file: RemoteFile, target: Path, progress: Progress) -> None:
        """Bring a file to `target`, going on where an earlier call was interrupted."""
        ...


class HuggingFace:
    """huggingface.co, or the endpoint that HF_ENDPOINT names, through huggingface_hub."""

    name = "huggingface"

    def list_files(self, repository: str, revision: str | None) -> Listing:
        from huggingface_hub import HfApi

        with _huggingface_errors(repository):
            info = HfApi().model_info(repository, revision=revision, files_metadata=True)
        files = (
            RemoteFile(
                sibling.rfilename,
                sibling.size or 0,
                f"sha256:{sibling.lfs.sha256}" if sibling.lfs else f"git:{sibling.blob_id}",
            )
            for sibling in info.siblings or ()
        )
        commit = info.sha or revision or "main"
        return Listing(hub=self.name, repository=repository, revision=commit, files=tuple(files))

    def fetch(self, listing: Listing, file: RemoteFile, target: Path, progress: Progress) -> None:
        from huggingface_hub import HfFileSystem

        # The library's own download starts a file anew after an interruption (2.4.0); reading
        # through its file system asks for ranges, so every byte that is here stays.
        path = f"{listing.repository}@{listing.revision}/{file.path}"
        with _huggingface_errors(listing.repository):
            files = HfFileSystem(use_listings_cache=False)
            with files.open(path, "rb", block_size=BLOCK) as remote:
                append(target, remote, progress)


class ModelScope:
    """modelscope.cn, through its library."""

    name = "modelscope"

    def list_files(self, repository: str, revision: str | None) -> Listing:
        revision = revision or "master"
        with _modelscope_errors(repository) as api:
            found = api.list_repo_files(repository, "model", revision=revision)
        files = tuple(
            RemoteFile(one.path, one.size, f"sha256:{one.sha256}" if one.sha256 else "")
            for one in found
            if not one.is_dir
        )
        return Listing(hub=self.name, repository=repository, revision=revision, files=files)

    def fetch(self, listing: Listing, file: RemoteFile, target: Path, progress: Progress) -> None:
        folder = target.with_name(target.name + ".modelscope")  # the library keeps its state here
        with _modelscope_errors(listing.repository) as api:
            path = api.download_file(
                listing.repository,
                "model",
                file.path,
                revision=listing.revision,
                local_dir=folder,
                file_size=file.num_bytes,
            )
        Path(path).replace(target)
        progress(file.num_bytes)


class Folder:
    """A folder that holds a model, as a hub would: a repository is the folder's path."""

    name = "folder"

    def list_files(self, repository: str, revision: str | None) -> Listing:
        folder = Path(repository)
        if not folder.is_dir():
            raise InputError(f"{folder} is not a folder; give one that holds a model")
        files = (path for path in sorted(folder.rglob("*")) if path.is_file())
        listed = (
            RemoteFile(path.relative_to(folder).as_posix(), path.stat().st_size) for path in files
        )
        return Listing(
            hub=self.name, repository=repository, revision=revision or "", files=tuple(listed)
        )

    def fetch(self, listing: Listing, file: RemoteFile, target: Path, progress: Progress) -> None:
        with (Path(listing.repository) / file.path).open("rb") as source:
            append(target, source, progress)


HUBS: dict[str, Callable[[], Hub]] = {"huggingface": HuggingFace, "modelscope": ModelScope}
"""The hubs by the name that --from takes; any other word is a folder."""


def append(target: Path, source: Any, progress: Progress) -> None:
    """Add to `target` what it does not hold yet of a seekable stream."""
    have = target.stat().st_size if target.exists() else 0
    progress(have)
    source.seek(have)
    with target.open("ab") as here:
        while piece := source.read(PIECE):
            here.write(piece)
            progress(len(piece))


def digest_of(path: Path, kind: str) -> str:
    """The hash of a file, of the kind that stands before the colon of a digest."""
    if kind == "git":
        digest = hashlib.sha1(f"blob {path.stat().st_size}\0".encode(), usedforsecurity=False)
    else:
        digest = hashlib.sha256()
    with path.open("rb") as stream:
        for piece in _pieces(stream):
            digest.update(piece)
    return f"{kind}:{digest.hexdigest()}"


def _pieces(stream: io.BufferedReader) -> Iterable[bytes]:
    return iter(lambda: stream.read(PIECE), b"")


@contextmanager
def _huggingface_errors(repository: str) -> Iterator[None]:
    from huggingface_hub import errors

    # the HTTP library's own error, whichever library this version is built on, and OSError
    transport = cast("tuple[type[Exception], ...]", errors.HfHubHTTPError.__bases__)
    try:
        yield
    except errors.GatedRepoError as error:
        raise InputError(
            f"{repository} on Hugging Face asks for consent first; open its page, agree, "
            "then run: hf auth login"
        ) from error
    except (errors.RepositoryNotFoundError, errors.RevisionNotFoundError) as error:
        raise InputError(f"Hugging Face has no {repository} of this name and revision") from error
    except transport as error:
        if _is_of_the_disk(error):
            raise
        raise _unreachable("Hugging Face", "modelscope", error) from error


@contextmanager
def _modelscope_errors(repository: str) -> Iterator[Any]:
    try:
        from modelscope_hub import errors
        from modelscope_hub.api import HubApi
    except ImportError as error:
        raise missing_extra("hub", "modelscope-hub") from error
    library = logging.getLogger("modelscope_hub")
    level = library.level
    library.setLevel(logging.ERROR)  # it warns of every attempt; the last error says it all
    try:
        yield HubApi()
    except errors.NotExistError as error:
        raise InputError(f"ModelScope has no {repository} of this name and revision") from error
    except errors.PermissionDeniedError as error:
        raise InputError(f"ModelScope does not show {repository} without a login") from error
    except errors.FileIntegrityError as error:
        raise CheckpointError(
            f"what ModelScope sent is not what it lists ({error}); it was thrown away: try again"
        ) from error
    except (errors.HubError, OSError) as error:
        if _is_of_the_disk(error):
            raise
        raise _unreachable("ModelScope", "huggingface", error) from error
    finally:
        library.setLevel(level)


def _is_of_the_disk(error: Exception) -> bool:
    """Whether it is a file or the disk of this machine that failed, and not the network."""
    full = isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT)
    return full or getattr(error, "filename", None) is not None


def _unreachable(hub: str, other: str, error: Exception) -> CapacityError:
    reason = (
        str(error).strip().splitlines()[0][:200] if str(error).strip() else type(error).__name__
    )
    return CapacityError(
        f"{hub} cannot be reached ({reason}); check the network, or use --from {other} or "
        "--from FOLDER; what is here already is kept"
    )
