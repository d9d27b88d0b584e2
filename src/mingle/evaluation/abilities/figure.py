"""What an ability's measurement is: named figures with confidence intervals and bars."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np

from mingle.engine.assistant import Assistant

Number = float | int
RESAMPLES = 1000


@dataclass(frozen=True, kw_only=True)
class Figure:
    """One number. `low` and `high` bound its 95 % confidence interval over `count` items.

    `bar` is what the project asks of it and `goal` where it is heading; None where it is only
    reported. `better` says which side of the bar is good.
    """

    name: str
    value: float
    low: float
    high: float
    count: int
    better: Literal["higher", "lower"]
    bar: float | None = None
    goal: float | None = None

    @property
    def passed(self) -> bool | None:
        """Whether the bar is reached; None where there is none."""
        if self.bar is None:
            return None
        return self.value >= self.bar if self.better == "higher" else self.value <= self.bar


@dataclass(frozen=True, kw_only=True)
class Effort:
    """How much is measured: a share of each ability's full set, where samples are written."""

    share: float
    samples: Path | None

    def of(self, full: int, least: int = 8) -> int:
        """So many of a set of `full` items."""
        return min(full, max(least, round(full * self.share)))

    def folder(self, ability: str) -> Path | None:
        """The samples' folder of an ability, made; None where none are wanted."""
        if self.samples is None:
            return None
        (path := self.samples / ability).mkdir(parents=True, exist_ok=True)
        return path


@dataclass(frozen=True, kw_only=True)
class Ability:
    """What a model can do, and how it is measured on held-out data.

    `parts` are those a model must have; `data` says in one line what is asked, and who judges.
    """

    name: str
    title: str
    parts: tuple[str, ...]
    data: str
    measure: Callable[[Assistant, Effort], list[Figure]]


def share(outcomes: Sequence[bool], z: float = 1.96) -> tuple[float, float, float]:
    """The share of True and its 95 % interval (Wilson's score interval)."""
    n = max(len(outcomes), 1)
    p = sum(outcomes) / n
    centre = (p + z * z / (2 * n)) / (1 + z * z / n)
    half = z * float(np.sqrt(p * (1 - p) / n + z * z / (4 * n * n))) / (1 + z * z / n)
    return p, max(0.0, centre - half), min(1.0, centre + half)


def ratio(tops: Sequence[Number], bottoms: Sequence[Number]) -> tuple[float, float, float]:
    """sum(tops) / sum(bottoms), as error rates are, with a 95 % bootstrap interval over items."""
    top, bottom = np.asarray(tops, float), np.asarray(bottoms, float)
    rng = np.random.default_rng(0)
    picks = rng.integers(len(top), size=(RESAMPLES, len(top)))
    rates = top[picks].sum(1) / np.maximum(bottom[picks].sum(1), 1e-9)
    low, high = np.quantile(rates, (0.025, 0.975))
    return float(top.sum() / max(bottom.sum(), 1e-9)), float(low), float(high)


def mean(values: Sequence[Number]) -> tuple[float, float, float]:
    """The mean with a 95 % bootstrap interval."""
    return ratio(values, [1.0] * len(values))
