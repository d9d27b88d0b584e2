"""The output items of a response, and the events that tell how they grow."""

import secrets
from collections.abc import Iterator
from typing import Any, Literal

from mingle.messages import Usage
from mingle.serving.chat_schema import ChatMessage, FunctionCall, ToolCall
from mingle.serving.reading import Piece
from mingle.serving.tools import Call

Kind = Literal["reasoning", "message"]
PARTS = {"reasoning": "reasoning_text", "message": "output_text"}
EVENTS = {"reasoning": "response.reasoning_text", "message": "response.output_text"}


class Output:
    """Pieces in, events out. One item is open at a time: thoughts, or words."""

    def __init__(self, head: dict[str, Any]):
        self.id = f"resp_{secrets.token_hex(12)}"
        self.turns: list[ChatMessage] = []
        self._head = head
        self._items: list[dict[str, Any]] = []
        self._open: Kind | None = None
        self._item_id, self._text = "", ""
        self._begun = False
        self._status, self._details = "in_progress", None
        self._usage: dict[str, Any] | None = None

    def add(self, piece: Piece, reasoning_tokens: int) -> Iterator[dict[str, Any]]:
        """The events of one piece."""
        if not self._begun:
            self._begun = True
            yield {"type": "response.created", "response": self.told()}
            yield {"type": "response.in_progress", "response": self.told()}
        if piece.reasoning:
            yield from self._grow("reasoning", piece.reasoning)
        if piece.text:
            yield from self._grow("message", piece.text)
        for call in piece.calls:
            yield from self._close()
            yield from self._call(call)
        if piece.finish is not None:
            yield from self._close()
            yield from self._finish(piece, reasoning_tokens)

    def told(self) -> dict[str, Any]:
        """The response as it is now."""
        return {
            **self._head,
            "id": self.id,
            "status": self._status,
            "incomplete_details": self._details,
            "output": list(self._items),
            "usage": self._usage,
        }

    def _grow(self, kind: Kind, text: str) -> Iterator[dict[str, Any]]:
        if self._open != kind:
            yield from self._close()
            self._open, self._text = kind, ""
            prefix = "msg" if kind == "message" else "rs"
            self._item_id = f"{prefix}_{secrets.token_hex(12)}"
            yield self._event("response.output_item.added", item=self._item("in_progress"))
            yield self._event("response.content_part.added", **self._place, part=self._part(""))
        self._text += text
        logprobs: dict[str, Any] = {"logprobs": []} if kind == "message" else {}
        yield self._event(f"{EVENTS[kind]}.delta", **self._place, delta=text, **logprobs)

    def _close(self) -> Iterator[dict[str, Any]]:
        """End the item that is open."""
        if self._open is None:
            return
        kind = self._open
        logprobs: dict[str, Any] = {"logprobs": []} if kind == "message" else {}
        yield self._event(f"{EVENTS[kind]}.done", **self._place, text=self._text, **logprobs)
        part = self._part(self._text)
        yield self._event("response.content_part.done", **self._place, part=part)
        item = self._item("completed")
        yield self._event("response.output_item.done", item=item)
        self._items.append(item)
        if kind == "message":
            self.turns.append(ChatMessage(role="assistant", content=self._text))
        self._open = None

    def _call(self, call: Call) -> Iterator[dict[str, Any]]:
        item = {
            "id": f"fc_{secrets.token_hex(12)}",
            "type": "function_call",
            "status": "completed",
            "call_id": call.id,
            "name": call.name,
            "arguments": call.arguments,
        }
        begun = {**item, "status": "in_progress", "arguments": ""}
        yield self._event("response.output_item.added", item=begun)
        head = "response.function_call_arguments"
        yield self._event(f"{head}.delta", item_id=item["id"], delta=call.arguments)
        told = {"item_id": item["id"], "name": call.name, "arguments": call.arguments}
        yield self._event(f"{head}.done", **told)
        yield self._event("response.output_item.done", item=item)
        self._items.append(item)
        function = FunctionCall(name=call.name, arguments=call.arguments)
        calls = [ToolCall(id=call.id, function=function)]
        self.turns.append(ChatMessage(role="assistant", tool_calls=calls))

    def _finish(self, piece: Piece, reasoning_tokens: int) -> Iterator[dict[str, Any]]:
        self._status = "incomplete" if piece.finish == "length" else "completed"
        if self._status == "incomplete":
            self._details = {"reason": "max_output_tokens"}
        if piece.usage is not None:
            self._usage = _usage(piece.usage, reasoning_tokens)
        yield {"type": f"response.{self._status}", "response": self.told()}

    def _event(self, kind: str, **fields: Any) -> dict[str, Any]:
        return {"type": kind, "output_index": len(self._items), **fields}

    @property
    def _place(self) -> dict[str, Any]:
        return {"item_id": self._item_id, "content_index": 0}

    def _part(self, text: str) -> dict[str, Any]:
        assert self._open is not None
        plain = {"type": PARTS[self._open], "text": text}
        return {**plain, "annotations": []} if self._open == "message" else plain

    def _item(self, status: str) -> dict[str, Any]:
        content = [self._part(self._text)] if status == "completed" else []
        head = {"id": self._item_id, "type": self._open, "status": status, "content": content}
        return {**head, "role": "assistant"} if self._open == "message" else {**head, "summary": []}


def _usage(used: Usage, reasoning_tokens: int) -> dict[str, Any]:
    return {
        "input_tokens": used.prompt_tokens,
        "input_tokens_details": {
            "cached_tokens": used.cached_tokens,
            "image_tokens": used.image_tokens,
            "audio_tokens": used.audio_tokens,
        },
        "output_tokens": used.completion_tokens,
        "output_tokens_details": {"reasoning_tokens": reasoning_tokens},
        "total_tokens": used.prompt_tokens + used.completion_tokens,
    }
