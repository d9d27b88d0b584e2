"""Speech as a frozen audio tower hears it: frames of whole shards, computed once, kept on disk."""

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from mingle.processing.audio import AudioSettings, log_mel
from mingle.worlds import prompts
from mingle.worlds.corpus import CorpusConfig, build_shard, read_shard
from mingle.worlds.rooms import distort
from mingle.worlds.sentences import normalise
from mingle.worlds.split import Split

SETTINGS = AudioSettings(
    sample_rate_hz=16_000, window=400, hop=160, mels=80, max_seconds=30.0, frames_per_token=4
)
TOGETHER = 4  # recordings encoded at once

Encode = Callable[[Sequence[Float[Tensor, "_ mels"]]], Sequence[Float[Tensor, "_ dim"]]]
Heard = tuple[Float[Tensor, "_ dim"], str]


def shard(encode: Encode, corpus: CorpusConfig, index: int) -> list[Heard]:
    """Frames (fp16) and normalised text of a shard's utterances, each in a random room."""
    path = Path(corpus.folder).expanduser() / f"{index:05d}.frames.pt"

    def spoken() -> list[tuple[np.ndarray, str]]:
        rng = np.random.default_rng((corpus.seed, index, 7))
        return [
            (distort(rng, utterance.samples), normalise(utterance.text))
            for utterance in read_shard(build_shard(corpus, index))
        ]

    return _kept(path, encode, spoken)


def prompt_shard(encode: Encode, folder: str, split: Split, index: int, count: int) -> list[Heard]:
    """Real prompts: `count` drawn by chance and heard in rooms; held out: each once, as it is."""
    path = Path(folder).expanduser() / f"{split}-{index:05d}.frames.pt"

    def spoken() -> list[tuple[np.ndarray, str]]:
        found = prompts.load(split)
        if split == "held_out":
            return [(prompt.samples, prompt.text) for prompt in found]
        rng = np.random.default_rng((index, 8))
        drawn = [found[i] for i in rng.integers(len(found), size=count)]
        return [(distort(rng, prompt.samples), prompt.text) for prompt in drawn]

    return _kept(path, encode, spoken)


def _kept(
    path: Path, encode: Encode, spoken: Callable[[], list[tuple[np.ndarray, str]]]
) -> list[Heard]:
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        recordings = spoken()
        frames = _encoded(encode, [samples for samples, _ in recordings])
        pairs = [(x, text) for x, (_, text) in zip(frames, recordings, strict=True)]
        torch.save(pairs, path.with_suffix(".partial"))
        path.with_suffix(".partial").replace(path)
    return torch.load(path, weights_only=True)


@torch.no_grad()
def _encoded(encode: Encode, recordings: Sequence[np.ndarray]) -> list[Tensor]:
    """Recordings of like length together: attention over equal lengths is cheaper."""
    mels = [torch.from_numpy(log_mel(samples, SETTINGS)) for samples in recordings]
    order = sorted(range(len(mels)), key=lambda i: len(mels[i]))
    frames: dict[int, Tensor] = {}
    for start in range(0, len(order), TOGETHER):
        group = order[start : start + TOGETHER]
        for i, x in zip(group, encode([mels[i] for i in group]), strict=True):
            frames[i] = x.half().cpu().clone()
    return [frames[i] for i in range(len(mels))]
