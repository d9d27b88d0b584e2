"""One answer of a live conversation: events of the engine -> events of the protocol."""

import asyncio
import base64
import time
from collections.abc import AsyncGenerator
from contextlib import aclosing
from typing import Any, Literal

from mingle.engine.speak import SpeakOptions
from mingle.errors import MingleError
from mingle.messages import Event, SpeechChunk, Usage
from mingle.serving.house import House
from mingle.serving.reading import Piece, Reader
from mingle.serving.realtime.conversation import Conversation, Item, call_item, new_id
from mingle.serving.realtime.outbox import Outbox
from mingle.serving.realtime.planning import Plan
from mingle.serving.sound import STREAM_HZ, pcm16
from mingle.serving.tools import Call
from mingle.serving.voiced import voiced

Reason = Literal["turn_detected", "client_cancelled"]


class Answer:
    """Runs once; `stop` ends it at any time, and its events still come in order."""

    def __init__(self, plan: Plan, *, house: House, outbox: Outbox, conversation: Conversation):
        self.id = new_id("resp")
        self.item = Item(id=new_id("item"), role="assistant", status="in_progress")
        self.first_sound_s: float | None = None
        self._plan, self._house = plan, house
        self._outbox, self._conversation = outbox, conversation
        self._reader: asyncio.Task[None] | None = None
        self._reason: Reason | None = None
        self._output: list[dict[str, Any]] = []
        self._usage: Usage | None = None
        self._finish = "stop"
        self._begun = False
        self._index = 0  # of the message among the outputs

    def stop(self, reason: Reason) -> None:
        """End it now."""
        self._reason = self._reason or reason
        if self._reader is not None:
            self._reader.cancel()

    def played_s(self, now_s: float) -> float:
        """How much of its sound a client that plays at once may have played."""
        if self.first_sound_s is None:
            return 0.0
        last = self.item.chunks[-1]
        made = last.start_s + len(last.samples) / last.sample_rate_hz
        return min(made, now_s - self.first_sound_s)

    async def run(self) -> None:
        """Answer, and tell it all."""
        put = self._outbox.put
        await put("response.created", response=self._told("in_progress"))
        self._reader = asyncio.create_task(self._read())
        status, details = "completed", None
        if self._reason is not None:
            self._reader.cancel()
        try:
            await self._reader
        except asyncio.CancelledError:
            if self._reason is None:  # the session is over
                self._reader.cancel()
                raise
            status, details = "cancelled", {"type": "cancelled", "reason": self._reason}
        except MingleError as error:
            told = self._house.tell(error)["error"]
            status, details = "failed", {"type": "failed", "error": told}
        if self._finish == "length" and status == "completed":
            status, details = "incomplete", {"type": "incomplete", "reason": "max_output_tokens"}
        if self._begun:
            await self._end_item("completed" if status == "completed" else "incomplete")
        await put("response.done", response=self._told(status, details))

    async def _read(self) -> None:
        reader = Reader(self._house.assistant.processor, self._plan.tools)
        async with aclosing(self._events()) as events:
            async for event in events:
                await self._tell(reader.read(event))

    def _events(self) -> AsyncGenerator[Event]:
        house, plan = self._house, self._plan
        events = house.events(plan.request)
        if not plan.spoken:
            return events
        options = SpeakOptions(sample_rate_hz=STREAM_HZ)
        return voiced(
            house,
            events,
            lambda words: house.assistant.speak(
                words, voice=house.shelf.voice(plan.voice), style=plan.style, options=options
            ),
        )

    async def _tell(self, piece: Piece) -> None:
        put, place = self._outbox.put, self._place
        self._usage = piece.usage or self._usage
        self._finish = piece.finish or self._finish
        if piece.text or piece.speech is not None:
            await self._begin_item()
        if piece.text:
            self.item.text += piece.text
            if not self._plan.spoken:
                await put("response.output_text.delta", **place, delta=piece.text)
        if piece.speech is not None:
            await self._tell_speech(piece.speech)
        for call in piece.calls:
            await self._tell_call(call)

    async def _tell_speech(self, chunk: SpeechChunk) -> None:
        put, place = self._outbox.put, self._place
        if chunk.text:
            delta = chunk.text
            await put("response.output_audio_transcript.delta", **place, delta=delta)
        self.item.speak(chunk)
        data = base64.b64encode(pcm16(chunk.samples)).decode()
        await put("response.output_audio.delta", **place, delta=data)
        self.first_sound_s = self.first_sound_s or time.monotonic()

    async def _begin_item(self) -> None:
        if self._begun:
            return
        self._begun, self._index = True, len(self._output)
        put = self._outbox.put
        before = self._conversation.last_id
        if self._plan.kept:
            self._conversation.add(self.item, (), time.monotonic())
        told = {"response_id": self.id, "output_index": self._index, "item": self.item.told()}
        await put("response.output_item.added", **told)
        if self._plan.kept:
            await put("conversation.item.added", previous_item_id=before, item=self.item.told())
        await put("response.content_part.added", **self._place, part=self._part(empty=True))

    async def _end_item(self, status: Literal["completed", "incomplete"]) -> None:
        put, place = self._outbox.put, self._place
        text = self.item.text
        if self._plan.spoken:
            await put("response.output_audio.done", **place)
            await put("response.output_audio_transcript.done", **place, transcript=text)
        else:
            await put("response.output_text.done", **place, text=text)
        part = self._part()
        await put("response.content_part.done", **place, part=part)
        self.item.status, self.item.content = status, [part]
        told = self.item.told()
        self._output.insert(self._index, told)
        head = {"response_id": self.id, "output_index": self._index}
        await put("response.output_item.done", **head, item=told)
        if self._plan.kept:
            await put("conversation.item.done", previous_item_id=None, item=told)

    async def _tell_call(self, call: Call) -> None:
        put = self._outbox.put
        item, part = call_item(None, call.id, call.name, call.arguments)
        before = self._conversation.last_id
        if self._plan.kept:
            self._conversation.add(item, (part,), time.monotonic())
        index = len(self._output) + (1 if self._begun else 0)
        place = {"response_id": self.id, "output_index": index}
        await put("response.output_item.added", **place, item={**item.told(), "arguments": ""})
        if self._plan.kept:
            await put("conversation.item.added", previous_item_id=before, item=item.told())
        place_of_call = {**place, "item_id": item.id, "call_id": call.id}
        await put("response.function_call_arguments.delta", **place_of_call, delta=call.arguments)
        await put(
            "response.function_call_arguments.done",
            **place_of_call, name=call.name, arguments=call.arguments,
        )  # fmt: skip
        await put("response.output_item.done", **place, item=item.told())
        if self._plan.kept:
            await put("conversation.item.done", previous_item_id=before, item=item.told())
        self._output.append(item.told())

    @property
    def _place(self) -> dict[str, Any]:
        return {
            "response_id": self.id,
            "item_id": self.item.id,
            "output_index": self._index,
            "content_index": 0,
        }

    def _part(self, *, empty: bool = False) -> dict[str, Any]:
        text = "" if empty else self.item.text
        if self._plan.spoken:
            return {"type": "output_audio", "transcript": text}
        return {"type": "output_text", "text": text}

    def _told(self, status: str, details: Any = None) -> dict[str, Any]:
        return {
            "id": self.id,
            "object": "realtime.response",
            "status": status,
            "status_details": details,
            "output": self._output,
            "output_modalities": ["audio" if self._plan.spoken else "text"],
            "metadata": self._plan.metadata,
            "usage": None if self._usage is None else _usage(self._usage),
        }


def _usage(used: Usage) -> dict[str, Any]:
    text = used.prompt_tokens - used.image_tokens - used.audio_tokens
    return {
        "total_tokens": used.prompt_tokens + used.completion_tokens,
        "input_tokens": used.prompt_tokens,
        "output_tokens": used.completion_tokens,
        "input_token_details": {
            "text_tokens": text,
            "image_tokens": used.image_tokens,
            "audio_tokens": used.audio_tokens,
            "cached_tokens": used.cached_tokens,
        },
        "output_token_details": {"text_tokens": used.completion_tokens, "audio_tokens": 0},
    }
