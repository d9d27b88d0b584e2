"""A hub served from a folder, that can break off, lie, and count what it was asked for."""

from pathlib import Path

from mingle.checkpoints.hub import Folder, Listing, Progress, RemoteFile, append, digest_of
from mingle.errors import CapacityError


class FakeHub(Folder):
    """Repositories are folders below `root`; hashes are stated as a real hub does."""

    name = "fake"

    def __init__(self, root: Path):
        self.root = root
        self.breaks_after: int | None = None
        self.digests: dict[str, str] = {}
        self.served = 0

    def list_files(self, repository: str, revision: str | None) -> Listing:
        listing = super().list_files(str(self.root / repository), None)
        files = tuple(
            RemoteFile(one.path, one.num_bytes, self._digest(repository, one.path))
            for one in listing.files
        )
        return Listing(
            hub=self.name, repository=repository, revision=revision or "c0ffee", files=files
        )

    def fetch(self, listing: Listing, file: RemoteFile, target: Path, progress: Progress) -> None:
        with (self.root / listing.repository / file.path).open("rb") as source:
            append(target, _Line(self, source), progress)

    def _digest(self, repository: str, path: str) -> str:
        kind = "sha256" if path.endswith(".safetensors") else "git"
        return self.digests.get(path) or digest_of(self.root / repository / path, kind)


class _Line:
    """The wire between hub and machine: it counts bytes, and breaks when it is told to."""

    def __init__(self, hub: FakeHub, source):
        self.hub = hub
        self.source = source

    def seek(self, position: int) -> None:
        self.source.seek(position)

    def read(self, count: int) -> bytes:
        left = self.hub.breaks_after
        if left is not None:
            if left <= 0:
                raise CapacityError("the hub cannot be reached")
            count = min(count, left)
        piece = self.source.read(count)
        if left is not None:
            self.hub.breaks_after = left - len(piece)
        self.hub.served += len(piece)
        return piece
