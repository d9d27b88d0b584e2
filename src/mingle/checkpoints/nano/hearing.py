"""How nano hears: its ears read letters, a lexicon makes words of them (`hearing.json`)."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from mingle import typed
from mingle.encoders.audio import AudioConfig
from mingle.errors import ConfigError
from mingle.processing.reading import BeamSettings, LetterReader
from mingle.processing.word_model import read_words

FILE, WORDS = "hearing.json", "words.npz"


@dataclass(frozen=True, kw_only=True)
class Hearing:
    """`way` words: the thinker gets what the ears read. `way` embeddings: it gets the audio
    tower's embeddings, as in the released model. `way` words_alone: words, and embeddings of
    what is asked by voice in conversations that show something."""

    way: Literal["words", "words_alone", "embeddings"]
    beam: BeamSettings


def read_hearing(raw: Any) -> Hearing:
    """Read `hearing.json`. Raises ConfigError for unknown keys or values."""
    return typed.read(Hearing, raw, f"{FILE} of nano")


def open_reader(folder: Path, config: Hearing, audio: Any) -> LetterReader | None:
    """The reader, if nano hears by reading; `audio` is the JSON of its tower.

    Raises ConfigError for a tower that nothing can be read from, CheckpointError when the words
    are missing.
    """
    if config.way == "embeddings":
        return None
    tower = typed.read(AudioConfig, audio, "audio.json of nano")
    if tower.refiner is None:
        raise ConfigError(
            f"{FILE} of nano says {config.way}, but audio.json has no refiner to read them"
        )
    return LetterReader(tower.refiner.alphabet, read_words(folder / WORDS), config.beam)
