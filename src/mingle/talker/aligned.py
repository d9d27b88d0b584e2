"""Text laid along the time of the speech: phones, how long each lasts, one row for every patch.

A small talker does not have to find out which part of the text it is at. Its language model runs
over patches alone; each patch is given the phones that sound in it and around it. Speech ends
where the text ends. (Durations: Ren et al. 2019, FastSpeech)
"""

from dataclasses import dataclass

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn
from torch.nn import functional as F

from mingle.nn.attention import Packed
from mingle.nn.layers import RMSNorm
from mingle.talker.blocks import NORM_EPS, Blocks, BlocksConfig

TYPICAL_LOG_S = -2.5  # a phone lasts 0.08 s, before anything is learned
NEIGHBOURS = 1  # patches before and after whose phones a patch is told, too


@dataclass(frozen=True, kw_only=True)
class AlignedConfig:
    """`patch_s` seconds a patch, told in `slices` of equal length. `phones` name the tokens.

    `guidance` is how closely the text is followed where nobody says otherwise.
    """

    phones: tuple[str, ...]
    patch_s: float
    slices: int
    guidance: float
    blocks: BlocksConfig


@dataclass(frozen=True, kw_only=True)
class Timed:
    """One text: what is known of each phone, and when it ends, in seconds from the start."""

    features: Float[Tensor, "phones dim"]
    ends_s: Float[Tensor, " phones"]


class AlignedText(nn.Module):
    """Phones and a speaker -> features and durations of phones -> rows for patches."""

    def __init__(self, config: AlignedConfig, speaker_dim: int, out_dim: int):
        super().__init__()
        self.config = config
        dim = config.blocks.dim
        self.phone_in = nn.Embedding(len(config.phones), dim)
        self.speaker_in = nn.Linear(speaker_dim, dim)
        self.blocks = Blocks(config.blocks)
        self.norm = RMSNorm(dim, NORM_EPS)
        self.duration_mix = nn.Linear(dim, dim)
        self.duration_out = nn.Linear(dim, 1)
        nn.init.constant_(self.duration_out.bias, TYPICAL_LOG_S)
        self.place_in = nn.Linear(2, dim)
        self.out = nn.Linear((2 * NEIGHBOURS + 1) * config.slices * dim, out_dim)

    def read(
        self,
        phones: Int[Tensor, " phones"],
        lengths: tuple[int, ...],
        speakers: Float[Tensor, "texts speaker_dim"],
    ) -> Float[Tensor, "phones dim"]:
        """Features of the phones of several texts, each spoken by its own speaker."""
        counts = torch.tensor(lengths, device=phones.device)
        speaker = self.speaker_in(speakers).repeat_interleave(counts, dim=0)
        x = self.phone_in(phones) + speaker
        return self.norm(self.blocks(x, lengths, Packed(lengths)))

    def log_durations(self, features: Float[Tensor, "phones dim"]) -> Float[Tensor, " phones"]:
        """Natural logarithms of seconds."""
        return self.duration_out(F.gelu(self.duration_mix(features)))[:, 0]

    def spread(self, timed: Timed) -> Float[Tensor, "patches dim"]:
        """One row a patch of one text; the last patch may reach beyond the text's end."""
        config = self.config
        count = num_patches(float(timed.ends_s[-1]), config.patch_s)
        slice_s = config.patch_s / config.slices
        starts_s = F.pad(timed.ends_s[:-1], (1, 0))
        edges = torch.arange(count * config.slices + 1, device=timed.ends_s.device) * slice_s
        edges = edges.to(timed.ends_s)
        later = torch.maximum(edges[:-1, None], starts_s)
        earlier = torch.minimum(edges[1:, None], timed.ends_s)
        shares = (earlier - later).clamp(min=0) / slice_s  # slices phones
        centres = (edges[:-1] + edges[1:]) / 2
        seconds = (timed.ends_s - starts_s).clamp(min=1e-3)
        progress = ((centres[:, None] - starts_s) / seconds).clamp(0, 1)
        place = torch.stack(((shares * progress).sum(1), (shares * seconds).sum(1)), dim=1)
        slices = shares @ timed.features + self.place_in(place)
        rows = F.pad(slices.unflatten(0, (count, -1)).flatten(1), (0, 0, NEIGHBOURS, NEIGHBOURS))
        return self.out(rows.unfold(0, 2 * NEIGHBOURS + 1, 1).transpose(1, 2).flatten(1))


def num_patches(seconds: float, patch_s: float) -> int:
    """Patches that speech of this length takes."""
    return max(1, -int(-(seconds - 1e-6) // patch_s))
