"""The door: who may come in (key, origin, host), and how much may be carried in."""

import hashlib
import hmac
from urllib.parse import urlsplit

from starlette.datastructures import Headers
from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from mingle.serving.faults import answer_with, body_of
from mingle.serving.settings import Settings

GUARDED = ("/v1", "/metrics")
SAFE = ("GET", "HEAD", "OPTIONS")
SOCKET_KEY = "openai-insecure-api-key."
"""Browsers cannot set headers on a WebSocket: the key travels as a subprotocol, as at OpenAI."""

REFUSED_SOCKET = 1008  # policy violation


class Guard:
    """ASGI middleware, for HTTP and WebSockets alike."""

    def __init__(self, app: ASGIApp, settings: Settings):
        self.app = app
        self.settings = settings

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Let it pass, or answer with 401, 403, 413."""
        if scope["type"] == "lifespan":
            await self.app(scope, receive, send)
            return
        refusal = self._refusal(scope)
        if refusal is None:
            limited = _Body(receive, self.settings.max_body_bytes)
            over = scope["type"] == "http" and _declared(scope) > self.settings.max_body_bytes
            if not over:
                await self.app(scope, limited.receive, send)
                return
            refusal = 413, too_large(self.settings.max_body_bytes)
        status, message = refusal
        if scope["type"] == "websocket":
            await send({"type": "websocket.close", "code": REFUSED_SOCKET, "reason": message[:120]})
        else:
            await answer_with(status, body_of(status, message))(scope, receive, send)

    def _refusal(self, scope: Scope) -> tuple[int, str] | None:
        headers = Headers(scope=scope)
        host = headers.get("host", "")
        if self.settings.hosts and _name(host) not in self.settings.hosts:
            return 403, f"this server is not addressed as '{host}'; start it with --allow-host"
        origin = headers.get("origin")
        acts = scope["type"] == "websocket" or scope["method"] not in SAFE
        if acts and origin is not None and not self._is_known(origin, host):
            return 403, f"pages of {origin} may not use this server; start it with --allow-origin"
        if not self.settings.key_hashes or not scope["path"].startswith(GUARDED):
            return None
        if scope["type"] == "http" and scope["method"] == "OPTIONS":
            return None  # a browser asks beforehand, without the key
        if not self._knows(_key(headers)):
            return 401, "the API key is missing or wrong; send Authorization: Bearer KEY"
        return None

    def _is_known(self, origin: str, host: str) -> bool:
        return urlsplit(origin).netloc == host or origin in self.settings.origins

    def _knows(self, key: str) -> bool:
        """Compare with every key, each in constant time."""
        found = hashlib.sha256(key.encode()).digest()
        matches = [hmac.compare_digest(found, known) for known in self.settings.key_hashes]
        return any(matches)


class _Body:
    """Counts what a client sends; too much is an abrupt end."""

    def __init__(self, receive: Receive, most: int):
        self._receive = receive
        self._left = most
        self._most = most

    async def receive(self) -> Message:
        message = await self._receive()
        if message["type"] == "http.request":
            self._left -= len(message.get("body", b""))
            if self._left < 0:
                raise HTTPException(413, too_large(self._most))
        return message


def too_large(most: int) -> str:
    """The message of a 413."""
    return f"the request is larger than {most / 1e6:.0f} MB; send less, or raise --max-body"


def _declared(scope: Scope) -> int:
    length = Headers(scope=scope).get("content-length", "0")
    return int(length) if length.isdigit() else 0


def _key(headers: Headers) -> str:
    scheme, _, key = headers.get("authorization", "").partition(" ")
    if scheme.lower() == "bearer":
        return key.strip()
    offered = headers.get("sec-websocket-protocol", "").split(",")
    keys = [one.strip().removeprefix(SOCKET_KEY) for one in offered if SOCKET_KEY in one]
    return keys[0] if keys else ""


def _name(host: str) -> str:
    """A Host header without its port."""
    return host.rpartition("]")[0].removeprefix("[") if "]" in host else host.partition(":")[0]
