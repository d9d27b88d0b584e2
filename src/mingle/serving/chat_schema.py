"""What a chat request looks like on the wire."""

from typing import Annotated, Any, Literal

from fastapi import Form
from pydantic import BaseModel, ConfigDict, Field

MULTIPART: Any = Form(media_type="multipart/form-data")
"""Marks a model whose fields come as a form, files among them."""
Unit = Annotated[float, Field(ge=0, le=1)]


class Wire(BaseModel):
    """Fields that are not known are left alone, as all servers of this protocol do."""

    model_config = ConfigDict(extra="ignore", strict=False)


class TextPart(Wire):
    """Words."""

    type: Literal["text"]
    text: str


class Url(Wire):
    """Where a medium is: a data: URL, or an address if the server fetches those."""

    url: str


class ImagePart(Wire):
    """A picture."""

    type: Literal["image_url"]
    image_url: Url


class AudioUrlPart(Wire):
    """A recording by its address."""

    type: Literal["audio_url"]
    audio_url: Url


class VideoPart(Wire):
    """A film; `fps` frames a second are looked at."""

    type: Literal["video_url"]
    video_url: Url
    fps: Annotated[float, Field(gt=0, le=30)] = 2.0
    max_frames: Annotated[int, Field(ge=1, le=1000)] = 170


class InputAudio(Wire):
    """A recording in base64; any format is recognised by its content."""

    data: str
    format: str = "wav"


class AudioPart(Wire):
    """A recording within the request."""

    type: Literal["input_audio"]
    input_audio: InputAudio


ContentPart = Annotated[
    TextPart | ImagePart | AudioUrlPart | VideoPart | AudioPart, Field(discriminator="type")
]


class FunctionCall(Wire):
    """A call that the model asked for; `arguments` is JSON text."""

    name: str
    arguments: str


class ToolCall(Wire):
    """One call with its id."""

    id: str
    type: Literal["function"] = "function"
    function: FunctionCall


class ChatMessage(Wire):
    """One turn."""

    role: Literal["system", "developer", "user", "assistant", "tool"]
    content: str | list[ContentPart] | None = None
    tool_calls: list[ToolCall] | None = None
    tool_call_id: str | None = None


class Function(Wire):
    """A function that the model may call; `parameters` is a JSON schema."""

    name: Annotated[str, Field(pattern=r"^[a-zA-Z0-9_-]{1,64}$")]
    description: str = ""
    parameters: dict[str, Any] = Field(default_factory=dict[str, Any])


class Tool(Wire):
    """One tool."""

    type: Literal["function"]
    function: Function


class AudioWish(Wire):
    """How the answer is to be spoken. Null is the model's own voice."""

    voice: str | None = None
    format: Literal["wav", "mp3", "flac", "opus", "aac", "pcm16"] = "wav"


class StreamOptions(Wire):
    """Whether the last chunk tells the tokens that were used."""

    include_usage: bool = False


class ResponseFormat(Wire):
    """The form of an answer; only text is to be had."""

    type: str = "text"


class ChatRequest(Wire):
    """A conversation to go on with. What is left out is what suits the model."""

    model: str | None = None
    messages: Annotated[list[ChatMessage], Field(min_length=1)]
    max_tokens: Annotated[int, Field(ge=1, le=2**31)] | None = None
    max_completion_tokens: Annotated[int, Field(ge=1, le=2**31)] | None = None
    temperature: Annotated[float, Field(ge=0, le=2)] | None = None
    top_p: Annotated[float, Field(gt=0, le=1)] | None = None
    top_k: Annotated[int, Field(ge=0, le=2**31)] | None = None
    min_p: Unit | None = None
    repetition_penalty: Annotated[float, Field(gt=0, le=10)] | None = None
    frequency_penalty: float | None = None
    presence_penalty: float | None = None
    logit_bias: dict[str, float] | None = None
    seed: Annotated[int, Field(ge=-(2**63), lt=2**63)] | None = None
    n: Annotated[int, Field(ge=1)] = 1
    stop: str | Annotated[list[str], Field(max_length=16)] | None = None
    stream: bool = False
    stream_options: StreamOptions | None = None
    logprobs: bool = False
    top_logprobs: Annotated[int, Field(ge=0, le=20)] | None = None
    modalities: list[Literal["text", "audio", "image"]] | None = None
    audio: AudioWish | None = None
    reasoning_effort: Literal["none", "minimal", "low", "medium", "high", "xhigh"] | None = None
    tools: list[Tool] | None = None
    tool_choice: str | dict[str, Any] | None = None
    response_format: ResponseFormat | None = None
    size: str | None = None
    """Of a painted picture, "WIDTHxHEIGHT" (an extension of ours)."""
