"""Their tensors <-> ours, by rules that run both ways: `apply` and `invert`, in memory.

`load` and `save` walk the same table while they stream; see `rules` for what a pattern can say.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from torch import Tensor

from mingle.checkpoints.rules import Ignore, Join, Rename, Rule, Split, Stack
from mingle.checkpoints.table import Table, copy_exactly
from mingle.errors import CheckpointError

__all__ = [
    "Ignore",
    "Join",
    "MappingReport",
    "Rename",
    "Rule",
    "Split",
    "Stack",
    "apply",
    "invert",
    "prefixed",
]


@dataclass(frozen=True, kw_only=True)
class MappingReport:
    """What became of every key: used for which of ours, or ignored for which reason."""

    used: Mapping[str, tuple[str, ...]]
    ignored: Mapping[str, str]


def apply(
    rules: Sequence[Rule], tensors: Mapping[str, Tensor]
) -> tuple[dict[str, Tensor], MappingReport]:
    """Turn their tensors into ours, in memory.

    Raises CheckpointError for a key that no rule knows, a missing key, or shapes or dtypes that do
    not fit each other. Tensors that are only renamed are not copied.
    """
    table = Table(rules)
    uses, ignored = table.sort(tensors)
    ours: dict[str, Tensor] = {}
    for name, pieces in uses.items():
        for piece in pieces:
            shape = piece.our_shape(tuple(tensors[name].shape))
            if piece.is_whole:
                ours[piece.ours] = piece.take(tensors[name])
            else:
                target = ours.setdefault(piece.ours, tensors[name].new_empty(shape))
                piece.put(tensors[name], target)
    used = {name: tuple(piece.ours for piece in pieces) for name, pieces in uses.items()}
    table.check_complete(used, ours)
    return ours, MappingReport(used=used, ignored=ignored)


def invert(rules: Sequence[Rule], tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Turn our tensors back into theirs; ignored ones do not come back.

    Raises CheckpointError for a name of ours that no rule knows, or an incomplete `Split`.
    """
    table = Table(rules)
    theirs: dict[str, Tensor] = {}
    filled: dict[str, int] = {}
    for name, tensor in tensors.items():
        for piece in table.pieces_of_ours(name):
            shape = piece.their_shape(tuple(tensor.shape))
            value = piece.give(tensor)
            if piece.link.their_part is None:
                theirs[piece.theirs] = value
            else:
                target = theirs.setdefault(piece.theirs, tensor.new_empty(shape))
                copy_exactly(value, piece.link.their_part.of(target), piece)
            filled[piece.theirs] = filled.get(piece.theirs, 0) + value.numel()
    for name, count in filled.items():
        if count != theirs[name].numel():
            raise CheckpointError(
                f"'{name}' is only partly covered by our tensors; give all the parts it is made of"
            )
    return theirs


def prefixed(rules: Iterable[Rule], *, theirs: str = "", ours: str = "") -> tuple[Rule, ...]:
    """The same rules with a prefix before every name of theirs and of ours."""

    def before(prefix: str, names: str | tuple[str, ...]) -> str | tuple[str, ...]:
        return prefix + names if isinstance(names, str) else tuple(prefix + n for n in names)

    return tuple(
        replace(rule, theirs=before(theirs, rule.theirs))
        if isinstance(rule, Ignore)
        else replace(rule, theirs=before(theirs, rule.theirs), ours=before(ours, rule.ours))
        for rule in rules
    )
