"""A live conversation as plain data: its items for the client, its messages for the model."""

import secrets
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from itertools import groupby
from typing import Any, Literal

import numpy as np

from mingle.engine.session import heard_text
from mingle.messages import Image, Message, Part, Role, SpeechChunk, Text
from mingle.serving.chat_schema import FunctionCall
from mingle.serving.faults import AbsentError
from mingle.serving.tools import call_text, result_text

TURN_TOKENS = 16  # markup around a turn and a medium, at most
KEPT = 0.75  # of the budget, when something has to be forgotten


@dataclass(frozen=True, kw_only=True)
class Window:
    """Which pictures stay before the model: `most` of them, none from before `since_s`.

    When something has to go, all from before `kept_s` goes, or the pictures are thinned: see
    `thinned`. What stays has to be read again: such strides make that rare.
    """

    most: int
    since_s: float
    kept_s: float


@dataclass(kw_only=True)
class Item:
    """One item. `content` is what the client is told of it, without pictures and sound.

    An answer's text is `text`; once it was interrupted, what was heard of it (`heard_s`).
    """

    id: str
    type: Literal["message", "function_call", "function_call_output"] = "message"
    role: Role = "user"
    status: Literal["in_progress", "completed", "incomplete"] = "completed"
    content: list[dict[str, Any]] = field(default_factory=list[dict[str, Any]])
    call: dict[str, str] = field(default_factory=dict[str, str])
    text: str = ""
    chunks: list[SpeechChunk] = field(default_factory=list[SpeechChunk])
    heard_s: float | None = None

    @property
    def known_text(self) -> str:
        """The answer as far as it counts."""
        return self.text if self.heard_s is None else heard_text(self.chunks, self.heard_s)

    def speak(self, chunk: SpeechChunk) -> None:
        """Note what was spoken: its words and its length. The samples themselves are not kept."""
        silent = np.broadcast_to(np.zeros(1, chunk.samples.dtype), chunk.samples.shape)
        self.chunks.append(replace(chunk, samples=silent))

    def told(self) -> dict[str, Any]:
        """The item as JSON."""
        head = {"id": self.id, "object": "realtime.item", "type": self.type, "status": self.status}
        if self.type != "message":
            return {**head, **self.call}
        return {**head, "role": self.role, "content": self.content}


@dataclass(frozen=True, kw_only=True, eq=False)
class Entry:
    """What an item puts before the model, when it came, and how many tokens that takes."""

    item_id: str
    role: Role
    part: Part | None
    """None: an answer, whose text may still change."""
    tokens: int
    at_s: float


