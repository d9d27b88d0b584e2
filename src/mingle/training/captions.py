"""What the frozen thinker makes of texts: its last states, read once and kept on disk.

Reading a text costs about as much as training the brush on its picture, so texts are read in
shards, once for all epochs and runs. All prompts begin alike: their opening is computed once.
"""

import hashlib
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol, runtime_checkable

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from mingle.checkpoints.load import open_model
from mingle.messages import Modality, Request, user
from mingle.nn.attention import Mask, Packed, attention
from mingle.processing.inputs import Prompt
from mingle.thinker.model import Thinker
from mingle.thinker.positions import position_ids

AT_ONCE = 64  # texts; keeps the largest matrices inside the processor's cache

Rows = Float[Tensor, "_ dim"]


@runtime_checkable
class Prepares(Protocol):
    """What writes a request's prompt: a processor."""

    def prepare(self, request: Request) -> Prompt: ...


class Reader:
    """A thinker and its processor; `skip_rows` of every prompt are the opening that all share."""

    def __init__(self, thinker: Thinker, processor: Prepares, skip_rows: int):
        self.thinker, self.processor, self.skip_rows = thinker, processor, skip_rows

    @torch.no_grad()
    def read(self, texts: Sequence[str]) -> dict[str, Rows]:
        """The final states behind the opening, for each text: what painting conditions on."""
        prompts = {text: self._ids(text) for text in dict.fromkeys(texts)}
        opening = _Opening()
        first = next(iter(prompts.values()))
        self._think(first[None, : self.skip_rows], 0, opening)
        rows: dict[str, Rows] = {}
        for group in _alike(prompts):
            ids = np.stack([prompts[text] for text in group])
            assert (ids[:, : self.skip_rows] == first[: self.skip_rows]).all()
            behind = _Behind(opening, len(group))
            hidden = self._think(ids[:, self.skip_rows :], self.skip_rows, behind)
            rows |= dict(zip(group, hidden, strict=True))
        return rows

    def _ids(self, text: str) -> np.ndarray:
        return self.processor.prepare(Request(messages=(user(text),))).ids

    def _think(
        self, ids: np.ndarray, start: int, attend: "_Opening | _Behind"
    ) -> Float[Tensor, "texts tokens dim"]:
        count, length = ids.shape
        axes = self.thinker.config.rope.axes
        where = position_ids(start + length, (), axes=axes).ids[:, start:].repeat(1, count)
        embedded = self.thinker.embed_tokens(torch.from_numpy(ids.reshape(-1)))
        modality = torch.full((count * length,), Modality.TEXT)
        hidden, _ = self.thinker(embedded, where, modality, attend)
        return hidden.unflatten(0, (count, length))


@dataclass
class _Opening:
    """Attention inside one sequence that remembers its keys and values, layer by layer."""

    kept: dict[int, tuple[Tensor, Tensor]] = field(default_factory=dict)

    def __call__(
        self, layer: int, queries: Tensor, keys: Tensor, values: Tensor, mask: Mask
    ) -> Tensor:
        self.kept[layer] = (keys.transpose(0, 1), values.transpose(0, 1))
        return Packed([len(queries)])(layer, queries, keys, values, mask)


@dataclass
class _Behind:
    """Attention of `count` sequences of equal length, each as if it stood behind the opening."""

    opening: _Opening
    count: int

    def __call__(
        self, layer: int, queries: Tensor, keys: Tensor, values: Tensor, mask: Mask
    ) -> Tensor:
        rows = (x.unflatten(0, (self.count, -1)).transpose(1, 2) for x in (queries, keys, values))
        q, k, v = rows  # texts heads tokens head_dim
        before = [x[None].expand(self.count, -1, -1, -1) for x in self.opening.kept[layer]]
        k, v = (torch.cat(pair, dim=2) for pair in zip(before, (k, v), strict=True))
        return attention(q, k, v, mask).transpose(1, 2).flatten(0, 1)


def _alike(prompts: dict[str, np.ndarray]) -> Iterable[list[str]]:
    """Texts of equal length together, at most AT_ONCE of them."""
    by_length: dict[int, list[str]] = {}
    for text, ids in prompts.items():
        by_length.setdefault(len(ids), []).append(text)
    for group in by_length.values():
        for start in range(0, len(group), AT_ONCE):
            yield group[start : start + AT_ONCE]


def open_reader(model: str, skip_rows: int) -> Reader:
    """The thinker and the processor of a model. Raises CheckpointError, ConfigError."""
    folder = open_model(model)
    thinker = folder.load(("thinker",), dtype=torch.float32).thinker.eval()
    return Reader(thinker, folder.processor(), skip_rows)


class Library:
    """The states of numbered texts, shard by shard, from disk where they were read before.

    `texts(shard)` says what a shard holds. The reader is opened when a shard is missing.
    """

    def __init__(
        self,
        folder: Path,
        reader: Callable[[], Reader],
        texts: Callable[[int], Sequence[str]],
    ):
        self.folder, self.open, self.texts = folder, reader, texts
        self._reader: Reader | None = None
        self._shards: dict[int, dict[str, Rows]] = {}

    def rows(self, shard: int, text: str) -> Rows:
        """The states of one text of a shard, in fp16 as they are kept."""
        if shard not in self._shards:
            self._shards[shard] = self._load(shard)
        return self._shards[shard][text]

    def _load(self, shard: int) -> dict[str, Rows]:
        texts = list(dict.fromkeys(self.texts(shard)))
        digest = hashlib.sha256("\n".join(texts).encode()).hexdigest()[:16]
        path = self.folder / f"{shard:05d}-{digest}.pt"
        if path.exists():
            return torch.load(path, weights_only=True)
        known = {text: rows for held in self._shards.values() for text, rows in held.items()}
        fresh = [text for text in texts if text not in known]
        if fresh and self._reader is None:
            self._reader = self.open()
        read = {} if self._reader is None or not fresh else self._reader.read(fresh)
        rows = {text: known[text] if text in known else read[text].half() for text in texts}
        path.parent.mkdir(parents=True, exist_ok=True)
        partial = path.with_suffix(".partial")
        torch.save({text: tensor.clone() for text, tensor in rows.items()}, partial)
        partial.replace(path)
        return rows
