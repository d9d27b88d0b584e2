"""Batches in an order that a seed fixes, from any position on, made by worker processes."""

import itertools
import signal
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Generic, TypeVar

import numpy as np
from torch.utils.data import DataLoader, Dataset

T = TypeVar("T")
Make = Callable[[np.random.Generator], T]


@dataclass(frozen=True, kw_only=True)
class Batch:
    """What one forward pass reads. `data` is the task's own affair.

    `counts` says over how many items each loss is a mean (for example answer tokens), so that
    accumulated batches weigh right; a loss that is not named counts 1. `position` is a JSON value
    from which the stream goes on after this batch. `names` tell where the samples came from.
    """

    data: Any
    samples: int
    tokens: int
    counts: Mapping[str, int] = field(default_factory=dict)
    names: tuple[str, ...] = ()
    position: Any = None


@dataclass(frozen=True, kw_only=True)
class Draw:
    """Which part of the endless stream to yield: this seed, from here on, every ranks-th item."""

    seed: int
    position: Any = None
    rank: int = 0
    ranks: int = 1
    workers: int = 0

    def indices(self, first: int) -> Iterator[int]:
        """This rank's items from `first` on: those whose number leaves `rank` over `ranks`."""
        return itertools.count(first + (self.rank - first) % self.ranks, self.ranks)


def seed_of(*numbers: int) -> int:
    """One 63-bit seed from several numbers; any change of any of them changes all bits."""
    return int(np.random.SeedSequence(numbers).generate_state(1, np.uint64)[0] >> np.uint64(1))


def shared(position: Any, rank: int, ranks: int) -> Any:
    """Where `rank` of `ranks` goes on, from the position (a list: of every rank) that was saved.

    With the same number of ranks exactly there. With another, all start behind the furthest one,
    and what a packer held back is dealt out anew: the few items between are left out.
    """
    positions = position if isinstance(position, list) else [position]
    if len(positions) == ranks:
        return positions[rank]
    if any(position is None for position in positions):
        return None
    if isinstance(positions[0], int):
        return max(positions)
    held = [item for position in positions for item in position["held"]]
    return {"next": max(p["next"] for p in positions), "held": held[rank::ranks]}


def numbered(make: Make[T], draw: Draw) -> Iterator[tuple[int, T]]:
    """Yield `(position after it, make(rng))` for item 0, 1, 2, ... of an endless world.

    Item i depends on the seed and i alone: workers, ranks and restarts change nothing.
    """

    def item(index: int) -> tuple[int, T]:
        return index, make(np.random.default_rng((draw.seed, index)))

    for index, value in in_order(item, draw.indices(draw.position or 0), draw.workers):
        yield index + 1, value


def in_order(item: Callable[[int], T], indices: Iterator[int], workers: int) -> Iterator[T]:
    """Yield item(i) for each index in order; with workers, made ahead in other processes."""
    loader = DataLoader(
        _Items(item),
        sampler=indices,  # pyright: ignore[reportArgumentType]  # endless: has no length
        batch_size=None,
        num_workers=workers,
        collate_fn=_unchanged,
        prefetch_factor=4 if workers else None,
        multiprocessing_context="fork" if workers else None,  # the task is not pickled
        worker_init_fn=_leave_signals_to_the_parent,
    )
    return iter(loader)


class _Items(Dataset[T], Generic[T]):
    def __init__(self, item: Callable[[int], T]):
        self.item = item

    def __getitem__(self, index: int) -> T:
        return self.item(index)


def _unchanged(value: T) -> T:
    return value


def _leave_signals_to_the_parent(worker: int) -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
