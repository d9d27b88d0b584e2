"""Reading ahead: what was shown and said is prefilled while the user is still at it."""

import asyncio
import logging
from collections.abc import Callable
from contextlib import aclosing

from mingle.errors import MingleError
from mingle.messages import Request
from mingle.serving.house import House

log = logging.getLogger(__name__)

Planned = tuple[Request, Callable[[], None]]
"""A request to read, and what to do once it was read."""


class Reader:
    """Runs at most one prefill for a session; the newest conversation counts, others are skipped.

    `plan` tells what to read now, or None.
    """

    def __init__(self, house: House, plan: Callable[[], Planned | None]):
        self._house, self._plan = house, plan
        self._wanted = asyncio.Event()
        self._task = asyncio.create_task(self._run())
        self._reading: asyncio.Task[None] | None = None

    def wake(self) -> None:
        """Something new has come."""
        self._wanted.set()

    async def pause(self) -> None:
        """End what is being read: it is remembered as far as it got."""
        self._wanted.clear()
        if self._reading is not None:
            self._reading.cancel()
            await asyncio.wait((self._reading,))

    async def close(self) -> None:
        """End for good."""
        self._task.cancel()
        await self.pause()
        await asyncio.gather(self._task, return_exceptions=True)

    async def _run(self) -> None:
        while True:
            await self._wanted.wait()
            self._wanted.clear()
            planned = self._plan()
            if planned is None:
                continue
            request, done = planned
            self._reading = asyncio.create_task(self._read(request))
            await asyncio.wait((self._reading,))
            try:
                if not self._reading.cancelled():
                    self._reading.result()
                    done()
            except MingleError as error:  # the answer will say it again, to somebody who reads
                log.info("reading ahead failed: %s", error)
            self._reading = None

    async def _read(self, request: Request) -> None:
        async with aclosing(self._house.events(request)) as events:
            async for _ in events:
                pass
