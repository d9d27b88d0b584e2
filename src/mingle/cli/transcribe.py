"""mingle transcribe: speech to text, with hints, as text or subtitles."""

import argparse
import json
import sys
from dataclasses import asdict
from pathlib import Path

from mingle.cli.options import add_model_arguments, load_assistant, write_whole
from mingle.errors import InputError


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The recording, what is known of it, and what to write."""
    parser.add_argument("file", help="a recording or a film; any length; - reads it from stdin")
    parser.add_argument("--language", help="a code: en, zh")
    parser.add_argument("--dialect", help="a dialect, as the model names it")
    parser.add_argument("--context", help="what it is about, in a few words")
    text = "words that may be said, with commas between them; may be given several times"
    parser.add_argument("--hotwords", action="append", default=[], metavar="WORDS", help=text)
    parser.add_argument(
        "--format", choices=("text", "srt", "vtt"), default="text", help="default: text"
    )
    parser.add_argument("-o", "--output", type=Path, help="write to this file, not to stdout")
    add_model_arguments(parser)


def run(args: argparse.Namespace) -> None:
    """Write down what is said, segment by segment."""
    if args.json and args.format != "text":
        raise InputError("--json and --format exclude each other; give one")
    from mingle.engine import subtitles
    from mingle.engine.transcribe import Hints, transcript

    hints = Hints(
        language=args.language,
        dialect=args.dialect,
        context=args.context,
        hotwords=tuple(word for words in args.hotwords for word in words.split(",")),
    )
    source = sys.stdin.buffer.read() if args.file == "-" else Path(args.file)
    with load_assistant(args) as assistant:
        said = []
        for segment in assistant.segments(source, hints):
            said.append(segment)
            print(f"\r{segment.end:.0f} s", end="", file=sys.stderr, flush=True)
        print("\r      \r", end="", file=sys.stderr, flush=True)
        whole = transcript(said, hints, assistant.processor)
    if args.json:
        segments = [
            {"start": segment.start, "end": segment.end, "text": segment.text}
            for segment in whole.segments
        ]
        text = json.dumps({**asdict(whole), "segments": segments}, ensure_ascii=False) + "\n"
    elif args.format == "text":
        text = whole.text + "\n"
    else:
        text = {"srt": subtitles.srt, "vtt": subtitles.vtt}[args.format](whole.segments)
    if args.output is None:
        print(text, end="")
    else:
        write_whole(args.output, text)
