"""Prefix reuse: caches of finished conversations, found again by what their tokens are.

A token is known by its id, a media token by the content of its picture, frame or recording: two
prompts share a prefix only where text and media are the same.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from hashlib import blake2b

import numpy as np
from jaxtyping import Int64

from mingle.messages import Span
from mingle.nn.cache import KVCache
from mingle.processing.inputs import Prompt


@dataclass(kw_only=True)
class Memory:
    """A cache and what it holds: one key a token, and the positions.

    `positions[i]` is where token i begins on the time axis, and one more entry says where the next
    token would. `ahead`: it was only read, for a conversation that goes on.
    """

    keys: Int64[np.ndarray, " tokens"]
    positions: Int64[np.ndarray, " tokens_and_one"]
    cache: KVCache
    ahead: bool = False


ENDING = 64  # tokens of a template behind the last words, at most


class PrefixStore:
    """Memories of finished requests, least recently used first, within a limit in bytes."""

    def __init__(self, max_bytes: int):
        self.max_bytes = max_bytes
        self._memories: list[Memory] = []

    @property
    def num_bytes(self) -> int:
        """Memory held by all caches, in bytes."""
        return sum(memory.cache.num_bytes for memory in self._memories)

    def take(self, keys: Int64[np.ndarray, " tokens"]) -> Memory | None:
        """The longest remembered prefix of these tokens, as a memory of the caller's own.

        At least one token is left to compute. A memory that is a prefix as a whole leaves the
        store, and one that was read ahead, but for its ending; of one that goes on differently the
        shared part is copied.
        """
        lengths = [shared_length(memory.keys, keys) for memory in self._memories]
        length = max(lengths, default=0)
        if length == 0:
            return None
        found = self._memories.pop(lengths.index(length))
        cache = found.cache
        if found.ahead and len(found.keys) - length <= ENDING:
            cache.truncate(length)
        elif length < len(found.keys):
            self._memories.append(found)  # it was used: it moves to the young end
            cache = cache.fork(length)
        positions = found.positions[: length + 1]
        return Memory(keys=keys[:length], positions=positions, cache=cache)

    def keep(self, memory: Memory) -> None:
        """Remember a cache; older ones go when the limit in bytes is passed."""
        if memory.cache.length == 0:
            return
        self._memories = [m for m in self._memories if not _begins(memory.keys, m.keys)]
        self._memories.append(memory)
        while self.num_bytes > self.max_bytes:
            self._memories.pop(0)

    def clear(self) -> None:
        """Forget everything."""
        self._memories.clear()


def content_keys(prompt: Prompt) -> Int64[np.ndarray, " tokens"]:
    """One number a token: the id of a text token, a negative piece of its media's hash else."""
    keys = prompt.ids.copy()
    if prompt.spans:  # all at once: a live conversation asks at every turn, of many pictures
        digests = b"".join(_digest(prompt, span) for span in prompt.spans)
        numbers = np.frombuffer(digests, dtype=np.int64).reshape(len(prompt.spans), -1)
        starts, lengths = np.array([(span.start, span.length) for span in prompt.spans]).T
        span = np.repeat(np.arange(len(starts)), lengths)
        place = np.arange(len(span)) - np.repeat(lengths.cumsum() - lengths, lengths)
        keys[starts[span] + place] = numbers[span, place % numbers.shape[1]] | np.int64(-(2**63))
    return keys


def shared_length(
    old: Int64[np.ndarray, " old_tokens"], new: Int64[np.ndarray, " new_tokens"]
) -> int:
    """How many leading tokens agree, cut so that both go on with text and one token is left.

    Media are never cut in two, and the tag that opens them is computed with them.
    """
    common = min(len(old), len(new) - 1)
    differs = np.flatnonzero(old[:common] != new[:common])
    length = int(differs[0]) if differs.size else common
    while length > 0 and (new[length] < 0 or (length < len(old) and old[length] < 0)):
        length -= 1
    return length


def tail(prompt: Prompt, start: int) -> Prompt:
    """The prompt from token `start` on, which no span may cross, with the media it needs."""
    spans = [span for span in prompt.spans if span.start >= start]
    assert all(span.start + span.length <= start for span in prompt.spans if span.start < start)
    images, frames, recordings = (_items(spans, kind) for kind in ("image", "frame", "audio"))
    numbers = {"image": images, "frame": frames, "audio": recordings}
    return Prompt(
        ids=prompt.ids[start:],
        spans=tuple(_moved(span, start, numbers[span.kind]) for span in spans),
        images=tuple(prompt.images[item] for item in images),
        frames=tuple(prompt.frames[item] for item in frames),
        recordings=tuple(prompt.recordings[item] for item in recordings),
        behind_media=prompt.behind_media or any(span.start < start for span in prompt.spans),
    )


def _items(spans: Sequence[Span], kind: str) -> list[int]:
    """The items of one kind, each once, in order."""
    return list(dict.fromkeys(span.item for span in spans if span.kind == kind))


def _moved(span: Span, by: int, items: Sequence[int]) -> Span:
    return replace(span, start=span.start - by, item=items.index(span.item))


def _begins(whole: Int64[np.ndarray, " a"], part: Int64[np.ndarray, " b"]) -> bool:
    return len(part) <= len(whole) and np.array_equal(whole[: len(part)], part)


def _digest(prompt: Prompt, span: Span) -> bytes:
    """64 bytes that stand for one media item: its kind, its grid and its values."""
    digest = blake2b(f"{span.kind} {span.grid} {span.length}".encode())
    if span.kind == "audio":
        digest.update(np.ascontiguousarray(prompt.recordings[span.item]).data)
    else:
        source = prompt.frames if span.kind == "frame" else prompt.images
        digest.update(source[span.item].digest)
    return digest.digest()
