"""Pictures: decode, fit to the patch grid, cut into normalised patches."""

import hashlib
import logging
import math
import struct
import warnings
import zlib
from dataclasses import dataclass
from functools import cached_property
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import numpy as np
from jaxtyping import Float32, UInt8

from mingle.errors import InputError, missing_extra
from mingle.messages import MediaSource
from mingle.processing.sources import describe, open_source

if TYPE_CHECKING:
    import PIL.Image

log = logging.getLogger(__name__)

MAX_SOURCE_PIXELS = 80_000_000
"""Larger pictures are refused before decoding: 240 MB of RGB, against decompression bombs."""

_BROKEN = (OSError, SyntaxError, ValueError, EOFError, struct.error, zlib.error)
"""What Pillow raises for damaged files, depending on the format."""


@dataclass(frozen=True, kw_only=True)
class ImageSettings:
    """The patch grid of a vision tower and the values that it expects.

    `patch_size` in pixels, `temporal_patch` in frames; `merge` x `merge` patches make one token.
    """

    patch_size: int
    temporal_patch: int
    merge: int
    min_pixels: int
    max_pixels: int
    max_aspect: float
    mean: tuple[float, float, float]
    std: tuple[float, float, float]

    @property
    def factor(self) -> int:
        """Pixels a side that one token stands for; sizes are multiples of it."""
        return self.patch_size * self.merge


@dataclass(frozen=True, kw_only=True)
class Patches:
    """One picture or one frame pair: flattened patches and its grid (time, height, width)."""

    values: Float32[np.ndarray, "patches patch_values"]
    grid: tuple[int, int, int]

    @cached_property
    def digest(self) -> bytes:
        """32 bytes that stand for the values; a conversation asks for them at every turn."""
        return hashlib.blake2b(np.ascontiguousarray(self.values).data, digest_size=32).digest()


def prepare_picture(
    source: MediaSource, settings: ImageSettings, size: tuple[int, int] | None = None
) -> Patches:
    """Decode a picture, fit it to the grid, cut it. `size` is a wished (height, width) in pixels.

    Raises InputError for anything that is not a whole picture of a sensible shape.
    """
    picture = decode_picture(source)
    height, width = size or (picture.height, picture.width)
    height, width = fit_size(height, width, settings)
    # Pillow's default: bicubic with antialiasing (the official choice for pictures)
    pixels = np.asarray(picture.resize((width, height)))
    return patchify(np.repeat(pixels[None], settings.temporal_patch, axis=0), settings)


def decode_picture(source: MediaSource) -> "PIL.Image.Image":
    """Decode to upright 8-bit RGB; transparency goes onto white, an animation gives frame 1.

    Takes a path, encoded bytes, a PIL image, or an array [height, width, 3] of bytes.
    """
    picture = _open(source)
    try:
        if getattr(picture, "n_frames", 1) > 1:
            log.warning("picture %s is animated; its first frame is used", describe(source))
        picture.load()
        return _to_rgb(_upright(picture))
    except _BROKEN as error:
        raise InputError(
            f"picture {describe(source)} is damaged or cut off ({error}); send the whole file"
        ) from error
    finally:
        if picture is not source:
            picture.close()


@dataclass(frozen=True, kw_only=True)
class Layers:
    """A picture taken apart for editing: all upright, 8 bits, colours in sRGB.

    `flat` has transparency laid onto white, `colours` has the colours below it as well; `alpha` is
    None for a picture without transparency.
    """

    flat: "PIL.Image.Image"
    colours: "PIL.Image.Image"
    alpha: "PIL.Image.Image | None"


