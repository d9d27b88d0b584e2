"""The command `mingle`: parsing and exit codes only; each verb is one file beside this one."""

import argparse
import errno
import importlib
import json
import logging
import sys
from collections.abc import Sequence
from types import ModuleType
from typing import Any

from mingle import __version__
from mingle.errors import MingleError

VERBS = {
    "demo": "the tour: what the embedded model can do, in one page",
    "chat": "talk to a model: text, pictures, films and sound",
    "transcribe": "speech to text, steered by context words and dialect",
    "speak": "text to speech: voices, cloning, style",
    "voices": "the voices that speak can use",
    "paint": "a picture from words",
    "edit": "change a picture by saying what to change",
    "segment": "a mask of what you name in a picture",
    "serve": "the server: OpenAI-compatible endpoints and a page",
    "models": "the models Mingle knows, and which are here",
    "pull": "fetch a model from Hugging Face, ModelScope or a folder",
    "plan": "what training a model on a cluster takes",
    "train": "run a training recipe",
    "evaluate": "measure what a model can do, on held-out data",
    "bench": "measure speed",
    "verify": "compare with stored outputs of the official code",
    "doctor": "what this machine has, and what is missing",
}
"""Every verb and its purpose. `mingle.cli.<verb>` has `add_arguments(parser)` and `run(args)`."""


def main(argv: Sequence[str] | None = None) -> int:
    """Run one verb. Exit code: 0 done, 2 wrong input, 3 the machine cannot, 1 our own fault."""
    argv = list(sys.argv[1:] if argv is None else argv)
    parser = _parser()
    if not argv or argv[0] not in VERBS:
        parser.parse_args(argv)  # --help, --version, or an error that names the verbs
        parser.print_help()
        return 0
    verb, verb_parser = open_verb(argv[0])
    args = verb_parser.parse_intermixed_args(argv[1:])  # options may stand among words
    logging.basicConfig(stream=sys.stderr, level=logging.INFO if args.verbose else logging.WARNING)
    try:
        return verb.run(args) or 0
    except MingleError as error:
        print(f"mingle {argv[0]}: {error}", file=sys.stderr)
        return error.exit_code
    except KeyboardInterrupt:
        return 130
    except BrokenPipeError:  # the reader of our output went away: nothing is left to say
        sys.stderr.close()
        return 0
    except OSError as error:
        if error.errno not in (errno.ENOSPC, errno.EDQUOT):
            raise
        where = f" ({error.filename})" if error.filename else ""
        print(f"mingle {argv[0]}: the disk is full{where}; make room", file=sys.stderr)
        return 3


def open_verb(name: str) -> tuple[ModuleType, argparse.ArgumentParser]:
    """The module of a verb and the parser of its options, those that all verbs have included."""
    verb = importlib.import_module(f"mingle.cli.{name}")
    parser = argparse.ArgumentParser(prog=f"mingle {name}", description=VERBS[name])
    verb.add_arguments(parser)
    if not any("--json" in action.option_strings for action in parser._actions):
        parser.add_argument("--json", action="store_true", help="one JSON object on stdout")
    parser.add_argument("--verbose", action="store_true", help="log what happens to stderr")
    return verb, parser


def print_json(value: Any) -> None:
    """Print the one JSON object that --json promises."""
    print(json.dumps(value, ensure_ascii=False))


def _parser() -> argparse.ArgumentParser:
    verbs = "\n".join(f"  {name:<11}{text}" for name, text in VERBS.items())
    parser = argparse.ArgumentParser(
        prog="mingle",
        description="Ming, the omni-modal model: text, pictures, video and sound, in and out.",
        epilog=f"verbs:\n{verbs}\n\n'mingle VERB --help' tells a verb's options.",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--version", action="version", version=f"mingle {__version__}")
    parser.add_argument("verb", choices=VERBS, metavar="VERB", nargs="?")
    return parser
