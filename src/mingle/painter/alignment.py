"""Where an edited picture has moved as a whole, by a few pixels; and moving it back."""

from typing import Any

import numpy as np
from jaxtyping import Float32

from mingle.errors import missing_extra

Picture = Float32[np.ndarray, "height width 3"]

REACH = 4  # pixels; edits move a picture by the rounding of two resizes, not more,
PER_REACH = 40  # and in a small picture by less: one for so many pixels of its shorter side
MAX_POINTS = 20_000
LEAST_SHARPNESS = 12.0  # levels a pixel, summed over colours and directions
SAME = 8.0  # levels; a point that differs by less, noise included, is found again
CUTOFF = 48.0  # levels; what is different counts so much, however different it is
LEAST_FRACTION = 0.1  # pixels; moving by less would only blur
LEAST_GAIN = 0.02  # a shift has to find so many more points again, relatively


def align(edited: Picture, source: Picture) -> Picture:
    """The edited picture, moved so that what it kept lies where it lies in the source."""
    ndimage = image_filters()
    dy, dx = find_shift(edited, source)
    if dy == dx == 0:
        return edited
    return ndimage.shift(edited, (-dy, -dx, 0), order=1, mode="nearest")


def find_shift(edited: Picture, source: Picture) -> tuple[float, float]:
    """(dy, dx) in pixels: edited[y + dy, x + dx] shows what source[y, x] shows; (0, 0) if unsure.

    The shift is the one at which most of the source's sharpest points are found again; repainted
    ones are not, and have no vote. Between pixels, the differences at those points decide.
    """
    ndimage = image_filters()
    height, width, _ = source.shape
    reach = min(REACH, min(height, width) // PER_REACH)
    if not reach:
        return 0.0, 0.0
    before = ndimage.uniform_filter(source, (3, 3, 0))
    after = ndimage.uniform_filter(edited, (3, 3, 0))
    inner = before[reach : height - reach, reach : width - reach]
    down, across = np.gradient(inner, axis=(0, 1))
    sharpness = (np.abs(down) + np.abs(across)).sum(-1)
    points = np.flatnonzero(sharpness > LEAST_SHARPNESS)
    if not len(points):
        return 0.0, 0.0
    points = points[np.argsort(sharpness.flat[points])[-MAX_POINTS:]]
    ys, xs = (axis + reach for axis in np.unravel_index(points, sharpness.shape))
    errors = _errors(after, before[ys, xs], ys, xs, reach)
    found = errors < SAME  # again: what was repainted is found nowhere
    same = found.sum(-1)
    row, column = (int(place) for place in np.unravel_index(same.argmax(), same.shape))
    if same[row, column] <= (1 + LEAST_GAIN) * same[reach, reach]:
        row = column = reach
    around = [slice(max(place - 1, 0), place + 2) for place in (row, column)]
    kept = found[*around].any((0, 1))
    if not kept.any():
        return float(row - reach), float(column - reach)
    cost = np.minimum(errors[..., kept], CUTOFF).mean(-1)
    return (
        float(row - reach + _between(cost[:, column], row)),
        float(column - reach + _between(cost[row], column)),
    )


def _errors(
    after: Picture, wanted: np.ndarray, ys: np.ndarray, xs: np.ndarray, reach: int
) -> np.ndarray:
    """Mean difference of colours at every shift and point: [shifts down, shifts across, points]."""
    span = range(-reach, reach + 1)
    return np.array(
        [[np.abs(after[ys + dy, xs + dx] - wanted).mean(-1) for dx in span] for dy in span]
    )


def image_filters() -> Any:
    """scipy's filters and measurements of pictures, or CapacityError where it is missing."""
    try:
        from scipy import ndimage
    except ImportError as error:
        raise missing_extra("image", "scipy") from error
    return ndimage


def _between(cost: np.ndarray, at: int) -> float:
    """Where, around the lowest entry, two straight flanks of equal slope would meet."""
    if not 0 < at < len(cost) - 1:
        return 0.0
    left, least, right = cost[at - 1 : at + 2]
    steeper = max(left, right) - least
    if steeper <= LEAST_GAIN * least:
        return 0.0
    place = float((left - right) / (2 * steeper))
    return place if abs(place) > LEAST_FRACTION else 0.0
