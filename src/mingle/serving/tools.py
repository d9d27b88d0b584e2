"""Functions the model may call: told in the system message, found in the answer.

A call is JSON between <tool_call> tags, a result stands between <tool_response> tags: the markup
that the families around Ming's thinker use. The released Ming documents none of its own.
"""

import json
import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, cast

from mingle.serving.chat_schema import FunctionCall, Tool

OPEN, CLOSE = "<tool_call>", "</tool_call>"


@dataclass(frozen=True, kw_only=True)
class Call:
    """A call that an answer asks for; `number` counts its calls."""

    number: int
    id: str
    name: str
    arguments: str


def instructions(tools: Sequence[Tool]) -> str:
    """What the model is told of its tools."""
    told = "\n".join(json.dumps(tool.function.model_dump(), ensure_ascii=False) for tool in tools)
    return (
        f"These functions can be called, each described in JSON:\n{told}\n"
        "To call one, answer with its name and its arguments in JSON between tags, like this:\n"
        f'{OPEN}{{"name": "function", "arguments": {{"key": "value"}}}}{CLOSE}\n'
        "What it returns comes next, between <tool_response> tags. "
        "Call a function only where it helps; else answer in words."
    )


def call_text(call: FunctionCall) -> str:
    """A call of an earlier turn, as the model wrote it."""
    return f'{OPEN}\n{{"name": {json.dumps(call.name)}, "arguments": {call.arguments}}}\n{CLOSE}'


def result_text(result: str) -> str:
    """What a function returned, as the model reads it."""
    return f"<tool_response>\n{result}\n</tool_response>"


class CallFinder:
    """Tells calls from text in an answer that still arrives. Text that may begin a call waits."""

    def __init__(self, names: Sequence[str]):
        self._names = frozenset(names)
        self._held = ""
        self._count = 0

    def feed(self, text: str) -> tuple[str, list[Call]]:
        """The text that is no call, and the calls that are complete now."""
        self._held += text
        plain = ""
        calls: list[Call] = []
        while True:
            before, found, rest = self._held.partition(OPEN)
            if not found:
                keep = _overlap(self._held, OPEN)
                plain += self._held[: len(self._held) - keep]
                self._held = self._held[len(self._held) - keep :]
                return plain, calls
            inside, closed, after = rest.partition(CLOSE)
            plain += before
            if not closed:
                self._held = found + rest
                return plain, calls
            call = self._read(inside)
            if call is None:
                plain += found + inside + closed
            else:
                calls.append(call)
            self._held = after

    def finish(self) -> str:
        """What was held back, no call after all."""
        held, self._held = self._held, ""
        return held

    def _read(self, text: str) -> Call | None:
        """The call in the text; None for what is no call of a known function."""
        try:
            told: Any = json.loads(text)
        except ValueError:
            return None
        if not isinstance(told, dict):
            return None
        call = cast("dict[str, Any]", told)
        name, arguments = call.get("name"), call.get("arguments", {})
        if name not in self._names or not isinstance(arguments, dict | str):
            return None
        text = arguments if isinstance(arguments, str) else json.dumps(arguments)
        call_id = f"call_{secrets.token_hex(12)}"
        self._count += 1
        return Call(number=self._count - 1, id=call_id, name=str(name), arguments=text)


def _overlap(text: str, mark: str) -> int:
    """How many characters at the end of the text may begin the mark."""
    lengths = range(min(len(text), len(mark) - 1), 0, -1)
    return next((n for n in lengths if text.endswith(mark[:n])), 0)