def decode_layers(source: MediaSource) -> Layers:
    """Decode a picture that is to be edited. Its colour profile is applied, then forgotten."""
    picture = _open(source)
    try:
        if getattr(picture, "n_frames", 1) > 1:
            log.warning("picture %s is animated; its first frame is used", describe(source))
        picture.load()
        profile = picture.info.get("icc_profile")
        picture = _upright(picture)
        transparent = picture.has_transparency_data
        alpha = picture.convert("RGBA").getchannel("A") if transparent else None
        plain = picture.convert("RGBA").convert("RGB") if transparent else picture
        colours = _to_rgb(_to_srgb(plain, profile) if profile else plain)
    except _BROKEN as error:
        raise InputError(
            f"picture {describe(source)} is damaged or cut off ({error}); send the whole file"
        ) from error
    if alpha is None:
        return Layers(flat=colours, colours=colours, alpha=None)
    import PIL.Image

    paper = PIL.Image.new("RGB", colours.size, (255, 255, 255))
    return Layers(flat=PIL.Image.composite(colours, paper, alpha), colours=colours, alpha=alpha)


def picture_size(source: MediaSource) -> tuple[int, int]:
    """(height, width) of the upright picture, from its header alone."""
    picture = _open(source)
    sideways = picture.getexif().get(0x0112, 1) >= 5  # orientations 5 to 8 swap the sides
    if picture is not source:
        picture.close()
    return (picture.width, picture.height) if sideways else (picture.height, picture.width)


def fit_size(
    height: int,
    width: int,
    settings: ImageSettings,
    pixels: tuple[int, float] | None = None,
) -> tuple[int, int]:
    """The nearest (height, width) on the grid whose area lies within `pixels` (least, most).

    Raises InputError for an aspect ratio beyond the model's. (SPEC: banker's rounding.)
    """
    least, most = pixels or (settings.min_pixels, settings.max_pixels)
    factor = settings.factor
    aspect = max(height, width) / min(height, width)
    if aspect > settings.max_aspect:
        raise InputError(
            f"a picture of {width} x {height} is {aspect:.0f} times longer than wide; "
            f"at most {settings.max_aspect:g} times is possible: crop it"
        )
    rows = max(factor, round(height / factor) * factor)
    columns = max(factor, round(width / factor) * factor)
    if rows * columns > most:
        shrink = math.sqrt(height * width / most)
        rows = math.floor(height / shrink / factor) * factor
        columns = math.floor(width / shrink / factor) * factor
    elif rows * columns < least:
        grow = math.sqrt(least / (height * width))
        rows = math.ceil(height * grow / factor) * factor
        columns = math.ceil(width * grow / factor) * factor
    return max(rows, factor), max(columns, factor)


def patchify(frames: UInt8[np.ndarray, "time height width 3"], settings: ImageSettings) -> Patches:
    """Normalise and cut frames of one temporal patch; height and width lie on the grid.

    Patches follow each other merge block by merge block; inside one: channel, time, y, x.
    """
    side, merge = settings.patch_size, settings.merge
    time, height, width, _ = frames.shape
    assert time == settings.temporal_patch, "one call takes one temporal patch"
    rows, columns = height // side, width // side
    blocks = frames.reshape(
        time, rows // merge, merge, side, columns // merge, merge, side, 3
    ).transpose(1, 4, 2, 5, 7, 0, 3, 6)  # block row, block column, row, column, channel, time, y, x
    levels = _levels(settings)
    channel = np.arange(3).reshape(3, 1, 1, 1)
    values = levels[channel, blocks].reshape(rows * columns, -1)
    return Patches(values=values, grid=(1, rows, columns))


def _levels(settings: ImageSettings) -> Float32[np.ndarray, "3 256"]:
    """What each of the 256 levels of each channel becomes; the order of rounding is official."""
    level = (np.arange(256) * (1 / 255)).astype(np.float32)
    mean = np.asarray(settings.mean, dtype=np.float32)[:, None]
    std = np.asarray(settings.std, dtype=np.float32)[:, None]
    return (level - mean) / std


