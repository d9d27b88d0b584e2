"""`mingle voices`: the voices that come with a model."""

import argparse

from mingle.cli import print_json
from mingle.cli.options import add_model_arguments, load_assistant


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Which model."""
    add_model_arguments(parser)


def run(args: argparse.Namespace) -> None:
    """List names and what their recordings say; nothing is loaded."""
    files = load_assistant(args).speech.files
    voices = [
        {
            "name": name,
            "transcript": preset.transcript,
            "recordings": list(map(str, preset.recordings)),
        }
        for name, preset in files.presets.items()
    ]
    clones = files.can_clone
    if args.json:
        print_json({"voices": voices, "can_clone": clones})
        return
    for voice in voices:
        print(f"{voice['name']:<16}{voice['transcript'] or ''}")
    if not voices:
        print("this model comes without preset voices")
    print("clone one: mingle speak TEXT --clone recording.wav" if clones else
          "it has no speaker encoder, so it cannot clone voices")  # fmt: skip
