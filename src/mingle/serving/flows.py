"""Asynchronous streams: from generators that compute in a thread, joined, and into responses."""

import asyncio
import json
from collections.abc import AsyncGenerator, Awaitable, Callable, Generator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import aclosing
from typing import Any, TypeVar

from fastapi import Request
from fastapi.responses import StreamingResponse
from starlette.types import Send

from mingle.serving.faults import ClientGoneError

Item = TypeVar("Item")
Result = TypeVar("Result")
END: Any = object()


async def from_thread(make: Callable[[], Generator[Item]]) -> AsyncGenerator[Item]:
    """The items of a generator that computes; it lives in a thread of its own.

    Closing this ends the generator at its next item.
    """
    loop = asyncio.get_running_loop()
    worker = ThreadPoolExecutor(1, "mingle-serve")
    made: list[Generator[Item]] = []

    def following() -> Item:
        if not made:
            made.append(make())
        return next(made[0], END)

    def close() -> None:
        for items in made:
            items.close()

    try:
        while (item := await loop.run_in_executor(worker, following)) is not END:
            yield item
    finally:
        worker.submit(close)
        worker.shutdown(wait=False)


async def joined(streams: Sequence[AsyncGenerator[Item]]) -> AsyncGenerator[tuple[int, Item]]:
    """The items of several streams as they come, each with its stream's number."""
    queue: asyncio.Queue[tuple[int, Item] | BaseException | None] = asyncio.Queue(maxsize=64)

    async def pump(number: int, stream: AsyncGenerator[Item]) -> None:
        try:
            async with aclosing(stream):
                async for item in stream:
                    await queue.put((number, item))
            await queue.put(None)
        except Exception as error:  # told to the reader, who raises it
            await queue.put(error)

    tasks = [asyncio.create_task(pump(i, stream)) for i, stream in enumerate(streams)]
    try:
        open_streams = len(tasks)
        while open_streams:
            found = await queue.get()
            if isinstance(found, BaseException):
                raise found
            if found is None:
                open_streams -= 1
            else:
                yield found
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def unless_gone(request: Request, work: Awaitable[Result]) -> Result:
    """The result of some work, which is cancelled if the client goes away meanwhile."""

    async def gone() -> None:
        while (await request.receive())["type"] != "http.disconnect":
            pass

    task = asyncio.ensure_future(work)
    watch = asyncio.create_task(gone())
    try:
        await asyncio.wait((task, watch), return_when=asyncio.FIRST_COMPLETED)
        if not task.done():
            raise ClientGoneError("the client went away")
        return task.result()
    finally:
        for one in (task, watch):
            one.cancel()
        await asyncio.gather(task, watch, return_exceptions=True)


class Streamed(StreamingResponse):
    """A streamed response whose source is closed the moment nobody reads any more."""

    async def stream_response(self, send: Send) -> None:
        """Send everything."""
        body: Any = self.body_iterator
        async with aclosing(body):
            await super().stream_response(send)


async def server_events(
    events: AsyncGenerator[dict[str, Any]],
    tell: Callable[[Exception], Any],
    *,
    named: bool = False,
    done: str = "[DONE]",
) -> Streamed:
    """Server-sent events. The first is awaited, so that a refusal still has its status.

    An error after it is told as an event, in the words of `tell`. `named`: the event's type stands
    in its own line.
    """
    first = await anext(events)

    async def lines() -> AsyncGenerator[bytes]:
        async with aclosing(events):
            yield _line(first, named)
            try:
                async for event in events:
                    yield _line(event, named)
            except Exception as error:  # the edge: the status is sent already
                yield _line({"type": "error", **tell(error)}, named)
            if done:
                yield f"data: {done}\n\n".encode()

    headers = {"Cache-Control": "no-cache", "X-Accel-Buffering": "no"}
    return Streamed(lines(), media_type="text/event-stream", headers=headers)


def _line(event: dict[str, Any], named: bool) -> bytes:
    name = f"event: {event['type']}\n" if named else ""
    data = json.dumps(event, ensure_ascii=False)
    return f"{name}data: {data}\n\n".encode("utf-8", "replace")
