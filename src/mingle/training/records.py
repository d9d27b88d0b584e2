"""Training records: messages with media paths, and the layouts of others turned into them.

Our own layout is that of LLaMA-Factory and ms-swift: `messages` with `role` and `content`, where
`<image>`, `<audio>` and `<video>` in the content stand for the next path of `images`, `audios` and
`videos`; or content as a list of typed parts. Media in an answer are what is to be made: a picture
to paint, speech to speak.
"""

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from mingle.errors import InputError
from mingle.messages import Audio, Image, Message, Part, Role, Text, Video

Layout = Literal["messages", "sharegpt", "llava"]
ROLES: dict[str, Role] = {
    "system": "system",
    "user": "user",
    "human": "user",
    "assistant": "assistant",
    "gpt": "assistant",
    "model": "assistant",
}
KINDS: dict[str, tuple[str, type[Image] | type[Audio] | type[Video]]] = {
    "image": ("images", Image),
    "audio": ("audios", Audio),
    "video": ("videos", Video),
}
_MARK = re.compile(r"<(image|audio|video)>")


@dataclass(frozen=True, kw_only=True)
class Record:
    """One training example: a conversation that ends with an answer."""

    messages: tuple[Message, ...]
    name: str


def parse(raw: Any, *, layout: Layout, media: Path, name: str) -> Record:
    """Check one record and turn it into messages; media paths are relative to `media`.

    Raises InputError that says what is wrong: no answer at the end, marks and paths that do not
    match, files that are not there.
    """
    if not isinstance(raw, Mapping):
        raise InputError(f"found {type(raw).__name__}, expected an object with messages")
    turns, paths = READERS[layout](raw)
    pool = {key: iter(items) for key, items in paths.items()}
    messages = tuple(_message(turn, pool, media) for turn in turns)
    for key, left in pool.items():
        extra = list(left)
        if extra:
            raise InputError(f"{len(extra)} of the {key} have no mark in the text: {extra[0]}")
    roles = [message.role for message in messages if message.role != "system"]
    if len(roles) < 2 or roles[-1] != "assistant" or roles[0] != "user":
        raise InputError(f"found turns {roles}, expected user first and an answer last")
    return Record(messages=messages, name=name)


def _own(raw: Mapping[str, Any]) -> tuple[list[Any], dict[str, list[Any]]]:
    return _list(raw, "messages"), _paths(raw)


def _sharegpt(raw: Mapping[str, Any]) -> tuple[list[Any], dict[str, list[Any]]]:
    turns = _list(raw, "conversations")
    if isinstance(raw.get("system"), str) and raw["system"]:
        turns = [{"from": "system", "value": raw["system"]}, *turns]
    return [{"role": _get(t, "from"), "content": _get(t, "value")} for t in turns], _paths(raw)


def _llava(raw: Mapping[str, Any]) -> tuple[list[Any], dict[str, list[Any]]]:
    turns, paths = _sharegpt(raw)
    for key, _ in KINDS.values():
        single = raw.get(key.removesuffix("s"))
        if single is not None:
            paths[key] = list(single) if isinstance(single, list) else [single]
    cleaned = [{**turn, "content": _without_mark_lines(turn["content"])} for turn in turns]
    return cleaned, paths


READERS: dict[str, Callable[[Mapping[str, Any]], tuple[list[Any], dict[str, list[Any]]]]] = {
    "messages": _own,
    "sharegpt": _sharegpt,
    "llava": _llava,
}


def _message(turn: Any, pool: Mapping[str, Iterator[Any]], media: Path) -> Message:
    role, content = _get(turn, "role"), _get(turn, "content")
    if role not in ROLES:
        raise InputError(f"unknown role '{role}'; known: {', '.join(ROLES)}")
    pieces = content if isinstance(content, list) else list(_marked(content, pool))
    parts = tuple(_part(piece, media) for piece in pieces)
    if not parts:
        raise InputError(f"a turn of '{role}' is empty")
    return Message(role=ROLES[role], parts=parts)


def _marked(text: Any, pool: Mapping[str, Iterator[Any]]) -> Iterator[dict[str, Any]]:
    """Typed parts of a text with marks; each mark takes the next path of its kind."""
    if not isinstance(text, str):
        raise InputError(f"found content of type {type(text).__name__}, expected text or parts")
    for number, piece in enumerate(_MARK.split(text)):
        if number % 2 == 0:
            if piece:
                yield {"type": "text", "text": piece}
            continue
        path = next(pool[KINDS[piece][0]], None)
        if path is None:
            raise InputError(f"the text has more <{piece}> than the record has {KINDS[piece][0]}")
        yield {"type": piece, piece: path}


def _part(piece: Any, media: Path) -> Part:
    kind = _get(piece, "type")
    if kind == "text":
        return Text(text=str(_get(piece, "text")))
    if kind not in KINDS:
        raise InputError(f"unknown part '{kind}'; known: text, {', '.join(KINDS)}")
    path = media / str(_get(piece, kind))
    if not path.exists():
        raise InputError(f"{kind} {path} is missing")
    return KINDS[kind][1](source=path)


def _without_mark_lines(text: Any) -> Any:
    """LLaVA puts each mark on a line of its own; the newline belongs to the mark."""
    return re.sub(r"(<(?:image|video)>)\n|\n(<(?:image|video)>)", r"\1\2", text)


def _paths(raw: Mapping[str, Any]) -> dict[str, list[Any]]:
    return {key: _list(raw, key) if key in raw else [] for key, _ in KINDS.values()}


def _list(raw: Mapping[str, Any], key: str) -> list[Any]:
    value = raw.get(key)
    if not isinstance(value, list):
        raise InputError(f"'{key}' is {type(value).__name__}, expected a list")
    return list(value)


def _get(raw: Any, key: str) -> Any:
    if not isinstance(raw, Mapping) or key not in raw:
        raise InputError(f"'{key}' is missing in {str(raw)[:80]}")
    return raw[key]
