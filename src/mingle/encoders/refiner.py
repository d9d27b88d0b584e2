"""Layers between a frozen audio tower and its projector, for models that train their own ears.

Frames are joined first. Each layer is a gated convolution and a feed-forward (a Conformer without
attention, arXiv 2005.08100: the tower's frames have attended already), and letters can be read
from what comes out.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn
from torch.nn import functional as F

from mingle.nn.layers import RMSNorm, SwiGLU


@dataclass(frozen=True, kw_only=True)
class RefinerConfig:
    """`stride` of the tower's frames become one; `kernel` counts joined frames.

    `alphabet` holds the letters that are read (classes 1, 2, ... in its order; class 0 is nothing),
    `letters_per_frame` times in each joined frame.
    """

    stride: int
    num_layers: int
    kernel: int
    inner_dim: int
    alphabet: str
    letters_per_frame: int


class Refiner(nn.Module):
    """Recordings do not see each other."""

    def __init__(self, dim: int, config: RefinerConfig):
        super().__init__()
        self.config, self.gap = config, config.kernel // 2
        self.join = nn.Linear(dim * config.stride, dim)
        self.layers = nn.ModuleList(RefinerLayer(dim, config) for _ in range(config.num_layers))
        self.norm = RMSNorm(dim, 1e-6)
        self.letters = nn.Linear(dim, config.letters_per_frame * (len(config.alphabet) + 1))

    def forward(self, frames: Sequence[Float[Tensor, "_ dim"]]) -> list[Float[Tensor, "_ dim"]]:
        """Joined frames, the last one filled up with zeros."""
        stride = self.config.stride
        whole = [
            F.pad(x, (0, 0, 0, -len(x) % stride)).reshape(-1, self.join.in_features) for x in frames
        ]
        lengths = [len(x) for x in whole]
        x = self.join(torch.cat(whole))
        places = self._places(lengths).to(x.device)
        for layer in self.layers:
            x = layer(x, places)
        return list(self.norm(x).split(lengths))

    def read(self, refined: Sequence[Float[Tensor, "_ dim"]]) -> list[Float[Tensor, "_ letters"]]:
        """Log-probabilities of nothing and of each letter, `letters_per_frame` rows for a frame."""
        rows = self.config.letters_per_frame
        scores = self.letters(torch.cat(list(refined))).unflatten(-1, (rows, -1)).flatten(0, 1)
        return list(scores.log_softmax(-1).split([rows * len(x) for x in refined]))

    def _places(self, lengths: Sequence[int]) -> Int[Tensor, " frames"]:
        """Where each frame stands when a gap of zeros is left around every recording."""
        starts = [
            torch.arange(length) + sum(lengths[:i]) + (i + 1) * self.gap
            for i, length in enumerate(lengths)
        ]
        return torch.cat(starts)


class RefinerLayer(nn.Module):
    """x += convolution(norm(x)); x += feed_forward(norm(x))."""

    def __init__(self, dim: int, config: RefinerConfig):
        super().__init__()
        self.gap = config.kernel // 2
        self.conv_norm = RMSNorm(dim, 1e-6)
        self.gate = nn.Linear(dim, 2 * dim)
        self.conv = nn.Conv1d(dim, dim, config.kernel, padding=self.gap, groups=dim)
        self.mix = nn.Linear(dim, dim)
        self.feed_forward_norm = RMSNorm(dim, 1e-6)
        self.feed_forward = SwiGLU(dim, config.inner_dim)

    def forward(
        self, x: Float[Tensor, "frames dim"], places: Int[Tensor, " frames"]
    ) -> Float[Tensor, "frames dim"]:
        x = x + self._convolve(self.conv_norm(x), places)
        return x + self.feed_forward(self.feed_forward_norm(x))

    def _convolve(
        self, x: Float[Tensor, "frames dim"], places: Int[Tensor, " frames"]
    ) -> Float[Tensor, "frames dim"]:
        x = F.glu(self.gate(x), dim=-1)
        spread = x.new_zeros(int(places[-1]) + 1 + self.gap, x.shape[-1]).index_copy(0, places, x)
        return self.mix(F.silu(self.conv(spread.T[None])[0].T[places]))
