"""What all routes of one server share: the model, its limits, the decoders, the figures."""

import asyncio
import threading
import time
from collections.abc import AsyncGenerator, Callable, Generator, Sequence
from contextlib import aclosing, asynccontextmanager
from dataclasses import replace
from functools import cached_property
from typing import Any, TypeVar

from mingle.checkpoints.packages import find_checked, is_here
from mingle.checkpoints.voice_activity import VOICE_ACTIVITY
from mingle.engine.assistant import Assistant, parts_for
from mingle.engine.paint import PaintOptions
from mingle.engine.reply import AnswerError
from mingle.errors import BusyError, InputError
from mingle.messages import Event, Finished, Message, Part, Request, SpeechChunk, Text
from mingle.painter.denoise import OnStep, Step
from mingle.painter.sizes import Size
from mingle.processing.speech_activity import SpeechActivity, open_speech_activity
from mingle.serving.decoder import Decoders
from mingle.serving.faults import AbsentError, ClientGoneError, UnsupportedError, describe
from mingle.serving.flows import from_thread
from mingle.serving.metrics import Metrics
from mingle.serving.settings import Settings
from mingle.serving.shelf import Shelf

Result = TypeVar("Result")


class Room:
    """A place for a few at once and a queue of limited length before it."""

    def __init__(self, places: int, queue: int):
        self._places = asyncio.Semaphore(places)
        self._queue, self._waiting = queue, 0

    @asynccontextmanager
    async def place(self) -> AsyncGenerator[None]:
        """Wait for a place. Raises BusyError if too many wait already."""
        if self._places.locked() and self._waiting >= self._queue:
            raise BusyError(f"{self._waiting} requests wait already; try again later")
        self._waiting += 1
        try:
            await self._places.acquire()
        finally:
            self._waiting -= 1
        try:
            yield
        finally:
            self._places.release()


