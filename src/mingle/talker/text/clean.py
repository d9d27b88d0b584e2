"""What is written but not said: markdown, code, links, pictures, emoji, repeated marks."""

import re
import unicodedata

from mingle.talker.text.marks import contains_han

FENCE = re.compile(r"```.*?(?:```|\Z)", re.DOTALL)
CODE = re.compile(r"`([^`\n]*)`")
DISPLAY_FORMULA = re.compile(r"\$\$.*?\$\$", re.DOTALL)
INLINE_FORMULA = re.compile(r"\$(?=[^$\n]*[\\^_{=])[^$\n]+\$")
PICTURE = re.compile(r"!\[([^\]]*)\]\([^)]*\)")
LINK = re.compile(r"\[([^\]]+)\]\([^)]*\)")
ADDRESS = re.compile(
    r"(?:https?://|www\.)([A-Za-z0-9.-]*[A-Za-z0-9])(?:[:/?#][^\s\u4e00-\u9fff，。！？；]*)?"
)
MAIL = re.compile(r"\b([A-Za-z0-9._-]+)@([A-Za-z0-9-]+(?:\.[A-Za-z0-9-]+)+)")
HEADING = re.compile(r"^\s{0,3}#{1,6}\s+", re.MULTILINE)
BULLET = re.compile(r"^\s*[-*+•]\s+", re.MULTILINE)
QUOTE = re.compile(r"^\s*>\s?", re.MULTILINE)
RULE = re.compile(r"^\s*(?:[-*_=]\s*){3,}$", re.MULTILINE)
TABLE_RULE = re.compile(r"^\s*\|?[\s:|-]*-{3,}[\s:|-]*$", re.MULTILINE)
EMPHASIS = re.compile(r"(\*{1,3}|_{2,3}|~~)(?=\S)(.+?)(?<=\S)\1")
TAG = re.compile(r"</?[A-Za-z][^<>\n]{0,200}>")
REPEATED = re.compile(r"([!?！？。，,;；])\1+")
BLANKS = re.compile(r"[ \t\f\v\u00a0\u3000]+")
SILENT = re.compile(r"[\u200b-\u200f\u2060\ufe00-\ufe0f\ufeff]")
LINE_END = re.compile(r"(\w)\s*\n\s*(?=\S)")
HAN_BLANK = re.compile(r"(?<=[\u4e00-\u9fff，。！？；：、]) (?=[\u4e00-\u9fff，。！？；：、])")


def clean(text: str) -> str:
    """Keep what a reader would say aloud: a link's words, a site's name, the code in a sentence.

    Fenced code, formulas and signs without words are left out. Numbers and their signs stay.
    """
    for pattern in (FENCE, DISPLAY_FORMULA, INLINE_FORMULA, TABLE_RULE, RULE, TAG):
        text = pattern.sub(" ", text)
    for pattern in (PICTURE, CODE, LINK):
        text = pattern.sub(r"\1", text)
    for pattern in (HEADING, BULLET, QUOTE):
        text = pattern.sub("", text)
    text = EMPHASIS.sub(r"\2", text)
    dot, at = ("点", " at ") if contains_han(text) else (" dot ", " at ")
    text = ADDRESS.sub(lambda match: _site(match[1], dot), text)
    text = MAIL.sub(lambda match: _site(f"{match[1]}{at}{match[2]}", dot), text)
    text = SILENT.sub("", text).replace("|", " ")
    text = "".join(" " if _is_picture(character) else character for character in text)
    text = REPEATED.sub(r"\1", BLANKS.sub(" ", text))
    stop = "。" if contains_han(text) else "."
    text = LINE_END.sub(lambda match: f"{match[1]}{stop} ", text.strip())
    return HAN_BLANK.sub("", text.replace("\n", " ")).strip()


class CodeFilter:
    """Leaves fenced code out of a stream of text, and everything else as it is."""

    def __init__(self) -> None:
        self._line = ""
        self._passed = 0
        self._inside = False

    def feed(self, delta: str) -> str:
        """Take more text; return what can be said to stand outside of code."""
        passed = ""
        for part in delta.splitlines(keepends=True):
            self._line += part
            passed += self._of_line()
            if self._line.endswith("\n"):
                self._end_line()
        return passed

    def finish(self) -> str:
        """The end of the text: a line that only might have become a fence is text."""
        return "" if self._inside or self._is_fence() else self._line[self._passed :]

    def _of_line(self) -> str:
        undecided = "```".startswith(self._line.strip()[:3]) and not self._line.endswith("\n")
        if self._inside or self._is_fence() or undecided:
            return ""
        text, self._passed = self._line[self._passed :], len(self._line)
        return text

    def _end_line(self) -> None:
        self._inside ^= self._is_fence()
        self._line, self._passed = "", 0

    def _is_fence(self) -> bool:
        return self._line.lstrip().startswith("```")


def _site(name: str, dot: str) -> str:
    return name.removeprefix("www.").replace(".", dot)


def _is_picture(character: str) -> bool:
    """Emoji, arrows, stars and boxes; not the signs that are read with numbers."""
    spoken = character in "°℃℉²³×÷≈≥≤±%‰©®™+=<>~$^|`"
    return not spoken and unicodedata.category(character) in ("So", "Sk", "Cn", "Co", "Cs")
