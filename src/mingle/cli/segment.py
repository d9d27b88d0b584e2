"""`mingle segment PICTURE WORDS`: a mask of what the words name."""

import argparse
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mingle.cli import print_json
from mingle.cli.options import add_model_arguments, load_assistant, text_of
from mingle.cli.pictures import (
    add_painting_arguments,
    checked_output,
    facts_of,
    options_of,
    progress,
)
from mingle.errors import InputError
from mingle.processing.picture_file import save_picture

if TYPE_CHECKING:
    from mingle.engine.segment import Segmentation


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Which picture, what in it, and where mask and overlay go."""
    parser.add_argument("picture")
    parser.add_argument("phrase", nargs="*", help="what to segment: the banana on the left")
    parser.add_argument("-o", "--output", type=Path, help="the mask: png, jpg or webp by its name")
    parser.add_argument("--overlay", type=Path, help="the picture with the mask laid over it")
    parser.add_argument("--colour", help='paint in this colour (default: the rarest), or "any"')
    every = parser.add_mutually_exclusive_group()
    every.add_argument("--classes", action="store_true", help="one mask for every class")
    every.add_argument("--instances", action="store_true", help="one mask for every thing")
    add_painting_arguments(parser)
    add_model_arguments(parser)


def run(args: argparse.Namespace) -> None:
    """Segment. Prints what was found, or the JSON object that --json promises."""
    from mingle.engine.segment import segment, segment_all

    everything = "classes" if args.classes else "instances" if args.instances else None
    if bool(args.phrase) == bool(everything):
        raise InputError("say what to segment: a phrase, --classes, or --instances; one of them")
    file = checked_output(args.output, "mask.png")
    over = None if args.overlay is None else checked_output(args.overlay, "")
    options = options_of(args)
    phrase = text_of(args.phrase)
    studio = load_assistant(args).studio
    with progress(options) as on_step:
        if everything:
            found = segment_all(studio, args.picture, everything, options=options, on_step=on_step)
        else:
            found = [
                segment(
                    studio,
                    args.picture,
                    phrase,
                    colour=args.colour,
                    options=options,
                    on_step=on_step,
                )
            ]
    facts = facts_of(args, phrase or str(everything))
    named = [f"-{one.label}" if everything else "" for one in found]
    masks = [
        _write(one, _named(file, suffix), over and _named(over, suffix), facts)
        for one, suffix in zip(found, named, strict=True)
    ]
    if args.json:
        print_json({"masks": masks} if everything else masks[0])
    else:
        print("\n".join(map(_line, masks)) or "nothing was found")


def _write(
    found: "Segmentation", file: Path, over: Path | None, facts: dict[str, Any]
) -> dict[str, Any]:
    """Write mask and overlay; what --json tells of them."""
    facts = {**facts, "seed": found.seed, "colour": found.label, "confidence": found.confidence}
    save_picture(found.mask, file, facts)
    if over is not None:
        save_picture(found.overlay, over, facts)
    return {
        "mask": str(file),
        "overlay": None if over is None else str(over),
        "confidence": found.confidence,
        "area": found.area,
        "bbox": found.bbox,
        "rle": found.rle,
        "polygons": found.polygons,
        "colour": found.label,
        "seed": found.seed,
    }


def _line(told: dict[str, Any]) -> str:
    if not told["area"]:
        return f"{told['mask']}: empty, nothing was found (confidence 0)"
    x, y, width, height = told["bbox"]
    return (
        f"{told['mask']}: {told['area']} pixels in {width}x{height} at ({x}, {y}), "
        f"confidence {told['confidence']:.2f}"
    )


def _named(file: Path, suffix: str) -> Path:
    return file.with_stem(file.stem + suffix)
