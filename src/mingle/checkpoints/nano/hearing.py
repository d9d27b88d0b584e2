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
    tower's embeddings, as in the released model."""

    way: Literal["words", "embeddings"]
    beam: BeamSettings


def open_reader(folder: Path, hearing: Any, audio: Any) -> LetterReader | None:
    """The reader, if nano hears by reading. `hearing` and `audio` are the JSON of its files.

    Raises ConfigError for unknown keys, CheckpointError when the words are missing.
    """
    config = typed.read(Hearing, hearing, f"{FILE} of nano")
    if config.way == "embeddings":
        return None
    tower = typed.read(AudioConfig, audio, "audio.json of nano")
    if tower.refiner is None:
        raise ConfigError(f"{FILE} of nano says words, but audio.json has no refiner to read them")
    return LetterReader(tower.refiner.alphabet, read_words(folder / WORDS), config.beam)
