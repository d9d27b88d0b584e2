"""The real huggingface_hub against an endpoint on this machine that speaks its protocol."""

import hashlib
import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import unquote, urlsplit

import pytest

from mingle.checkpoints.hub import HuggingFace, digest_of
from mingle.errors import CapacityError, InputError

COMMIT = "0123456789abcdef0123456789abcdef01234567"
CONTENT = {"config.json": b'{"a": 1}', "deep/model.safetensors": bytes(range(256)) * 40}


class Endpoint(BaseHTTPRequestHandler):
    """One repository, owner/name, at one commit."""

    ranges: list[str]

    def do_GET(self) -> None:
        path = unquote(urlsplit(self.path).path)
        tree = f"/api/models/owner/name/tree/{COMMIT}"
        if path.startswith(tree):
            folder = path.removeprefix(tree).strip("/")
            self._json([path_info(n) for n in CONTENT if n.rpartition("/")[0] == folder])
        elif path.startswith("/api/models/owner/name"):
            self._json({"id": "owner/name", "sha": COMMIT, "siblings": [*map(entry, CONTENT)]})
        elif path.startswith(f"/owner/name/resolve/{COMMIT}/"):
            self._file(CONTENT[path.split(f"{COMMIT}/")[1]])
        else:
            self.send_response(401)
            self.send_header("X-Error-Code", "RepoNotFound")
            self.end_headers()

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"])).decode()
        self._json([path_info(name) for name in CONTENT if name in unquote(body)])

    def _file(self, content: bytes) -> None:
        wanted = self.headers.get("Range") or f"bytes=0-{len(content) - 1}"
        self.ranges.append(wanted)
        start, end = wanted.removeprefix("bytes=").split("-")
        piece = content[int(start) : int(end) + 1]
        self.send_response(206)
        self.send_header("Content-Length", str(len(piece)))
        self.end_headers()
        self.wfile.write(piece)

    def _json(self, value: object) -> None:
        body = json.dumps(value).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Say nothing on stderr."""


def entry(name: str) -> dict:
    found = path_info(name)
    lfs = {"lfs": found["lfs"]} if "lfs" in found else {}
    return {"rfilename": name, "size": found["size"], "blobId": found["oid"], **lfs}


def path_info(name: str) -> dict:
    content = CONTENT[name]
    blob = hashlib.sha1(f"blob {len(content)}\0".encode() + content).hexdigest()
    info = {"type": "file", "path": name, "size": len(content), "oid": blob}
    if name.endswith(".safetensors"):
        sha256 = hashlib.sha256(content).hexdigest()
        info["lfs"] = {"oid": sha256, "sha256": sha256, "size": len(content), "pointerSize": 130}
    return info


@pytest.fixture
def ranges(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[str]]:
    """Point the library at the endpoint; gives the ranges it asks for."""
    asked: list[str] = []
    handler = type("Handler", (Endpoint,), {"ranges": asked})
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    address = f"http://127.0.0.1:{server.server_port}"
    monkeypatch.setattr("huggingface_hub.constants.ENDPOINT", address)
    monkeypatch.setattr(
        "huggingface_hub.constants.HUGGINGFACE_CO_URL_TEMPLATE",
        address + "/{repo_id}/resolve/{revision}/{filename}",
    )
    yield asked
    server.shutdown()
    server.server_close()
    thread.join()


@pytest.mark.usefixtures("ranges")
def test_listing_has_commit_sizes_and_hashes() -> None:
    listing = HuggingFace().list_files("owner/name", None)
    assert listing.revision == COMMIT
    assert {one.path: one.num_bytes for one in listing.files} == {
        name: len(content) for name, content in CONTENT.items()
    }
    kinds = {one.path: one.digest.partition(":")[0] for one in listing.files}
    assert kinds == {"config.json": "git", "deep/model.safetensors": "sha256"}


def test_fetch_goes_on_at_the_byte_where_it_stopped(ranges: list[str], tmp_path: Path) -> None:
    hub = HuggingFace()
    listing = hub.list_files("owner/name", None)
    file = next(one for one in listing.files if one.path.startswith("deep"))
    target = tmp_path / "part"
    target.write_bytes(CONTENT[file.path][:5000])
    seen: list[int] = []
    hub.fetch(listing, file, target, seen.append)
    assert target.read_bytes() == CONTENT[file.path]
    assert digest_of(target, "sha256") == file.digest
    assert [int(one.removeprefix("bytes=").split("-")[0]) for one in ranges] == [5000]
    assert sum(seen) == file.num_bytes


def test_git_hash_is_that_of_the_content(ranges: list[str], tmp_path: Path) -> None:
    hub = HuggingFace()
    listing = hub.list_files("owner/name", None)
    file = next(one for one in listing.files if one.path == "config.json")
    hub.fetch(listing, file, tmp_path / "part", lambda _: None)
    assert digest_of(tmp_path / "part", "git") == file.digest


@pytest.mark.usefixtures("ranges")
def test_unknown_repository_is_the_users_error() -> None:
    with pytest.raises(InputError, match="Hugging Face has no owner/other"):
        HuggingFace().list_files("owner/other", None)


def test_no_network_is_one_clear_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("huggingface_hub.constants.ENDPOINT", "http://127.0.0.1:9")
    with pytest.raises(CapacityError, match=r"Hugging Face cannot be reached .*--from modelscope"):
        HuggingFace().list_files("owner/name", None)


def test_offline_mode_is_respected(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    with pytest.raises(CapacityError, match="Hugging Face cannot be reached"):
        HuggingFace().list_files("owner/name", None)
