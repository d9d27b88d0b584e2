"""Task `audio_vae`: the talker's autoencoder on synthetic voices."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional as F

from mingle.talker.audio_vae import AudioVae, AudioVaeConfig, Posterior
from mingle.training import losses
from mingle.training.chance import normal
from mingle.training.streams import Batch, Draw, numbered
from mingle.training.task import Outcome, Task
from mingle.worlds.corpus import CorpusConfig, build_shard, read_shard

WINDOWS = (2048, 1024, 512, 256, 128)  # samples
FLOOR = 1e-3  # of full scale; below it a magnitude is silence


@dataclass(frozen=True, kw_only=True)
class VoiceData:
    """`rows` cuts of `seconds` in each batch, out of the corpus's first `shards` shards."""

    corpus: CorpusConfig
    held_out: CorpusConfig
    shards: int
    rows: int
    seconds: float


class AudioVaeTask(Task):
    """Multi-resolution spectra, with a weak pull of the latents to N(0, 1)."""

    Model, Data = AudioVaeConfig, VoiceData

    def build(self, config: AudioVaeConfig) -> nn.Module:
        """The autoencoder, freshly initialised."""
        return AudioVae(config)

    def batches(self, data: VoiceData, draw: Draw) -> Iterator[Batch]:
        """Cuts by chance, each of the same length; a batch stays inside one shard."""
        held: dict[int, list[np.ndarray]] = {}
        length = self._cut(data.seconds)

        def make(rng: np.random.Generator) -> np.ndarray:
            shard = int(np.random.default_rng(int(rng.integers(2**32))).integers(data.shards))
            if shard not in held:
                path = build_shard(data.corpus, shard)
                held[shard] = [spoken.samples for spoken in read_shard(path)]
            chosen = rng.integers(len(held[shard]), size=data.rows)
            return np.stack([_window(rng, held[shard][i], length) for i in chosen])

        for position, waves in numbered(make, draw):
            batch = torch.from_numpy(waves)
            yield Batch(data=batch, samples=data.rows, tokens=batch.numel(), position=position)

    def losses(self, batch: Batch, generator: torch.Generator) -> Outcome:
        """`spectra` as losses.spectral, `wave` the L1 of samples, `kl` in nats a latent number."""
        waves = batch.data
        posterior = self._encode(waves)
        noise = normal(posterior.mean.shape, generator)
        made = self._decode(posterior.sample(noise), waves)
        return Outcome(
            losses={
                "spectra": losses.spectral(made, waves, WINDOWS, FLOOR),
                "wave": F.l1_loss(made, waves),
                "kl": losses.kl(posterior.mean, posterior.std),
            },
            metrics={"latent_std": float(posterior.mean.detach().std())},
        )

    @torch.no_grad()
    def evaluate(self, data: VoiceData, folder: Path) -> dict[str, float]:
        """Spectral distance of 64 held-out cuts from their copies; eight pairs to listen to."""
        import soundfile

        rng, length = np.random.default_rng(0), self._cut(data.seconds)
        spoken = list(read_shard(build_shard(data.held_out, 0)))[:64]
        cuts = np.stack([_window(rng, s.samples, length) for s in spoken])
        waves = self.here(torch.from_numpy(cuts))
        made = self._decode(self._encode(waves).mean, waves)
        folder.mkdir(parents=True, exist_ok=True)
        rate = self.config.sample_rate_hz
        for i in range(8):
            pair = torch.cat((waves[i], made[i])).clamp(-1, 1).cpu()
            soundfile.write(folder / f"original_then_copy_{i}.wav", pair.numpy(), rate)
        return {"spectra": float(losses.spectral(made, waves, WINDOWS, FLOOR))}

    def _cut(self, seconds: float) -> int:
        """Samples in a cut: whole latents, so that the copy is as long as the original."""
        unit = self.config.latent_samples
        return max(1, round(seconds * self.config.sample_rate_hz / unit)) * unit

    def _encode(self, waves: Float[Tensor, "rows samples"]) -> Posterior:
        encoder = self.model.encoder
        frames = [encoder.split(wave) for wave in waves]
        return encoder(torch.cat(frames), [len(part) for part in frames])

    def _decode(
        self, latents: Float[Tensor, "latents latent_dim"], like: Float[Tensor, "rows samples"]
    ) -> Float[Tensor, "rows samples"]:
        each = len(latents) // len(like)
        return self.model.decoder(latents, [each] * len(like)).view_as(like)


def _window(rng: np.random.Generator, samples: np.ndarray, length: int) -> np.ndarray:
    """A cut of this length by chance; a shorter recording is followed by silence."""
    start = int(rng.integers(max(1, len(samples) - length + 1)))
    piece = samples[start : start + length]
    return np.pad(piece, (0, length - len(piece)))