def _open(source: MediaSource) -> "PIL.Image.Image":
    """Open without decoding pixels, and refuse sizes that memory should not meet."""
    try:
        import PIL.Image
    except ImportError as error:
        raise missing_extra("media", "pillow") from error
    if isinstance(source, PIL.Image.Image):
        picture = source
    elif isinstance(source, np.ndarray):
        picture = PIL.Image.fromarray(
            _checked_array(cast("np.ndarray[Any, np.dtype[Any]]", source))
        )
    else:
        picture = _open_file(open_source(source, "picture"), source)
    pixels = picture.width * picture.height
    if not pixels:
        raise InputError(f"picture {describe(source)} has no pixels; send a picture with some")
    if pixels > MAX_SOURCE_PIXELS:
        raise InputError(_too_large(source, f"{pixels / 1e6:.0f}"))
    return picture


def _open_file(file: Path | BytesIO, source: MediaSource) -> "PIL.Image.Image":
    import PIL.Image

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error", PIL.Image.DecompressionBombWarning)
            return PIL.Image.open(file)
    except (PIL.Image.DecompressionBombWarning, PIL.Image.DecompressionBombError) as error:
        raise InputError(_too_large(source, "more than 89")) from error
    except PIL.Image.UnidentifiedImageError as error:
        raise InputError(
            f"{describe(source)} is not a picture, or cut off within its header; "
            "expected PNG, JPEG, WebP, GIF, TIFF, BMP or another format that Pillow reads"
        ) from error
    except _BROKEN as error:
        raise InputError(
            f"picture {describe(source)} cannot be opened ({error}); send the whole file"
        ) from error


def _too_large(source: MediaSource, megapixels: str) -> str:
    return (
        f"picture {describe(source)} has {megapixels} megapixels; "
        f"at most {MAX_SOURCE_PIXELS / 1e6:.0f} are taken: make it smaller first"
    )


def _checked_array(array: np.ndarray[Any, np.dtype[Any]]) -> UInt8[np.ndarray, "height width 3"]:
    if array.dtype != np.uint8 or array.ndim != 3 or array.shape[2] != 3:
        raise InputError(
            f"picture: found an array {array.dtype} of shape {array.shape}; "
            "expected uint8 [height, width, 3]"
        )
    if not array.size:
        raise InputError("picture: the array has no pixels; send a picture with some")
    return array


def _upright(picture: "PIL.Image.Image") -> "PIL.Image.Image":
    """A copy, turned as its EXIF orientation says."""
    from PIL import ImageOps

    return ImageOps.exif_transpose(picture)


def _to_srgb(picture: "PIL.Image.Image", profile: bytes) -> "PIL.Image.Image":
    """Apply a colour profile; one that does not fit the picture is ignored with a warning."""
    from PIL import ImageCms

    if picture.mode not in ("RGB", "CMYK", "L"):
        picture = picture.convert("RGB")
    try:
        given = ImageCms.ImageCmsProfile(BytesIO(profile))
        srgb = cast("Any", ImageCms).createProfile("sRGB")
        converted = ImageCms.profileToProfile(picture, given, srgb, outputMode="RGB")
    except (ImageCms.PyCMSError, OSError) as error:
        log.warning("the picture's colour profile cannot be used (%s); sRGB is assumed", error)
        return picture
    return picture if converted is None else converted


def _to_rgb(picture: "PIL.Image.Image") -> "PIL.Image.Image":
    """Any mode -> RGB: 16 bits are scaled (not clipped), transparency is laid onto white."""
    import PIL.Image

    if picture.mode == "RGB" and not picture.has_transparency_data:
        return picture
    if picture.mode == "F":
        raise InputError("a picture of floating-point values; convert it to 8 or 16 bits first")
    if picture.mode.startswith("I"):  # 16 bits, some of them stored in 32
        levels = np.asarray(picture).astype(np.int64)
        scaled = np.clip(levels >> 8, 0, 255) if levels.max() > 255 else np.clip(levels, 0, 255)
        return PIL.Image.fromarray(scaled.astype(np.uint8)).convert("RGB")
    if picture.has_transparency_data:
        layer = picture.convert("RGBA")
        paper = PIL.Image.new("RGBA", layer.size, (255, 255, 255, 255))
        return PIL.Image.alpha_composite(paper, layer).convert("RGB")
    return picture.convert("RGB")
