"""Rules, compiled into links: from a name of either side to the pieces it is made of."""

import difflib
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from mingle.checkpoints.rules import Ignore, Join, Rename, Rule, Shape, Split, Stack
from mingle.errors import CheckpointError


@dataclass(frozen=True)
class Part:
    """A stretch of one axis, in units of which the whole axis has `total`."""

    axis: int
    start: int
    stop: int
    total: int

    def of(self, tensor: Tensor) -> Tensor:
        """A view of the stretch."""
        unit = tensor.shape[self.axis] // self.total
        return tensor.narrow(self.axis, self.start * unit, (self.stop - self.start) * unit)

    def narrowed(self, shape: Shape) -> Shape | None:
        """The stretch's shape in a whole of this shape; None if it does not divide."""
        return self._scaled(shape, self.stop - self.start, self.total)

    def widened(self, shape: Shape) -> Shape | None:
        """The whole's shape when the stretch has this shape; None if it does not divide."""
        return self._scaled(shape, self.total, self.stop - self.start)

    def _scaled(self, shape: Shape, factor: int, divisor: int) -> Shape | None:
        if self.axis >= len(shape) or shape[self.axis] % divisor:
            return None
        size = shape[self.axis] // divisor * factor
        return (*shape[: self.axis], size, *shape[self.axis + 1 :])


@dataclass(frozen=True)
class Link:
    """(A part of) one of their tensors is (a part of) one of ours."""

    theirs: str
    ours: str
    their_part: Part | None = None
    our_part: Part | None = None
    over: str | None = None
    count: int = 1
    reshape: tuple[Shape, Shape] | None = None


@dataclass(frozen=True)
class Piece:
    """A link with its numbers filled in: two real names, and the row of a stack if it is one."""

    theirs: str
    ours: str
    index: int | None
    link: Link

    @property
    def is_whole(self) -> bool:
        """Whether this piece alone makes the whole of our tensor."""
        return self.index is None and self.link.our_part is None

    def take(self, theirs: Tensor) -> Tensor:
        """What is used of their tensor, in our shape (a view where that is possible)."""
        value = theirs if self.link.their_part is None else self.link.their_part.of(theirs)
        return value if self.link.reshape is None else value.reshape(self.link.reshape[1])

    def slot(self, ours: Tensor) -> Tensor:
        """Where it stands in our tensor (a view)."""
        row = ours if self.index is None else ours[self.index]
        return row if self.link.our_part is None else self.link.our_part.of(row)

    def put(self, theirs: Tensor, ours: Tensor) -> None:
        """Copy what is used of their tensor into its place in ours. Refuses another dtype."""
        copy_exactly(self.take(theirs), self.slot(ours), self)

    def give(self, ours: Tensor) -> Tensor:
        """What stands in our tensor, in their shape (a view where that is possible)."""
        value = self.slot(ours)
        return value if self.link.reshape is None else value.reshape(self.link.reshape[0])

    def our_shape(self, theirs: Shape) -> Shape:
        """The shape our whole tensor must have if theirs has this one; raises CheckpointError."""
        link, shape = self.link, theirs
        narrowed = shape if link.their_part is None else link.their_part.narrowed(shape)
        if narrowed is not None and link.reshape is not None:
            narrowed = link.reshape[1] if narrowed == link.reshape[0] else None
        if narrowed is not None and link.our_part is not None:
            narrowed = link.our_part.widened(narrowed)
        if narrowed is None:
            raise CheckpointError(
                f"'{self.theirs}' has shape {list(theirs)}, which does not fit {_rule_of(link)}; "
                "is config.json that of another model?"
            )
        return narrowed if link.over is None else (link.count, *narrowed)

    def their_shape(self, ours: Shape) -> Shape:
        """The shape their whole tensor must have if ours has this one; raises CheckpointError."""
        link, shape = self.link, ours if self.link.over is None else ours[1:]
        fits = link.over is None or ours[:1] == (link.count,)
        widened = shape if link.our_part is None else link.our_part.narrowed(shape)
        if widened is not None and link.reshape is not None:
            widened = link.reshape[0] if widened == link.reshape[1] else None
        if widened is not None and link.their_part is not None:
            widened = link.their_part.widened(widened)
        if widened is None or not fits:
            raise CheckpointError(
                f"our '{self.ours}' has shape {list(ours)}, which does not fit {_rule_of(link)}"
            )
        return widened


