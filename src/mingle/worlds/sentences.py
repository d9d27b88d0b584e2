"""Sentences to be spoken: WordNet's usage examples, and telephone and assistant phrases.

WordNet is Debian's `wordnet-base` (WordNet licence, free for any use).
"""

import re
from functools import cache
from pathlib import Path

import numpy as np

from mingle.errors import CapacityError
from mingle.worlds import prompts
from mingle.worlds.phrases import WORDS_SHARE, sample_phrase, sample_words
from mingle.worlds.split import Split, is_held_out

WORDNET = Path("/usr/share/wordnet")
LETTERS = "abcdefghijklmnopqrstuvwxyz'"
MIN_WORDS, MAX_WORDS = 3, 14
# Stems of words that a dictionary quotes and a model of the house need not learn to say.
RUDE = re.compile(
    r"\b(fuck|shit|cunt|nigg|whore|slut|bitch|bastard|rape|raping|cock\b|tits|turd|piss|faggot|"
    r"dyke|kike|wop\b|spic\b|chink|jap\b|japs|gook|honky|wetback|darky|arse|asshole|ass\b|"
    r"screwed his|genital|penis|vagina|sex|prostitut|orgasm|masturbat|nazi|lynch|jew)",
    re.IGNORECASE,
)


def normalise(text: str) -> str:
    """Lower case, letters and apostrophes only, single spaces: what recognition is scored on."""
    return " ".join(re.sub(f"[^{LETTERS}]+", " ", text.lower().replace("`", "'")).split())


@cache
def wordnet_examples() -> tuple[str, ...]:
    """Every distinct usage example of 3 to 14 plain words, sorted.

    Raises CapacityError when WordNet's files are not installed.
    """
    found: set[str] = set()
    for part in ("adj", "adv", "noun", "verb"):
        path = WORDNET / f"data.{part}"
        if not path.exists():
            raise CapacityError(f"WordNet is not at {path}; install Debian's wordnet-base")
        text = path.read_text("latin-1")
        found.update(match.strip() for match in re.findall(r'"([^"\n]+)"', text))
    return tuple(sorted(line for line in found if _is_speakable(line)))


def sample_sentence(rng: np.random.Generator, split: Split, phrase_share: float = 0.2) -> str:
    """A sentence of the split: held out by its normalised text, so no text is in both."""
    examples = split_examples(split)
    if rng.random() >= phrase_share:
        return examples[rng.integers(len(examples))]
    return _phrase(rng, split)


def deal_sentence(rng: np.random.Generator, split: Split, seed: int, number: int) -> str:
    """Sentence `number` of an endless series: every fourth a phrase, the others WordNet's in a
    shuffled order, so that none comes twice before all have come once."""
    if number % 4 == 3:
        return sample_words(rng) if rng.random() < WORDS_SHARE else _phrase(rng, split)
    examples = split_examples(split)
    lap, place = divmod(number - number // 4, len(examples))
    return examples[_order(seed, lap, len(examples))[place]]


@cache
def split_examples(split: Split) -> tuple[str, ...]:
    """WordNet's examples that belong to the split."""
    return tuple(x for x in wordnet_examples() if _split_of(normalise(x)) == split)


@cache
def _order(seed: int, lap: int, length: int) -> tuple[int, ...]:
    return tuple(np.random.default_rng((seed, lap)).permutation(length).tolist())


def _phrase(rng: np.random.Generator, split: Split) -> str:
    while True:
        phrase = sample_phrase(rng)
        if _split_of(normalise(phrase)) == split:
            return phrase


def _split_of(text: str) -> Split | None:
    """The split of a normalised text; None for the words of a held-out recording."""
    if text in _recorded():
        return None
    return "held_out" if is_held_out(text) else "train"


@cache
def _recorded() -> frozenset[str]:
    return frozenset(words for _, words in prompts.texts("held_out"))


def _is_speakable(line: str) -> bool:
    words = line.split()
    plain = all(re.fullmatch(r"[A-Za-z][A-Za-z'-]*[,;:.!?]?", word) for word in words)
    return (
        plain and not RUDE.search(line) and MIN_WORDS <= len(words) <= MAX_WORDS and len(line) <= 90
    )
