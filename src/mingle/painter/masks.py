"""A mask, read from the difference of a picture and its edit in which something was painted over.

Two affine colour maps explain every pixel of the edit: the *kept* map (what the edit did to the
whole picture, nearly the identity) and the *paint* map (opaque, translucent or keeping the shading,
as the model pleases). Both are fitted to the picture itself, beginning from the named colour. A
pixel's opacity says how far it went from kept to paint; where the two maps agree (the source has
the paint's colour) the neighbourhood decides.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float32, UInt8

from mingle.painter.alignment import align, image_filters
from mingle.painter.config import Rgb

Pixels = UInt8[np.ndarray, "height width 3"]
Levels = np.ndarray
Field = Float32[np.ndarray, "height width"]
Region = Bool[np.ndarray, "height width"]

ROUNDS = 3  # of fitting the maps and reading the mask again
MAX_FITTED = 20_000  # pixels; more do not make twelve numbers any better
LEAST_NOISE = 1.0  # levels: rounding, twice
LEAST_CHANGE = 16.0  # levels: smaller differences are not paint
SIDEWAYS = 0.7  # share of a change that may lead elsewhere than to the named colour (44 degrees)
TEXTURE = 25.0  # levels: source contrast from which on the paint map may follow the source
THICK = 0.85  # of the greatest opacity: paint is thickest away from blended edges
SAME = 12.0  # levels: maps that differ by less cannot be told apart
PRIOR = 10.0  # precision of "like the neighbourhood": opacity differs by 0.3
LONE = 40.0  # precision: so much has to be seen nearby, or the wider neighbourhood decides
BLEEDING = 5  # pixels (a square): colours run into each other that far, by chroma subsampling
SURE = 400.0  # precision (opacity to 0.05) beyond which a pixel counts as seen
NEIGHBOURHOODS = (49, 17, 5)  # pixels a side, wide to narrow
LEAST_EVIDENCE = 40.0  # for an island or a hole to be real: one pixel known to 0.16 of opacity


@dataclass(frozen=True, kw_only=True)
class Mask:
    """What was painted. Confidence is in [0, 1], 0 for an empty mask; `colour` as it was found."""

    pixels: Region
    confidence: float
    colour: Rgb


def read_mask(source: Pixels, edited: Pixels, colour: Rgb | None) -> Mask:
    """Find what the edit painted in (about) the named colour; None: in whatever colour it used.

    Survives noise, compression, small shifts of place and colour. An edit that painted nothing
    gives an empty mask with confidence 0.
    """
    before = source.astype(np.float32)
    after = align(edited.astype(np.float32), before)
    return _read(before, after, colour)


def read_label_masks(source: Pixels, edited: Pixels, colours: Mapping[str, Rgb]) -> dict[str, Mask]:
    """One mask for each colour of a fixed map that the edit used, by the colour's name.

    Every pixel belongs to the colour it is nearest to; each colour is then read as if it were the
    only paint.
    """
    ndimage = image_filters()
    before = source.astype(np.float32)
    after = align(edited.astype(np.float32), before)
    paints = np.array(list(colours.values()), dtype=np.float32)
    distances = [np.linalg.norm(after - paint, axis=-1) for paint in paints]
    distances.append(np.linalg.norm(after - before, axis=-1))  # the last label: not painted
    # thin seams between two paints resemble a third: neighbours vote
    votes = [ndimage.gaussian_filter(distance, 1.0) for distance in distances]
    label = np.argmin(votes, axis=0)
    masks = {}
    for number, (name, paint) in enumerate(colours.items()):
        own = (label == number)[..., None]
        mask = _read(before, np.where(own, after, before), paint)
        if mask.pixels.any():
            masks[name] = mask
    return masks


def _read(before: Levels, after: Levels, colour: Rgb | None) -> Mask:
    ndimage = image_filters()
    opacity, paint = _first_guess(before, after, colour)
    painted = opacity > 0
    kept, precision, noise = before, opacity, LEAST_NOISE
    for _ in range(ROUNDS):
        if not painted.any():
            return _nothing(before, colour)
        thick = painted & (opacity >= THICK * np.quantile(opacity[painted], 0.9))
        # half-painted pixels at the edge would teach the kept map how to paint
        clear = ~ndimage.binary_dilation(painted, iterations=BLEEDING)
        kept = before + _fitted(before, after - before, clear, ridge=1.0)
        covered = _fitted(before, after, thick, ridge=TEXTURE)
        noise = max(_noise((after - kept)[~painted]), _noise((after - covered)[thick]))
        opacity, precision = _opacity(after, kept, covered, noise)
        opacity = _with_neighbours(opacity, precision)
        painted = _cleaned(opacity, precision)
    if not painted.any():
        return _nothing(before, colour)
    found = after[painted].mean(0)
    confidence = (
        _clarity(painted, opacity, precision)
        * _agreement(found, paint)
        * _locality(after - kept, painted, noise)
    )
    return Mask(pixels=painted, confidence=round(confidence, 4), colour=_rgb(found))


def _first_guess(before: Levels, after: Levels, colour: Rgb | None) -> tuple[Field, Levels]:
    """How far the edit went towards the paint, 0 where it did not; and the paint."""
    change = after - before
    least = max(LEAST_CHANGE, 4 * _grain(after))
    if colour is None:
        paint = _commonest(after[np.linalg.norm(change, axis=-1) > 2 * least])
    else:
        paint = np.array(colour, np.float32)
    guess = _towards(change, paint - before, least)
    if (guess == 0).any():  # once more, without what happened to the whole picture
        guess = _towards(change - np.median(change[guess == 0], axis=0), paint - before, least)
    return guess, paint


def _towards(change: Levels, way: Levels, least: float) -> Field:
    """The share of the way that a change went, where it is large, goes that way, and not alone."""
    ndimage = image_filters()
    size = np.linalg.norm(change, axis=-1)
    share = (change * way).sum(-1) / np.maximum((way**2).sum(-1), 1.0)
    sideways = np.linalg.norm(change - share[..., None] * way, axis=-1)
    guess = (share > 0.3) & (sideways < SIDEWAYS * size) & (size > least)
    supported = ndimage.gaussian_filter(guess.astype(np.float32), 1.0) > 0.25
    return np.where(guess & supported, share.clip(0, 1.5), 0)


def _fitted(source: Levels, target: Levels, region: Region, ridge: float) -> Levels:
    """Predict the target everywhere from the source, by an affine map fitted inside a region.

    A source without contrast (in levels, against `ridge`) gives a constant. Outliers are left out.
    """
    if not region.any():
        return np.zeros_like(target)
    x, y = source[region], target[region]
    step = -(-len(x) // MAX_FITTED)
    x, y = x[::step], y[::step]
    slope, offset = _affine(x, y, ridge)
    error = np.linalg.norm(y - x @ slope - offset, axis=-1)
    inliers = error <= 3 * np.median(error) + LEAST_NOISE
    slope, offset = _affine(x[inliers], y[inliers], ridge)
    return source @ slope + offset


def _affine(x: Levels, y: Levels, ridge: float) -> tuple[Levels, Levels]:
    """Slope and offset of y = x @ slope + offset."""
    middle, level = x.mean(0), y.mean(0)
    centred = x - middle
    spread = centred.T @ centred / len(x) + ridge**2 * np.eye(3, dtype=np.float32)
    slope = np.linalg.solve(spread, centred.T @ (y - level) / len(x))
    return slope, level - middle @ slope


def _opacity(after: Levels, kept: Levels, covered: Levels, noise: float) -> tuple[Field, Field]:
    """How far each pixel went from kept to covered, and how precisely that is known (1/variance).

    A pixel that went somewhere else was changed, but not painted: opacity 0.
    """
    ndimage = image_filters()
    way, went = covered - kept, after - kept
    length = np.linalg.norm(way, axis=-1)
    opacity = (went * way).sum(-1) / np.maximum(length**2, 1.0)
    sideways = np.linalg.norm(went - opacity[..., None] * way, axis=-1)
    elsewhere = sideways > np.maximum(5 * noise, SIDEWAYS * length)
    # what stands beside something of the paint's colour may have got its colour from there
    told_apart = ndimage.minimum_filter(length, BLEEDING)
    precision = (np.maximum(told_apart - SAME, 0) / noise) ** 2
    return np.where(elsewhere, 0, opacity.clip(-0.5, 1.5)), precision


def _with_neighbours(opacity: Field, precision: Field) -> Field:
    """Pull what is known imprecisely towards the opacity around it, from wide to narrow."""
    ndimage = image_filters()
    weight = np.minimum(precision, SURE)
    around: Field = np.zeros_like(opacity)
    for side in NEIGHBOURHOODS:
        total = ndimage.uniform_filter(weight, side)
        mean = ndimage.uniform_filter(weight * opacity, side)
        around = (mean + LONE * around) / (total + LONE)
    return (precision * opacity + PRIOR * around) / (precision + PRIOR)


def _cleaned(opacity: Field, precision: Field) -> Region:
    """Opacity above one half, without islands and holes for which there is hardly evidence."""
    ndimage = image_filters()
    painted = opacity > 0.5
    evidence = np.minimum(precision, SURE) * np.abs(2 * opacity - 1)
    for region in (painted, ~painted):
        label, count = ndimage.label(region, structure=np.ones((3, 3)))
        total = ndimage.sum_labels(evidence, label, np.arange(count + 1))
        weak = total < LEAST_EVIDENCE
        weak[0] = False
        painted = painted ^ weak[label]
    return painted


def _clarity(painted: Region, opacity: Field, precision: Field) -> float:
    """1 where paint is opaque and seen, less where it is faint or inferred from neighbours."""
    distinct = ((opacity[painted] - 0.5) / 0.4).clip(0, 1).mean()
    seen = (precision[painted] > 4 * PRIOR).mean()
    return float(distinct * (0.5 + 0.5 * seen))


def _agreement(found: Levels, paint: Levels) -> float:
    """1 if the paint is about the named colour, 0 if it is another one."""
    distance = float(np.linalg.norm(found - paint))
    return 1 - min(max((distance - 60) / 180, 0.0), 1.0)


def _locality(change: Levels, painted: Region, noise: float) -> float:
    """The share of strong changes that lie in the mask or at its edge."""
    ndimage = image_filters()
    strong = np.linalg.norm(change, axis=-1) > max(6 * noise, 2 * LEAST_CHANGE)
    near = ndimage.binary_dilation(painted, iterations=3)
    return float((strong & near).sum() / max(strong.sum(), 1)) if strong.any() else 1.0


def _noise(residual: Levels) -> float:
    """Standard deviation by the median: painted places do not count while they are few."""
    if not residual.size:
        return LEAST_NOISE
    return max(LEAST_NOISE, 1.4826 * float(np.median(np.abs(residual))))


def _grain(picture: Levels) -> float:
    """Noise of a picture, from what differs between neighbours in its smooth places."""
    steps = np.abs(np.diff(picture, axis=1)) if picture.shape[1] > 1 else np.zeros(1)
    return max(LEAST_NOISE, 1.4826 * float(np.median(steps)) / 2**0.5)


def _commonest(colours: Levels) -> Levels:
    """The mean of the fullest cell of a coarse colour cube; black if there are no colours."""
    if not len(colours):
        return np.zeros(3, np.float32)
    cells = (colours.clip(0, 255) // 32).astype(int) @ np.array([64, 8, 1])
    return colours[cells == np.bincount(cells).argmax()].mean(0)


def _nothing(before: Levels, colour: Rgb | None) -> Mask:
    return Mask(pixels=np.zeros(before.shape[:2], bool), confidence=0.0, colour=colour or (0, 0, 0))


def _rgb(colour: Levels) -> Rgb:
    red, green, blue = colour.round().clip(0, 255).astype(int).tolist()
    return red, green, blue
