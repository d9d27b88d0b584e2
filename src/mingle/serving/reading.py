"""Reading one answer: its events sorted into text, thoughts, calls, sound, and how it ended."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from mingle.messages import Event, Finished, SpeechChunk, TextDelta, Usage
from mingle.processing.inputs import Processor
from mingle.serving.tools import Call, CallFinder


@dataclass(frozen=True, kw_only=True)
class Piece:
    """What one event adds to an answer; `finish` is stop, length or tool_calls at its end."""

    text: str = ""
    reasoning: str = ""
    calls: tuple[Call, ...] = ()
    tokens: tuple[dict[str, Any], ...] = ()
    """The logprobs of its tokens, where they are asked for."""
    speech: SpeechChunk | None = None
    finish: str | None = None
    usage: Usage | None = None


class Reader:
    """One answer's reader; `tools` are the names of the functions that may be called."""

    def __init__(self, processor: Processor, tools: Sequence[str] = ()):
        self._processor = processor
        self._finder = CallFinder(tools) if tools else None
        self._called = False
        self.reasoning_tokens = 0

    def read(self, event: Event) -> Piece:
        """Sort one event."""
        match event:
            case TextDelta(channel="reasoning"):
                self.reasoning_tokens += len(event.token_ids)
                return Piece(reasoning=event.text)
            case TextDelta():
                return self._words(event)
            case SpeechChunk():
                return Piece(speech=event)
            case Finished():
                held = self._finder.finish() if self._finder else ""
                finish = "tool_calls" if self._called else event.reason
                return Piece(text=held, finish=finish, usage=event.usage)
            case _:
                return Piece()

    def _words(self, event: TextDelta) -> Piece:
        tokens = tuple(
            self._token(event, i) for i in range(min(len(event.token_ids), len(event.logprobs)))
        )
        if self._finder is None:
            return Piece(text=event.text, tokens=tokens)
        text, calls = self._finder.feed(event.text)
        self._called |= bool(calls)
        return Piece(text=text, calls=tuple(calls), tokens=tokens)

    def _token(self, event: TextDelta, number: int) -> dict[str, Any]:
        likeliest = event.alternatives[number] if event.alternatives else ()
        return {
            **self._scored(event.token_ids[number], event.logprobs[number]),
            "top_logprobs": [self._scored(token, score) for token, score in likeliest],
        }

    def _scored(self, token: int, logprob: float) -> dict[str, Any]:
        decoder = self._processor.decoder()
        text = decoder.feed([token]) + decoder.finish()
        return {"token": text, "logprob": logprob, "bytes": list(text.encode())}


def usage_of(usages: Sequence[Usage], reasoning_tokens: int = 0) -> dict[str, Any]:
    """Token counts of a request's answers together; their prompt counts once."""
    first = usages[0]
    written = sum(usage.completion_tokens for usage in usages)
    text = first.prompt_tokens - first.image_tokens - first.audio_tokens
    return {
        "prompt_tokens": first.prompt_tokens,
        "completion_tokens": written,
        "total_tokens": first.prompt_tokens + written,
        "prompt_tokens_details": {
            "cached_tokens": first.cached_tokens,
            "text_tokens": text,
            "image_tokens": first.image_tokens,
            "audio_tokens": first.audio_tokens,
        },
        "completion_tokens_details": {"reasoning_tokens": reasoning_tokens},
    }
