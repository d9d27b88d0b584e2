"""Eyes: patches of pictures and frames -> thinker-width embeddings of one length."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional as F

from mingle.encoders.grids import Grid, grid_angles, in_blocks
from mingle.encoders.stem import Stem, StemConfig
from mingle.errors import ConfigError
from mingle.nn.attention import Attend, Mask, Packed
from mingle.nn.rope import Rotation, inverse_frequencies, rotate, rotation

EVERYWHERE = Mask(causal=False)


@dataclass(frozen=True, kw_only=True)
class VisionConfig:
    """Sizes of one vision tower and its projector.

    `position_rows` is the side of the square table of learned positions. `merge` patches a side
    become one embedding. `projector_depth` counts the projector's linear layers. `out_length` is
    the length of every embedding: 1 in the released models; a thinker that is not trained with its
    eyes wants that of its words. A `stem` reads the patches in the place of one matrix.
    """

    channels: int
    patch_side: int
    patch_frames: int
    position_rows: int
    dim: int
    num_layers: int
    num_heads: int
    inner_dim: int
    norm_eps: float
    rope_theta: float
    merge: int
    merged_dim: int
    projector_depth: int
    out_dim: int
    out_length: float
    stem: StemConfig | None = None

    def __post_init__(self) -> None:
        if self.out_length <= 0:
            raise ConfigError(f"out_length is {self.out_length}; expected more than 0")

    @property
    def patch_values(self) -> int:
        """Numbers in one flattened patch: channel, frame, row, column."""
        return self.channels * self.patch_frames * self.patch_side**2


class VisionEncoder(nn.Module):
    """Patches in merge-block order -> one embedding for each merge x merge block of patches."""

    def __init__(self, config: VisionConfig):
        super().__init__()
        self.config = config
        self.patch_embedding = _patch_embedding(config)
        self.position_table = nn.Embedding(config.position_rows**2, config.dim)
        self.layers = nn.ModuleList(VisionLayer(config, i) for i in range(config.num_layers))
        self.merger = Merger(config)
        widths = [config.merged_dim, *[config.out_dim] * config.projector_depth]
        self.projector = nn.ModuleList(nn.Linear(*pair) for pair in pairwise(widths))

    def forward(
        self, patches: Float[Tensor, "patches patch_values"], grids: Sequence[Grid]
    ) -> Float[Tensor, "embeddings out_dim"]:
        """Pictures stand one after another; each time step of each attends to itself only."""
        merged = self.merger(self.blocks(patches, grids))
        return F.normalize(self.project(merged), dim=-1) * self.config.out_length

    def blocks(
        self, patches: Float[Tensor, "patches patch_values"], grids: Sequence[Grid]
    ) -> Float[Tensor, "embeddings block_dim"]:
        """What becomes one embedding each: a block's patches, seen and normed, side by side."""
        turn = rotation(self.angles(grids), patches.dtype)
        attend = Packed([height * width for time, height, width in grids for _ in range(time)])
        if isinstance(self.patch_embedding, Stem):
            x = self.patch_embedding(patches, grids)
        else:
            x = self.patch_embedding(patches)
        x = x + self.positions(grids)
        for layer in self.layers:
            x = layer(x, turn, attend)
        return self.merger.join(x)

    def project(
        self, merged: Float[Tensor, "embeddings merged_dim"]
    ) -> Float[Tensor, "embeddings out_dim"]:
        """Into the thinker's width."""
        x = self.projector[0](merged)
        for layer in self.projector[1:]:
            x = layer(F.gelu(x))
        return x

    def positions(self, grids: Sequence[Grid]) -> Float[Tensor, "patches dim"]:
        """The learned table, stretched bilinearly over each picture's grid, corner to corner."""
        table, rows = self.position_table.weight, self.config.position_rows
        pieces = []
        for time, height, width in grids:
            top, bottom, down = _stretch(height, rows, table)
            left, right, across = _stretch(width, rows, table)
            down, across = down[:, None, None], across[None, :, None]
            upper = torch.lerp(
                table[_cells(top, left, rows)], table[_cells(top, right, rows)], across
            )
            lower = torch.lerp(
                table[_cells(bottom, left, rows)], table[_cells(bottom, right, rows)], across
            )
            cells = in_blocks(torch.lerp(upper, lower, down), self.config.merge)
            pieces.append(cells.repeat(time, 1))
        return torch.cat(pieces)

    def angles(self, grids: Sequence[Grid]) -> Float[Tensor, "patches pairs"]:
        """Half of the rotary channel pairs turn by the row, half by the column."""
        config = self.config
        frequencies = inverse_frequencies(config.dim // config.num_heads // 2, config.rope_theta)
        frequencies = frequencies.to(self.position_table.weight.device)
        return grid_angles(grids, config.merge, frequencies)


class VisionLayer(nn.Module):
    """x += attention(norm(x)); x += feed_forward(norm(x))."""

    def __init__(self, config: VisionConfig, index: int):
        super().__init__()
        self.index, self.num_heads = index, config.num_heads
        self.attention_norm = nn.LayerNorm(config.dim, eps=config.norm_eps)
        self.qkv = nn.Linear(config.dim, 3 * config.dim)
        self.out = nn.Linear(config.dim, config.dim)
        self.feed_forward_norm = nn.LayerNorm(config.dim, eps=config.norm_eps)
        self.up = nn.Linear(config.dim, config.inner_dim)
        self.down = nn.Linear(config.inner_dim, config.dim)

    def forward(
        self, x: Float[Tensor, "patches dim"], turn: Rotation, attend: Attend
    ) -> Float[Tensor, "patches dim"]:
        heads = self.qkv(self.attention_norm(x)).unflatten(-1, (3, self.num_heads, -1))
        q, k, v = heads.unbind(1)  # patches heads head_dim
        mixed = attend(self.index, rotate(q, turn), rotate(k, turn), v, EVERYWHERE)
        x = x + self.out(mixed.flatten(1))
        return x + self.down(F.gelu(self.up(self.feed_forward_norm(x)), approximate="tanh"))


class Merger(nn.Module):
    """Patches of a block, each normed, side by side, become one embedding."""

    def __init__(self, config: VisionConfig):
        super().__init__()
        self.patches = config.merge**2
        joined = self.patches * config.dim
        self.norm = nn.LayerNorm(config.dim, eps=config.norm_eps)
        self.up = nn.Linear(joined, joined)
        self.down = nn.Linear(joined, config.merged_dim)

    def join(self, x: Float[Tensor, "patches dim"]) -> Float[Tensor, "embeddings block_dim"]:
        """The patches of each block side by side."""
        return self.norm(x).unflatten(0, (-1, self.patches)).flatten(1)

    def forward(
        self, joined: Float[Tensor, "embeddings block_dim"]
    ) -> Float[Tensor, "embeddings merged_dim"]:
        return self.down(F.gelu(self.up(joined)))


def _patch_embedding(config: VisionConfig) -> Stem | nn.Linear:
    if config.stem is None:
        return nn.Linear(config.patch_values, config.dim)
    return Stem(
        config.stem,
        patch_side=config.patch_side,
        patch_frames=config.patch_frames,
        merge=config.merge,
        out_dim=config.dim,
    )


def _stretch(cells: int, rows: int, like: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Where `cells` points fall among `rows`: the row before, the one behind, how far between."""
    points = torch.linspace(0, rows - 1, cells, device=like.device)
    before = points.long()
    return before, (before + 1).clamp(max=rows - 1), (points - before).to(like.dtype)


def _cells(rows: Tensor, columns: Tensor, side: int) -> Tensor:
    return rows[:, None] * side + columns[None, :]
