"""Telling thoughts from the answer while an answer streams in."""

from collections.abc import Iterator
from typing import Literal

Channel = Literal["answer", "reasoning"]


class ReasoningSplitter:
    """Splits streamed text at the tags around thoughts, which may arrive in pieces.

    Thoughts are recognised at the beginning of the answer only (after white space), so an answer
    that merely mentions the tags stays whole. Newlines next to the tags belong to the tags.
    """

    def __init__(self, tags: tuple[str, str]):
        self._open, self._close = tags
        self._state: Literal["start", "reasoning", "gap", "answer"] = "start"
        self._at_thought_start = False
        self._held = ""

    def feed(self, text: str) -> list[tuple[Channel, str]]:
        """The pieces that can be told apart by now, in order; what might be a tag waits."""
        self._held += text
        return list(self._advance())

    def finish(self) -> list[tuple[Channel, str]]:
        """What still waits, when no more text will come."""
        held, self._held = self._held, ""
        channel: Channel = "reasoning" if self._state == "reasoning" else "answer"
        return [(channel, held)] if held else []

    def _advance(self) -> Iterator[tuple[Channel, str]]:
        if self._state == "start":
            self._start()
        if self._state == "reasoning":
            yield from self._think()
        if self._state == "gap":
            self._held = self._held.lstrip("\n")
            self._state = "answer" if self._held else "gap"
        if self._state == "answer" and self._held:
            yield "answer", self._held
            self._held = ""

    def _start(self) -> None:
        opening = self._held.lstrip()
        if opening.startswith(self._open):
            self._state, self._held = "reasoning", opening.removeprefix(self._open)
            self._at_thought_start = True
        elif not self._open.startswith(opening):
            self._state = "answer"

    def _think(self) -> Iterator[tuple[Channel, str]]:
        if self._at_thought_start:
            self._held = self._held.lstrip("\n")
            self._at_thought_start = not self._held
        thought, closed, rest = self._held.partition(self._close)
        if closed:
            self._state, self._held = "gap", rest
            thought = thought.rstrip("\n")
        else:
            keep = self._waiting(thought)
            thought, self._held = thought[: len(thought) - keep], thought[len(thought) - keep :]
        if thought:
            yield "reasoning", thought

    def _waiting(self, text: str) -> int:
        """Characters at the end that may turn out to be newlines and the closing tag."""
        for length in range(len(self._close) - 1, 0, -1):
            if text.endswith(self._close[:length]):
                text = text[:-length]
                break
        else:
            length = 0
        return length + len(text) - len(text.rstrip("\n"))
