"""Attention over packed sequences: tokens of many sequences stand in one row, without padding.

A module computes queries, keys and values for all tokens at once and asks its `Attend` for the
attention itself. `Packed` is the stateless kind (training, encoders, a whole prompt at once);
`Cached` continues sequences whose earlier keys lie in a `KVCache` each; `Behind` only reads them.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import accumulate
from typing import Protocol, runtime_checkable

import torch
from jaxtyping import Bool, Float
from torch import Tensor
from torch.nn import functional as F

from mingle.nn.cache import KVCache

WASTE = 2.0  # times the work that one call for all sequences, filled up, may take on a GPU


@dataclass(frozen=True, kw_only=True)
class Mask:
    """Who may look at whom inside one sequence. `window` counts keys, the own token included."""

    causal: bool
    window: int | None = None


@runtime_checkable
class Attend(Protocol):
    """What a module's forward needs to attend: the layer's number selects its cache row."""

    def __call__(
        self,
        layer: int,
        queries: Float[Tensor, "tokens heads head_dim"],
        keys: Float[Tensor, "tokens kv_heads head_dim"],
        values: Float[Tensor, "tokens kv_heads head_dim"],
        mask: Mask,
    ) -> Float[Tensor, "tokens heads head_dim"]: ...


class Packed:
    """Attention inside each of the sequences whose lengths are given, in order, and no memory."""

    def __init__(self, lengths: Sequence[int]):
        self.lengths = tuple(lengths)

    def __call__(
        self,
        layer: int,
        queries: Float[Tensor, "tokens heads head_dim"],
        keys: Float[Tensor, "tokens kv_heads head_dim"],
        values: Float[Tensor, "tokens kv_heads head_dim"],
        mask: Mask,
    ) -> Float[Tensor, "tokens heads head_dim"]:
        assert sum(self.lengths) == queries.shape[0], (self.lengths, queries.shape)
        if len(set(self.lengths)) == 1:  # equal lengths: one call for all sequences
            count = len(self.lengths)
            q, k, v = (x.unflatten(0, (count, -1)).transpose(1, 2) for x in (queries, keys, values))
            return attention(q, k, v, mask).transpose(1, 2).flatten(0, 1)
        if queries.device.type != "cpu" and not mask.causal and min(self.lengths):
            if max(self.lengths) * len(self.lengths) <= WASTE * sum(self.lengths):
                return filled_up(self.lengths, queries, keys, values)
        split = (x.transpose(0, 1)[None].split(self.lengths, 2) for x in (queries, keys, values))
        rows = [attention(q, k, v, mask) for q, k, v in zip(*split, strict=True)]
        return torch.cat(rows, dim=2)[0].transpose(0, 1)


class Cached:
    """Attention of new tokens to themselves and to what their sequence's cache holds.

    The caller calls `commit` after the last layer.
    """

    def __init__(self, caches: Sequence[KVCache], lengths: Sequence[int]):
        assert len(caches) == len(lengths)
        self.caches = tuple(caches)
        self.lengths = tuple(lengths)
        self.bounds = (0, *accumulate(self.lengths))

    def __call__(
        self,
        layer: int,
        queries: Float[Tensor, "tokens heads head_dim"],
        keys: Float[Tensor, "tokens kv_heads head_dim"],
        values: Float[Tensor, "tokens kv_heads head_dim"],
        mask: Mask,
    ) -> Float[Tensor, "tokens heads head_dim"]:
        if len(self.caches) == 1:
            return _continue(self.caches[0], layer, queries, keys, values, mask)
        split = (x.split(self.lengths) for x in (queries, keys, values))
        rows = zip(self.caches, *split, strict=True)
        return torch.cat([_continue(cache, layer, q, k, v, mask) for cache, q, k, v in rows])

    def commit(self) -> None:
        """Count the new tokens in every cache; call once, after the last layer."""
        for cache, length in zip(self.caches, self.lengths, strict=True):
            cache.commit(length)


class Behind:
    """Attention of new tokens to themselves and to what their sequence's cache holds, read only.

    For training: the tokens in the caches are constants, gradients flow among the new ones.
    """

    def __init__(self, caches: Sequence[KVCache], lengths: Sequence[int]):
        assert len(caches) == len(lengths)
        self.caches = tuple(caches)
        self.lengths = tuple(lengths)

    def __call__(
        self,
        layer: int,
        queries: Float[Tensor, "tokens heads head_dim"],
        keys: Float[Tensor, "tokens kv_heads head_dim"],
        values: Float[Tensor, "tokens kv_heads head_dim"],
        mask: Mask,
    ) -> Float[Tensor, "tokens heads head_dim"]:
        split = (x.transpose(0, 1).split(self.lengths, 1) for x in (queries, keys, values))
        rows = []
        for cache, q, k, v in zip(self.caches, *split, strict=True):
            old_keys, old_values = cache.read(layer)
            k, v = torch.cat((old_keys, k), dim=1), torch.cat((old_values, v), dim=1)
            rows.append(attention(q[None], k[None], v[None], mask)[0])
        return torch.cat(rows, dim=1).transpose(0, 1)


def _continue(
    cache: KVCache, layer: int, queries: Tensor, keys: Tensor, values: Tensor, mask: Mask
) -> Tensor:
    """One sequence's new tokens."""
    all_keys, all_values = cache.append(layer, keys, values)
    new_queries = queries.transpose(0, 1)[None]
    return attention(new_queries, all_keys[None], all_values[None], mask)[0].transpose(0, 1)


