"""Where patches stand: grids, the order they come in, and the rotary angles of their places."""

from collections.abc import Sequence

import torch
from jaxtyping import Float
from torch import Tensor

Grid = tuple[int, int, int]
"""(time, height, width) of a picture in patches."""


def in_blocks(
    x: Float[Tensor, "height width values"], merge: int
) -> Float[Tensor, "patches values"]:
    """Order a grid as patches come: block by block, inside a block row by row."""
    return x.unflatten(1, (-1, merge)).unflatten(0, (-1, merge)).transpose(1, 2).flatten(0, 3)


def out_of_blocks(
    x: Float[Tensor, "patches values"], size: tuple[int, int], merge: int
) -> Float[Tensor, "height width values"]:
    """A grid of (height, width) again, from patches in the order of `in_blocks`."""
    height, width = size
    blocks = x.unflatten(0, (height // merge, width // merge, merge, merge))
    return blocks.transpose(1, 2).flatten(2, 3).flatten(0, 1)


def grid_angles(
    grids: Sequence[Grid], merge: int, frequencies: Float[Tensor, " frequencies"]
) -> Float[Tensor, "patches pairs"]:
    """Angles of every patch: its row times the frequencies, then its column times them."""
    pieces = []
    for time, height, width in grids:
        sides = [torch.arange(side, device=frequencies.device) for side in (height, width)]
        where = torch.stack(torch.meshgrid(*sides, indexing="ij"), dim=-1)
        turns = (where[..., None] * frequencies).flatten(2)  # height width pairs
        pieces.append(in_blocks(turns, merge).repeat(time, 1))
    return torch.cat(pieces)
