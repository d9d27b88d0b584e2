"""A message as a client sends it -> an item, and what the model reads of it."""

import asyncio
from typing import Any

from mingle.errors import InputError
from mingle.messages import Audio, Image, Part, Text
from mingle.processing.ready import ready
from mingle.processing.recording import Recording
from mingle.serving.house import House
from mingle.serving.media import bytes_of, from_base64
from mingle.serving.realtime.conversation import Item, new_id
from mingle.serving.realtime.wire import Content, MessageItem
from mingle.serving.sound import STREAM_HZ, from_pcm16


async def message_item(house: House, wish: MessageItem) -> tuple[Item, tuple[Part, ...]]:
    """Decode its media. Raises InputError for what a message of this role cannot hold."""
    read = [await _part(house, wish.role, content) for content in wish.content]
    told = [_told(content) for content in wish.content]
    item = Item(id=wish.id or new_id("item"), role=wish.role, content=told)
    if wish.role == "assistant":
        item.text = "".join(part.text for part in read if isinstance(part, Text))
        return item, ()
    return item, tuple(read)


async def _part(house: House, role: str, content: Content) -> Part:
    if role != "user" and content.type in ("input_image", "input_audio"):
        raise InputError(f"{content.type} in a message of the {role}; media come from the user")
    match content.type:
        case "input_image":
            if content.image_url is None:
                raise InputError("input_image has no image_url; expected a data: URL")
            data = await bytes_of(content.image_url, "image_url", house.settings.media)
            return await house.ready_part(Image(source=data))
        case "input_audio":
            return await _sound(house, content)
        case "output_audio":
            return Text(text=content.transcript or "")
        case _:
            if content.text is None:
                raise InputError(f"{content.type} has no text")
            return Text(text=content.text)


async def _sound(house: House, content: Content) -> Part:
    house.require("audio", "hear")
    data = from_base64(content.audio or "", "audio")
    if not data or len(data) % 2:
        raise InputError("input_audio has no whole 16-bit samples in audio")
    recording = Recording(samples=from_pcm16(data), sample_rate_hz=STREAM_HZ)
    media = house.assistant.processor.media
    return await asyncio.to_thread(ready, Audio(source=recording), media)


def _told(content: Content) -> dict[str, Any]:
    """What the client is told of it: not the bytes again."""
    told = content.model_dump(exclude_none=True, exclude={"image_url", "audio"})
    if content.type == "input_audio":
        told.setdefault("transcript", None)
    return told
