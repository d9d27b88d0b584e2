"""Eyes that look through windows: most layers attend inside squares of patches, a few everywhere.

No learned positions: where a patch stands is told by the rotary angles alone.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn
from torch.nn import functional as F

from mingle.encoders.grids import Grid, grid_angles
from mingle.nn.attention import Attend, Mask, Packed
from mingle.nn.layers import RMSNorm
from mingle.nn.rope import Rotation, inverse_frequencies, rotate, rotation

EVERYWHERE = Mask(causal=False)


@dataclass(frozen=True, kw_only=True)
class WindowVisionConfig:
    """Sizes of one tower and its projector.

    `window_side` in patches. `full_layers` attend to the whole picture, the others inside their
    window. `merge` patches a side become one embedding.
    """

    channels: int
    patch_side: int
    patch_frames: int
    dim: int
    num_layers: int
    num_heads: int
    inner_dim: int
    norm_eps: float
    rope_theta: float
    window_side: int
    full_layers: tuple[int, ...]
    merge: int
    merged_dim: int
    projector_depth: int
    out_dim: int

    @property
    def patch_values(self) -> int:
        """Numbers in one flattened patch: channel, frame, row, column."""
        return self.channels * self.patch_frames * self.patch_side**2


class WindowVisionEncoder(nn.Module):
    """Patches in merge-block order -> one embedding for each merge x merge block of patches."""

    def __init__(self, config: WindowVisionConfig):
        super().__init__()
        self.config = config
        self.patch_embedding = nn.Linear(config.patch_values, config.dim, bias=False)
        self.layers = nn.ModuleList(WindowVisionLayer(config, i) for i in range(config.num_layers))
        self.merger = WindowMerger(config)
        widths = [config.merged_dim, *[config.out_dim] * config.projector_depth]
        self.projector = nn.ModuleList(nn.Linear(*pair) for pair in pairwise(widths))

    def forward(
        self, patches: Float[Tensor, "patches patch_values"], grids: Sequence[Grid]
    ) -> Float[Tensor, "embeddings out_dim"]:
        """Pictures stand one after another; each time step of each attends to itself only."""
        merged = self.merge(patches, grids)
        x = self.projector[0](merged)
        for layer in self.projector[1:]:
            x = layer(F.gelu(x))
        return F.normalize(x, dim=-1)

    def merge(
        self, patches: Float[Tensor, "patches patch_values"], grids: Sequence[Grid]
    ) -> Float[Tensor, "embeddings merged_dim"]:
        """The tower without its projector. Inside, blocks of patches stand window by window."""
        order, lengths = self.windows(grids)
        order = order.to(patches.device)
        windows = Packed(lengths)
        pictures = Packed([height * width for time, height, width in grids for _ in range(time)])
        turn = rotation(self._ordered(self.angles(grids), order), patches.dtype)
        x = self._ordered(self.patch_embedding(patches), order)
        for index, layer in enumerate(self.layers):
            x = layer(x, turn, pictures if index in self.config.full_layers else windows)
        return self.merger(x)[order.argsort()]

    def windows(self, grids: Sequence[Grid]) -> tuple[Int[Tensor, " embeddings"], list[int]]:
        """The order of blocks, window by window, and how many patches each window holds.

        Windows at the right and lower edge hold what is left of the picture.
        """
        merge, side = self.config.merge, self.config.window_side // self.config.merge
        orders, lengths, start = [], [], 0
        for time, height, width in grids:
            rows, columns = torch.arange(height // merge), torch.arange(width // merge)
            across = -(-len(columns) // side)
            number = (rows[:, None] // side * across + columns[None, :] // side).flatten()
            order = number.argsort(stable=True)
            counts = (number.bincount() * merge**2).tolist()
            for _ in range(time):
                orders.append(order + start)
                lengths += counts
                start += len(order)
        return torch.cat(orders), lengths

    def angles(self, grids: Sequence[Grid]) -> Float[Tensor, "patches pairs"]:
        """Half of the rotary channel pairs turn by the row, half by the column."""
        config = self.config
        frequencies = inverse_frequencies(config.dim // config.num_heads // 2, config.rope_theta)
        frequencies = frequencies.to(self.patch_embedding.weight.device)
        return grid_angles(grids, config.merge, frequencies)

    def _ordered(
        self, x: Float[Tensor, "patches values"], order: Int[Tensor, " embeddings"]
    ) -> Float[Tensor, "patches values"]:
        return x.unflatten(0, (-1, self.config.merge**2))[order].flatten(0, 1)


class WindowVisionLayer(nn.Module):
    """x += attention(norm(x)); x += feed_forward(norm(x)); the feed-forward is gated."""

    def __init__(self, config: WindowVisionConfig, index: int):
        super().__init__()
        self.index, self.num_heads = index, config.num_heads
        self.attention_norm = RMSNorm(config.dim, config.norm_eps)
        self.qkv = nn.Linear(config.dim, 3 * config.dim)
        self.out = nn.Linear(config.dim, config.dim)
        self.feed_forward_norm = RMSNorm(config.dim, config.norm_eps)
        self.gate_up = nn.Linear(config.dim, 2 * config.inner_dim)
        self.down = nn.Linear(config.inner_dim, config.dim)

    def forward(
        self, x: Float[Tensor, "patches dim"], turn: Rotation, attend: Attend
    ) -> Float[Tensor, "patches dim"]:
        heads = self.qkv(self.attention_norm(x)).unflatten(-1, (3, self.num_heads, -1))
        q, k, v = heads.unbind(1)  # patches heads head_dim
        mixed = attend(self.index, rotate(q, turn), rotate(k, turn), v, EVERYWHERE)
        x = x + self.out(mixed.flatten(1))
        gate, up = self.gate_up(self.feed_forward_norm(x)).chunk(2, dim=-1)
        return x + self.down(F.silu(gate) * up)


class WindowMerger(nn.Module):
    """Patches of a block, each normed, side by side, become one embedding."""

    def __init__(self, config: WindowVisionConfig):
        super().__init__()
        self.patches = config.merge**2
        joined = self.patches * config.dim
        self.norm = RMSNorm(config.dim, config.norm_eps)
        self.up = nn.Linear(joined, joined)
        self.down = nn.Linear(joined, config.merged_dim)

    def forward(self, x: Float[Tensor, "patches dim"]) -> Float[Tensor, "embeddings merged_dim"]:
        joined = self.norm(x).unflatten(0, (-1, self.patches)).flatten(1)
        return self.down(F.gelu(self.up(joined)))
