"""The things of the picture world: emoji of the Noto colour font and drawn shapes, in colours.

The font is Debian's `fonts-noto-color-emoji` (SIL Open Font License); names follow Unicode CLDR.
"""

from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float32, UInt8

from mingle.errors import CapacityError

EMOJI = {
    "cat": 0x1F431,
    "dog": 0x1F436,
    "car": 0x1F697,
    "tree": 0x1F333,
    "apple": 0x1F34E,
    "house": 0x1F3E0,
    "ball": 0x26BD,
    "star": 0x2B50,
    "fish": 0x1F41F,
    "flower": 0x1F33B,
    "key": 0x1F511,
    "cup": 0x2615,
    "book": 0x1F4D6,
    "umbrella": 0x2602,
    "banana": 0x1F34C,
    "boat": 0x26F5,
    "bird": 0x1F426,
    "hat": 0x1F3A9,
    "clock": 0x1F570,
    "guitar": 0x1F3B8,
}
SHAPES = {
    "circle": 64,
    "square": 4,
    "triangle": 3,
    "hexagon": 6,
}
"""Regular polygons, by their number of corners."""

KINDS = (*EMOJI, *SHAPES)
PLURALS = {"fish": "fish"} | {kind: f"{kind}s" for kind in KINDS if kind != "fish"}
COLOURS = {
    "red": (214, 39, 40),
    "orange": (255, 140, 0),
    "yellow": (250, 210, 30),
    "green": (44, 160, 44),
    "blue": (31, 90, 210),
    "purple": (140, 60, 190),
    "pink": (245, 130, 190),
    "brown": (130, 80, 40),
}
FONT = Path("/usr/share/fonts/truetype/noto/NotoColorEmoji.ttf")
SIDE = 128  # pixels; the font's bitmaps are 136 x 128


@cache
def sprite(kind: str, colour: str | None) -> UInt8[np.ndarray, "128 128 4"]:
    """One thing as RGBA, cropped to its outline and centred. `colour` None is the natural look.

    Raises CapacityError when the emoji font is not installed.
    """
    plain = _emoji(EMOJI[kind]) if kind in EMOJI else _polygon(SHAPES[kind])
    if colour is None:
        return plain
    return _tinted(plain, COLOURS[colour], flat=kind in SHAPES)


def _tinted(
    rgba: UInt8[np.ndarray, "h w 4"], colour: tuple[int, int, int], *, flat: bool
) -> UInt8[np.ndarray, "h w 4"]:
    """Keep light and shade, replace the hue: dark stays dark, the brightest becomes pale."""
    if flat:
        shaded = np.broadcast_to(np.array(colour, np.float32), (*rgba.shape[:2], 3))
    else:
        light = _luminance(rgba)[..., None]
        target = np.array(colour, np.float32)
        shaded = np.where(
            light < 0.6, target * (light / 0.6), target + (255 - target) * (light - 0.6) * 1.2
        )
    return np.dstack((shaded.clip(0, 255).astype(np.uint8), rgba[..., 3]))


def _luminance(rgba: UInt8[np.ndarray, "h w 4"]) -> Float32[np.ndarray, "h w"]:
    weights = np.array([0.299, 0.587, 0.114], np.float32) / 255
    return rgba[..., :3].astype(np.float32) @ weights


@cache
def _font() -> Any:
    from PIL import ImageFont

    if not FONT.exists():
        raise CapacityError(
            f"the emoji font is not at {FONT}; install Debian's fonts-noto-color-emoji"
        )
    return ImageFont.truetype(str(FONT), 109)  # the only size this bitmap font has


def _emoji(codepoint: int) -> UInt8[np.ndarray, "h w 4"]:
    from PIL import Image, ImageDraw

    canvas = Image.new("RGBA", (160, 160), (0, 0, 0, 0))
    ImageDraw.Draw(canvas).text((8, 8), chr(codepoint), font=_font(), embedded_color=True)
    return _centred(canvas)


def _polygon(corners: int) -> UInt8[np.ndarray, "h w 4"]:
    from PIL import Image, ImageDraw

    canvas = Image.new("RGBA", (512, 512), (0, 0, 0, 0))
    ImageDraw.Draw(canvas).regular_polygon((256, 256, 250), corners, fill=(90, 90, 90, 255))
    return _centred(canvas)


def _centred(canvas: Any) -> UInt8[np.ndarray, "h w 4"]:
    from PIL import Image

    cropped = canvas.crop(canvas.getbbox())
    scale = SIDE / max(cropped.size)
    size = (max(1, round(cropped.width * scale)), max(1, round(cropped.height * scale)))
    square = Image.new("RGBA", (SIDE, SIDE), (0, 0, 0, 0))
    square.paste(
        cropped.resize(size, Image.Resampling.LANCZOS),
        ((SIDE - size[0]) // 2, (SIDE - size[1]) // 2),
    )
    return np.asarray(square)
