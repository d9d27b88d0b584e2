"""`mingle bench NAME`: measure speed on this machine, beside a peer where there is one."""

import argparse
import importlib

from mingle.cli import print_json
from mingle.errors import InputError
from mingle.evaluation.bench import BENCHMARKS, Options
from mingle.evaluation.bench.machine import describe_machine

PLACES = {"train": "mingle.training.bench"}  # evaluation does not know training


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Which benchmark, and how long."""
    known = "; ".join(f"{name}: {question}" for name, question in BENCHMARKS.items())
    parser.add_argument("name", choices=BENCHMARKS, help=known)
    parser.add_argument("--rounds", type=int, default=5, help="repetitions (default: 5)")
    parser.add_argument("--threads", type=int, help="processor threads (default: all cores)")


def run(args: argparse.Namespace) -> None:
    """Measure, then print one JSON object or a few lines."""
    if args.rounds < 1 or (args.threads is not None and args.threads < 1):
        raise InputError(f"--rounds {args.rounds} --threads {args.threads}: give 1 or more")
    place = PLACES.get(args.name, f"mingle.evaluation.bench.{args.name}")
    module = importlib.import_module(place)
    result = module.measure(Options(rounds=args.rounds, threads=args.threads))
    result.setdefault("machine", describe_machine())
    if args.json:
        print_json(result)
    else:
        print("\n".join(module.summary(result)))
