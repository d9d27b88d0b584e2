"""One patch of audio latents -> one input embedding of the language model."""

from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor, nn

from mingle.nn.attention import Packed
from mingle.nn.layers import RMSNorm
from mingle.talker.blocks import NORM_EPS, Blocks, BlocksConfig


@dataclass(frozen=True, kw_only=True)
class PatchEncoderConfig:
    """`out_dim` is the language model's width."""

    latent_dim: int
    out_dim: int
    blocks: BlocksConfig


class PatchEncoder(nn.Module):
    """A learned token before the latents collects them; patches do not see each other."""

    def __init__(self, config: PatchEncoderConfig):
        super().__init__()
        dim = config.blocks.dim
        self.summary = nn.Parameter(torch.zeros(dim))
        self.latent_in = nn.Linear(config.latent_dim, dim)
        self.blocks = Blocks(config.blocks)
        self.norm = RMSNorm(dim, NORM_EPS)
        self.out = nn.Linear(dim, config.out_dim)

    def forward(
        self, patches: Float[Tensor, "patches patch latent_dim"]
    ) -> Float[Tensor, "patches dim"]:
        count, length = patches.shape[0], patches.shape[1] + 1
        summary = self.summary.expand(count, 1, -1)
        x = torch.cat((summary, self.latent_in(patches)), dim=1).flatten(0, 1)
        lengths = (length,) * count
        x = self.blocks(x, lengths, Packed(lengths)).unflatten(0, (count, length))
        return self.out(self.norm(x[:, 0]))
