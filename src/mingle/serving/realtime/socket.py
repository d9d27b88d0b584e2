"""/v1/realtime: sessions and the sockets they are reached by."""

import asyncio
import contextlib
import time
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

from fastapi import APIRouter, WebSocket, WebSocketDisconnect

from mingle.errors import BusyError, MingleError
from mingle.serving.faults import AbsentError
from mingle.serving.house import House
from mingle.serving.realtime.live import Live

NORMAL, REFUSED, LATER = 1000, 1008, 1013
PROTOCOL = "realtime"


class Sessions:
    """All live conversations, also those whose connection dropped a moment ago."""

    def __init__(self, house: House):
        self._house = house
        self._lives: dict[str, Live] = {}
        self._sockets: dict[str, WebSocket] = {}
        self._ends: dict[str, asyncio.TimerHandle] = {}

    async def open(self) -> Live:
        """A new one, in the place of one that nobody took up again; BusyError if there is none."""
        most = self._house.settings.realtime.max_sessions
        if len(self._lives) >= most and self._ends:
            await self.end(self._lives[next(iter(self._ends))])
        if len(self._lives) >= most:
            raise BusyError(f"{most} live conversations are open already; try again later")
        live = Live(self._house)
        self._lives[live.id] = live
        self._house.metrics.sessions.set(len(self._lives))
        await live.open()
        return live

    async def resume(self, session_id: str) -> Live:
        """One whose connection dropped; a connection that is still there is closed."""
        if session_id not in self._lives:
            raise AbsentError("there is no such session; it may have ended: open a new one")
        if (old := self._sockets.pop(session_id, None)) is not None:
            with contextlib.suppress(RuntimeError, WebSocketDisconnect):
                await old.close(NORMAL, "the session is taken up elsewhere")
        return self._lives[session_id]

    @asynccontextmanager
    async def attached(self, live: Live, socket: WebSocket) -> AsyncGenerator[None]:
        """While the client is there; when it goes, the session stays for a while."""
        if (end := self._ends.pop(live.id, None)) is not None:
            end.cancel()
        self._sockets[live.id] = socket
        try:
            yield
        finally:
            if self._sockets.get(live.id) is socket:
                del self._sockets[live.id]
                loop = asyncio.get_running_loop()
                kept_s = self._house.settings.realtime.resume_s
                self._ends[live.id] = loop.call_later(
                    kept_s, lambda: asyncio.ensure_future(self.end(live))
                )

    async def end(self, live: Live) -> None:
        """Forget a session and end what it does."""
        if self._lives.pop(live.id, None) is None:
            return
        if (end := self._ends.pop(live.id, None)) is not None:
            end.cancel()
        self._house.metrics.sessions.set(len(self._lives))
        await live.close()

    async def close(self) -> None:
        """End all."""
        for live in list(self._lives.values()):
            await self.end(live)


def realtime_routes(house: House, sessions: Sessions) -> APIRouter:
    """The route of live conversations."""
    router = APIRouter(tags=["realtime"])

    @router.websocket("/v1/realtime")
    async def realtime(  # pyright: ignore[reportUnusedFunction]
        socket: WebSocket,
        model: str | None = None,
        session: str | None = None,
        after: int = 0,
    ) -> None:
        """A new session, or (`session`, `after` the last event number seen) an old one again."""
        offered = socket.headers.get("sec-websocket-protocol", "")
        known = PROTOCOL in [one.strip() for one in offered.split(",")]
        await socket.accept(PROTOCOL if known else None)
        try:
            house.knows(model)
            live = await (sessions.resume(session) if session else sessions.open())
        except MingleError as error:
            await _refuse(socket, error)
            return
        await _converse(house, sessions, live, socket, after)

    return router


async def _converse(
    house: House, sessions: Sessions, live: Live, socket: WebSocket, after: int
) -> None:
    """Carry events both ways until the client goes, is silent too long, or the time is up."""
    async with sessions.attached(live, socket):
        sending = asyncio.create_task(live.outbox.deliver(socket.send_text, after))
        try:
            code, reason = await _receive(house, live, socket, sending)
        finally:
            sending.cancel()
            await asyncio.gather(sending, return_exceptions=True)
    if code is not None:
        await sessions.end(live)
        with contextlib.suppress(RuntimeError, WebSocketDisconnect):
            await socket.close(code, reason)


async def _receive(
    house: House, live: Live, socket: WebSocket, sending: "asyncio.Task[None]"
) -> tuple[int | None, str]:
    """Handle what comes. A code and a reason when we end it, None when the client is gone."""
    limits = house.settings.realtime
    while True:
        left = limits.max_session_s - (time.monotonic() - live.started_s)
        receiving = asyncio.ensure_future(socket.receive())
        await asyncio.wait(
            (receiving, sending),
            timeout=min(left, limits.max_idle_s),
            return_when=asyncio.FIRST_COMPLETED,
        )
        if not receiving.done():
            receiving.cancel()
            await asyncio.gather(receiving, return_exceptions=True)
            if sending.done():
                return None, ""
            over = left <= limits.max_idle_s
            reason = "the session's time is up" if over else "nothing came for too long"
            await live.outbox.put("error", error=_ending(reason))
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(live.outbox.flushed(), 5)
            return NORMAL, reason
        message = receiving.result()
        if message["type"] != "websocket.receive":
            return None, ""
        text = message.get("text")
        await live.handle(text if text is not None else "(bytes)")


async def _refuse(socket: WebSocket, error: MingleError) -> None:
    told = {"type": "error", "event_id": "event_0", "error": _ending(str(error))}
    await socket.send_json(told)
    await socket.close(LATER if isinstance(error, BusyError) else REFUSED, str(error)[:100])


def _ending(message: str) -> dict[str, object]:
    kind = "invalid_request_error"
    return {"type": kind, "code": "session_ended", "message": message, "event_id": None}