class Table:
    """Rules, compiled: from a name of either side to its pieces."""

    def __init__(self, rules: Sequence[Rule]):
        expanded = [one for rule in rules for one in _expand(rule)]
        self._ignores = [(_ignored(r.theirs), r) for r in expanded if isinstance(r, Ignore)]
        self._theirs: dict[str, list[tuple[re.Pattern[str], int, Link]]] = {}
        self._ours: dict[str, list[tuple[re.Pattern[str], int, Link]]] = {}
        self._required: list[str] = []
        for number, rule in enumerate(expanded):
            for link in _links(rule):
                _check_placeholders(link)
                entry = _pattern(link.theirs), number, link
                self._theirs.setdefault(_skeleton(link.theirs), []).append(entry)
                entry = _pattern(link.ours), number, link
                self._ours.setdefault(_skeleton(link.ours), []).append(entry)
                if "{" not in link.theirs:
                    self._required.append(link.theirs)

    def use_of(self, theirs: str) -> tuple[Piece, ...] | Ignore | None:
        """What becomes of one of their names; None if no rule knows it. An Ignore wins."""
        for pattern, rule in self._ignores:
            if pattern.fullmatch(theirs):
                return rule
        pieces: list[Piece] = []
        rules: set[int] = set()
        for pattern, number, link in self._theirs.get(_skeleton(theirs), ()):
            match = pattern.fullmatch(theirs)
            if match is None:
                continue
            numbers = match.groupdict()
            index = None if link.over is None else int(numbers[link.over])
            if index is None or index < link.count:
                pieces.append(Piece(theirs, _fill(link.ours, numbers), index, link))
                rules.add(number)
        assert len(rules) <= 1, f"several rules claim '{theirs}'"
        return tuple(pieces) or None

    def makes(self, ours: str) -> bool:
        """Whether some rule makes one of our tensors."""
        entries = self._ours.get(_skeleton(ours), ())
        return any(pattern.fullmatch(ours) for pattern, _, _ in entries)

    def pieces_of_ours(self, ours: str) -> tuple[Piece, ...]:
        """All pieces that make up one of our tensors; raises CheckpointError for unknown names."""
        pieces: list[Piece] = []
        for pattern, _, link in self._ours.get(_skeleton(ours), ()):
            match = pattern.fullmatch(ours)
            if match is None:
                continue
            numbers = match.groupdict()
            if link.over is None:
                pieces.append(Piece(_fill(link.theirs, numbers), ours, None, link))
                continue
            for index in range(link.count):
                name = _fill(link.theirs, {**numbers, link.over: str(index)})
                pieces.append(Piece(name, ours, index, link))
        if not pieces:
            raise CheckpointError(
                f"no rule makes our tensor '{ours}'; {_nearest(ours, self._names(self._ours))}"
            )
        return tuple(pieces)

    def sort(self, names: Iterable[str]) -> tuple[dict[str, tuple[Piece, ...]], dict[str, str]]:
        """Sort their names into used (with pieces) and ignored (with reasons).

        Raises CheckpointError for names that no rule knows.
        """
        uses: dict[str, tuple[Piece, ...]] = {}
        ignored: dict[str, str] = {}
        unknown: list[str] = []
        for name in names:
            use = self.use_of(name)
            if use is None:
                unknown.append(name)
            elif isinstance(use, Ignore):
                ignored[name] = use.reason
            else:
                uses[name] = use
        if unknown:
            raise CheckpointError(
                f"unknown key {_some(unknown)} in the checkpoint; {self.nearest(unknown[0])}; "
                "is this a checkpoint of another model?"
            )
        return uses, ignored

    def check_complete(self, used: Iterable[str], ours: Iterable[str]) -> None:
        """Raise CheckpointError if a fixed name, or a piece of one of ours, is not in `used`."""
        have = set(used)
        missing = [name for name in self._required if name not in have]
        for name in ours:
            missing += [p.theirs for p in self.pieces_of_ours(name) if p.theirs not in have]
        if missing:
            missing = list(dict.fromkeys(missing))
            raise CheckpointError(
                f"missing key {_some(missing)} in the checkpoint; {_nearest(missing[0], have)}; "
                "is the download complete?"
            )

    def nearest(self, theirs: str) -> str:
        """A hint that names the known pattern nearest to one of their names."""
        return _nearest(theirs, self._names(self._theirs))

    def _names(self, side: Mapping[str, list[tuple[re.Pattern[str], int, Link]]]) -> list[str]:
        links = [link for entries in side.values() for _, _, link in entries]
        return [link.theirs if side is self._theirs else link.ours for link in links]


