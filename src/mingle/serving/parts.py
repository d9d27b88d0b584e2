"""A conversation on the wire -> messages, with media as bytes."""

from collections.abc import Sequence

from mingle.errors import InputError
from mingle.messages import Audio, Image, Message, Part, Text, Video
from mingle.serving.chat_schema import (
    AudioPart,
    AudioUrlPart,
    ChatMessage,
    ContentPart,
    ImagePart,
    TextPart,
    Tool,
)
from mingle.serving.media import bytes_of, from_base64
from mingle.serving.settings import MediaLimits
from mingle.serving.tools import call_text, instructions, result_text


async def messages_of(
    turns: Sequence[ChatMessage], limits: MediaLimits, tools: Sequence[Tool] = ()
) -> tuple[Message, ...]:
    """The messages; system turns at the beginning become one, tools are told in it.

    Raises InputError for media that cannot be had.
    """
    system: list[str] = []
    messages: list[Message] = []
    for turn in turns:
        parts = await _parts(turn, limits)
        if turn.role in ("system", "developer") and not messages:
            if any(not isinstance(part, Text) for part in parts):
                raise InputError("a system message holds media; send them as the user")
            system += [part.text for part in parts if isinstance(part, Text)]
        else:
            messages.append(Message(role=_role(turn), parts=parts))
    told = [*system, *([instructions(tools)] if tools else [])]
    if not told:
        return tuple(messages)
    first = Message(role="system", parts=(Text(text="\n\n".join(told)),))
    return (first, *messages)


async def part_of(part: ContentPart, limits: MediaLimits) -> Part:
    """One content part, its bytes fetched or decoded from base64."""
    match part:
        case TextPart():
            return Text(text=part.text)
        case ImagePart():
            return Image(source=await bytes_of(part.image_url.url, "image_url", limits))
        case AudioPart():
            return Audio(source=from_base64(part.input_audio.data, "input_audio"))
        case AudioUrlPart():
            return Audio(source=await bytes_of(part.audio_url.url, "audio_url", limits))
        case _:
            data = await bytes_of(part.video_url.url, "video_url", limits)
            return Video(source=data, frames_per_second=part.fps, max_frames=part.max_frames)


async def _parts(turn: ChatMessage, limits: MediaLimits) -> tuple[Part, ...]:
    if turn.role == "tool":
        text = turn.content if isinstance(turn.content, str) else _words(turn)
        return (Text(text=result_text(text)),)
    calls = [Text(text=call_text(call.function)) for call in turn.tool_calls or ()]
    if turn.content is None:
        if not calls:
            raise InputError(f"a message of the {turn.role} has no content; expected some")
        return tuple(calls)
    if isinstance(turn.content, str):
        return (Text(text=turn.content), *calls)
    return (*[await part_of(part, limits) for part in turn.content], *calls)


def _words(turn: ChatMessage) -> str:
    parts = turn.content if isinstance(turn.content, list) else []
    return "".join(part.text for part in parts if isinstance(part, TextPart))


def _role(turn: ChatMessage):
    match turn.role:
        case "developer" | "system":
            return "system"
        case "tool":
            return "user"  # as the model was taught: results come in a user's turn
        case role:
            return role
