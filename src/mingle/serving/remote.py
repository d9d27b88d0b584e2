"""Fetching what a request points to, without becoming a way into the private network.

Each host name is resolved once, every address it has must be public, and the connection goes to
the address that was checked, not to the name. Redirects are followed by the same rules.
"""

import asyncio
import http.client
import ipaddress
import socket
import ssl
import time
from collections.abc import Callable
from urllib.parse import SplitResult, urljoin, urlsplit

from mingle.errors import InputError
from mingle.serving.settings import MediaLimits

MAX_REDIRECTS = 3
REDIRECTS = (301, 302, 303, 307, 308)
PIECE = 1 << 16

Check = Callable[[str, int], str]


async def fetch(url: str, limits: MediaLimits, check: Check | None = None) -> bytes:
    """The bytes behind an http(s) address. Raises InputError, which tells little of the network.

    `check` gives the address to connect to, for a host and a port (check_address).
    """
    try:
        async with asyncio.timeout(limits.max_remote_s):
            return await asyncio.to_thread(_fetch, url, limits, check or check_address)
    except TimeoutError as error:
        raise InputError("the address did not answer in time; send the bytes instead") from error


def check_address(host: str, port: int) -> str:
    """One public address of a host. Raises InputError if any of its addresses is not public."""
    try:
        known = socket.getaddrinfo(host, port, proto=socket.IPPROTO_TCP)
    except (OSError, UnicodeError) as error:
        raise InputError("the address cannot be reached; send the bytes instead") from error
    found = {str(info[4][0]) for info in known}
    for address in found:
        plain = ipaddress.ip_address(address.partition("%")[0])
        mapped = getattr(plain, "ipv4_mapped", None)
        if not (mapped or plain).is_global or plain.is_multicast:
            raise InputError("the address leads into a private network; send the bytes instead")
    return sorted(found)[0]


def _fetch(url: str, limits: MediaLimits, check: Check) -> bytes:
    deadline = time.monotonic() + limits.max_remote_s
    for _ in range(MAX_REDIRECTS + 1):
        parts = urlsplit(url)
        connection = _connect(parts, deadline, check)
        try:
            path = f"{parts.path or '/'}{'?' if parts.query else ''}{parts.query}"
            connection.request("GET", path, headers={"Host": parts.netloc, "Accept": "*/*"})
            response = connection.getresponse()
            if response.status not in REDIRECTS:
                return _body(response, limits, deadline)
            url = urljoin(url, response.getheader("Location", ""))
        except InputError:  # it says all that is to be said
            raise
        except (OSError, http.client.HTTPException, ValueError) as error:
            raise InputError("the address cannot be read; send the bytes instead") from error
        finally:
            connection.close()
    raise InputError(f"the address redirects more than {MAX_REDIRECTS} times; send the bytes")


def _connect(parts: SplitResult, deadline: float, check: Check) -> http.client.HTTPConnection:
    """A connection to the checked address; certificates are checked for the name."""
    if parts.scheme not in ("http", "https") or not parts.hostname or parts.username:
        raise InputError("the address is no plain http(s) address; send the bytes instead")
    secure = parts.scheme == "https"
    try:
        port = parts.port or (443 if secure else 80)
    except ValueError as error:
        raise InputError("the address has no sensible port; send the bytes instead") from error
    address = check(parts.hostname, port)
    left = max(0.1, deadline - time.monotonic())
    connection = http.client.HTTPConnection(parts.hostname, port, timeout=left)
    try:
        plain = socket.create_connection((address, port), timeout=left)
        context = ssl.create_default_context()
        name = parts.hostname
        connection.sock = context.wrap_socket(plain, server_hostname=name) if secure else plain
    except OSError as error:
        raise InputError("the address cannot be reached; send the bytes instead") from error
    return connection


def _body(response: http.client.HTTPResponse, limits: MediaLimits, deadline: float) -> bytes:
    if response.status != 200:
        raise InputError(f"the address answers with status {response.status}; send the bytes")
    body = bytearray()
    while piece := response.read(PIECE):
        body += piece
        if len(body) > limits.max_remote_bytes:
            most = limits.max_remote_bytes / 1e6
            raise InputError(f"what the address holds is larger than {most:.0f} MB; send less")
        if time.monotonic() > deadline:
            raise InputError("the address sends too slowly; send the bytes instead")
    return bytes(body)