class Conversation:
    """Items by id, in order; entries in the order in which they came in."""

    def __init__(self, count: Callable[[Part], int]):
        self._count = count
        self.items: dict[str, Item] = {}
        self._entries: list[Entry] = []

    def find(self, item_id: str) -> Item:
        """Raises AbsentError for an unknown id."""
        if item_id not in self.items:
            raise AbsentError(f"there is no item '{item_id[:80]}' in this conversation")
        return self.items[item_id]

    @property
    def last_id(self) -> str | None:
        """The last item's id."""
        return next(reversed(self.items), None)

    def add(self, item: Item, parts: Sequence[Part], at_s: float, after: str | None = None) -> None:
        """Add an item with what the model reads of it; "root" is before everything."""
        known = self.items
        if after is None or after == self.last_id:
            known[item.id] = item
            where = len(self._entries)
        else:
            ids = list(known)
            index = 0 if after == "root" else ids.index(self.find(after).id) + 1
            before = set(ids[:index])
            ordered = [*ids[:index], item.id, *ids[index:]]
            self.items = {one: known.get(one, item) for one in ordered}
            places = [i for i, entry in enumerate(self._entries) if entry.item_id in before]
            where = places[-1] + 1 if places else 0
        made = [self._entry(item, part, at_s) for part in parts]
        if item.role == "assistant" and item.type == "message":
            made = [self._entry(item, None, at_s)]
        self._entries[where:where] = made

    def hear(self, item_id: str, part: Part, at_s: float) -> None:
        """Add a piece of a message that is still being spoken; its item comes later."""
        tokens = self._count(part) + TURN_TOKENS
        self._entries.append(
            Entry(item_id=item_id, role="user", part=part, tokens=tokens, at_s=at_s)
        )

    def remove(self, item_id: str) -> None:
        """Take an item out."""
        self.find(item_id)
        del self.items[item_id]
        self.unhear(item_id)

    def unhear(self, item_id: str) -> None:
        """Take its entries out."""
        self._entries = [entry for entry in self._entries if entry.item_id != item_id]

    def stale(self, *, budget: int, window: Window | None = None) -> list[Entry]:
        """What should be forgotten: pictures outside the window, and the oldest of too much.

        Nothing as long as the entries fit into `budget` tokens, else so many that they do for a
        while.
        """
        gone = [] if window is None else self._outside(window)
        left = [e for e in self._entries if e not in gone]
        excess = sum(map(self._size, left)) - budget
        if excess <= 0:
            return gone
        excess += int(budget * (1 - KEPT))
        for entry in sorted(left[:-1], key=lambda e: not _is_picture(e)):  # the last one stays
            if excess <= 0:
                break
            gone.append(entry)
            excess -= self._size(entry)
        return gone

    def _outside(self, window: Window) -> list[Entry]:
        pictures = kept = [entry for entry in self._entries if _is_picture(entry)]
        if any(entry.at_s < window.since_s for entry in pictures):
            kept = [entry for entry in pictures if entry.at_s >= window.kept_s]
        if len(kept) > window.most:
            kept = thinned(kept, window.most // 2)
        return [entry for entry in pictures if entry not in kept]

    def forget(self, entries: Sequence[Entry]) -> None:
        """Take entries from before the model; their items stay known to the client."""
        names = {id(entry) for entry in entries}
        self._entries = [entry for entry in self._entries if id(entry) not in names]

    def messages(
        self, system: str, without: Sequence[Entry] = (), *, words_first: bool = False
    ) -> tuple[Message, ...]:
        """The messages for the model; neighbours of one role are one message.

        `words_first`: this model reads the words of a message before its pictures. What was read
        ahead would then be of no use to a question, so it stands apart: see `apart`.
        """
        said = [Message(role="system", parts=(Text(text=system),))] if system else []
        names = {id(entry) for entry in without}
        entries = [entry for entry in self._entries if id(entry) not in names]
        shown: list[tuple[Role, Part]] = [
            (entry.role, part) for entry in entries if (part := self._part(entry))
        ]
        for _, group in groupby(shown, key=lambda pair: pair[0]):
            turn = list(group)
            parts = tuple(part for _, part in turn)
            pieces = apart(parts) if words_first else [parts]
            said += [Message(role=turn[0][0], parts=piece) for piece in pieces]
        return tuple(said)

    @property
    def num_tokens(self) -> int:
        """About how many tokens the model reads."""
        return sum(map(self._size, self._entries))

    def _entry(self, item: Item, part: Part | None, at_s: float) -> Entry:
        tokens = TURN_TOKENS + (self._count(part) if part is not None else 0)
        role: Role = "user" if item.role == "system" else item.role
        return Entry(item_id=item.id, role=role, part=part, tokens=tokens, at_s=at_s)

    def _part(self, entry: Entry) -> Part | None:
        """The part, or the answer as it counts now; None for one of which nothing was heard."""
        if entry.part is not None:
            return entry.part
        text = self.items[entry.item_id].known_text
        return Text(text=text) if text else None

    def _size(self, entry: Entry) -> int:
        part = None if entry.part is not None else self._part(entry)
        return entry.tokens + (self._count(part) if part is not None else 0)


def thinned(pictures: Sequence[Entry], count: int) -> list[Entry]:
    """So many of the pictures: the newest half of them in a row, the others evenly over the past.

    The first picture is among them.
    """
    recent = count // 2
    old, new = list(pictures[:-recent]), pictures[-recent:]
    while len(old) > count - recent:
        times = [entry.at_s for entry in (*old, new[0])]
        inner = range(1, len(old))  # the one whose neighbours are closest is missed least
        del old[min(inner, key=lambda i: times[i + 1] - times[i - 1])]
    return [*old, *new]


def apart(parts: Sequence[Part]) -> list[tuple[Part, ...]]:
    """The parts of one turn as several messages: words go with the picture just before them.

    Earlier pictures stay a message of their own, which reads the same whatever is said later.
    """
    turns: list[list[Part]] = [[]]
    for part in parts:
        now = turns[-1]
        if isinstance(part, Text) and now and isinstance(now[-1], Image):
            turns.append([now.pop()])
        elif isinstance(part, Image) and any(isinstance(one, Text) for one in now):
            turns.append([])
        turns[-1].append(part)
    return [tuple(turn) for turn in turns if turn]


def new_id(kind: str) -> str:
    """A fresh id such as item_... or resp_..."""
    return f"{kind}_{secrets.token_hex(10)}"


def call_item(item_id: str | None, call_id: str, name: str, arguments: str) -> tuple[Item, Part]:
    """A call as an item, and as the model wrote it."""
    told = {"call_id": call_id, "name": name, "arguments": arguments}
    item = Item(id=item_id or new_id("item"), type="function_call", role="assistant", call=told)
    return item, Text(text=call_text(FunctionCall(name=name, arguments=arguments)))


def result_item(item_id: str | None, call_id: str, output: str) -> tuple[Item, Part]:
    """What a function returned, as an item and as the model reads it."""
    told = {"call_id": call_id, "output": output}
    item = Item(id=item_id or new_id("item"), type="function_call_output", call=told)
    return item, Text(text=result_text(output))


def _is_picture(entry: Entry) -> bool:
    return isinstance(entry.part, Image)