def filled_up(
    lengths: Sequence[int],
    queries: Float[Tensor, "tokens heads head_dim"],
    keys: Float[Tensor, "tokens kv_heads head_dim"],
    values: Float[Tensor, "tokens kv_heads head_dim"],
) -> Float[Tensor, "tokens heads head_dim"]:
    """Attention inside each sequence, both ways, in one call: all are filled up to the longest one.

    Where starting a call costs more than what it computes; on a processor each by itself is faster.
    """
    counts = torch.tensor(lengths)[:, None]
    room = torch.arange(int(counts.max()))
    heard = room < counts
    rows = (counts.cumsum(0) - counts + torch.minimum(room, counts - 1)).to(queries.device)
    q, k, v = (x[rows].transpose(1, 2) for x in (queries, keys, values))
    k, v = (x.repeat_interleave(q.shape[1] // x.shape[1], dim=1) for x in (k, v))
    mask = heard[:, None, None].to(queries.device)
    found = F.scaled_dot_product_attention(q, k, v, attn_mask=mask)
    return found.transpose(1, 2).flatten(0, 1)[heard.flatten().nonzero()[:, 0].to(queries.device)]


def attention(
    queries: Float[Tensor, "batch heads new head_dim"],
    keys: Float[Tensor, "batch kv_heads total head_dim"],
    values: Float[Tensor, "batch kv_heads total head_dim"],
    mask: Mask,
) -> Float[Tensor, "batch heads new head_dim"]:
    """Scaled dot-product attention, softmax in at least fp32; the new tokens are the last ones."""
    heads, new = queries.shape[1:3]
    kv_heads, total = keys.shape[1:3]
    if new == 1:  # the heads of a group share keys: let them stand as rows, nothing is repeated
        if mask.window is not None and mask.causal:
            keys, values = keys[:, :, -mask.window :], values[:, :, -mask.window :]
        grouped = queries.reshape(queries.shape[0], kv_heads, heads // kv_heads, -1)
        return F.scaled_dot_product_attention(grouped, keys, values).reshape(queries.shape)
    if mask.causal and new < total:  # the same for several: a long cache is not copied
        allowed = _causal(new, total, mask.window, queries.device).repeat(heads // kv_heads, 1)
        grouped = queries.reshape(queries.shape[0], kv_heads, -1, queries.shape[3])
        found = F.scaled_dot_product_attention(grouped, keys, values, attn_mask=allowed)
        return found.reshape(queries.shape)
    keys = keys.repeat_interleave(heads // kv_heads, dim=1)
    values = values.repeat_interleave(heads // kv_heads, dim=1)
    if mask.causal and mask.window is None:
        return F.scaled_dot_product_attention(queries, keys, values, is_causal=True)
    allowed = None if not mask.causal else _causal(new, total, mask.window, queries.device)
    return F.scaled_dot_product_attention(queries, keys, values, attn_mask=allowed)


def _causal(
    new: int, total: int, window: int | None, device: torch.device
) -> Bool[Tensor, "new total"]:
    query = torch.arange(total - new, total, device=device)[:, None]
    key = torch.arange(total, device=device)[None, :]
    allowed = key <= query
    return allowed if window is None else allowed & (key > query - window)
