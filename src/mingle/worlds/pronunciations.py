"""How English words are pronounced, asked from flite: the list that nano's voice reads from.

flite knows the words of CMU's lexicon and has rules for all others; both are free for any use.
"""

import gzip
import re
from collections.abc import Iterator, Sequence
from pathlib import Path

from mingle.errors import CapacityError
from mingle.worlds.sentences import WORDNET, normalise
from mingle.worlds.voices import run_program

BATCH = 40  # words in one run of the program
PAUSE = "pau"
CONTRACTIONS = (
    "i'm i've i'll i'd you're you've you'll you'd he's he'll he'd she's she'll she'd it's it'll "
    "we're we've we'll we'd they're they've they'll they'd that's there's here's what's who's "
    "where's how's let's isn't aren't wasn't weren't don't doesn't didn't can't couldn't won't "
    "wouldn't shouldn't haven't hasn't hadn't mustn't o'clock"
).split()


def list_words() -> list[str]:
    """Every word of WordNet's definitions and examples, with contractions, sorted."""
    words: set[str] = set(CONTRACTIONS)
    for part in ("adj", "adv", "noun", "verb"):
        path = WORDNET / f"data.{part}"
        if not path.exists():
            raise CapacityError(f"WordNet is not at {path}; install Debian's wordnet-base")
        for line in path.read_text("latin-1").splitlines():
            words.update(normalise(line.partition("|")[2]).split())
    return sorted(word for word in words if re.fullmatch("[a-z]+('[a-z]+)?", word))


def pronounce(words: Sequence[str]) -> Iterator[tuple[str, tuple[str, ...]]]:
    """Each word with its phones, as flite says it when it stands alone."""
    for start in range(0, len(words), BATCH):
        batch = words[start : start + BATCH]
        spoken = _phones(batch)
        if len(spoken) != len(batch):  # a word that is read as several sentences
            spoken = [phones for word in batch for phones in [sum(_phones([word]), ())]]
        yield from zip(batch, spoken, strict=True)


def write_list(words: Sequence[str], path: Path) -> None:
    """Write "word phone phone ..." lines, packed by gzip; the same words give the same bytes."""
    lines = [f"{word} {' '.join(phones)}\n" for word, phones in pronounce(words) if phones]
    partial = path.with_suffix(".partial")
    partial.write_bytes(gzip.compress("".join(lines).encode("ascii"), mtime=0))
    partial.replace(path)


def _phones(words: Sequence[str]) -> list[tuple[str, ...]]:
    written = [word.capitalize() if word.startswith("i") else word for word in words]  # I'm
    text = ". ".join(written) + "."
    command = ["flite", "-voice", "kal16", "-psdur", "-o", "none", "-t", text]
    told = re.findall(r"(\w+):[\d.]+", run_program(command).decode("ascii"))
    found: list[tuple[str, ...]] = []
    current: list[str] = []
    for phone in [*told, PAUSE]:
        if phone != PAUSE:
            current.append(phone)
        elif current:
            found.append(tuple(current))
            current = []
    return found
