"""What a client of a live conversation may send, checked."""

from typing import Annotated, Any, Literal

from pydantic import Field, TypeAdapter

from mingle.serving.chat_schema import Function, Wire

MAX_TEXT = 200_000
MAX_TOKENS = 2**31
Words = Annotated[str, Field(max_length=MAX_TEXT)]
Id = Annotated[str, Field(min_length=1, max_length=128)]


class Pcm(Wire):
    """16-bit samples, little endian, mono; the rate is always 24 kHz."""

    type: Literal["audio/pcm"] = "audio/pcm"
    rate: Literal[24000] = 24000


class ServerVad(Wire):
    """The server hears when a turn begins and ends."""

    type: Literal["server_vad"] = "server_vad"
    threshold: Annotated[float, Field(gt=0, lt=1)] = 0.5
    prefix_padding_ms: Annotated[int, Field(ge=0, le=5000)] = 300
    silence_duration_ms: Annotated[int, Field(ge=32, le=10_000)] = 500
    create_response: bool = True
    interrupt_response: bool = True


class Transcription(Wire):
    """What is said is written down; `prompt` and `language` help."""

    model: str | None = None
    language: Annotated[str, Field(max_length=40)] | None = None
    prompt: Annotated[str, Field(max_length=4000)] | None = None


class InputAudio(Wire):
    """How the client's sound is taken; a turn_detection of null leaves turns to the client."""

    format: Pcm = Field(default_factory=Pcm)
    transcription: Transcription | None = None
    turn_detection: ServerVad | None = Field(default_factory=ServerVad)


class OutputAudio(Wire):
    """How answers sound. A voice of null is the model's own."""

    format: Pcm = Field(default_factory=Pcm)
    voice: Annotated[str, Field(max_length=64)] | None = None
    speed: Annotated[float, Field(ge=0.25, le=1.5)] = 1.0


class SessionAudio(Wire):
    """Sound in and out."""

    input: InputAudio = Field(default_factory=InputAudio)
    output: OutputAudio = Field(default_factory=OutputAudio)


class RealtimeTool(Function):
    """A function that the model may call."""

    type: Literal["function"] = "function"


class Session(Wire):
    """All that a session may be told; what is left out stays."""

    type: Literal["realtime"] = "realtime"
    instructions: Words = ""
    output_modalities: Annotated[list[Literal["text", "audio"]], Field(max_length=1)] = Field(
        default_factory=lambda: list[Literal["text", "audio"]](["text"])
    )
    audio: SessionAudio = Field(default_factory=SessionAudio)
    tools: Annotated[list[RealtimeTool], Field(max_length=128)] = Field(
        default_factory=list[RealtimeTool]
    )
    tool_choice: Literal["auto", "none"] = "auto"
    max_output_tokens: Annotated[int, Field(ge=1, le=4096)] | Literal["inf"] = "inf"
    temperature: Annotated[float, Field(ge=0, le=2)] | None = None


class Content(Wire):
    """A piece of a message: words, a picture as a data: URL, or sound."""

    type: Literal["input_text", "input_image", "input_audio", "output_text", "output_audio"]
    text: Words | None = None
    image_url: str | None = None
    audio: str | None = None
    transcript: Words | None = None


class MessageItem(Wire):
    """One message."""

    type: Literal["message"]
    id: Id | None = None
    role: Literal["user", "assistant", "system"]
    content: Annotated[list[Content], Field(min_length=1, max_length=64)]


class CallItem(Wire):
    """A call that the model asked for."""

    type: Literal["function_call"]
    id: Id | None = None
    call_id: Id
    name: Id
    arguments: Words


class ResultItem(Wire):
    """What a function returned."""

    type: Literal["function_call_output"]
    id: Id | None = None
    call_id: Id
    output: Words


ItemWish = Annotated[MessageItem | CallItem | ResultItem, Field(discriminator="type")]


class ResponseWish(Wire):
    """How one answer is to differ from the session's settings."""

    instructions: Words | None = None
    output_modalities: list[Literal["text", "audio"]] | None = None
    max_output_tokens: Annotated[int, Field(ge=1, le=4096)] | Literal["inf"] | None = None
    conversation: Literal["auto", "none"] = "auto"
    metadata: dict[str, Any] | None = None


class ClientEvent(Wire):
    """What all events have."""

    event_id: Annotated[str, Field(max_length=512)] | None = None


class SessionUpdate(ClientEvent):
    """Change settings."""

    type: Literal["session.update"]
    session: dict[str, Any]


class Append(ClientEvent):
    """More sound, in base64."""

    type: Literal["input_audio_buffer.append"]
    audio: str


class Commit(ClientEvent):
    """What was said is a message now."""

    type: Literal["input_audio_buffer.commit"]


class Clear(ClientEvent):
    """Forget what was said since the last message."""

    type: Literal["input_audio_buffer.clear"]


class ItemCreate(ClientEvent):
    """Add an item, at the end or behind another one ("root": at the beginning)."""

    type: Literal["conversation.item.create"]
    previous_item_id: Id | None = None
    item: ItemWish


class ItemDelete(ClientEvent):
    """Take an item out."""

    type: Literal["conversation.item.delete"]
    item_id: Id


class ItemRetrieve(ClientEvent):
    """Tell an item."""

    type: Literal["conversation.item.retrieve"]
    item_id: Id


class ItemTruncate(ClientEvent):
    """An answer was heard up to here only."""

    type: Literal["conversation.item.truncate"]
    item_id: Id
    content_index: Annotated[int, Field(ge=0, le=0)] = 0
    audio_end_ms: Annotated[int, Field(ge=0, le=2**31)]


class ResponseCreate(ClientEvent):
    """Answer now."""

    type: Literal["response.create"]
    response: ResponseWish = Field(default_factory=ResponseWish)


class ResponseCancel(ClientEvent):
    """Stop answering."""

    type: Literal["response.cancel"]
    response_id: Id | None = None


class OutputClear(ClientEvent):
    """Stop sound that is on its way."""

    type: Literal["output_audio_buffer.clear"]


AnyEvent = Annotated[
    SessionUpdate
    | Append
    | Commit
    | Clear
    | ItemCreate
    | ItemDelete
    | ItemRetrieve
    | ItemTruncate
    | ResponseCreate
    | ResponseCancel
    | OutputClear,
    Field(discriminator="type"),
]
EVENTS: TypeAdapter[AnyEvent] = TypeAdapter(AnyEvent)


def merged(old: dict[str, Any], new: dict[str, Any]) -> dict[str, Any]:
    """The old settings with the new ones in their places, level by level."""
    whole = dict(old)
    for name, value in new.items():
        before: Any = whole.get(name)
        deeper = isinstance(before, dict) and isinstance(value, dict)
        whole[name] = merged(_settings(before), _settings(value)) if deeper else value
    return whole


def _settings(value: Any) -> dict[str, Any]:
    return value
