"""Long text -> pieces that a voice can say in one breath."""

import re
from collections.abc import Iterator, Sequence

from mingle.talker.text.marks import HAN, is_spoken, semantic_length

SENTENCE = re.compile(r".*?(?:[。！？!?…]+[\"'”’）)]*|(?<![A-Z])\.(?=\s)|\n|\Z)\s*", re.DOTALL)
CLAUSE = re.compile(r".*?(?:[，、；：;,](?!\d)[\"'”’）)]*|:(?=\s)|\Z)\s*", re.DOTALL)
WORD = re.compile(rf"[{HAN}]|[^{HAN}\s]+\s*|\s+")
CHARACTERS_PER_UNIT = 8  # a generous word; what is longer on average is no text, and cut anyway


def cut(text: str, *, limit: int = 50, tail: int = 5) -> list[str]:
    """Pieces of at most `limit` semantic units, cut at sentences, else clauses, else words.

    Joined they are the text. A piece shorter than `tail` joins its neighbour, even beyond the
    limit by as much. Empty if there is nothing to say.
    """
    pieces: list[str] = []
    anything = re.compile(f".{{1,{limit * CHARACTERS_PER_UNIT}}}", re.DOTALL)
    for part in _parts(text, limit, (SENTENCE, CLAUSE, WORD, anything)):
        short = semantic_length(part) < tail
        if pieces and _fits(pieces[-1] + part, limit + (tail if short else 0)):
            pieces[-1] += part
        else:
            pieces.append(part)
    return pieces if is_spoken("".join(pieces)) else []


def _parts(text: str, limit: int, levels: Sequence[re.Pattern[str]]) -> Iterator[str]:
    if _fits(text, limit) or not levels:
        yield text
        return
    for match in levels[0].finditer(text):
        if match[0]:
            yield from _parts(match[0], limit, levels[1:])


def _fits(text: str, limit: int) -> bool:
    return semantic_length(text) <= limit and len(text) <= limit * CHARACTERS_PER_UNIT
