"""Who speaks: a recording -> one vector that is near for one voice and far for another."""

import itertools
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional as F

from mingle.talker.mel import LogMel

WINDOW, HOP = 512, 160  # samples at 16 kHz: 32 and 10 ms
RATE_HZ = 16_000


@dataclass(frozen=True, kw_only=True)
class SpeakerConfig:
    """`dim` channels in each of `depth` convolutions over time; the vector has `out_dim`."""

    mel_bands: int
    dim: int
    depth: int
    out_dim: int


class SpeakerEncoder(nn.Module):
    """Convolutions over log-mel frames, mean and spread over time, one vector of length 1."""

    def __init__(self, config: SpeakerConfig):
        super().__init__()
        self.config = config
        self.spectrum = LogMel(RATE_HZ, WINDOW, config.mel_bands)
        widths = [config.mel_bands] + [config.dim] * config.depth
        self.layers = nn.ModuleList(
            nn.Conv1d(before, after, 5, stride=2) for before, after in itertools.pairwise(widths)
        )
        self.norms = nn.ModuleList(nn.LayerNorm(config.dim) for _ in range(config.depth))
        self.out = nn.Linear(2 * config.dim, config.out_dim)

    def forward(self, waves: Float[Tensor, "batch samples"]) -> Float[Tensor, "batch out_dim"]:
        """Recordings of one length (at least half a second) at 16 kHz, as loud as they are."""
        frames = waves.unfold(1, WINDOW, HOP)  # batch frames window
        mel = self.spectrum(frames.flatten(0, 1)).unflatten(0, frames.shape[:2])
        x = (mel - mel.mean(dim=(1, 2), keepdim=True)).transpose(1, 2)  # loudness says nothing
        for layer, norm in zip(self.layers, self.norms, strict=True):
            x = F.gelu(norm(layer(x).transpose(1, 2))).transpose(1, 2)
        return F.normalize(self.out(torch.cat((x.mean(2), x.std(2)), dim=1)), dim=1)
