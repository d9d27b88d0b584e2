"""The flow head: from one hidden state of the language model to one patch of audio latents."""

import math
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional as F

from mingle.nn.attention import Packed
from mingle.nn.flow import guide, integrate, sway
from mingle.nn.layers import RMSNorm
from mingle.talker.blocks import NORM_EPS, Blocks, BlocksConfig

TIME_DIM = 256  # sines and cosines that a time becomes, before the learned layers

GRIDS = {  # in 32nds of the way, as the released talker places its steps (EPSS, F5-TTS)
    5: (0, 2, 4, 8, 16, 32),
    6: (0, 2, 4, 6, 8, 16, 32),
    7: (0, 2, 4, 6, 8, 16, 24, 32),
    10: (0, 2, 4, 6, 8, 12, 16, 20, 24, 28, 32),
    12: (0, 2, 4, 6, 8, 10, 12, 14, 16, 20, 24, 28, 32),
    16: (0, 1, 2, 3, 4, 5, 6, 7, 8, 10, 12, 14, 16, 20, 24, 28, 32),
}


@dataclass(frozen=True, kw_only=True)
class FlowHeadConfig:
    """`condition_dim` is the language model's width, `history` the latents that it sees again."""

    latent_dim: int
    condition_dim: int
    patch: int
    history: int
    blocks: BlocksConfig


@dataclass(frozen=True, kw_only=True)
class FlowOptions:
    """How a patch is drawn: Euler steps, guidance, and noise of sigma * sqrt(temperature)."""

    steps: int
    guidance: float = 2.0
    sigma: float = 0.25
    temperature: float = 0.0


@dataclass(frozen=True, kw_only=True)
class PatchNoise:
    """The random numbers of one patch: where it starts, and one kick for every step."""

    start: Float[Tensor, "batch patch latent_dim"]
    kicks: Float[Tensor, "steps batch patch latent_dim"]


class FlowHead(nn.Module):
    """Velocity of a noisy patch, given time, condition and the latents before it."""

    def __init__(self, config: FlowHeadConfig):
        super().__init__()
        self.config = config
        dim = config.blocks.dim
        self.time_in = nn.Linear(TIME_DIM, dim)
        self.time_out = nn.Linear(dim, dim)
        self.condition_in = nn.Linear(config.condition_dim, dim)
        self.latent_in = nn.Linear(config.latent_dim, dim)
        self.blocks = Blocks(config.blocks)
        self.norm = RMSNorm(dim, NORM_EPS)
        self.out = nn.Linear(dim, config.latent_dim)

    def forward(
        self,
        noisy: Float[Tensor, "batch patch latent_dim"],
        time: Float[Tensor, " batch"],
        condition: Float[Tensor, "batch condition_dim"],
        history: Float[Tensor, "batch history latent_dim"],
    ) -> Float[Tensor, "batch patch latent_dim"]:
        """Velocity at `time` (0 noise, 1 data)."""
        context = self.context(condition, history)
        return self.velocities(noisy, self.embed_time(time), context)[:, -noisy.shape[1] :]

    def context(
        self,
        condition: Float[Tensor, "batch condition_dim"],
        history: Float[Tensor, "batch history latent_dim"],
    ) -> Float[Tensor, "batch context dim"]:
        """What does not change from step to step: the condition's token and the history's."""
        return torch.cat((self.condition_in(condition)[:, None], self.latent_in(history)), dim=1)

    def embed_time(self, time: Float[Tensor, " batch"]) -> Float[Tensor, "batch dim"]:
        """Learned embedding of a time in [0, 1]."""
        return self.time_out(F.silu(self.time_in(time_waves(time))))

    def velocities(
        self,
        noisy: Float[Tensor, "batch patch latent_dim"],
        time: Float[Tensor, "#batch dim"],
        context: Float[Tensor, "batch context dim"],
    ) -> Float[Tensor, "batch total latent_dim"]:
        """Outputs at every position; those of the patch are the last ones."""
        first = context[:, :1] + time[:, None]
        x = torch.cat((first, context[:, 1:], self.latent_in(noisy)), dim=1)
        batch, total = x.shape[:2]
        lengths = (total,) * batch
        x = self.blocks(x.flatten(0, 1), lengths, Packed(lengths))
        return self.out(self.norm(x)).unflatten(0, (batch, total))

    def solve(
        self,
        condition: Float[Tensor, "batch condition_dim"],
        history: Float[Tensor, "batch history latent_dim"],
        noise: PatchNoise,
        options: FlowOptions,
    ) -> Float[Tensor, "batch patch latent_dim"]:
        """Draw one patch: Euler steps from noise to data, both guidance branches as one batch."""
        batch, patch = noise.start.shape[:2]
        conditions = torch.cat((condition, torch.zeros_like(condition)))
        context = self.context(conditions, history.repeat(2, 1, 1))
        times = sway(time_grid(options.steps).to(noise.start))
        embedded = self.embed_time(times)

        def velocity(x: Tensor, step: int) -> Tensor:
            found = self.velocities(x.repeat(2, 1, 1), embedded[step : step + 1], context)
            return guide(found[:batch, -patch:], found[batch:, -patch:], options.guidance)

        kicks = None
        if options.temperature > 0:
            kicks = noise.kicks * (options.sigma * math.sqrt(options.temperature))
        return integrate(velocity, noise.start, times, kicks)


def time_waves(time: Float[Tensor, " batch"]) -> Float[Tensor, "batch waves"]:
    """Sines, then cosines, of 1000 t at frequencies from 1 down to 1/10000, both ends included."""
    half = TIME_DIM // 2
    rates = torch.arange(half, device=time.device, dtype=time.dtype)
    angles = 1000 * time[:, None] * torch.exp(rates * -(math.log(10000) / (half - 1)))
    return torch.cat((angles.sin(), angles.cos()), dim=-1)


def time_grid(steps: int) -> Float[Tensor, " points"]:
    """Times from 0 to 1 before the sway: tabulated for some step counts, even for the others."""
    if steps in GRIDS:
        return torch.tensor(GRIDS[steps], dtype=torch.float32) / 32
    return torch.linspace(0, 1, steps + 1)


def draw_noise(
    config: FlowHeadConfig, steps: int, generator: torch.Generator, like: Tensor
) -> PatchNoise:
    """Random numbers for one patch, in the released talker's order: start, then every kick."""
    shape = (1, config.patch, config.latent_dim)

    def draw(*sizes: int) -> Tensor:
        drawn = torch.randn(*sizes, generator=generator, device=generator.device)
        return drawn.to(like)  # drawn in fp32 so that a seed means the same in every precision

    return PatchNoise(start=draw(*shape), kicks=draw(steps, *shape))
