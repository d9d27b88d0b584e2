"""Convolutions that see a picture in cells of 4 x 4 pixels, each with what lies around it."""

from collections.abc import Sequence

from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional as F

CELL = 4  # pixels a side


class Cells(nn.Module):
    """Two strided layers, then a residual 3 x 3 layer for each of `dilations`."""

    def __init__(self, dim: int, dilations: Sequence[int]):
        super().__init__()
        self.stem = nn.Sequential(
            nn.Conv2d(3, dim // 2, 3, stride=2, padding=1),
            nn.GroupNorm(4, dim // 2),
            nn.SiLU(),
            nn.Conv2d(dim // 2, dim, 3, stride=2, padding=1),
        )
        self.layers = nn.ModuleList(
            nn.Sequential(
                nn.GroupNorm(8, dim),
                nn.SiLU(),
                nn.Conv2d(dim, dim, 3, padding=dilation, dilation=dilation),
            )
            for dilation in dilations
        )
        self.norm = nn.GroupNorm(8, dim)

    def features(
        self, pixels: Float[Tensor, "batch 3 height width"]
    ) -> Float[Tensor, "batch dim rows columns"]:
        """Pixels from -1 to 1."""
        x = self.stem(pixels)
        for layer in self.layers:
            x = x + layer(x)
        return F.silu(self.norm(x))
