"""`mingle demo`: the tour of what nano can do, on this machine, without a network."""

import argparse
import sys
import time
from pathlib import Path
from typing import Any

from mingle.cli import print_json

LACKING = {
    "vision": "eyes",
    "audio": "ears",
    "talker": "voice",
    "painter": "brush",
}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Which parts of the tour, of which model, and where the page goes."""
    parser.add_argument("--only", metavar="SCENE", help="a single scene, by its name")
    parser.add_argument("--model", default="nano", help="name or folder (default: nano)")
    parser.add_argument(
        "-o", "--output", type=Path, default=Path("mingle-demo"), help="default: mingle-demo"
    )


def run(args: argparse.Namespace) -> None:
    """Load the model, play the scenes, write the page, print the summary (or one JSON object)."""
    from mingle.cli.tour import play  # torch is imported only here
    from mingle.cli.tour_page import Board
    from mingle.engine.assistant import load

    out = sys.stderr if args.json else sys.stdout
    start = time.perf_counter()
    name = Path(args.model).name
    print(f"Loading {name} ...", file=out, flush=True)
    with load(args.model) as assistant:
        assistant.engine.start()
        board = Board(out, args.output, name)
        loaded_s = round(time.perf_counter() - start, 2)
        scenes = play(assistant, board, only=args.only)
        lacking = [name for part, name in LACKING.items() if part not in assistant.folder.parts]
    report: dict[str, Any] = {
        "model": args.model,
        "load_s": loaded_s,
        "total_s": round(time.perf_counter() - start, 2),
        "scenes": scenes,
        "lacking": lacking,
    }
    report["page"] = str(board.write(report))
    if args.json:
        print_json(report)
    else:
        print("\n".join(summary(report)))


def summary(report: dict[str, Any]) -> list[str]:
    """The timings, where the page is, and what nano cannot do."""
    lines = [f"\nloaded in {report['load_s']:.1f} s"]
    for scene in report["scenes"]:
        line = f"{scene['name']:<11} {scene['seconds']:6.1f} s"
        if scene.get("tokens_per_s"):
            line += (
                f"   first word after {scene['first_s']:.2f} s, {scene['tokens_per_s']} tokens/s"
            )
        lines.append(line)
    lines += [
        f"the whole tour took {report['total_s']:.1f} s",
        f"see and hear it: {report['page']}",
    ]
    lines += ["", *CAVEATS]
    if report["lacking"]:
        lines.append(f"Not trained yet: its {', '.join(report['lacking'])}.")
    return lines


CAVEATS = (
    "nano is small: its English is fluent, its facts and its memory are weak, and it knows only",
    "the world of simple pictures and voices that it was trained on (models/nano/README.md).",
    "Try it yourself: mingle chat",
)
