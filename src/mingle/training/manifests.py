"""Manifests: files of training records, mixed by weight in an order that a seed fixes."""

import json
import logging
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any, TypeVar

import numpy as np

from mingle.errors import ConfigError, InputError, MingleError
from mingle.training.records import Layout, Record, parse
from mingle.training.streams import Draw, in_order

log = logging.getLogger(__name__)
T = TypeVar("T")
BLOCK = 1000  # so many picks hold each source exactly by its weight (to a thousandth)


@dataclass(frozen=True, kw_only=True)
class Source:
    """One file of records: JSON lines, or one JSON array. Media paths are relative to `media`."""

    manifest: Path
    weight: float
    layout: Layout = "messages"
    media: Path | None = None


@dataclass(frozen=True, kw_only=True)
class Bad:
    """A record that cannot be used, and why."""

    name: str
    reason: str


class Manifest:
    """A source's records by number; only their places in the file are held in memory."""

    def __init__(self, source: Source):
        self.source = source
        self.media = source.media or source.manifest.parent
        try:
            with open(source.manifest, "rb") as file:
                self._array = json.load(file) if file.read(1) == b"[" and not file.seek(0) else None
                file.seek(0)
                self._lines = _line_starts(file) if self._array is None else []
        except OSError as error:
            raise ConfigError(f"cannot read {source.manifest}: {error.strerror}") from error
        except ValueError as error:
            raise ConfigError(f"{source.manifest} is no JSON array: {error}") from error
        if not len(self):
            raise ConfigError(f"{source.manifest} holds no records")

    def __len__(self) -> int:
        return len(self._lines) if self._array is None else len(self._array)

    def read(self, number: int) -> Record:
        """Record `number`, checked. Raises InputError with the reason when it is broken."""
        try:
            raw = self._array[number] if self._array is not None else self._line(number)
        except ValueError as error:
            raise InputError(f"broken JSON: {error}") from error
        return parse(raw, layout=self.source.layout, media=self.media, name=self.name(number))

    def name(self, number: int) -> str:
        """Where a record stands, for messages: file and line (or place in the array), from 1."""
        return f"{self.source.manifest}:{number + 1}"

    def _line(self, number: int) -> Any:
        with open(self.source.manifest, "rb") as file:
            file.seek(self._lines[number])
            return json.loads(file.readline())


class Mixture:
    """Several manifests as one endless sequence; item i depends on the seed and i alone."""

    def __init__(self, sources: Sequence[Source], seed: int):
        if not sources or any(source.weight <= 0 for source in sources):
            raise ConfigError("data.sources: expected at least one, each with a weight above 0")
        self.manifests = [Manifest(source) for source in sources]
        weights = np.array([source.weight for source in sources])
        self.counts = _shares(weights / weights.sum(), BLOCK)
        self.seed = seed
        self._block = lru_cache(2)(self._order_of_block)
        self._epoch = lru_cache(2 * len(sources))(self._order_of_epoch)

    def at(self, index: int) -> tuple[Manifest, int]:
        """The manifest and the record number of item `index`.

        Each source is gone through in a new random order every time it begins again.
        """
        block, place = divmod(index, BLOCK)
        sources, ranks = self._block(block)
        source = int(sources[place])
        taken = block * int(self.counts[source]) + int(ranks[place])
        manifest = self.manifests[source]
        epoch, place = divmod(taken, len(manifest))
        return manifest, int(self._epoch(source, epoch)[place])

    def _order_of_block(self, block: int) -> tuple[np.ndarray, np.ndarray]:
        sources = np.repeat(np.arange(len(self.counts)), self.counts)
        np.random.default_rng((self.seed, 0, block)).shuffle(sources)
        ranks = np.zeros_like(sources)
        for source in range(len(self.counts)):
            mine = sources == source
            ranks[mine] = np.arange(mine.sum())
        return sources, ranks

    def _order_of_epoch(self, source: int, epoch: int) -> np.ndarray:
        rng = np.random.default_rng((self.seed, 1, source, epoch))
        return rng.permutation(len(self.manifests[source]))


class Quarantine:
    """Counts bad records, warns of each and writes it down; too many of them end the run.

    A record that comes again in a later epoch counts again, but is told only once.
    """

    def __init__(self, path: Path | None, max_share: float):
        self.path, self.max_share = path, max_share
        self.seen = self.bad = 0
        self.told: set[str] = set()

    def good(self) -> None:
        """Count a record that could be used."""
        self.seen += 1

    def put(self, record: Bad) -> None:
        """Note a bad record. Raises InputError when more than `max_share` of all are bad."""
        self.seen += 1
        self.bad += 1
        if record.name not in self.told:
            self.told.add(record.name)
            log.warning("left out: %s: %s", record.name, record.reason)
            if self.path is not None:
                with open(self.path, "a", encoding="utf-8") as file:
                    file.write(json.dumps({"record": record.name, "reason": record.reason}) + "\n")
        if self.bad > max(10, self.seen * self.max_share):
            raise InputError(
                f"{self.bad} of {self.seen} records cannot be used (most that may: "
                f"{100 * self.max_share:g} %), the last: {record.name}: {record.reason}; "
                f"mend the manifest, or raise max_bad"
            )


def usable(
    mixture: Mixture, prepare: Callable[[Record], T], quarantine: Quarantine, draw: Draw
) -> Iterator[tuple[int, T]]:
    """Yield (index, prepared record) of a mixture in order; bad ones go into quarantine.

    `prepare` (decoding of media) runs in `draw.workers` processes. Indices are global: rank r of n
    gets every n-th; `draw.position` is the first.
    """

    def item(index: int) -> tuple[int, T | Bad]:
        manifest, number = mixture.at(index)
        try:
            return index, prepare(manifest.read(number))
        except MingleError as error:
            return index, Bad(name=manifest.name(number), reason=str(error))

    for index, value in in_order(item, draw.indices(draw.position or 0), draw.workers):
        if isinstance(value, Bad):
            quarantine.put(value)
        else:
            quarantine.good()
            yield index, value


def _line_starts(file: Any) -> list[int]:
    starts, place = [], 0
    for line in file:
        if line.strip():
            starts.append(place)
        place += len(line)
    return starts


def _shares(weights: np.ndarray, total: int) -> np.ndarray:
    """Whole numbers near weights * total that sum to it, each at least 1."""
    exact = weights * total
    counts = np.maximum(1, np.floor(exact)).astype(int)
    order = np.argsort(counts - exact)
    for place in range(total - counts.sum()):
        counts[order[place % len(order)]] += 1
    while counts.sum() > total:
        counts[counts.argmax()] -= 1
    return counts
