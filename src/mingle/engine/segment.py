"""Segmentation by editing: have the thing painted over, read the mask from what changed."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from jaxtyping import UInt8

from mingle.engine import canvas
from mingle.engine.paint import CanvasEdit, PaintOptions, Studio
from mingle.errors import InputError
from mingle.messages import MediaSource
from mingle.painter.config import Rgb, SegmentWords
from mingle.painter.denoise import OnStep
from mingle.painter.masks import Mask, read_label_masks, read_mask
from mingle.painter.outlines import bounding_box, overlay, polygons, run_lengths
from mingle.processing.image import Layers, decode_layers

if TYPE_CHECKING:
    import PIL.Image

Everything = Literal["classes", "instances"]
ANY = "any"  # the colour is left to the model
FEW = 64  # pixels a side: enough to see which colours a picture has


@dataclass(frozen=True, kw_only=True)
class Segmentation:
    """One mask in the picture's size; confidence in [0, 1], 0 for an empty mask.

    `mask` and `overlay` are pictures; `bbox` is [x, y, width, height]; `rle` COCO's compressed run
    lengths; `polygons` the exact outlines (outlines.polygons); `label` the colour asked for.
    """

    label: str
    mask: "PIL.Image.Image"
    overlay: "PIL.Image.Image"
    confidence: float
    area: int
    bbox: list[int]
    rle: dict[str, Any]
    polygons: list[list[int]]
    seed: int


def segment(
    studio: Studio,
    source: MediaSource,
    phrase: str,
    *,
    colour: str | None = None,
    options: PaintOptions | None = None,
    on_step: OnStep | None = None,
) -> Segmentation:
    """The mask of what a phrase names.

    `colour` is one of the model's colours, "any" (the model chooses), or None for the colour that
    the picture has least of. Raises InputError for an unknown colour or an empty phrase.
    """
    if not phrase.strip():
        raise InputError("the phrase is empty; name what to segment, such as 'the left banana'")
    words = studio.painter.config.segment
    original = decode_layers(source)
    name = colour or rarest_colour(np.asarray(original.flat), words.colours)
    if name != ANY and name not in words.colours:
        raise InputError(f"colour '{name}' is unknown; known: {', '.join(words.colours)}, {ANY}")
    said = instruction(words, phrase, name)
    edit = _edit(studio, original, said, options, on_step)
    mask = read_mask(*_pair(edit), words.colours.get(name))
    return _segmentation(name, mask, original, edit)


def segment_all(
    studio: Studio,
    source: MediaSource,
    what: Everything,
    *,
    options: PaintOptions | None = None,
    on_step: OnStep | None = None,
) -> list[Segmentation]:
    """A mask for every class or every instance, told apart by the model's colour map."""
    words = studio.painter.config.segment
    original = decode_layers(source)
    said = words.classes if what == "classes" else words.instances
    if said is None:
        raise InputError(f"this model was not taught to mask all {what}; name one thing to segment")
    edit = _edit(studio, original, said, options, on_step)
    masks = read_label_masks(*_pair(edit), words.colours)
    found = [_segmentation(name, mask, original, edit) for name, mask in masks.items()]
    return [one for one in found if one.area]  # the picture may be smaller than the canvas


def instruction(words: SegmentWords, phrase: str, colour: str) -> str:
    """What is said to the model, so that it paints the named thing over."""
    phrase = phrase.strip().rstrip(".")
    if colour == ANY:
        if words.refer_any is None:
            known = ", ".join(words.colours)
            raise InputError(f"this model does not choose the colour itself; name one of: {known}")
        return words.refer_any.format(phrase=phrase)
    return words.refer.format(phrase=phrase, colour=colour)


def rarest_colour(picture: UInt8[np.ndarray, "height width 3"], colours: Mapping[str, Rgb]) -> str:
    """The colour whose nearest hundredth of the picture is farthest away: easy to tell apart."""
    step = max(1, min(picture.shape[:2]) // FEW)
    pixels = picture[::step, ::step].reshape(-1, 3).astype(np.float32)
    distance = {
        name: np.quantile(np.linalg.norm(pixels - np.array(colour), axis=-1), 0.01)
        for name, colour in colours.items()
    }
    return max(distance, key=lambda name: float(distance[name]))


def _edit(
    studio: Studio,
    original: Layers,
    said: str,
    options: PaintOptions | None,
    on_step: OnStep | None,
) -> CanvasEdit:
    # a phrase may quote a sign's text; nothing is to be drawn
    options = replace(options or PaintOptions(), count=1, text="").checked()
    return studio.edit_on_canvas([original], said, options, on_step)[0]


def _pair(edit: CanvasEdit) -> tuple[np.ndarray, np.ndarray]:
    return (
        np.asarray(canvas.to_picture(edit.unedited)),
        np.asarray(canvas.to_picture(edit.pixels)),
    )


def _segmentation(label: str, mask: Mask, original: Layers, edit: CanvasEdit) -> Segmentation:
    import PIL.Image

    size = original.flat.size
    soft = PIL.Image.fromarray(mask.pixels.astype(np.uint8) * 255).resize(
        size, PIL.Image.Resampling.BILINEAR
    )
    region = np.asarray(soft) > 127
    picture = np.asarray(original.flat)
    return Segmentation(
        label=label,
        mask=PIL.Image.fromarray(region.astype(np.uint8) * 255),
        overlay=PIL.Image.fromarray(overlay(picture, region, mask.colour)),
        confidence=mask.confidence if region.any() else 0.0,
        area=int(region.sum()),
        bbox=bounding_box(region),
        rle=run_lengths(region),
        polygons=polygons(region),
        seed=edit.seed,
    )
