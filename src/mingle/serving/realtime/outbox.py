"""Events on their way to the client: in order, none lost, never more than fits.

What was sent is kept for a while: a client whose connection dropped comes back and is told again
what it has not seen.
"""

import asyncio
import json
from collections import deque
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, kw_only=True)
class Letter:
    """One event, ready to be sent."""

    number: int
    text: str
    speech_of: str | None
    """The response whose sound this is; it may be dropped when that is interrupted."""


class Outbox:
    """A session's events. `put` waits while the client is too slow (or away)."""

    def __init__(self, max_bytes: int):
        self.max_bytes = max_bytes
        self._sent: deque[Letter] = deque()
        self._waiting: deque[Letter] = deque()
        self._sent_bytes = self._waiting_bytes = 0
        self._next = 1
        self._sending = False
        self._changed = asyncio.Condition()

    async def put(self, kind: str, **fields: Any) -> None:
        """Add an event; its event_id tells its number."""
        async with self._changed:
            await self._changed.wait_for(lambda: self._waiting_bytes < self.max_bytes)
            told = {"type": kind, "event_id": f"event_{self._next}", **fields}
            speech_of = fields.get("response_id") if kind == "response.output_audio.delta" else None
            text = json.dumps(told, ensure_ascii=False).encode("utf-8", "replace").decode()
            self._waiting.append(Letter(number=self._next, text=text, speech_of=speech_of))
            self._waiting_bytes += len(text)
            self._next += 1
            self._changed.notify_all()

    async def drop_speech(self, response_id: str) -> None:
        """Forget the unsent sound of an interrupted answer."""
        async with self._changed:
            self._waiting = deque(one for one in self._waiting if one.speech_of != response_id)
            self._waiting_bytes = sum(len(one.text) for one in self._waiting)
            self._changed.notify_all()

    async def deliver(self, send: Callable[[str], Awaitable[None]], after: int) -> None:
        """Send all events behind number `after`, and those to come, until cancelled."""
        while self._sent and self._sent[-1].number > after:  # they never arrived
            letter = self._sent.pop()
            self._sent_bytes -= len(letter.text)
            self._waiting.appendleft(letter)
            self._waiting_bytes += len(letter.text)
        while True:
            async with self._changed:
                await self._changed.wait_for(lambda: self._waiting)
                letter = self._waiting.popleft()
                self._waiting_bytes -= len(letter.text)
                self._sent.append(letter)  # if sending fails, the client asks for it again
                self._sent_bytes += len(letter.text)
                self._forget()
                self._sending = True
            await send(letter.text)
            async with self._changed:
                self._sending = False
                self._changed.notify_all()

    async def flushed(self) -> None:
        """Wait until everything is sent."""
        async with self._changed:
            await self._changed.wait_for(lambda: not self._waiting and not self._sending)

    def _forget(self) -> None:
        """Keep no more of what was sent than may wait to be sent."""
        while self._sent_bytes > self.max_bytes and len(self._sent) > 1:
            self._sent_bytes -= len(self._sent.popleft().text)
