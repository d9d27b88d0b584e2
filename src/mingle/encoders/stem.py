"""A convolutional stem: what a vision tower sees of a patch, its neighbours included.

A tower whose patches are read by one matrix learns shapes from many more pictures than one that
begins with convolutions (Xiao et al., "Early Convolutions Help Transformers See Better", 2021).
The released models have none.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import torch
from jaxtyping import Float
from torch import Tensor, nn

from mingle.encoders.grids import Grid, in_blocks, out_of_blocks
from mingle.nn.cells import CELL, Cells


@dataclass(frozen=True, kw_only=True)
class StemConfig:
    """`dim` channels in each cell; a residual 3 x 3 layer for each of `dilations`."""

    dim: int
    dilations: tuple[int, ...]


class Stem(nn.Module):
    """Flattened patches -> one row of `out_dim` numbers for each, in the same order."""

    def __init__(
        self, config: StemConfig, *, patch_side: int, patch_frames: int, merge: int, out_dim: int
    ):
        super().__init__()
        assert patch_side % CELL == 0, "a patch is whole cells"
        self.patch_side, self.patch_frames, self.merge = patch_side, patch_frames, merge
        self.cells = Cells(config.dim, config.dilations)
        side = patch_side // CELL
        self.out = nn.Conv2d(config.dim * patch_frames, out_dim, side, stride=side)

    def forward(
        self, patches: Float[Tensor, "patches patch_values"], grids: Sequence[Grid]
    ) -> Float[Tensor, "patches out_dim"]:
        """Every time step is a picture of its own; pictures of one size run together."""
        steps = [(height, width) for time, height, width in grids for _ in range(time)]
        parts = list(patches.split([height * width for height, width in steps]))
        for size in dict.fromkeys(steps):
            chosen = [i for i, step in enumerate(steps) if step == size]
            seen = self._see(torch.stack([parts[i] for i in chosen]), size)
            for i, rows in zip(chosen, seen.unbind(), strict=True):
                parts[i] = rows
        return torch.cat(parts)

    def _see(
        self, patches: Float[Tensor, "batch patches patch_values"], size: tuple[int, int]
    ) -> Float[Tensor, "batch patches out_dim"]:
        height, width = (patches_a_side * self.patch_side for patches_a_side in size)
        x = torch.stack([out_of_blocks(one, size, self.merge) for one in patches])
        x = x.unflatten(-1, (-1, self.patch_frames, self.patch_side, self.patch_side))
        x = x.permute(4, 0, 3, 1, 5, 2, 6)  # frame batch channel row y column x
        frames = x.reshape(self.patch_frames, len(patches), -1, height, width)
        x = self.out(torch.cat(self._features(frames), dim=1)).permute(0, 2, 3, 1)
        return torch.stack([in_blocks(one, self.merge) for one in x])

    def _features(
        self, frames: Float[Tensor, "frames batch channels height width"]
    ) -> list[Float[Tensor, "batch dim rows columns"]]:
        """Of every frame; a frame that is like the one before it, as in stills, is not run."""
        features = [self._look(frames[0])]
        for before, frame in pairwise(frames):
            changed = (frame != before).flatten(1).any(1).nonzero()[:, 0]
            same = features[-1]
            fresh = self._look(frame[changed]) if len(changed) else same[:0]
            features.append(same.index_copy(0, changed, fresh))
        return features

    def _look(self, pictures: Tensor) -> Tensor:
        return self.cells.features(pictures.contiguous(memory_format=torch.channels_last))
