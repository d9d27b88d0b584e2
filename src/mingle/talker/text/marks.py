"""Characters of the two languages, and the tokens that both are cut into."""

import re

HAN = "\u4e00-\u9fff"
CONTAINS_HAN = re.compile(f"[{HAN}]")
SEMANTIC_UNIT = re.compile(f"[{HAN}]|[A-Za-z]+|[0-9]+(?:[.,][0-9]+)*")

TOKEN = re.compile(
    r"(?:[a-zA-Z]\.)+"  # U.S.A.
    r"|[a-zA-Z]+(?:['\-][a-zA-Z]+)*"  # words, don't, well-known
    r"|\d+(?:\.\d+)?"  # 12, 3.14
    rf"|[{HAN}]"
    r"|\s+"
    r"|\S"
)
UNFINISHED = re.compile(r"(?:[A-Za-z0-9.,:'\-$/_@]+|\s+)$")
"""The end of a stream that may go on as one token, or whose mark is understood by what follows."""


def tokenize(text: str) -> list[str]:
    """Words, numbers, single Chinese characters, runs of blanks, single marks; nothing is lost."""
    return TOKEN.findall(text)


def contains_han(text: str) -> bool:
    """Whether there is a Chinese character."""
    return CONTAINS_HAN.search(text) is not None


def semantic_length(text: str) -> int:
    """Chinese characters, Latin words and numbers, each counted once."""
    return sum(1 for _ in SEMANTIC_UNIT.finditer(text))


def is_spoken(text: str) -> bool:
    """Whether there is anything to pronounce: a letter or a digit of any script."""
    return any(character.isalnum() for character in text)
