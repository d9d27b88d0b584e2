"""`mingle paint WORDS`: a picture from words."""

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
    """What to paint, how, and where it goes."""
    parser.add_argument("prompt", nargs="+", help='what to paint; "-" reads standard input')
    add_picture_arguments(parser)
    add_painting_arguments(parser)
    add_model_arguments(parser)


def run(args: argparse.Namespace) -> None:
    """Paint. Prints where the pictures are, or the JSON object that --json promises."""
    file = checked_output(args.output, "picture.png")
    options = picture_options(args)
    prompt = text_of(args.prompt)
    studio = load_assistant(args).studio
    with progress(options) as on_step:
        pictures = studio.paint(prompt, options, on_step)
    write_all(pictures, file, facts_of(args, prompt), as_json=args.json)
