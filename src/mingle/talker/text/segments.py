"""Text that arrives bit by bit -> segments that are spoken one after another."""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

from mingle.talker.text.marks import UNFINISHED, contains_han, is_spoken, tokenize

LONGEST_TOKEN = 200  # characters; a longer "word" is cut, so that no buffer grows without end


def keep_line(buffered: list[str], line_break: str) -> list[str]:
    """A line break stays: what it means is seen when the line is whole."""
    return ["\n"]


TITLES = frozenset("Mr Mrs Ms Dr Prof St Jr Sr vs etc No Inc Ltd Co approx".split())


def ends_sentence(before: str, stop: str) -> bool:
    """Whether a token that ends in a full stop ends a sentence: not in U.S.A. or behind Dr."""
    return stop == "." and before not in TITLES


@dataclass(frozen=True, kw_only=True)
class SegmentRules:
    """Where a segment may end: at one of `marks`, once enough tokens are buffered."""

    first_tokens: int = 6
    later_tokens: int = 8
    marks: str = "！？。，；：…!?;\n"
    first_marks: str = ",:"
    """These end the first segment only, so that sound starts soon."""
    most_tokens: int | None = 120
    """Text without any mark is cut here, at a blank or between Chinese characters."""
    line_break: Callable[[list[str], str], list[str]] = keep_line
    """What stands for a line break: of (tokens buffered, the blanks that end in it)."""
    full_stop: Callable[[str, str], bool] = ends_sentence
    """Whether a full stop ends a segment: of (the token before it, the token that ends in it)."""
    speaks: Callable[[str], bool] = is_spoken


class Segmenter:
    """Buffers tokens and hands out segments; one object for one text."""

    def __init__(self, rules: SegmentRules):
        self.rules = rules
        self._tokens: list[str] = []
        self._count = 0
        self._rest = ""

    def feed(self, delta: str) -> list[str]:
        """Take more text, at any border; return the segments that are complete."""
        text = self._rest + delta
        end = text[-2 * LONGEST_TOKEN :]
        unfinished = UNFINISHED.search(end)
        left = 0 if unfinished is None else len(end) - unfinished.start()
        whole = len(text) - (left if left <= LONGEST_TOKEN else 0)
        self._rest = text[whole:]
        return list(self.push(tokenize(text[:whole])))

    def finish(self) -> list[str]:
        """The text is over: return what is left."""
        segments = list(self.push(tokenize(self._rest)))
        self._rest = ""
        left = self._take()
        return [*segments, left] if self.rules.speaks(left) else segments

    def push(self, tokens: Iterable[str]) -> Iterator[str]:
        """Take whole tokens."""
        for token in tokens:
            if self._ends(token):
                yield self._take()

    def _ends(self, token: str) -> bool:
        buffered, rules = self._tokens, self.rules
        enough = len(buffered) >= (rules.later_tokens if self._count else rules.first_tokens)
        if token.endswith("\n"):
            if buffered:
                buffered += rules.line_break(buffered, token)
            return len(buffered) >= (rules.later_tokens if self._count else rules.first_tokens)
        buffered.append(token)
        marks = rules.marks if self._count else rules.marks + rules.first_marks
        if token[-1] in marks:
            return enough
        if token[-1] == ".":
            return enough and rules.full_stop(buffered[-2], token)
        full = rules.most_tokens is not None and len(buffered) >= rules.most_tokens
        return full and (token.isspace() or contains_han(token))

    def _take(self) -> str:
        segment = "".join(self._tokens)
        self._tokens = []
        self._count += bool(segment)
        return segment
