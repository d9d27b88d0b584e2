"""The real modelscope_hub against an endpoint on this machine that speaks its protocol."""

import hashlib
import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import pytest

from mingle.checkpoints.hub import ModelScope, digest_of
from mingle.errors import CapacityError, InputError

CONTENT = {"config.json": b'{"a": 1}', "deep/model.safetensors": bytes(range(256)) * 40}


class Endpoint(BaseHTTPRequestHandler):
    """One repository, owner/name."""

    def do_GET(self) -> None:
        url = urlsplit(self.path)
        asked = {key: values[0] for key, values in parse_qs(url.query).items()}
        if url.path == "/api/v1/models/owner/name/repo/files":
            files = [entry(name) for name in CONTENT]
            files.append({"Path": "deep", "Size": 0, "Type": "tree"})
            self._answer(
                json.dumps({"Code": 200, "Success": True, "Data": {"Files": files}}).encode()
            )
        elif url.path == "/api/v1/models/owner/name/repo":
            self._answer(CONTENT[asked["FilePath"]])
        else:
            self._answer(b'{"Code": 10010205001, "Message": "not found"}', 404)

    def _answer(self, body: bytes, status: int = 200) -> None:
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Say nothing on stderr."""


def entry(name: str) -> dict:
    sha256 = hashlib.sha256(CONTENT[name]).hexdigest()
    return {"Path": name, "Size": len(CONTENT[name]), "Sha256": sha256, "Type": "blob"}


@pytest.fixture
def endpoint(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[None]:
    """Point the library at the endpoint, and its own files into the test's folder."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), Endpoint)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    monkeypatch.setenv("MODELSCOPE_ENDPOINT", f"http://127.0.0.1:{server.server_port}")
    monkeypatch.setenv("MODELSCOPE_HOME", str(tmp_path / "modelscope"))
    monkeypatch.setenv("MODELSCOPE_CACHE", str(tmp_path / "modelscope"))
    monkeypatch.setattr("modelscope_hub.config._default_config", None)  # made from these
    yield
    server.shutdown()
    server.server_close()
    thread.join()


@pytest.mark.usefixtures("endpoint")
def test_listing_has_sizes_and_hashes_and_no_folders() -> None:
    listing = ModelScope().list_files("owner/name", None)
    assert listing.revision == "master"
    assert {one.path: one.num_bytes for one in listing.files} == {
        name: len(content) for name, content in CONTENT.items()
    }
    assert all(one.digest.startswith("sha256:") for one in listing.files)


@pytest.mark.usefixtures("endpoint")
def test_file_comes_whole_and_with_its_hash(tmp_path: Path) -> None:
    hub = ModelScope()
    listing = hub.list_files("owner/name", None)
    for file in listing.files:
        target = tmp_path / file.path.replace("/", "--")
        seen: list[int] = []
        hub.fetch(listing, file, target, seen.append)
        assert digest_of(target, "sha256") == file.digest
        assert sum(seen) == file.num_bytes


@pytest.mark.usefixtures("endpoint")
def test_unknown_repository_is_the_users_error() -> None:
    with pytest.raises(InputError, match="ModelScope has no owner/other"):
        ModelScope().list_files("owner/other", None)


@pytest.mark.usefixtures("endpoint")
def test_no_network_is_one_clear_line(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("MODELSCOPE_ENDPOINT", "http://127.0.0.1:9")
    monkeypatch.setattr("time.sleep", lambda _: None)  # the library waits before it tries again
    with pytest.raises(CapacityError, match=r"ModelScope cannot be reached .*--from huggingface"):
        ModelScope().list_files("owner/name", None)
    assert capfd.readouterr().err == ""
