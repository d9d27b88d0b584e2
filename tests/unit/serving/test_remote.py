"""Fetching what a request points to: private addresses, redirects, sizes; on loopback only."""

import asyncio
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from mingle.errors import InputError
from mingle.serving.media import bytes_of
from mingle.serving.remote import check_address, fetch
from mingle.serving.settings import MediaLimits

LIMITS = MediaLimits(remote=True, max_remote_bytes=1000, max_remote_s=5.0)


class Site(BaseHTTPRequestHandler):
    """Pages that behave, and pages that do not."""

    def do_GET(self):
        moved = {"/loop": "/loop", "/inside": "http://10.0.0.1/secret", "/on": "/ok",
                 "/file": "file:///etc/passwd"}.get(self.path)  # fmt: skip
        self.send_response(302 if moved else 404 if self.path == "/none" else 200)
        if moved:
            self.send_header("Location", moved)
        self.end_headers()
        if not moved:
            self.wfile.write(b"x" * (5000 if self.path == "/big" else 10))

    def log_message(self, format, *args):
        """Nothing."""


@pytest.fixture(scope="module")
def site():
    with ThreadingHTTPServer(("127.0.0.1", 0), Site) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://site.example:{server.server_port}"
        server.shutdown()


def pretend_public(host: str, port: int) -> str:
    """site.example is this machine; all others are what they are."""
    return "127.0.0.1" if host == "site.example" else check_address(host, port)


def get(url: str) -> bytes:
    return asyncio.run(fetch(url, LIMITS, pretend_public))


def test_a_page_and_a_redirect_to_it_are_read(site):
    assert get(f"{site}/ok") == get(f"{site}/on") == b"x" * 10


@pytest.mark.parametrize(
    ("path", "why"),
    [("inside", "private network"), ("file", "no plain http"), ("loop", "redirects more than"),
     ("big", "larger than"), ("none", "status 404")],
)  # fmt: skip
def test_what_must_not_be_read_is_refused(site, path, why):
    with pytest.raises(InputError, match=why):
        get(f"{site}/{path}")


@pytest.mark.parametrize("url", ["http://127.0.0.1/", "http://localhost/", "http://[::1]/"])
def test_this_machine_is_private(url):
    with pytest.raises(InputError, match="private network"):
        asyncio.run(fetch(url, LIMITS))


@pytest.mark.parametrize(
    "url",
    ["http://", "http://user:secret@site.example/", "http://site.example:99999/", "https:///x"],
)
def test_odd_addresses_are_refused(url):
    with pytest.raises(InputError):
        get(url)


def test_only_data_urls_are_read_where_nothing_is_fetched():
    closed = MediaLimits()
    assert asyncio.run(bytes_of("data:text/plain;base64,aGk=", "it", closed)) == b"hi"
    assert asyncio.run(bytes_of("data:,a%20b", "it", closed)) == b"a b"
    for url in (
        "http://site.example/x",
        "file:///etc/passwd",
        "/etc/passwd",
        "ftp://x",
        "data:x",
        "",
    ):
        with pytest.raises(InputError):
            asyncio.run(bytes_of(url, "it", closed))
