"""Letters -> words: a beam over texts, led by a lexicon and by words that are expected.

Prefix beam search of connectionist temporal classification (Hannun et al. 2014): a hypothesis is
a text; all paths of letters and blanks that spell it count together. Words outside the lexicon can
be spelled too, at a price.
"""

import logging
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from math import exp, inf, log1p

import numpy as np
from jaxtyping import Float

from mingle.processing.word_model import TrieNode, WordModel, insert

log = logging.getLogger(__name__)

SPACE = " "


@dataclass(frozen=True, kw_only=True)
class BeamSettings:
    """Weights of the search, in nats.

    `words`: how much the words' probabilities count against the letters'; `per_word` is added for
    each word. A word outside the lexicon costs `unknown` and `unknown_letter` for each letter. An
    expected word counts as if its log-probability were at least `expected`; above 0 it is sought.
    Letters below `least` are not tried.
    """

    width: int
    words: float
    per_word: float
    unknown: float
    unknown_letter: float
    expected: float
    least: float


@dataclass(frozen=True, kw_only=True)
class Reading:
    """A text, the natural logarithm of its probability by the letters, and the whole score."""

    text: str
    letters: float
    score: float


class LetterReader:
    """Reads rows of letter probabilities. Holds no state between readings."""

    def __init__(self, alphabet: str, model: WordModel, settings: BeamSettings):
        self.alphabet, self.model, self.settings = alphabet, model, settings
        self.trie = model.trie()
        self._numbers = {word: number for number, word in enumerate(model.words)}

    def read(
        self,
        scores: Float[np.ndarray, "rows letters"],
        expected: Iterable[str] = (),
        num: int = 1,
    ) -> list[Reading]:
        """The best `num` texts, best first, of log-probabilities (class 0 is nothing).

        `expected` are words, of the alphabet's letters, that may well be said.
        """
        beam = {"": (_Text(self, self._expect(expected)), 0.0, -inf)}
        for row in scores:
            beam = self._step(beam, row)
        found = [
            Reading(
                text=text.text.strip(),
                letters=(letters := float(np.logaddexp(blank, letter))),
                score=letters + text.finished(),
            )
            for text, blank, letter in beam.values()
        ]
        return sorted(found, key=lambda reading: -reading.score)[:num]

    def _expect(self, words: Iterable[str]) -> TrieNode:
        root = TrieNode()
        for word in words:
            number = self._numbers.get(word, -1)
            insert(root, word, number if number >= 0 else -2, self.settings.expected)
        return root

    def _step(
        self, beam: "dict[str, tuple[_Text, float, float]]", row: Float[np.ndarray, " letters"]
    ) -> "dict[str, tuple[_Text, float, float]]":
        logs = row.tolist()
        tried = [
            (self.alphabet[i - 1], logs[i])
            for i in range(1, len(logs))
            if logs[i] > self.settings.least
        ]
        by_letter = dict(zip(self.alphabet, logs[1:], strict=True))
        sums: dict[str, list[float]] = {}
        texts: dict[str, _Text] = {}

        def add(text: "_Text", place: int, value: float) -> None:
            if value == -inf:
                return
            pair = sums.get(text.text)
            if pair is None:
                pair = sums[text.text] = [-inf, -inf]
                texts[text.text] = text
            pair[place] = _log_add(pair[place], value)

        for text, blank, letter in beam.values():
            both = _log_add(blank, letter)
            last = text.text[-1:]
            add(text, 0, both + logs[0])
            if last:
                add(text, 1, letter + by_letter[last])
            for new, value in tried:
                longer = text.then(new)
                if longer is not None:
                    add(longer, 1, (blank if new == last else both) + value)
        ranked = sorted(sums, key=lambda key: -_log_add(*sums[key]) - texts[key].score)[
            : self.settings.width
        ]
        return {key: (texts[key], sums[key][0], sums[key][1]) for key in ranked}


class _Text:
    """A text so far: where its last word stands in the tries, and what its words count."""

    __slots__ = (
        "before",
        "expected",
        "hot",
        "known",
        "longer",
        "node",
        "reader",
        "score",
        "start",
        "text",
    )

    def __init__(self, reader: LetterReader, expected: TrieNode):
        self.reader, self.expected = reader, expected
        self.text, self.start = "", 0
        self.before = 0  # the number of the last whole word, -1 for one outside the lexicon
        self.known = 0.0  # what the whole words count
        self.node: TrieNode | None = reader.trie
        self.hot: TrieNode | None = expected
        self.score = 0.0
        self.longer: dict[str, _Text | None] = {}

    def then(self, letter: str) -> "_Text | None":
        """This text and one letter more; None where no word may end or begin so."""
        if letter not in self.longer:
            self.longer[letter] = self._space() if letter == SPACE else self._letter(letter)
        return self.longer[letter]

    def finished(self) -> float:
        """What the words count if the text ends here."""
        return self.known if self.start == len(self.text) else self.known + self._word()[0]

    def _letter(self, letter: str) -> "_Text":
        new = self._copy(self.text + letter)
        new.node = None if self.node is None else self.node.letters.get(letter)
        new.hot = None if self.hot is None else self.hot.letters.get(letter)
        new.score = new.known + new._outlook()
        return new

    def _space(self) -> "_Text | None":
        if self.start == len(self.text):
            return None
        counts, number = self._word()
        new = self._copy(self.text + SPACE)
        new.start, new.before = len(new.text), number
        new.known = new.score = self.known + counts
        new.node, new.hot = self.reader.trie, self.expected
        return new

    def _copy(self, text: str) -> "_Text":
        new = _Text(self.reader, self.expected)
        new.text, new.start, new.before, new.known = text, self.start, self.before, self.known
        return new

    def _word(self) -> tuple[float, int]:
        """What the last word counts when it ends here, and its number."""
        settings, best, number = self.reader.settings, -inf, -1
        if self.node is not None and self.node.word >= 0:
            number = self.node.word
            best = settings.words * self.reader.model.score(self.before, number)
        if self.hot is not None and self.hot.word != -1:
            best = max(best, settings.words * settings.expected)
        return max(best, self._unknown()) + settings.per_word, number

    def _outlook(self) -> float:
        """The most that the unfinished word can count."""
        settings, best = self.reader.settings, self._unknown()
        for node in (self.node, self.hot):
            if node is not None:
                best = max(best, settings.words * node.best)
        return best

    def _unknown(self) -> float:
        settings = self.reader.settings
        return -settings.unknown - settings.unknown_letter * (len(self.text) - self.start)


def _log_add(a: float, b: float) -> float:
    if a < b:
        a, b = b, a
    return a if b == -inf else a + _log1p_exp(b - a)


def _log1p_exp(x: float) -> float:
    return 0.0 if x < -30 else log1p(exp(x))


def expected_words(texts: Sequence[str], alphabet: str) -> tuple[str, ...]:
    """The words of some texts in the alphabet's letters, each once; other letters are told."""
    letters = set(alphabet) - {SPACE}
    strange = sorted({c for text in texts for c in text.lower() if c.isalpha()} - letters)
    if strange:
        log.warning("these ears read no %s; such letters of expected words are left out", strange)
    kept = ("".join(c if c in letters else SPACE for c in text.lower()) for text in texts)
    return tuple(dict.fromkeys(word for text in kept for word in text.split()))