def _links(rule: Rule) -> tuple[Link, ...]:
    match rule:
        case Rename():
            return (Link(rule.theirs, rule.ours, reshape=rule.reshape),)
        case Stack():
            names = (rule.theirs,) if isinstance(rule.theirs, str) else rule.theirs
            parts = _parts((1,) * len(names), axis=0) if len(names) > 1 else [None]
            return tuple(
                Link(name, rule.ours, our_part=part, over=rule.over, count=rule.count)
                for name, part in zip(names, parts, strict=True)
            )
        case Join():
            parts = _parts(rule.sizes, rule.axis)
            pairs = zip(rule.theirs, parts, strict=True)
            return tuple(Link(name, rule.ours, our_part=part) for name, part in pairs)
        case Split():
            parts = _parts(rule.sizes, rule.axis)
            pairs = zip(rule.ours, parts, strict=True)
            return tuple(Link(rule.theirs, name, their_part=part) for name, part in pairs)
        case Ignore():
            return ()


def _parts(sizes: tuple[int, ...], axis: int) -> list[Part]:
    starts = [sum(sizes[:j]) for j in range(len(sizes))]
    return [Part(axis, a, a + n, sum(sizes)) for a, n in zip(starts, sizes, strict=True)]


def _expand(rule: Rule) -> list[Rule]:
    """Write a rule with `{weight|bias}` out as one rule for each word."""
    names = rule.theirs if isinstance(rule.theirs, str) else rule.theirs[0]
    choice = re.search(r"\{([^{}]*\|[^{}]*)\}", names)
    if choice is None:
        return [rule]

    def chosen(names: str | tuple[str, ...], word: str) -> str | tuple[str, ...]:
        if isinstance(names, str):
            return names.replace(choice[0], word)
        return tuple(name.replace(choice[0], word) for name in names)

    rules: list[Rule] = []
    for word in choice[1].split("|"):
        changes = {"theirs": chosen(rule.theirs, word)}
        if not isinstance(rule, Ignore):
            changes["ours"] = chosen(rule.ours, word)
        rules += _expand(replace(rule, **changes))
    return rules


def _check_placeholders(link: Link) -> None:
    theirs, ours = (set(re.findall(r"\{(\w+)\}", name)) for name in (link.theirs, link.ours))
    over: set[str] = set() if link.over is None else {link.over}
    assert theirs - over == ours, f"{_rule_of(link)}: the two sides have different numbers"
    assert over <= theirs, f"{_rule_of(link)}: '{{{link.over}}}' is not in their name"


def _pattern(name: str) -> re.Pattern[str]:
    """A regular expression in which each `{i}` is a group of that name."""
    pieces = re.split(r"\{(\w+)\}", name)
    text = re.escape(pieces[0])
    for number, literal in zip(pieces[1::2], pieces[2::2], strict=True):
        group = f"(?P={number})" if f"(?P<{number}>" in text else f"(?P<{number}>0|[1-9][0-9]*)"
        text += group + re.escape(literal)
    return re.compile(text)


def _skeleton(name: str) -> str:
    """A name with every number blanked: names that one pattern can match share it."""
    return re.sub(r"\{\w+\}|[0-9]+", "#", name)


def _fill(name: str, numbers: Mapping[str, str]) -> str:
    return re.sub(r"\{(\w+)\}", lambda match: numbers[match[1]], name)


def _ignored(name: str) -> re.Pattern[str]:
    """The pattern of an Ignore: a `*` at its end stands for anything."""
    exact = _pattern(name.removesuffix("*"))
    return re.compile(exact.pattern + ".*") if name.endswith("*") else exact


def copy_exactly(source: Tensor, target: Tensor, piece: Piece) -> None:
    """Copy without casting or broadcasting; raises CheckpointError if that is not possible."""
    if source.shape != target.shape or source.dtype != target.dtype:
        raise CheckpointError(
            f"'{piece.theirs}' has shape {list(source.shape)} {source.dtype}, but its place in "
            f"'{piece.ours}' has {list(target.shape)} {target.dtype}; do the parts belong together?"
        )
    with torch.no_grad():
        target.copy_(source)


def _rule_of(link: Link) -> str:
    return f"the rule '{link.theirs}' -> '{link.ours}'"


def _nearest(name: str, known: Iterable[str]) -> str:
    kinds = {_skeleton(one): one for one in known}  # one of each: experts come by the thousand
    close = difflib.get_close_matches(name, list(kinds.values()), n=1, cutoff=0.0)
    return f"nearest known: '{close[0]}'" if close else "no key is known here"


def _some(names: Sequence[str]) -> str:
    shown = ", ".join(f"'{name}'" for name in names[:3])
    return shown if len(names) <= 3 else f"{shown} and {len(names) - 3} more"
