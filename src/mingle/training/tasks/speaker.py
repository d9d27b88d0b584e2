"""Task `speaker`: who speaks, learned by naming the training voices and their pitch."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor, nn
from torch.nn import functional as F

from mingle.processing.pitch import track_pitch
from mingle.talker.speaker import RATE_HZ, SpeakerConfig, SpeakerEncoder
from mingle.training.streams import Batch, Draw, numbered
from mingle.training.task import Outcome, Task
from mingle.worlds.corpus import CorpusConfig, build_shard, read_shard
from mingle.worlds.voices import VOICES

SCALE = 12.0  # of cosines before the softmax
MARGIN = 0.2  # the right voice's cosine must win by it (Wang et al. 2018, CosFace)
PITCH_HOP = 320  # samples: 20 ms are fine enough for a mean
MIDDLE_HZ = 130.0
NAMES = tuple(voice.name for voice in VOICES)


@dataclass(frozen=True, kw_only=True)
class SpeakerData:
    """`rows` cuts of `seconds` in each batch, out of the corpus's first `shards` shards."""

    corpus: CorpusConfig
    held_out: CorpusConfig
    shards: int
    rows: int
    seconds: float


@dataclass(frozen=True, kw_only=True)
class Speakers:
    """Cuts, the numbers of their voices, and the pitch in octaves from 130 Hz."""

    waves: Float[Tensor, "rows samples"]
    voices: Int[Tensor, " rows"]
    octaves: Float[Tensor, " rows"]


@dataclass(frozen=True, kw_only=True)
class Known:
    """One recording, its voice's number and mean pitch."""

    samples: np.ndarray
    voice: int
    octaves: float


class Classifier(nn.Module):
    """The encoder, with what only training needs: a direction for each voice, a pitch head."""

    def __init__(self, config: SpeakerConfig):
        super().__init__()
        self.encoder = SpeakerEncoder(config)
        self.voices = nn.Parameter(torch.randn(len(NAMES), config.out_dim))
        self.pitch = nn.Linear(config.out_dim, 1)


class SpeakerTask(Task):
    """Cross-entropy over the voices with a margin; the pitch keeps its place in the vector."""

    Model, Data = SpeakerConfig, SpeakerData

    def build(self, config: SpeakerConfig) -> nn.Module:
        """The encoder and its training heads, freshly initialised."""
        return Classifier(config)

    def batches(self, data: SpeakerData, draw: Draw) -> Iterator[Batch]:
        """Cuts by chance, louder or softer; a batch stays inside one shard."""
        held: dict[int, list[Known]] = {}

        def make(rng: np.random.Generator) -> Speakers:
            shard = int(rng.integers(data.shards))
            if shard not in held:
                held[shard] = _known(data.corpus, shard)
            chosen = rng.integers(len(held[shard]), size=data.rows)
            return _cuts(rng, [held[shard][i] for i in chosen], data.seconds)

        for position, cuts in numbered(make, draw):
            tokens = cuts.waves.numel()
            yield Batch(data=cuts, samples=data.rows, tokens=tokens, position=position)

    def losses(self, batch: Batch, generator: torch.Generator) -> Outcome:
        """`voice` in nats, `pitch` in octaves."""
        cuts: Speakers = batch.data
        vectors = self.model.encoder(cuts.waves)
        cosines = vectors @ F.normalize(self.model.voices, dim=1).T
        right = F.one_hot(cuts.voices, len(NAMES))
        voice = F.cross_entropy(SCALE * (cosines - MARGIN * right), cuts.voices)
        pitch = (self.model.pitch(vectors)[:, 0] - cuts.octaves).abs().mean()
        named = (cosines.argmax(1) == cuts.voices).float().mean()
        return Outcome(losses={"voice": voice, "pitch": pitch}, metrics={"named": float(named)})

    @torch.no_grad()
    def evaluate(self, data: SpeakerData, folder: Path) -> dict[str, float]:
        """Recordings of voices never heard: how many have one of their own voice as the nearest."""
        known = _known(data.held_out, 0)
        trained = {one.voice for one in _known(data.corpus, 0)}
        strangers = [one for one in known if one.voice not in trained]
        cuts = self.here(_cuts(np.random.default_rng(0), strangers, data.seconds))
        vectors = self.model.encoder(cuts.waves)
        likeness = (vectors @ vectors.T).fill_diagonal_(-1)
        same = cuts.voices[likeness.argmax(1)] == cuts.voices
        return {
            "strangers": float(len(strangers)),
            "nearest_is_the_same": float(same.float().mean()),
        }

    def export(self, folder: Path) -> None:
        """The encoder alone."""
        from safetensors.torch import save_file

        folder.mkdir(parents=True, exist_ok=True)
        tensors = {name: t.contiguous() for name, t in self.model.encoder.state_dict().items()}
        save_file(tensors, folder / "model.safetensors")


def _known(corpus: CorpusConfig, shard: int) -> list[Known]:
    return [
        _measured(spoken.samples, NAMES.index(spoken.voice.name))
        for spoken in read_shard(build_shard(corpus, shard))
    ]


def _measured(samples: np.ndarray, voice: int) -> Known:
    pitch = track_pitch(samples, RATE_HZ, PITCH_HOP, -(-len(samples) // PITCH_HOP))
    hz = pitch.mean_hz if pitch.voiced.any() else MIDDLE_HZ
    kept = (samples * 32767).round().astype(np.int16)
    return Known(samples=kept, voice=voice, octaves=float(np.log2(hz / MIDDLE_HZ)))


def _cuts(rng: np.random.Generator, known: list[Known], seconds: float) -> Speakers:
    """A cut of each at a level by chance; a shorter recording is said again."""
    length = round(seconds * RATE_HZ)
    waves = []
    for one in known:
        start = int(rng.integers(max(1, len(one.samples) - length + 1)))
        samples = np.resize(one.samples[start:], length).astype(np.float32) / 32767
        waves.append(samples * 10 ** rng.uniform(-0.5, 0.3))
    return Speakers(
        waves=torch.from_numpy(np.stack(waves)).float(),
        voices=torch.tensor([one.voice for one in known]),
        octaves=torch.tensor([one.octaves for one in known]),
    )
