"""Which words there are and which follow which: a small bigram model, read from one file.

Interpolated absolute discounting (Ney, Essen, Kneser 1994). Made from the texts that a model's
ears were trained on, so it is small and knows no text that they did not hear of.
"""

import zlib
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from math import log
from pathlib import Path
from typing import Any
from zipfile import BadZipFile

import numpy as np
from jaxtyping import Float32, Int32

from mingle.errors import CheckpointError

START = ""  # stands before the first word
DISCOUNT = 0.75
FLOOR = 0.2  # counts that every known word has beside its own


@dataclass
class TrieNode:
    """Where a beginning of words leads: the next letters, the word that ends here (or -1), and the
    natural logarithm of the most frequent word's probability that goes on from here."""

    letters: dict[str, "TrieNode"] = field(default_factory=dict[str, "TrieNode"])
    word: int = -1
    best: float = -np.inf


@dataclass(frozen=True, kw_only=True)
class WordModel:
    """Natural logarithms of probabilities. Word 0 is the start of a text.

    The words that were seen after word `h` are `next_words[rows[h]:rows[h + 1]]`, sorted, their
    logarithms beside them; all others have `unigrams` plus `backoffs[h]`.
    """

    words: tuple[str, ...]
    unigrams: Float32[np.ndarray, " words"]
    backoffs: Float32[np.ndarray, " words"]
    rows: Int32[np.ndarray, " ends"]
    next_words: Int32[np.ndarray, " pairs"]
    next_logs: Float32[np.ndarray, " pairs"]

    def score(self, before: int, word: int) -> float:
        """log p(word | word before); a `before` of -1 is an unknown word."""
        if before < 0:
            return float(self.unigrams[word])
        start, end = self.rows[before], self.rows[before + 1]
        place = start + int(np.searchsorted(self.next_words[start:end], word))
        if place < end and self.next_words[place] == word:
            return float(self.next_logs[place])
        return float(self.backoffs[before] + self.unigrams[word])

    def trie(self) -> TrieNode:
        """All words, letter by letter."""
        root = TrieNode()
        for number, word in enumerate(self.words):
            if word != START:
                insert(root, word, number, float(self.unigrams[number]))
        return root


def insert(root: TrieNode, word: str, number: int, log_probability: float) -> None:
    """Add a word to a trie."""
    node = root
    node.best = max(node.best, log_probability)
    for letter in word:
        node = node.letters.setdefault(letter, TrieNode())
        node.best = max(node.best, log_probability)
    node.word = number


def count_words(texts: Iterable[tuple[str, float]]) -> WordModel:
    """The model of some normalised texts, each with how often it counts."""
    singles: Counter[str] = Counter()
    pairs: dict[str, Counter[str]] = {}
    for text, weight in texts:
        before = START
        for word in text.split():
            singles[word] += weight  # pyright: ignore[reportArgumentType]
            pairs.setdefault(before, Counter())[word] += weight  # pyright: ignore[reportArgumentType]
            before = word
    words = (START, *sorted(singles))
    numbers = {word: number for number, word in enumerate(words)}
    total = sum(singles.values()) + FLOOR * len(words)
    chances = np.array([(singles[word] + FLOOR) / total for word in words])
    rows, following, logs, backoffs = [0], list[int](), list[float](), list[float]()
    for word in words:
        after = pairs.get(word, Counter[str]())
        seen = sum(after.values())
        left = DISCOUNT * sum(min(1.0, count) for count in after.values()) / seen if seen else 1.0
        for follower in sorted(after, key=numbers.__getitem__):
            count = after[follower]
            own = (count - DISCOUNT * min(1.0, count)) / seen
            following.append(numbers[follower])
            logs.append(log(own + left * chances[numbers[follower]]))
        rows.append(len(following))
        backoffs.append(log(left))
    return WordModel(
        words=words,
        unigrams=np.log(chances).astype(np.float32),
        backoffs=np.array(backoffs, np.float32),
        rows=np.array(rows, np.int32),
        next_words=np.array(following, np.int32),
        next_logs=np.array(logs, np.float32),
    )


def write_words(model: WordModel, path: Path) -> None:
    """Store a model: logarithms in fp16, words as text."""
    partial = path.with_suffix(".partial.npz")
    np.savez_compressed(
        partial,
        words=np.frombuffer("\n".join(model.words).encode(), np.uint8),
        unigrams=model.unigrams.astype(np.float16),
        backoffs=model.backoffs.astype(np.float16),
        rows=model.rows,
        next_words=model.next_words,
        next_logs=model.next_logs.astype(np.float16),
    )
    partial.replace(path)


def read_words(path: Path) -> WordModel:
    """Read a stored model. Raises CheckpointError for a missing or damaged file."""
    try:
        with np.load(path) as stored:
            arrays: dict[str, Any] = {name: stored[name] for name in stored.files}
        return WordModel(
            words=tuple(arrays["words"].tobytes().decode().split("\n")),
            unigrams=arrays["unigrams"].astype(np.float32),
            backoffs=arrays["backoffs"].astype(np.float32),
            rows=arrays["rows"],
            next_words=arrays["next_words"],
            next_logs=arrays["next_logs"].astype(np.float32),
        )
    except (OSError, KeyError, ValueError, EOFError, BadZipFile, zlib.error) as error:
        raise CheckpointError(
            f"{path} is no whole list of words ({type(error).__name__}); fetch the model again"
        ) from error
