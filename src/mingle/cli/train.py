"""`mingle train RECIPE [key=value ...]`: run a training recipe, or go on with a stopped one."""

import argparse
import sys
from dataclasses import asdict
from pathlib import Path

from mingle.cli import print_json


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the verb's options."""
    parser.add_argument("recipe", type=Path, help="a recipe, or with --report a run's folder")
    parser.add_argument("overrides", nargs="*", metavar="key=value", help="for example seed=2")
    parser.add_argument("--run", type=Path, help="the run's folder (default runs/RECIPE)")
    parser.add_argument("--minutes", type=float, help="stop, with a checkpoint, after so long")
    parser.add_argument(
        "--share", type=float, default=1.0, help="only so much of every stage's steps, 0 to 1"
    )
    after = parser.add_mutually_exclusive_group()
    after.add_argument("--report", action="store_true", help="plots and figures of a run's folder")
    after.add_argument("--export", type=Path, help="write a run's model here, as others read it")
    after.add_argument("--adapter", type=Path, help="write a run's adapter here, as PEFT reads it")


def run(args: argparse.Namespace) -> None:
    """Train, going on after any interruption; or report on a run, or export it."""
    if args.report:
        _report(args)
    elif args.export or args.adapter:
        _export(args)
    else:
        _train(args)


def _train(args: argparse.Namespace) -> None:
    from mingle.training import loop, recipe

    chosen = recipe.shortened(recipe.load(args.recipe, args.overrides), args.share)
    folder = args.run or Path("runs") / args.recipe.stem
    options = loop.Options(minutes=args.minutes, quiet=not sys.stderr.isatty())
    progress = loop.train(chosen, folder, options)
    finished = progress.stage == len(chosen.stages)
    if args.json:
        figures = {k: v for k, v in asdict(progress).items() if k not in ("since_log", "position")}
        print_json({"run": str(folder), "finished": finished, **figures})
    else:
        state = "finished" if finished else "stopped; the same command goes on"
        print(f"{folder}: {state} after step {progress.total_steps} ({progress.seconds:.0f} s)")


def _report(args: argparse.Namespace) -> None:
    from mingle.training.report import report

    figures = report(args.recipe)
    if args.json:
        print_json(figures)
    else:
        print(f"step {figures['step']}, loss {figures['loss']:.4f}; plots: {figures['plots']}")


def _export(args: argparse.Namespace) -> None:
    from mingle.training.export import export_adapter, export_model

    target = args.export or args.adapter
    (export_model if args.export else export_adapter)(args.recipe, target)
    if args.json:
        print_json({"run": str(args.recipe), "folder": str(target)})
    else:
        print(target)
