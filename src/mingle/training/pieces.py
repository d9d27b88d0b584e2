"""A few of the thinker's own word pieces, enough to write any text: targets for reading speech."""

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from functools import lru_cache

from mingle.processing.tokenizer import Tokenizer

SPACE = " "


class Pieces:
    """Text as the longest pieces that fit, every word with the space before it.

    `ids` are the pieces' tokens in the thinker's vocabulary.
    """

    def __init__(self, pieces: Sequence[str], encode: Callable[[str], list[int]]):
        self.pieces = tuple(pieces)
        self.ids = tuple(_only_token(encode, piece) for piece in pieces)
        self._numbers = {piece: number for number, piece in enumerate(pieces)}
        self._longest = max(map(len, pieces))
        self._split_word = lru_cache(maxsize=50_000)(self._split)

    def split(self, text: str) -> list[int]:
        """Numbers of the pieces of a normalised text."""
        return [number for word in text.split() for number in self._split_word(SPACE + word)]

    def join(self, numbers: Iterable[int]) -> str:
        """The text of some pieces."""
        return "".join(self.pieces[number] for number in numbers).strip()

    def _split(self, word: str) -> tuple[int, ...]:
        numbers, start = [], 0
        while start < len(word):
            end = min(len(word), start + self._longest)
            while word[start:end] not in self._numbers:
                end -= 1  # single letters are pieces: this ends
            numbers.append(self._numbers[word[start:end]])
            start = end
        return tuple(numbers)


def frequent_pieces(
    texts: Iterable[str], tokenizer: Tokenizer, alphabet: str, count: int
) -> Pieces:
    """The `count` most frequent pieces of the texts, every letter with and without space among
    them."""
    words = Counter(word for text in texts for word in text.split())
    seen: Counter[str] = Counter()
    for word, times in words.items():
        for token in tokenizer.encode(SPACE + word):
            seen[tokenizer.decode([token])] += times
    letters = [letter for letter in alphabet if letter != SPACE]
    needed = [*letters, *(SPACE + letter for letter in letters), SPACE]
    kept = [piece for piece, _ in seen.most_common() if piece not in needed]
    return Pieces([*needed, *kept[: count - len(needed)]], tokenizer.encode)


def _only_token(encode: Callable[[str], list[int]], piece: str) -> int:
    tokens = encode(piece)
    assert len(tokens) == 1, f"{piece!r} is not one token of the thinker"
    return tokens[0]