class House:
    """One server's parts. Made before the event loop runs, used within it."""

    def __init__(self, assistant: Assistant, settings: Settings):
        self.assistant, self.settings = assistant, settings
        self.metrics = Metrics()
        self.started = int(time.time())
        self.closing = False

    @cached_property
    def decoders(self) -> Decoders:
        """The processes that decode media."""
        return Decoders(self.assistant.processor.media, self.settings.media)

    @cached_property
    def talkers(self) -> Room:
        """Where speech is made."""
        return Room(self.settings.max_speakers, self.settings.max_queued)

    @cached_property
    def easel(self) -> Room:
        """Where pictures are painted, one after another."""
        return Room(1, self.settings.max_queued)

    @property
    def parts(self) -> tuple[str, ...]:
        """What the model has: thinker, vision, audio, talker, painter."""
        return self.assistant.folder.parts

    @cached_property
    def shelf(self) -> Shelf:
        """The voices."""
        return Shelf(self.assistant, self.settings.voices_folder)

    @cached_property
    def speech_activity(self) -> Callable[[], SpeechActivity]:
        """Makes listeners that tell speech from other sound; loaded when it is first needed."""
        if not is_here(VOICE_ACTIVITY):
            raise UnsupportedError(
                "this server has no turn detection: its network was not fetched when it started; "
                "set turn_detection to null and commit turns yourself"
            )
        return open_speech_activity(find_checked(VOICE_ACTIVITY, "the detection of turns"))

    def tell(self, error: Exception) -> Any:
        """The JSON of an error that comes where a status has gone before; it is counted."""
        _, body = describe(error)
        self.metrics.errors.labels(body["error"]["type"]).inc()
        return body

    def knows(self, name: str | None) -> None:
        """Raise AbsentError for the name of another model than is served; None is this one."""
        names = (self.settings.name, *self.settings.aliases)
        if name is not None and name not in names:
            raise AbsentError(f"there is no model '{name[:80]}' here; served: {', '.join(names)}")

    def require(self, part: str, what: str) -> None:
        """Raise UnsupportedError if the model lacks a part."""
        if part not in self.parts:
            raise UnsupportedError(
                f"{self.settings.name} has no {part}, so it cannot {what}; "
                f"it has: {', '.join(self.parts)}"
            )

    def require_cloning(self) -> None:
        """Raise UnsupportedError if the model cannot imitate voices."""
        self.require("talker", "speak")
        if self.assistant.speech.files.speaker_encoder is None:
            raise UnsupportedError(
                f"{self.settings.name} has no speaker encoder, so it cannot imitate a voice"
            )

    async def ready(self, messages: Sequence[Message]) -> tuple[Message, ...]:
        """The messages with their media decoded, each in a process apart."""
        media = [part for message in messages for part in message.parts]
        made = iter(await asyncio.gather(*(self.ready_part(part) for part in media)))
        return tuple(
            replace(message, parts=tuple(next(made) for _ in message.parts)) for message in messages
        )

    async def ready_part(self, part: Part) -> Part:
        """One part with its media decoded."""
        if isinstance(part, Text) or not isinstance(part.source, bytes):
            return part
        kinds = {"Image": ("vision", "see"), "Video": ("vision", "see"), "Audio": ("audio", "hear")}
        self.require(*kinds[type(part).__name__])
        return await self.decoders.read(part)

    def request(self, messages: Sequence[Message], **options: Any) -> Request:
        """A request to the engine; options that are None are left to the model."""
        given = {name: value for name, value in options.items() if value is not None}
        return self.assistant.ask(messages, **given)

    async def events(self, request: Request) -> AsyncGenerator[Event]:
        """The events of an answer. Raises AnswerError for one that fails on its way."""
        await asyncio.to_thread(self.assistant.need, *parts_for(request))
        source = self.assistant.engine.stream(request)
        async with aclosing(source), aclosing(self.metrics.watch(source)) as events:
            async for event in events:
                if isinstance(event, Finished) and event.reason == "error":
                    raise AnswerError(event.error)
                if isinstance(event, Finished) and event.reason == "cancelled":
                    raise BusyError("the server is shutting down; ask again in a moment")
                yield event

    async def speech(
        self, chunks: Callable[[], Generator[SpeechChunk]]
    ) -> AsyncGenerator[SpeechChunk]:
        """Sound as it is made, measured; at most a few voices speak at once."""
        async with self.talkers.place():
            start, seconds, first = time.monotonic(), 0.0, True
            async with aclosing(from_thread(chunks)) as made:
                async for chunk in made:
                    if first:
                        self.metrics.first_sound.observe(time.monotonic() - start)
                        first = False
                    seconds += len(chunk.samples) / chunk.sample_rate_hz
                    yield chunk
            if seconds:
                self.metrics.speech_rate.observe((time.monotonic() - start) / seconds)

    async def afford(self, options: PaintOptions, original: Size | None = None) -> None:
        """Raise InputError for a painting that is more work than one request may ask for.

        `original` is the size of the picture that is edited.
        """
        studio = await asyncio.to_thread(lambda: self.assistant.studio)
        work, most = studio.work(options, original), self.settings.max_painting
        if work > most:
            raise InputError(
                f"{options.count} x {options.steps} steps of painting come to {work:.1f} "
                f"megapixels times steps; this server paints up to {most:g} for one request: "
                "ask for a smaller size, fewer steps or fewer pictures"
            )

    async def paint(self, make: "Callable[[OnStep], Result]") -> Result:
        """Run the painter, one at a time. Cancelling this ends it at its next step."""
        stopped = threading.Event()

        def on_step(_: Step) -> None:
            if stopped.is_set():
                raise ClientGoneError("nobody waits for the picture any more")

        async with self.easel.place():
            work = asyncio.ensure_future(asyncio.to_thread(make, on_step))
            try:
                return await asyncio.shield(work)
            finally:
                stopped.set()
                await asyncio.gather(work, return_exceptions=True)  # only then the easel is free

    async def close(self) -> None:
        """End what runs: answers as cancelled, decoders at once."""
        self.closing = True
        await asyncio.to_thread(self.assistant.close)
        if "decoders" in self.__dict__:
            await self.decoders.close()
