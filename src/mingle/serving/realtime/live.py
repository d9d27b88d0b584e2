"""One live conversation: client events in, server events out. Knows no socket."""

import asyncio
import json
import logging
import time
from collections.abc import Awaitable, Callable, Sequence
from typing import Any, cast

from pydantic import ValidationError

from mingle.errors import InputError, MingleError
from mingle.messages import Audio, Part, Text
from mingle.processing.ready import ready
from mingle.processing.recording import Recording
from mingle.processing.speech_activity import TurnSettings
from mingle.serving.house import House
from mingle.serving.media import from_base64
from mingle.serving.realtime import wire
from mingle.serving.realtime.ahead import Planned, Reader
from mingle.serving.realtime.answering import Answer, Reason
from mingle.serving.realtime.conversation import (
    Conversation,
    Item,
    call_item,
    new_id,
    result_item,
)
from mingle.serving.realtime.listening import Ear, Heard
from mingle.serving.realtime.outbox import Outbox
from mingle.serving.realtime.planning import Planner
from mingle.serving.realtime.reading_items import message_item
from mingle.serving.realtime.writing_down import write_down
from mingle.serving.sound import from_pcm16

log = logging.getLogger(__name__)


class Live:
    """A session. `handle` takes one event after the other; everything it says is in `outbox`."""

    def __init__(self, house: House):
        self.id = new_id("sess")
        self.house = house
        self.started_s = time.monotonic()
        self.settings = wire.Session(
            output_modalities=["audio" if "talker" in house.parts else "text"]
        )
        self.outbox = Outbox(house.settings.realtime.max_waiting_bytes)
        self._planner = Planner(house)
        self.conversation = Conversation(self._planner.count)
        self._ear: Ear | None = None
        self._turn: str | None = None  # the item that is being spoken
        self._sounds: list[Recording] = []  # of that item, to be written down
        self._answer: Answer | None = None
        self._spoken: Answer | None = None  # the last one: the client may still be playing it
        self._tasks: set[asyncio.Task[None]] = set()
        self._ahead = Reader(house, self._plan_ahead)
        self._handlers: dict[type[wire.ClientEvent], Callable[[Any], Awaitable[None]]] = {
            wire.SessionUpdate: self._update,
            wire.Append: self._append,
            wire.Commit: self._commit,
            wire.Clear: self._clear,
            wire.ItemCreate: self._create_item,
            wire.ItemDelete: self._delete_item,
            wire.ItemRetrieve: self._retrieve_item,
            wire.ItemTruncate: self._truncate_item,
            wire.ResponseCreate: self._create_response,
            wire.ResponseCancel: self._cancel_response,
            wire.OutputClear: self._clear_output,
        }

    async def open(self) -> None:
        """Greet."""
        await self.outbox.put("session.created", session=self._told())

    async def handle(self, text: str) -> None:
        """Take one event; a wrong one is answered with an error and changes nothing."""
        event_id: str | None = None
        try:
            raw = _object(text)
            given = raw.get("event_id")
            event_id = given if isinstance(given, str) else None
            event = wire.EVENTS.validate_python(raw)
            await self._handlers[type(event)](event)
        except ValidationError as error:
            first = error.errors(include_url=False, include_input=False)[0]
            where = ".".join(map(str, first["loc"])) or "the event"
            await self._tell_error(InputError(f"{where}: {first['msg']}"), event_id)
        except MingleError as error:
            await self._tell_error(error, event_id)

    async def close(self) -> None:
        """End everything that runs."""
        tasks = list(self._tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await self._ahead.close()

    # --- session --------------------------------------------------------------------------------

    async def _update(self, event: wire.SessionUpdate) -> None:
        changed = wire.merged(self.settings.model_dump(), event.session)
        settings = wire.Session.model_validate(changed)
        if "audio" in settings.output_modalities:
            self.house.require("talker", "speak")
            voice = settings.audio.output.voice
            if voice is not None:
                await asyncio.to_thread(self.house.shelf.voice, voice)
        if settings.audio.input.turn_detection != self.settings.audio.input.turn_detection:
            self._ear = None
        self.settings = settings
        await self.outbox.put("session.updated", session=self._told())

    def _told(self) -> dict[str, Any]:
        limits = self.house.settings.realtime
        left = limits.max_session_s - (time.monotonic() - self.started_s)
        return {
            **self.settings.model_dump(),
            "object": "realtime.session",
            "id": self.id,
            "model": self.house.settings.name,
            "expires_at": round(time.time() + left),
        }

    # --- sound in -------------------------------------------------------------------------------

    async def _append(self, event: wire.Append) -> None:
        self.house.require("audio", "hear")
        data = from_base64(event.audio, "audio")
        if len(data) % 2:
            raise InputError(f"audio: {len(data)} bytes are no whole 16-bit samples")
        ear = await self._open_ear()
        for heard in await asyncio.to_thread(ear.feed, from_pcm16(data)):
            await self._notice(heard)

    async def _open_ear(self) -> Ear:
        if self._ear is None:
            vad = self.settings.audio.input.turn_detection
            detector = None
            turns = TurnSettings()
            if vad is not None:
                detector = await asyncio.to_thread(lambda: self.house.speech_activity)
                turns = TurnSettings(
                    threshold=vad.threshold,
                    silence_ms=vad.silence_duration_ms,
                    padding_ms=vad.prefix_padding_ms,
                )
            longest = self.house.assistant.processor.audio.max_seconds
            self._ear = Ear(detector, turns, longest)
        return self._ear

    async def _notice(self, heard: Heard) -> None:
        vad = self.settings.audio.input.turn_detection
        if heard.kind == "started":
            self._turn = new_id("item")
            if vad is not None and vad.interrupt_response:
                await self._interrupt("turn_detected")
            await self.outbox.put(
                "input_audio_buffer.speech_started", audio_start_ms=heard.at_ms, item_id=self._turn
            )
        if heard.sound is not None:
            await self._hear(heard.sound)
        if heard.kind == "stopped":
            await self.outbox.put(
                "input_audio_buffer.speech_stopped", audio_end_ms=heard.at_ms, item_id=self._turn
            )
            await self._end_turn()
            if vad is not None and vad.create_response and self._answer is None:
                await self._respond(wire.ResponseWish())

    async def _hear(self, sound: Recording) -> None:
        """A piece of a turn, made ready and put before the model."""
        self._turn = self._turn or new_id("item")
        self._sounds.append(sound)
        media = self.house.assistant.processor.media
        part = await asyncio.to_thread(ready, Audio(source=sound), media)
        self.conversation.hear(self._turn, part, time.monotonic())
        self._ahead.wake()

    async def _end_turn(self) -> None:
        item = Item(
            id=self._turn or new_id("item"), content=[{"type": "input_audio", "transcript": None}]
        )
        sounds, self._sounds, self._turn = self._sounds, [], None
        before = self.conversation.last_id
        put = self.outbox.put
        await put("input_audio_buffer.committed", previous_item_id=before, item_id=item.id)
        await self._add(item, (), None)
        wish = self.settings.audio.input.transcription
        if wish is not None and sounds:
            self._start(write_down(self.house, self.outbox, item, sounds, wish))

    async def _commit(self, _: wire.Commit) -> None:
        self.house.require("audio", "hear")
        rest = (await self._open_ear()).commit()
        if rest is not None:
            await self._hear(rest)
        await self._end_turn()

    async def _clear(self, _: wire.Clear) -> None:
        if self._ear is not None:
            self._ear.clear()
        if self._turn is not None:
            self.conversation.unhear(self._turn)
        self._turn, self._sounds = None, []
        await self.outbox.put("input_audio_buffer.cleared")

    # --- items ----------------------------------------------------------------------------------

    async def _create_item(self, event: wire.ItemCreate) -> None:
        wish = event.item
        if wish.id is not None and wish.id in self.conversation.items:
            raise InputError(f"there is an item '{wish.id}' already; leave the id out")
        if isinstance(wish, wire.MessageItem):
            item, parts = await message_item(self.house, wish)
        elif isinstance(wish, wire.CallItem):
            item, part = call_item(wish.id, wish.call_id, wish.name, wish.arguments)
            parts = (part,)
        else:
            item, part = result_item(wish.id, wish.call_id, wish.output)
            parts = (part,)
        await self._add(item, parts, event.previous_item_id)
        if any(not isinstance(part, Text) for part in parts):
            self._ahead.wake()

    async def _add(self, item: Item, parts: Sequence[Part], after: str | None) -> None:
        before = after if after is not None else self.conversation.last_id
        self.conversation.add(item, parts, time.monotonic(), after)
        told = {"previous_item_id": None if before == "root" else before, "item": item.told()}
        await self.outbox.put("conversation.item.added", **told)
        await self.outbox.put("conversation.item.done", **told)

    async def _delete_item(self, event: wire.ItemDelete) -> None:
        self.conversation.remove(event.item_id)
        await self.outbox.put("conversation.item.deleted", item_id=event.item_id)

    async def _retrieve_item(self, event: wire.ItemRetrieve) -> None:
        item = self.conversation.find(event.item_id)
        await self.outbox.put("conversation.item.retrieved", item=item.told())

    async def _truncate_item(self, event: wire.ItemTruncate) -> None:
        item = self.conversation.find(event.item_id)
        if item.type != "message" or item.role != "assistant" or not item.chunks:
            raise InputError(f"item '{item.id}' was not spoken by the assistant")
        await self._cut(item, event.audio_end_ms / 1000)

    async def _cut(self, item: Item, heard_s: float) -> None:
        """What was not heard was not said."""
        item.heard_s = heard_s
        item.content = [{"type": "output_audio", "transcript": item.known_text}]
        await self.outbox.put(
            "conversation.item.truncated",
            item_id=item.id, content_index=0, audio_end_ms=round(1000 * heard_s),
        )  # fmt: skip

    # --- answers --------------------------------------------------------------------------------

    async def _create_response(self, event: wire.ResponseCreate) -> None:
        if self._answer is not None:
            raise InputError(
                f"response '{self._answer.id}' is still being made; cancel it or wait for its end"
            )
        await self._respond(event.response)

    async def _respond(self, wish: wire.ResponseWish) -> None:
        await self._ahead.pause()
        plan = self._planner.answer(self.conversation, self.settings, wish)
        answer = self._answer = Answer(
            plan, house=self.house, outbox=self.outbox, conversation=self.conversation
        )
        self._start(self._run(answer))

    async def _run(self, answer: Answer) -> None:
        try:
            await answer.run()
        finally:
            if self._answer is answer:
                self._answer = None
            self._spoken = answer
        self._ahead.wake()

    async def _cancel_response(self, event: wire.ResponseCancel) -> None:
        if self._answer is None or event.response_id not in (None, self._answer.id):
            raise InputError("there is no such response to cancel; it may have ended")
        await self._interrupt("client_cancelled")

    async def _clear_output(self, _: wire.OutputClear) -> None:
        await self._interrupt("client_cancelled")
        await self.outbox.put("output_audio_buffer.cleared")

    async def _interrupt(self, reason: Reason) -> None:
        """Stop speaking, and cut the history to what can have been heard by now."""
        now_s = time.monotonic()
        spoken = self._answer or self._spoken
        if self._answer is not None:
            self._answer.stop(reason)
            await self.outbox.drop_speech(self._answer.id)
        if spoken is None or spoken.first_sound_s is None or spoken.item.heard_s is not None:
            return
        heard_s = spoken.played_s(now_s)
        if self._answer is not None or heard_s < spoken.played_s(float("inf")):
            await self._cut(spoken.item, heard_s)

    def _plan_ahead(self) -> Planned | None:
        """Nothing is read ahead while an answer is given."""
        if self._answer is not None:
            return None
        return self._planner.ahead(self.conversation, self.settings)

    def _start(self, work: Any) -> None:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._ended)

    def _ended(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            log.error("a task of a live conversation failed", exc_info=error)

    async def _tell_error(self, error: MingleError, event_id: str | None) -> None:
        told = self.house.tell(error)["error"]
        await self.outbox.put("error", error={**told, "event_id": event_id})


def _object(text: str) -> dict[str, Any]:
    """The JSON object in a text. Raises InputError for anything else."""
    try:
        told: Any = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise InputError("the event is no JSON; expected an object with a type") from error
    if not isinstance(told, dict):
        raise InputError("the event is no JSON object; expected one with a type")
    return cast("dict[str, Any]", told)
