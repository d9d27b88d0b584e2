"""Pictures on the wire: sizes as words, and pixels as bytes."""

import base64
import re
from io import BytesIO
from typing import Literal

from PIL import Image

from mingle.errors import InputError
from mingle.painter.sizes import Size

PictureFormat = Literal["png", "jpeg", "webp"]
MAX_SIDE = 4096


def size_of(text: str | None) -> Size | None:
    """(height, width) of "WIDTHxHEIGHT"; None for "auto". Raises InputError for anything else."""
    if text in (None, "", "auto"):
        return None
    match = re.fullmatch(r"([0-9]{1,5})x([0-9]{1,5})", text)
    if match is None:
        raise InputError(f"size '{text[:40]}'; expected WIDTHxHEIGHT such as 1024x1024, or auto")
    width, height = int(match[1]), int(match[2])
    if not (1 <= width <= MAX_SIDE and 1 <= height <= MAX_SIDE):
        raise InputError(f"size {width}x{height}; each side may have 1 to {MAX_SIDE} pixels")
    return height, width


def shape_of(picture: Image.Image) -> Size:
    """(height, width) in pixels."""
    return picture.height, picture.width


def encoded_picture(picture: Image.Image, form: PictureFormat = "png") -> bytes:
    """The bytes of a picture file; JPEG has no transparency, it is laid onto white."""
    if form == "jpeg" and picture.mode == "RGBA":
        paper = Image.new("RGBA", picture.size, (255, 255, 255, 255))
        picture = Image.alpha_composite(paper, picture).convert("RGB")
    target = BytesIO()
    picture.save(target, form.upper())
    return target.getvalue()


def base64_picture(picture: Image.Image, form: PictureFormat = "png") -> str:
    """The same in base64."""
    return base64.b64encode(encoded_picture(picture, form)).decode()
