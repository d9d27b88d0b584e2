"""A mask in other people's words: COCO run lengths, polygons, a box; and laid over its picture."""

from typing import Any

import numpy as np
from jaxtyping import Bool, UInt8

from mingle.painter.config import Rgb

Region = Bool[np.ndarray, "height width"]
Point = tuple[int, int]  # x, y of a pixel's corner


def run_lengths(mask: Region) -> dict[str, Any]:
    """COCO's compressed run lengths: {"size": [height, width], "counts": text}.

    Runs go down the columns and begin with background. Each count, from the fourth on less the one
    two before it, is written five bits a character, the lowest first; bit 5 says that more follow.
    """
    flat = mask.T.ravel()
    edges = np.flatnonzero(np.diff(flat, prepend=False)).tolist()
    counts = np.diff([0, *edges, flat.size]).tolist()
    text = []
    for index, count in enumerate(counts):
        value = count - counts[index - 2] if index > 2 else count
        while True:
            bits, value = value & 31, value >> 5
            more = value != (-1 if bits & 16 else 0)
            text.append(chr(48 + (bits | 32 if more else bits)))
            if not more:
                break
    return {"size": list(mask.shape), "counts": "".join(text)}


def bounding_box(mask: Region) -> list[int]:
    """[x, y, width, height] in pixels; zeros for an empty mask."""
    if not mask.any():
        return [0, 0, 0, 0]
    ys, xs = np.flatnonzero(mask.any(1)), np.flatnonzero(mask.any(0))
    return [int(xs[0]), int(ys[0]), int(xs[-1] - xs[0] + 1), int(ys[-1] - ys[0] + 1)]


def polygons(mask: Region) -> list[list[int]]:
    """The mask's exact outlines as [x0, y0, x1, y1, ...] rings along pixel edges.

    The mask is on the right hand: outer rings run clockwise on the screen, holes the other way, so
    that even-odd filling gives the mask back. Pixels that touch at a corner only are kept apart.
    """
    ends = _boundary(mask)
    rings = []
    while ends:
        start = at = next(iter(ends))
        ring, way = [], (0, 0)
        while not ring or at != start:
            ring.append(at)
            to_the_right = (at[0] - way[1], at[1] + way[0])
            end = to_the_right if to_the_right in ends[at] else ends[at][0]
            ends[at].remove(end)
            if not ends[at]:
                del ends[at]
            at, way = end, (end[0] - at[0], end[1] - at[1])
        rings.append([value for point in _corners(ring) for value in point])
    return rings


def _boundary(mask: Region) -> dict[Point, list[Point]]:
    """Unit edges between mask and background by their first point, the mask on the right hand."""
    padded = np.pad(mask, 1)
    inner = padded[1:-1, 1:-1]
    sides = (  # (neighbour, edge's first point, its second), relative to the pixel
        (padded[:-2, 1:-1], (0, 0), (1, 0)),
        (padded[1:-1, 2:], (1, 0), (1, 1)),
        (padded[2:, 1:-1], (1, 1), (0, 1)),
        (padded[1:-1, :-2], (0, 1), (0, 0)),
    )
    ends: dict[Point, list[Point]] = {}
    for neighbour, first, second in sides:
        for y, x in np.argwhere(inner & ~neighbour).tolist():
            ends.setdefault((x + first[0], y + first[1]), []).append((x + second[0], y + second[1]))
    return ends


def _corners(ring: list[Point]) -> list[Point]:
    """The points at which a ring turns."""
    around = zip(ring[-1:] + ring[:-1], ring, ring[1:] + ring[:1], strict=True)
    return [
        p
        for before, p, after in around
        if not before[0] == p[0] == after[0] and not before[1] == p[1] == after[1]
    ]


def overlay(
    picture: UInt8[np.ndarray, "height width 3"], mask: Region, colour: Rgb
) -> UInt8[np.ndarray, "height width 3"]:
    """The picture with the mask tinted half-way, its inner edge in full colour."""
    inside = mask.copy()
    for axis in (0, 1):
        for step in (1, -1):
            inside &= np.roll(mask, step, axis)
    paint = np.array(colour, dtype=np.uint16)
    tinted = np.where(mask[..., None], (picture + paint) // 2, picture)
    return np.where((mask & ~inside)[..., None], paint, tinted).astype(np.uint8)
