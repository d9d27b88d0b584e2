"""Comparing texts: the edits between a reference and a hypothesis, and error rates over many."""

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class Errors:
    """Edits over a whole set: corpus level, not a mean of utterances."""

    edits: int
    reference: int

    @property
    def rate(self) -> float:
        """Edits for each reference unit; an empty reference counts as one unit."""
        return self.edits / max(self.reference, 1)


def word_errors(references: Sequence[Sequence[str]], heard: Sequence[Sequence[str]]) -> Errors:
    """Insertions, deletions and substitutions between sequences of words (or of letters)."""
    pairs = list(zip(references, heard, strict=True))
    return Errors(
        edits=sum(distance(wanted, got) for wanted, got in pairs),
        reference=sum(len(wanted) for wanted, _ in pairs),
    )


def distance(wanted: Sequence[str], got: Sequence[str]) -> int:
    """Levenshtein distance."""
    row = list(range(len(got) + 1))
    for i, unit in enumerate(wanted, start=1):
        diagonal, row[0] = row[0], i
        for j, other in enumerate(got, start=1):
            best = min(row[j] + 1, row[j - 1] + 1, diagonal + (unit != other))
            diagonal, row[j] = row[j], best
    return row[-1]
