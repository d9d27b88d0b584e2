"""A corpus of synthetic speech on disk: clean utterances in shards, made once, read by many tasks.

Shard k of a corpus depends on the seed and k alone, so building can stop and go on anywhere, and
two processes can share the work.
"""

import json
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np

from mingle.worlds.sentences import deal_sentence
from mingle.worlds.split import Split
from mingle.worlds.voices import (
    FLITE,
    UNHEARD,
    VOICES,
    Phone,
    Utterance,
    Voice,
    synthesise,
)

SHARD = 500  # utterances
WEIGHTS = {"slt": 4.0, "rms": 4.0, "awb": 3.0, "kal16": 1.5}
ESPEAK_SHARE = 0.4


@dataclass(frozen=True, kw_only=True)
class CorpusConfig:
    """What a corpus holds. `flite_only` keeps to the voices that tell their phones."""

    folder: str
    seed: int
    split: Split
    flite_only: bool


def build_shard(config: CorpusConfig, index: int) -> Path:
    """Make one shard, unless it is there. Written to a temporary name first."""
    path = Path(config.folder).expanduser() / f"{index:05d}.npz"
    if path.exists():
        return path
    path.parent.mkdir(parents=True, exist_ok=True)
    rng = np.random.default_rng((config.seed, index))
    utterances = [sample_utterance(rng, config, index * SHARD + i) for i in range(SHARD)]
    audio = np.concatenate([utterance.samples for utterance in utterances])
    facts = [
        {
            "text": utterance.text,
            "voice": utterance.voice.name,
            "samples": len(utterance.samples),
            "phones": [[phone.name, round(phone.end_s, 3)] for phone in utterance.phones],
        }
        for utterance in utterances
    ]
    partial = path.with_suffix(".partial.npz")
    np.savez(
        partial,
        audio=(audio * 32767).round().astype(np.int16),
        facts=np.frombuffer(json.dumps(facts).encode(), dtype=np.uint8),
        config=np.frombuffer(json.dumps(asdict(config)).encode(), dtype=np.uint8),
    )
    partial.replace(path)
    return path


def read_shard(path: Path) -> Iterator[Utterance]:
    """The utterances of one shard, in order."""
    by_name = {voice.name: voice for voice in VOICES}
    with np.load(path) as shard:
        audio = shard["audio"].astype(np.float32) / 32767
        facts = json.loads(shard["facts"].tobytes())
    start = 0
    for fact in facts:
        end = start + fact["samples"]
        yield Utterance(
            text=fact["text"],
            voice=by_name[fact["voice"]],
            samples=audio[start:end],
            phones=tuple(Phone(name=name, end_s=end_s) for name, end_s in fact["phones"]),
        )
        start = end


def sample_utterance(rng: np.random.Generator, config: CorpusConfig, number: int) -> Utterance:
    """Sentence `number` of the corpus by one voice: speed 0.8 to 1.2, every other time with another
    pitch."""
    voice = sample_voice(rng, config)
    pitch = float(rng.uniform(0.85, 1.18)) if rng.random() < 0.5 else 1.0
    sentence = deal_sentence(rng, config.split, config.seed, number)
    return synthesise(sentence, voice, speed=float(rng.uniform(0.8, 1.2)), pitch=pitch)


def sample_voice(rng: np.random.Generator, config: CorpusConfig) -> Voice:
    """A training voice for the train split; any voice, held-out ones included, otherwise."""
    if config.flite_only or rng.random() > ESPEAK_SHARE:
        weights = np.array([WEIGHTS[voice.name] for voice in FLITE])
        return FLITE[rng.choice(len(FLITE), p=weights / weights.sum())]
    voices = [voice for voice in VOICES if voice.program == "espeak-ng"]
    if config.split == "train":
        voices = [voice for voice in voices if voice not in UNHEARD]
    return voices[rng.integers(len(voices))]
