"""Options that several verbs share: which model, how it samples, where text comes from."""

import argparse
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mingle.errors import CapacityError

if TYPE_CHECKING:
    from mingle.engine.assistant import Assistant

SAMPLING: dict[str, tuple[type, str]] = {
    "temperature": (float, "0 always takes the likeliest token"),
    "top_k": (int, "draw from the k likeliest tokens only"),
    "top_p": (float, "draw from the likeliest tokens that have this share together"),
    "min_p": (float, "leave out tokens this much less likely than the best"),
    "repetition_penalty": (float, "above 1: what was said becomes less likely"),
    "seed": (int, "the same seed draws the same answer"),
}


def add_model_arguments(parser: argparse.ArgumentParser) -> None:
    """--model, --dtype, --device."""
    parser.add_argument("--model", default="nano", help="name or folder (default: nano)")
    parser.add_argument("--dtype", default="float32", help="float32, bfloat16, float16 or auto")
    parser.add_argument("--device", default="cpu", help="cpu, cuda, cuda:1, mps")


def add_sampling_arguments(parser: argparse.ArgumentParser) -> None:
    """--temperature and its kin; what is not given is what suits the model."""
    group = parser.add_argument_group("sampling (default: what suits the model)")
    for name, (kind, text) in SAMPLING.items():
        group.add_argument(f"--{name.replace('_', '-')}", type=kind, help=text)


def sampling_of(args: argparse.Namespace) -> dict[str, Any]:
    """The sampling options that were given."""
    given = {name: getattr(args, name) for name in SAMPLING}
    return {name: value for name, value in given.items() if value is not None}


def load_assistant(args: argparse.Namespace) -> "Assistant":
    """The assistant that the model options name."""
    from mingle.engine.assistant import load  # torch is imported only here

    return load(args.model, dtype=args.dtype, device=args.device)


def text_of(words: list[str]) -> str:
    """The words of a command line as one text; a lone "-" reads standard input to its end."""
    if words == ["-"]:
        return sys.stdin.read().strip()
    return " ".join(words)


def write_whole(file: Path, text: str) -> None:
    """Write a text file whole or not at all. Raises CapacityError where that fails."""
    scratch = file.with_name(f".{file.name}.part")
    try:
        scratch.write_text(text, encoding="utf-8")
        scratch.replace(file)
    except OSError as error:
        scratch.unlink(missing_ok=True)
        raise CapacityError(f"{file} cannot be written: {error.strerror}") from error
