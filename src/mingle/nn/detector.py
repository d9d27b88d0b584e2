"""A small detector of the picture world's things: what lies where, in a grid of cells.

Training uses its features as a hint for the painter (REPA, Yu et al. 2024); another one, trained
with another seed, judges what the painter paints.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional as F

from mingle.nn.cells import Cells

PEAK = 0.4  # how sure a centre must be


@dataclass(frozen=True, kw_only=True)
class DetectorConfig:
    """Kind 0 is the background, colour 0 a thing's natural look; `dilations` of the 3x3 layers."""

    num_kinds: int
    num_colours: int
    dim: int
    dilations: tuple[int, ...]


@dataclass(frozen=True, kw_only=True)
class Maps:
    """What each cell shows: scores of kinds and colours, of a thing's centre, and features."""

    kinds: Float[Tensor, "batch kinds rows columns"]
    colours: Float[Tensor, "batch colours rows columns"]
    centres: Float[Tensor, "batch rows columns"]
    features: Float[Tensor, "batch dim rows columns"]


@dataclass(frozen=True, kw_only=True)
class Found:
    """One thing in a picture; the centre is a share of the picture's width and height."""

    kind: int
    colour: int
    x: float
    y: float
    score: float


class Detector(Cells):
    """Names for what every cell shows."""

    def __init__(self, config: DetectorConfig):
        super().__init__(config.dim, config.dilations)
        self.kinds = nn.Conv2d(config.dim, config.num_kinds, 1)
        self.colours = nn.Conv2d(config.dim, config.num_colours, 1)
        self.centres = nn.Conv2d(config.dim, 1, 1)
        nn.init.constant_(self.centres.bias, -4.0)  # pyright: ignore  # most cells are no centre

    def forward(self, pixels: Float[Tensor, "batch 3 height width"]) -> Maps:
        features = self.features(pixels)
        return Maps(
            kinds=self.kinds(features),
            colours=self.colours(features),
            centres=self.centres(features)[:, 0],
            features=features,
        )


def find(maps: Maps) -> list[list[Found]]:
    """The things of each picture: peaks of the centres, named by the cells around them."""
    centres = maps.centres.sigmoid()[:, None]
    highest = F.max_pool2d(centres, 3, 1, 1)
    peaks = ((centres == highest) & (centres > PEAK))[:, 0]
    kinds = _around(maps.kinds.softmax(1)[:, 1:])
    colours = _around(maps.colours.softmax(1))
    return [
        [
            _found(centres[picture, 0], kinds[picture], colours[picture], int(row), int(column))
            for row, column in peaks[picture].nonzero().tolist()
        ]
        for picture in range(len(peaks))
    ]


def _around(scores: Float[Tensor, "batch names rows columns"]) -> Tensor:
    return F.avg_pool2d(scores, 3, 1, 1, count_include_pad=False)


def _found(centres: Tensor, kinds: Tensor, colours: Tensor, row: int, column: int) -> Found:
    rows, columns = centres.shape
    y = _balance(centres[max(0, row - 1) : row + 2, column], max(0, row - 1))
    x = _balance(centres[row, max(0, column - 1) : column + 2], max(0, column - 1))
    return Found(
        kind=int(kinds[:, row, column].argmax()) + 1,
        colour=int(colours[:, row, column].argmax()),
        x=(x + 0.5) / columns,
        y=(y + 0.5) / rows,
        score=float(centres[row, column]),
    )


def _balance(weights: Float[Tensor, " cells"], first: int) -> float:
    places = torch.arange(first, first + len(weights), device=weights.device)
    return float((weights * places).sum() / weights.sum())


def names_of(found: Sequence[Found]) -> list[tuple[int, int]]:
    """Kinds and colours, sorted: equal for pictures with the same things."""
    return sorted((one.kind, one.colour) for one in found)
