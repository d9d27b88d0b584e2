"""Pictures into files: PNG, JPEG or WebP by the name, with how they were made written inside."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from mingle.errors import CapacityError, InputError, missing_extra

if TYPE_CHECKING:
    import PIL.Image

FORMATS = {".png": "PNG", ".jpg": "JPEG", ".jpeg": "JPEG", ".webp": "WEBP"}
KEY = "mingle"  # of the PNG text chunk; JPEG and WebP carry it in EXIF
DESCRIPTION, SOFTWARE = 0x010E, 0x0131  # EXIF tags
QUALITY = 95


def format_of(file: Path) -> str:
    """The format that a file's name asks for. Raises InputError for one that is not written."""
    if file.suffix.lower() not in FORMATS:
        known = ", ".join(FORMATS)
        raise InputError(f"'{file.name}' does not say which format to write; end it in {known}")
    return FORMATS[file.suffix.lower()]


def save_picture(image: "PIL.Image.Image", file: Path, facts: Mapping[str, Any]) -> None:
    """Write a picture whole or not at all; the same picture and facts give the same bytes.

    JPEG has no transparency: it is laid onto white. Raises CapacityError where writing fails.
    """
    try:
        import PIL.Image
        from PIL.PngImagePlugin import PngInfo
    except ImportError as error:
        raise missing_extra("media", "pillow") from error
    kind = format_of(file)
    told = json.dumps(facts, ensure_ascii=True)
    options: dict[str, Any] = {}
    if kind == "PNG":
        options["pnginfo"] = PngInfo()
        options["pnginfo"].add_text(KEY, told)
    else:
        exif = PIL.Image.Exif()
        exif[DESCRIPTION] = told
        exif[SOFTWARE] = f"mingle {facts.get('version', '')}".strip()
        options |= {"exif": exif, "quality": QUALITY}
    if kind == "JPEG" and image.mode == "RGBA":
        paper = PIL.Image.new("RGBA", image.size, (255, 255, 255, 255))
        image = PIL.Image.alpha_composite(paper, image).convert("RGB")
    scratch = file.with_name(f".{file.name}.part")
    try:
        image.save(scratch, format=kind, **options)
        scratch.replace(file)
    except OSError as error:
        scratch.unlink(missing_ok=True)
        raise CapacityError(f"{file} cannot be written: {error.strerror or error}") from error


def read_facts(file: Path) -> dict[str, Any]:
    """What `save_picture` wrote beside the picture; {} for a picture of other origin."""
    import PIL.Image

    with PIL.Image.open(file) as image:
        told = image.info.get(KEY) or image.getexif().get(DESCRIPTION, "")
    try:
        facts = json.loads(told)
    except ValueError:
        return {}
    return cast(dict[str, Any], facts) if isinstance(facts, dict) else {}
