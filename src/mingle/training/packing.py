"""Packing: samples of many lengths into rows of a token budget, nothing cut and nothing padded."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

T = TypeVar("T")


@dataclass(frozen=True, kw_only=True)
class Pack(Generic[T]):
    """Samples that share a row. `position` is where the stream goes on: `{"next", "held"}`."""

    samples: tuple[T, ...]
    tokens: int
    position: dict[str, Any]


def pack(
    stream: Callable[[int], Iterator[tuple[int, T]]],
    fetch: Callable[[Sequence[int]], list[T]],
    *,
    length: Callable[[T], int],
    budget: int,
    window: int,
    position: dict[str, Any] | None,
) -> Iterator[Pack[T]]:
    """Fill rows of `budget` tokens from a window of samples: the oldest, then whatever fits best.

    `stream(first)` yields (index, sample) from an index on; `fetch(indices)` makes those again that
    were held back when a run stopped. A sample longer than the budget gets a row of its own.
    """
    position = position or {"next": 0, "held": []}
    held = list(zip(position["held"], fetch(position["held"]), strict=True))
    following, samples = position["next"], stream(position["next"])
    while True:
        while len(held) < window:
            index, sample = next(samples)
            following = index + 1
            held.append((index, sample))
        row = [held.pop(0)]
        room = budget - length(row[0][1])
        while (best := _best_fit([length(sample) for _, sample in held], room)) is not None:
            row.append(held.pop(best))
            room -= length(row[-1][1])
        yield Pack(
            samples=tuple(sample for _, sample in row),
            tokens=budget - room,
            position={"next": following, "held": [index for index, _ in held]},
        )


def _best_fit(lengths: Sequence[int], room: int) -> int | None:
    """The longest that fits; of equals the oldest."""
    fitting = [(length, -place) for place, length in enumerate(lengths) if length <= room]
    return -max(fitting)[1] if fitting else None
