"""`mingle edit PICTURE WORDS`: change a picture by saying what to change."""

import argparse

from mingle.cli.options import add_model_arguments, load_assistant, text_of
from mingle.cli.pictures import (
    add_painting_arguments,
    add_picture_arguments,
    checked_output,
    facts_of,
    picture_options,
    progress,
    write_all,
)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Which picture, what to change, and where the result goes."""
    parser.add_argument("picture", help="the picture to change")
    parser.add_argument("instruction", nargs="+", help="what to change")
    parser.add_argument(
        "--image", action="append", default=[], help="a further picture that the words refer to"
    )
    parser.add_argument(
        "--whole", action="store_true", help="take unchanged places from the edit, too"
    )
    add_picture_arguments(parser)
    add_painting_arguments(parser)
    add_model_arguments(parser)


def run(args: argparse.Namespace) -> None:
    """Edit. Prints where the pictures are, or the JSON object that --json promises."""
    file = checked_output(args.output, "edited.png")
    options = picture_options(args, keep=not args.whole)
    instruction = text_of(args.instruction)
    studio = load_assistant(args).studio
    with progress(options) as on_step:
        pictures = studio.edit([args.picture, *args.image], instruction, options, on_step)
    write_all(pictures, file, facts_of(args, instruction), as_json=args.json)
