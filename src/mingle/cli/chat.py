"""mingle chat: one question and its answer, or a conversation."""

import argparse
import sys
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from mingle.cli import print_json
from mingle.cli.options import (
    add_model_arguments,
    add_sampling_arguments,
    load_assistant,
    sampling_of,
    text_of,
)
from mingle.errors import InputError

if TYPE_CHECKING:
    from mingle.engine.assistant import Assistant


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The question, its media, and how to answer."""
    parser.add_argument(
        "prompt", nargs="*", help="what to ask; - reads it from stdin; nothing: a conversation"
    )
    for kind, what in (("image", "a picture"), ("audio", "a recording"), ("video", "a film")):
        text = f"{what} to ask about; may be given several times"
        parser.add_argument(f"--{kind}", action="append", default=[], metavar="PATH", help=text)
    parser.add_argument(
        "--think", action="store_true", help="let the model think before it answers"
    )
    parser.add_argument("--system", help="what the model is told before the conversation")
    parser.add_argument("--max-tokens", type=int, default=512, help="longest answer (default: 512)")
    parser.add_argument("--stop", action="append", default=[], help="text at which an answer ends")
    add_sampling_arguments(parser)
    add_model_arguments(parser)


def run(args: argparse.Namespace) -> None:
    """Answer once if there is a question, else talk."""
    if not args.prompt and not sys.stdin.isatty():
        args.prompt = ["-"]
    prompt = text_of(args.prompt)
    options: dict[str, Any] = {
        "thinking": args.think,
        "max_new_tokens": args.max_tokens,
        "stop": tuple(args.stop),
        **sampling_of(args),
    }
    if args.prompt:
        with load_assistant(args) as assistant:
            _answer_once(assistant, prompt, args, options)
        return
    if args.json:
        raise InputError("--json answers one question; give it as words, or - to read stdin")
    from mingle.cli.conversation import Conversation  # loads readline, for people only

    with load_assistant(args) as assistant:
        conversation = Conversation(assistant, options, system=args.system or "")
        for kind in ("image", "audio", "video"):
            for path in getattr(args, kind):
                conversation.attach(kind, path)
        conversation.talk()


def _answer_once(
    assistant: "Assistant", prompt: str, args: argparse.Namespace, options: dict[str, Any]
) -> None:
    from mingle.cli.show import show
    from mingle.engine.reply import collect

    media = {"images": args.image, "audio": args.audio, "video": args.video}
    system = {} if args.system is None else {"system": args.system}
    events = assistant.stream(prompt, **media, **system, **options)
    if args.json:
        reply = collect(events)
        print_json({"text": reply.text, "reasoning": reply.reasoning, "usage": asdict(reply.usage)})
    else:
        show(events, reasoning="stderr")
