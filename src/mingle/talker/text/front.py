"""The front door: text as written, in any pieces, becomes texts to speak, in order."""

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from mingle.talker.text.chinese import read_numbers
from mingle.talker.text.clean import CodeFilter, clean
from mingle.talker.text.cut import cut
from mingle.talker.text.english import read_english
from mingle.talker.text.marks import contains_han, is_spoken
from mingle.talker.text.segments import Segmenter, SegmentRules

ENGLISH_RUN = re.compile(r"[A-Za-z][A-Za-z0-9 ,.'’$%&:/+-]*[A-Za-z0-9%]")
HAN_MARK = re.compile("[，。！？；：、]")
HAN_SIGNS = {"+": "加", "&": "和", "=": "等于", "≈": "约等于", "±": "正负", "×": "乘", "÷": "除以"}


@dataclass(frozen=True, kw_only=True)
class Spoken:
    """One piece: as it was written, and as it is said."""

    written: str
    said: str


def normalize(text: str) -> str:
    """Text as a voice says it; empty if there is nothing to say."""
    cleaned = clean(text)
    if not is_spoken(cleaned):
        return ""
    if not contains_han(cleaned) and not HAN_MARK.search(cleaned):
        return read_english(cleaned)
    cleaned = ENGLISH_RUN.sub(_english_in_chinese, cleaned)
    cleaned = re.sub(r"(?<=\d),(?=\d{3}(?!\d))", "", cleaned)
    cleaned = re.sub(r"(?<=\d)\s*[×xX]\s*(?=\d)", "x", cleaned)
    said = read_numbers(cleaned)
    for sign, word in HAN_SIGNS.items():
        said = said.replace(sign, word)
    return said.lstrip("，、；：")


def pieces(deltas: Iterable[str], *, limit: int = 50) -> Iterator[Spoken]:
    """Cut a stream of text, as early as it can be cut, into pieces to speak."""
    segmenter, code = Segmenter(SegmentRules()), CodeFilter()
    for delta in deltas:
        for segment in segmenter.feed(code.feed(delta)):
            yield from _pieces_of(segment, limit)
    for segment in (*segmenter.feed(code.finish()), *segmenter.finish()):
        yield from _pieces_of(segment, limit)


def _pieces_of(segment: str, limit: int) -> Iterator[Spoken]:
    for piece in cut(segment, limit=limit):
        said = normalize(piece)
        if said:
            yield Spoken(written=piece, said=said)


def _english_in_chinese(match: re.Match[str]) -> str:
    """Several English words in a row are read by English rules, numbers among them included."""
    return read_english(match[0]) if len(re.findall("[A-Za-z]+", match[0])) > 3 else match[0]
