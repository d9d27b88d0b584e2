"""mingle models: the models Mingle knows, and which of them are on this machine."""

import argparse
from pathlib import Path
from typing import Any

from mingle.checkpoints import packages, store
from mingle.checkpoints.families import FAMILIES
from mingle.checkpoints.family import Family
from mingle.checkpoints.load import ModelFolder
from mingle.checkpoints.pull import SCRATCH
from mingle.cli import print_json


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The verb has no options of its own."""


def run(args: argparse.Namespace) -> None:
    """Print the table, or one object."""
    models = [describe(family) for family in FAMILIES.values()]
    if args.json:
        print_json({"home": str(store.home()), "models": models})
        return
    for model in models:
        print(f"{model['name']:<26}{model['description']}")
        print(f"{'':<26}{_where(model)}")
    print(f"\nMINGLE_HOME is {store.home()}; a folder's path is a model's name, too")


def describe(family: Family) -> dict[str, Any]:
    """What there is to say of one family, as JSON takes it."""
    folder = family.locate() if family.locate is not None else store.folder_of(family.name)
    model = ModelFolder(folder, family)
    parts_here = [part for part in model.parts if model.holds(part)]
    return {
        "name": family.name,
        "description": family.description,
        "parts": [part.name for part in family.parts],
        "sources": dict(family.source.repositories) if family.source else {},
        "folder": str(folder) if folder.is_dir() else None,
        "state": _state(family, folder, parts_here),
        "bytes": _bytes_here(family, folder),
        "parts_here": parts_here,
    }


def _state(family: Family, folder: Path, parts_here: list[str]) -> str:
    if not folder.is_dir():
        return "not here"
    unfinished = (folder / SCRATCH).is_dir()
    based = all(packages.is_here(file) for file in family.packages)
    return "here" if parts_here and based and not unfinished else "incomplete"


def _bytes_here(family: Family, folder: Path) -> int:
    base = sum(file.num_bytes for file in family.packages if packages.is_here(file))
    return base + (store.size_of(folder) if folder.is_dir() else 0)


def _where(model: dict[str, Any]) -> str:
    if model["state"] == "not here":
        return f"not here: mingle pull {model['name']}"
    place = f"{model['folder']}, {store.readable(model['bytes'])}"
    if model["state"] == "incomplete":
        return f"incomplete: mingle pull {model['name']}   ({place})"
    return f"{place}: {', '.join(model['parts_here'])}"
