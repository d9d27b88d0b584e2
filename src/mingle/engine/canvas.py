"""Between a user's picture and the painter's canvas: there, and back into the original's size."""

from typing import TYPE_CHECKING

import numpy as np
import torch
from jaxtyping import Float, Float32
from torch import Tensor

from mingle.painter.sizes import Size
from mingle.processing.image import Layers

if TYPE_CHECKING:
    import PIL.Image

CHANGED = 20.0  # levels beyond what the autoencoder alone does to a picture
MARGIN = 4  # pixels of the canvas around a change that count as changed
FEATHER = 9  # pixels (a square) over which old and new are blended
WHOLE = 0.6  # an edit that changed so much of a picture was meant for all of it


def to_pixels(picture: "PIL.Image.Image", size: Size) -> Float[Tensor, "3 height width"]:
    """Stretch an RGB picture to a canvas (bilinear, as trained); values in [-1, 1]."""
    height, width = size
    resized = picture.resize((width, height), _filter("BILINEAR"))
    return torch.from_numpy(np.asarray(resized, np.float32) / 127.5 - 1).permute(2, 0, 1)


def cover(picture: "PIL.Image.Image", like: Size) -> "PIL.Image.Image":
    """Cut the middle out of a picture, in the aspect of another size."""
    height, width = like
    if picture.width * height > picture.height * width:
        cut_width, cut_height = max(1, picture.height * width // height), picture.height
    else:
        cut_width, cut_height = picture.width, max(1, picture.width * height // width)
    left, top = (picture.width - cut_width) // 2, (picture.height - cut_height) // 2
    return picture.crop((left, top, left + cut_width, top + cut_height))


def to_picture(pixels: Float[Tensor, "3 height width"]) -> "PIL.Image.Image":
    """Values around [-1, 1] -> an 8-bit RGB picture."""
    import PIL.Image

    levels = (pixels.float().clamp(-1, 1) + 1) * 127.5
    return PIL.Image.fromarray(levels.round().byte().permute(1, 2, 0).cpu().numpy())


def resized(picture: "PIL.Image.Image", size: Size) -> "PIL.Image.Image":
    """A picture in another size (height, width), by Lanczos; the same picture if it has it."""
    height, width = size
    if picture.size == (width, height):
        return picture
    return picture.resize((width, height), _filter("LANCZOS"))


def changes(
    edited: Float[Tensor, "3 height width"], unedited: Float[Tensor, "3 height width"]
) -> Float32[np.ndarray, "height width"]:
    """How much of each place is new, in [0, 1]; 1 everywhere where an edit was meant for all.

    `unedited` is the original after the autoencoder, so that its losses do not count as changes.
    """
    from torch.nn import functional as F

    difference = (edited - unedited).abs().amax(0).mul(127.5).cpu()
    smooth = F.avg_pool2d(difference[None], 3, 1, 1, count_include_pad=False)
    near = F.max_pool2d((smooth > CHANGED).float(), 2 * MARGIN + 1, 1, MARGIN)
    if near.mean() > WHOLE:
        return np.ones(difference.shape, np.float32)
    blended = F.avg_pool2d(near, FEATHER, 1, FEATHER // 2, count_include_pad=False)
    return blended[0].numpy()


def restored(
    edited: "PIL.Image.Image", original: Layers, new: Float32[np.ndarray, "height width"]
) -> "PIL.Image.Image":
    """The edit in the original's size: what is not new is the original's, transparency too."""
    import PIL.Image

    size = original.colours.size
    weight = PIL.Image.fromarray((new * 255).round().astype(np.uint8)).resize(
        size, _filter("BILINEAR")
    )
    painted = resized(edited, (size[1], size[0]))
    picture = PIL.Image.composite(painted, original.colours, weight)
    if original.alpha is not None:
        opaque = PIL.Image.new("L", size, 255)
        picture.putalpha(PIL.Image.composite(opaque, original.alpha, weight))
    return picture


def _filter(name: str) -> "PIL.Image.Resampling":
    import PIL.Image

    return PIL.Image.Resampling[name]
