"""Sizes of pictures: the buckets a model was trained on, and what is painted for a wished size."""

from mingle.errors import InputError
from mingle.painter.config import PainterConfig

MAX_PIXELS = 4 * 1024 * 1024  # four times the largest bucket of the released model

Size = tuple[int, int]
"""Height, width in pixels. What a user reads or writes is width x height."""


def _table(unit: int, sizes: str) -> tuple[Size, ...]:
    pairs = (size.split("x") for size in sizes.split())
    return tuple((unit * int(height), unit * int(width)) for height, width in pairs)


_WIDE_TO_TALL = """
    8x32 8x31 8x30 8x29 9x28 9x27 9x26 10x25 10x24 11x23 11x22 11x21 12x21 12x20 13x19 13x18 14x18
    14x17 15x17 15x16 16x16 16x15 17x15 17x14 18x14 18x13 19x13 20x12 21x12 22x11 23x11 24x10 25x10
    26x9 27x9 28x9 29x8 30x8 31x8 32x8
"""
_WIDE_TO_TALL_672 = """
    11x40 12x37 13x34 14x32 15x29 16x28 17x26 18x24 19x23 20x22 21x21 22x20 23x19 24x18 25x18 26x17
    27x16 28x16 29x15 30x15 31x14 32x14 33x13 34x13 35x13 36x12 37x12 38x12 39x11 40x11
"""
BUCKETS = {
    512: _table(32, _WIDE_TO_TALL),
    672: _table(32, _WIDE_TO_TALL_672),
    1024: _table(64, _WIDE_TO_TALL),
}
"""The released model's canvases (height, width), by resolution."""


def nearest_bucket(height: int, width: int, buckets: tuple[Size, ...]) -> Size:
    """The bucket whose height / width, rounded to two places, is nearest (the first of equals).

    The released tables name their entries by that rounded ratio and look the nearest name up.
    """
    return min(buckets, key=lambda size: abs(round(size[0] / size[1], 2) - height / width))


def released_sizes(height: int, width: int, highres: int | bool | None) -> tuple[Size, Size]:
    """The released processor's (bucket, resize target) for a picture of this size.

    `highres`: a resolution, of which the nearest known one is taken; True is 1024, False and None
    are 512. The target covers the bucket and keeps the aspect. (SPEC_GENERATION B4)
    """
    wished = {None: 512, False: 512, True: 1024}.get(highres, highres)
    assert wished is not None
    resolution = min(BUCKETS, key=lambda known: abs(known - wished))
    rows, columns = nearest_bucket(height, width, BUCKETS[resolution])
    if rows / height > columns / width:
        return (rows, columns), (rows, int(width * rows / height))
    return (rows, columns), (int(height * columns / width), columns)


def released_default_size(highres: int | bool | None, aspect: float | None) -> Size:
    """The released processor's canvas for a width / height; None is square."""
    bucket, _ = released_sizes(512, int(512.0 * (aspect or 1.0)), highres)
    return bucket


def canvas_for(config: PainterConfig, size: Size, resolution: int | None) -> Size:
    """The trained canvas whose aspect is nearest to a size's, at (about) a resolution."""
    wished = config.resolution if resolution is None else resolution
    known = min(config.buckets, key=lambda one: abs(one - wished))
    return nearest_bucket(*size, config.buckets[known])


def parse_size(text: str) -> Size:
    """Read "1024x768" (width x height). Raises InputError for anything else."""
    width, _, height = text.lower().partition("x")
    if not (width.isdecimal() and height.isdecimal()):
        raise InputError(f"size '{text}' is not WIDTHxHEIGHT; write for example 1024x768")
    return int(height), int(width)


def paintable(config: PainterConfig, size: Size) -> Size:
    """What is painted for a wished size: the next multiples of what the model can paint.

    A model that paints its canvases alone paints the nearest one. Raises InputError for sizes that
    are zero, or larger than the model can place.
    """
    height, width = size
    if height < 1 or width < 1:
        raise InputError(f"size {width}x{height} is empty; both sides must be at least 1")
    if not config.free_sizes:
        if height * width > MAX_PIXELS:
            raise InputError(
                f"size {width}x{height} is too large: at most {MAX_PIXELS / 1e6:.1f} megapixels"
            )
        return canvas_for(config, size, None)
    multiple = config.pixel_multiple
    rows, columns = -(-height // multiple), -(-width // multiple)
    longest = min(config.transformer.axes_lens[1:]) * multiple
    if max(rows, columns) * multiple > longest or rows * columns * multiple**2 > MAX_PIXELS:
        raise InputError(
            f"size {width}x{height} is too large: at most {longest} pixels a side and "
            f"{MAX_PIXELS / 1e6:.1f} megapixels in all; paint smaller and enlarge"
        )
    return rows * multiple, columns * multiple
