"""What a request to /v1/responses looks like, and its turns as those of a chat."""

from typing import Annotated, Any, Literal

from pydantic import Field

from mingle.errors import InputError
from mingle.serving.chat_schema import (
    AudioPart,
    ChatMessage,
    ContentPart,
    Function,
    FunctionCall,
    ImagePart,
    InputAudio,
    TextPart,
    ToolCall,
    Url,
    Wire,
)


class InputContent(Wire):
    """A piece of a message."""

    type: Literal["input_text", "input_image", "input_audio", "output_text"]
    text: str | None = None
    image_url: str | None = None
    input_audio: InputAudio | None = None

    def part(self) -> ContentPart:
        """The same as a part of a chat. Raises InputError where its content is missing."""
        if self.type in ("input_text", "output_text") and self.text is not None:
            return TextPart(type="text", text=self.text)
        if self.type == "input_image" and self.image_url is not None:
            return ImagePart(type="image_url", image_url=Url(url=self.image_url))
        if self.type == "input_audio" and self.input_audio is not None:
            return AudioPart(type="input_audio", input_audio=self.input_audio)
        raise InputError(f"{self.type} has no content; expected text, image_url or input_audio")


class InputMessage(Wire):
    """One message."""

    type: Literal["message"] = "message"
    role: Literal["system", "developer", "user", "assistant"]
    content: str | Annotated[list[InputContent], Field(min_length=1)]

    def turn(self) -> ChatMessage:
        """The same as a turn of a chat."""
        if isinstance(self.content, str):
            return ChatMessage(role=self.role, content=self.content)
        return ChatMessage(role=self.role, content=[one.part() for one in self.content])


class InputCall(Wire):
    """A call that the model asked for."""

    type: Literal["function_call"]
    call_id: str
    name: str
    arguments: str

    def turn(self) -> ChatMessage:
        """The same as a turn of a chat."""
        function = FunctionCall(name=self.name, arguments=self.arguments)
        return ChatMessage(
            role="assistant", tool_calls=[ToolCall(id=self.call_id, function=function)]
        )


class InputResult(Wire):
    """What a function returned."""

    type: Literal["function_call_output"]
    call_id: str
    output: str

    def turn(self) -> ChatMessage:
        """The same as a turn of a chat."""
        return ChatMessage(role="tool", content=self.output, tool_call_id=self.call_id)


class InputReasoning(Wire):
    """Thoughts of an earlier answer: the model does not read them again."""

    type: Literal["reasoning"]


InputItem = InputCall | InputResult | InputReasoning | InputMessage


class ResponseTool(Function):
    """A function that the model may call."""

    type: Literal["function"]


class Reasoning(Wire):
    """Whether to think first."""

    effort: Literal["none", "minimal", "low", "medium", "high", "xhigh"] | None = None


class TextFormat(Wire):
    """The form of an answer; only text is to be had."""

    type: str = "text"


class TextWish(Wire):
    """How the text is to be."""

    format: TextFormat = Field(default_factory=TextFormat)


class ResponsesRequest(Wire):
    """A question, or a conversation, perhaps behind an earlier response."""

    model: str | None = None
    input: str | Annotated[list[InputItem], Field(min_length=1)]
    instructions: str | None = None
    previous_response_id: str | None = None
    max_output_tokens: Annotated[int, Field(ge=1, le=2**31)] | None = None
    temperature: Annotated[float, Field(ge=0, le=2)] | None = None
    top_p: Annotated[float, Field(gt=0, le=1)] | None = None
    stream: bool | None = None
    store: bool | None = None
    tools: list[ResponseTool] | None = None
    tool_choice: str | dict[str, Any] | None = None
    reasoning: Reasoning | None = None
    text: TextWish | None = None
    metadata: dict[str, str] | None = None

    @property
    def turns(self) -> list[ChatMessage]:
        """What is new, as turns of a chat."""
        if isinstance(self.input, str):
            return [ChatMessage(role="user", content=self.input)]
        return [item.turn() for item in self.input if not isinstance(item, InputReasoning)]
