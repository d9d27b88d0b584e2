"""Task `image_vae`: the painter's autoencoder on pictures of the world."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float, UInt8
from torch import Tensor, nn

from mingle.painter import backbones
from mingle.painter.config import AutoencoderConfig
from mingle.training.chance import normal, uniform
from mingle.training.streams import Batch, Draw, numbered
from mingle.training.task import Outcome, Task
from mingle.worlds.pictures import sample_picture


@dataclass(frozen=True, kw_only=True)
class PictureData:
    """Batches of world pictures, `side` pixels square.

    `noise`: latents get normal noise of a spread drawn from 0 to this, as a painter's have errors.
    """

    side: int
    batch: int
    noise: float


class ImageVaeTask(Task):
    """Reconstruction of pixels and of their edges, with a weak pull of the latents to N(0, 1)."""

    Model, Data = AutoencoderConfig, PictureData

    def build(self, config: AutoencoderConfig) -> nn.Module:
        """The autoencoder, freshly initialised."""
        return backbones.build_autoencoder(config).to(memory_format=torch.channels_last)  # pyright: ignore

    def batches(self, data: PictureData, draw: Draw) -> Iterator[Batch]:
        """Pictures of the train split in [-1, 1]."""

        def make(rng: np.random.Generator) -> np.ndarray:
            return np.stack(
                [sample_picture(rng, side=data.side, split="train") for _ in range(data.batch)]
            )

        for position, pixels in numbered(make, draw):
            batch = as_tensor(pixels)
            yield Batch(
                data=(batch, data), samples=data.batch, tokens=batch[:, 0].numel(),
                position=position,
            )  # fmt: skip

    def losses(self, batch: Batch, generator: torch.Generator) -> Outcome:
        """`pixels` and `edges` are L1 plus MSE in units of half the pixel range; `kl` in nats."""
        pixels, data = batch.data
        posterior = backbones.posterior(self.model, pixels)
        noise = normal(posterior.mean.shape, generator)
        further = uniform((len(pixels), 1, 1, 1), generator) * data.noise
        spread = (posterior.var + further**2).sqrt()
        painted = backbones.to_pixels(self.model, posterior.mean + spread * noise)
        error = painted - pixels
        return Outcome(
            losses={
                "pixels": error.abs().mean() + error.square().mean(),
                "edges": error.diff(dim=-1).abs().mean() + error.diff(dim=-2).abs().mean(),
                "kl": posterior.kl().mean() / posterior.mean[0].numel(),
            },
            metrics={"psnr": psnr(painted.detach(), pixels)},
        )

    @torch.no_grad()
    def evaluate(self, data: PictureData, folder: Path) -> dict[str, float]:
        """PSNR in dB on 128 held-out pictures, the latents' mean and spread; a grid to look at."""
        rng = np.random.default_rng(0)
        pictures = [sample_picture(rng, side=data.side, split="held_out") for _ in range(128)]
        pixels = self.here(as_tensor(np.stack(pictures)))
        latents = backbones.posterior(self.model, pixels).mean
        painted = backbones.to_pixels(self.model, latents)
        save_grid(folder / "reconstructions.png", torch.stack((pixels, painted), 1)[:48])
        return {
            "psnr": psnr(painted, pixels),
            "latent_mean": float(latents.mean()),
            "latent_std": float(latents.std()),
        }


def as_tensor(pixels: np.ndarray) -> Float[Tensor, "batch 3 height width"]:
    """8-bit pixels, channels last, as [-1, 1], channels first."""
    return torch.from_numpy(pixels).permute(0, 3, 1, 2).float() / 127.5 - 1


def as_levels(
    pictures: Float[Tensor, "batch 3 height width"],
) -> UInt8[np.ndarray, "batch height width 3"]:
    """[-1, 1], channels first, as 8-bit pixels, channels last."""
    levels = pictures.clamp(-1, 1).add(1).mul(127.5).round().byte()
    return levels.permute(0, 2, 3, 1).cpu().numpy()


def psnr(
    painted: Float[Tensor, "batch 3 height width"], pixels: Float[Tensor, "batch 3 height width"]
) -> float:
    """Peak signal to noise, in dB, averaged over the pictures; both in [-1, 1]."""
    errors = (painted.clamp(-1, 1) - pixels).square().flatten(1).mean(1)
    return float((10 * torch.log10(4 / errors.clamp(min=1e-8))).mean())


def save_grid(path: Path, rows: Float[Tensor, "rows columns 3 height width"]) -> None:
    """Write groups of pictures in [-1, 1] side by side, eight groups a line, as PNG."""
    from PIL import Image

    groups = torch.cat(rows.unbind(1), dim=-1)  # groups 3 height columns*width
    lines = [torch.cat(tuple(line), dim=-1) for line in groups.split(8) if len(line) == 8]
    grid = as_levels(torch.cat(lines, dim=-2)[None])[0]
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(grid).save(path)
