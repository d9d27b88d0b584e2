"""What a talker needs beside its weights: its words, a speaker encoder, preset voices."""

import gzip
import json
import math
import zlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from mingle import typed
from mingle.checkpoints.fields import Fields
from mingle.errors import CheckpointError, ConfigError
from mingle.processing.tokenizer import Tokenizer
from mingle.talker.text.phones import Pronouncer, read_words

SILENT_DB = -90.0  # no voice speaks so softly


@dataclass(frozen=True, kw_only=True)
class Preset:
    """A voice as it comes with a model: recordings to clone, or a speaker's vector.

    `level_db`: how loud it speaks by itself, below full scale, where that is known.
    """

    recordings: tuple[Path, ...] = ()
    transcript: str | None = None
    vector: tuple[float, ...] | None = None
    level_db: float | None = None


@dataclass(frozen=True, kw_only=True)
class SpeechFiles:
    """Where they lie. Without a speaker encoder no voice can be cloned.

    A talker reads tokens, or phones where there are `pronunciations` (a packed list of words).
    `hears_speakers`: its weights hold the speaker encoder.
    """

    tokenizer: Path | None = None
    pronunciations: Path | None = None
    speaker_encoder: Path | None = None
    hears_speakers: bool = False
    presets: Mapping[str, Preset] = field(default_factory=dict)

    @property
    def can_clone(self) -> bool:
        """Whether a voice can be taken from a recording."""
        return self.hears_speakers or self.speaker_encoder is not None

    def open_words(self) -> Tokenizer | Pronouncer:
        """What turns text into what the talker reads. Raises CheckpointError."""
        if self.pronunciations is None:
            return self.open_tokenizer()
        try:
            words = gzip.decompress(self.pronunciations.read_bytes()).decode("ascii")
        except (OSError, EOFError, zlib.error, UnicodeDecodeError) as error:
            raise CheckpointError(
                f"{self.pronunciations} cannot be read ({error}); fetch the model again"
            ) from error
        return Pronouncer(read_words(words.splitlines()))

    def open_tokenizer(self) -> Tokenizer:
        """The talker's tokenizer. Every added token acts in a prompt, special or not."""
        if self.tokenizer is None:
            raise CheckpointError("this talker reads phones, so it has no tokenizer")
        if not self.tokenizer.is_file():
            raise CheckpointError(f"{self.tokenizer} is missing; fetch the model again")
        definition = _read(self.tokenizer)
        added = definition.get("added_tokens", [])
        return Tokenizer(definition, {token["id"]: token["content"] for token in added})


def read_presets(file: Path, folder: Path) -> dict[str, Preset]:
    """Read the released `voice_name.json`: name -> prompt_text, prompt_wav_path below `folder`."""
    if not file.is_file():
        return {}
    presets = {}
    for name, entry in _read(file).items():
        fields = Fields(entry, f"'{name}' of {file}")
        transcript = fields.take("prompt_text", str | None, None)
        recording = folder / fields.take("prompt_wav_path", str)
        fields.done()
        presets[name] = Preset(recordings=(recording,), transcript=transcript)
    return presets


def read_vectors(file: Path) -> dict[str, Preset]:
    """Read nano's `voices.json`: name -> vector, level_db. Raises ConfigError."""
    presets = {}
    for name, entry in _read(file).items():
        if isinstance(entry, list):
            raise ConfigError(
                f"'{name}' of {file} is a list, as it was before voices told their level; export "
                'the talker again, or write {"vector": [...], "level_db": null}'
            )
        told = typed.read(_Told, entry, f"{file}: {name}")
        numbers = (*told.vector, 0.0 if told.level_db is None else told.level_db)
        if not (all(map(math.isfinite, numbers)) and SILENT_DB <= numbers[-1] <= 0):
            raise ConfigError(
                f"{file}: {name} has a level of {told.level_db} dB or numbers that are not "
                f"finite; expected {SILENT_DB:.0f} to 0 dB, and finite numbers"
            )
        presets[name] = Preset(vector=told.vector, level_db=told.level_db)
    return presets


@dataclass(frozen=True, kw_only=True)
class _Told:
    """What `voices.json` says of a voice."""

    vector: tuple[float, ...]
    level_db: float | None


def _read(file: Path) -> dict[str, Any]:
    try:
        content = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise ConfigError(f"{file} cannot be read ({error}); fetch the model again") from error
    if not isinstance(content, dict):
        raise ConfigError(f"{file} holds no JSON object; fetch the model again")
    return content
