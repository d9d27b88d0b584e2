"""What paint, edit and segment share: options, progress, files."""

import argparse
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tqdm import tqdm

import mingle
from mingle.cli import print_json
from mingle.errors import InputError
from mingle.processing.picture_file import format_of, save_picture

if TYPE_CHECKING:
    from mingle.engine.paint import PaintOptions
    from mingle.messages import Picture
    from mingle.painter.denoise import OnStep


def add_painting_arguments(parser: argparse.ArgumentParser) -> None:
    """--steps, --guidance, --seed, --schedule."""
    group = parser.add_argument_group("how it is painted")
    group.add_argument("--steps", type=int, default=30, help="more are finer and slower (30)")
    group.add_argument(
        "--guidance", type=float, default=2.0, help="how closely to follow the words; 0 is off (2)"
    )
    group.add_argument("--resolution", type=int, help="paint about so many pixels squared (1024)")
    group.add_argument("--seed", type=int, help="the same seed paints the same picture")
    group.add_argument(
        "--schedule",
        choices=("useful", "reference"),
        default="useful",
        help="noise levels: every step moves, or the released code's, whose last step does not",
    )


def add_picture_arguments(parser: argparse.ArgumentParser) -> None:
    """--output, --size, --n, --at-once, --text."""
    parser.add_argument("-o", "--output", type=Path, help="png, jpg or webp by its name")
    parser.add_argument("--size", help="WIDTHxHEIGHT in pixels")
    parser.add_argument("--n", type=int, default=1, help="so many pictures, seeds counting up")
    parser.add_argument("--at-once", type=int, default=1, help="so many of them in one batch")
    parser.add_argument("--text", help="text to be drawn (default: what the words quote)")


def options_of(args: argparse.Namespace, **more: Any) -> "PaintOptions":
    """The painting options that were given, checked, with a seed."""
    from mingle.engine.paint import PaintOptions

    return PaintOptions(
        resolution=args.resolution,
        steps=args.steps,
        guidance=args.guidance,
        seed=args.seed,
        spacing=args.schedule,
        **more,
    ).checked()


def picture_options(args: argparse.Namespace, **more: Any) -> "PaintOptions":
    """Those, and the options of a verb that writes pictures."""
    from mingle.painter.sizes import parse_size

    size = None if args.size is None else parse_size(args.size)
    return options_of(args, size=size, count=args.n, at_once=args.at_once, text=args.text, **more)


def checked_output(file: Path | None, default: str) -> Path:
    """Where to write. Raises InputError for an unknown format or a folder that is not there."""
    file = file or Path(default)
    format_of(file)
    if not file.absolute().parent.is_dir():
        raise InputError(f"there is no folder {file.parent} to write into")
    return file


@contextmanager
def progress(options: "PaintOptions") -> "Iterator[OnStep]":
    """A progress bar on stderr: give the callback to the painter."""
    batches = -(-options.count // options.at_once)
    bar = tqdm(total=batches * options.steps, unit="step", file=sys.stderr, leave=False, delay=0.5)
    with bar:
        yield lambda step: bool(bar.update())


def write_all(
    pictures: "Sequence[Picture]", file: Path, facts: dict[str, Any], *, as_json: bool
) -> None:
    """Write each picture with its facts, numbered if there are several; say where they are."""
    files = []
    for number, picture in enumerate(pictures, 1):
        target = file if len(pictures) == 1 else file.with_stem(f"{file.stem}-{number}")
        save_picture(picture.image, target, {**facts, "seed": picture.seed})
        files.append(str(target))
    first = pictures[0]
    if as_json:
        told = {"files": files, "seed": first.seed, "width": first.width, "height": first.height}
        print_json(told)
        return
    for name, picture in zip(files, pictures, strict=True):
        print(f"{name}: {picture.width}x{picture.height}, seed {picture.seed}")


def facts_of(args: argparse.Namespace, prompt: str) -> dict[str, Any]:
    """What a file tells about its making, the seed apart."""
    return {
        "prompt": prompt,
        "model": Path(args.model).name,
        "version": mingle.__version__,
        "steps": args.steps,
        "guidance": args.guidance,
        "schedule": args.schedule,
    }
