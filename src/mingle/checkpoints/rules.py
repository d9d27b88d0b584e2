"""What a checkpoint's tensors ("theirs") have to do with ours: rules, as plain data.

A rule names tensors by pattern. `{i}` (any word in braces) stands for an integer that carries over
to the other side; `{weight|bias}` stands for each of its words, the same on both sides.
"""

from dataclasses import dataclass, field

Shape = tuple[int, ...]


@dataclass(frozen=True)
class Rename:
    """The same tensor under another name; `reshape` = (their shape, our shape) if they differ."""

    theirs: str
    ours: str
    reshape: tuple[Shape, Shape] | None = None


@dataclass(frozen=True)
class Stack:
    """`count` tensors, numbered by `{over}`, become one with a new leading axis.

    Several names (gate and up) are first put one below the other on axis 0; they have equal sizes.
    """

    theirs: str | tuple[str, ...]
    ours: str
    over: str = "e"
    count: int = field(kw_only=True)


@dataclass(frozen=True)
class Join:
    """Several of their tensors become one of ours along `axis`.

    `sizes` are rows along the axis, or any equal units of it (heads, say).
    """

    theirs: tuple[str, ...]
    ours: str
    sizes: tuple[int, ...]
    axis: int = 0


@dataclass(frozen=True)
class Split:
    """One of their tensors becomes several of ours along `axis`; `sizes` as in `Join`."""

    theirs: str
    ours: tuple[str, ...]
    sizes: tuple[int, ...]
    axis: int = 0


@dataclass(frozen=True)
class Ignore:
    """A tensor we do not use, and why; wins over other rules. The pattern may end in `*`."""

    theirs: str
    reason: str


Rule = Rename | Stack | Join | Split | Ignore
