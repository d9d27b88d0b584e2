"""English text -> phones, by a list of words and, for words it lacks, rules of spelling."""

import re
from collections.abc import Iterator, Mapping, Sequence

from mingle.errors import InputError

PAUSE = "pau"
VOWELS = frozenset("aa ae ah ao aw ax ay eh er ey ih iy ow oy uh uw".split())
VOICELESS = frozenset("p t k f th".split())
HISSING = frozenset("s z sh zh ch jh".split())
WEAK = {"a": ("ax",)}  # as they are said in a sentence, not alone
TOKEN = re.compile(r"[A-Za-z]+(?:'[A-Za-z]+)*|[,.;:!?()\u2026\u2014\u2013-]|\S")
SHORTEST_PART = 3  # letters of a word inside a compound

SPELLING = {  # the longest match wins
    "tion": "sh ax n", "sion": "zh ax n", "ough": "ow", "augh": "ao", "igh": "ay", "tch": "ch",
    "dge": "jh", "sch": "sh", "ch": "ch", "sh": "sh", "th": "th", "ph": "f", "wh": "w", "ck": "k",
    "qu": "k w", "ng": "ng", "kn": "n", "wr": "r", "gh": "g", "ee": "iy", "ea": "iy", "oo": "uw",
    "ai": "ey", "ay": "ey", "oa": "ow", "ou": "aw", "ow": "aw", "oi": "oy", "oy": "oy", "au": "ao",
    "aw": "ao", "ew": "uw", "ie": "iy", "ei": "ey", "er": "er", "ir": "er", "ur": "er",
    "ar": "aa r", "or": "ao r", "ce": "s", "ci": "s ih", "cy": "s iy", "a": "ae", "b": "b",
    "c": "k", "d": "d", "e": "eh", "f": "f", "g": "g", "h": "hh", "i": "ih", "j": "jh", "k": "k",
    "l": "l", "m": "m", "n": "n", "o": "aa", "p": "p", "q": "k", "r": "r", "s": "s", "t": "t",
    "u": "ah", "v": "v", "w": "w", "x": "k s", "y": "iy", "z": "z",
}  # fmt: skip
LONGEST = max(map(len, SPELLING))


class Pronouncer:
    """Says texts in phones. Immutable and safe to share among threads."""

    def __init__(self, words: Mapping[str, tuple[str, ...]]):
        self._words = {**words, **WEAK}

    def phones(self, text: str) -> list[str]:
        """Phones of a text, with pauses at both ends and where it is punctuated.

        Raises InputError for letters that are not English, and for a text without a word.
        """
        found = [PAUSE]
        tokens = TOKEN.findall(text.replace("\u2019", "'"))
        said = [self._say(token) for token in tokens]
        for number, (token, phones) in enumerate(zip(tokens, said, strict=True)):
            if token.lower() == "the" and _begins_with_vowel(said[number + 1 :]):
                phones = ("dh", "iy")
            if phones or found[-1] != PAUSE:
                found.extend(phones or (PAUSE,))
        if len(found) == 1:
            raise InputError(f"there is no word to say in {text[:40]!r}")
        return found if found[-1] == PAUSE else [*found, PAUSE]

    def _say(self, token: str) -> tuple[str, ...]:
        """Phones of a word, none of a mark."""
        if not token[0].isalpha():
            return ()
        if not token.isascii():
            raise InputError(f"this voice speaks English; it cannot say {token!r}")
        word = token.lower()
        if word in self._words:
            return self._words[word]
        if token.isupper() and len(token) < 6:
            return tuple(phone for letter in word for phone in self._words.get(letter, ()))
        return self._derive(word) or self._join(word) or tuple(_spell(word))

    def _derive(self, word: str) -> tuple[str, ...]:
        """A known word with an ending; none if there is no such word."""
        for ending, add in ENDINGS.items():
            stem = word.removesuffix(ending)
            if stem == word:
                continue
            for candidate in (stem, f"{stem}e", stem[:-1] if stem[-2:-1] == stem[-1:] else stem):
                if len(candidate) > 1 and candidate in self._words:
                    phones = self._words[candidate]
                    return (*phones, *add(phones[-1]))
        return ()

    def _join(self, word: str) -> tuple[str, ...]:
        """Two known words written as one; the longest first part wins."""
        for cut in range(len(word) - SHORTEST_PART, SHORTEST_PART - 1, -1):
            if word[:cut] in self._words and word[cut:] in self._words:
                return (*self._words[word[:cut]], *self._words[word[cut:]])
        return ()


def read_words(lines: Sequence[str]) -> dict[str, tuple[str, ...]]:
    """The list "word phone phone ..." as a mapping."""
    entries = (line.split() for line in lines)
    return {entry[0]: tuple(entry[1:]) for entry in entries if len(entry) > 1}


def _plural(last: str) -> tuple[str, ...]:
    if last in HISSING:
        return ("ih", "z")
    return ("s",) if last in VOICELESS else ("z",)


def _past(last: str) -> tuple[str, ...]:
    if last in ("t", "d"):
        return ("ih", "d")
    return ("t",) if last in VOICELESS | HISSING - {"z", "zh", "jh"} else ("d",)


ENDINGS = {
    "'s": _plural,
    "s'": _plural,
    "es": _plural,
    "s": _plural,
    "ed": _past,
    "ing": lambda last: ("ih", "ng"),
    "ly": lambda last: ("l", "iy"),
    "ness": lambda last: ("n", "ax", "s"),
    "er": lambda last: ("er",),
    "est": lambda last: ("ax", "s", "t"),
}


def _spell(word: str) -> Iterator[str]:
    """By rules; a last e is silent, doubled letters sound once."""
    word = re.sub(r"(.)\1", r"\1", word.replace("'", "")) if "ee" not in word else word
    if len(word) > 3 and word.endswith("e"):
        word = word[:-1]
    place = 0
    while place < len(word):
        sizes = range(min(LONGEST, len(word) - place), 0, -1)
        part = next(word[place : place + n] for n in sizes if word[place : place + n] in SPELLING)
        yield from SPELLING[part].split()
        place += len(part)


def _begins_with_vowel(following: Sequence[tuple[str, ...]]) -> bool:
    return bool(following and following[0] and following[0][0] in VOWELS)
