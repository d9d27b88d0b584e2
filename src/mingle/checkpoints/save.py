"""Writing modules in the official layout: configs, tensor files, index; the whole or nothing."""

import json
import os
import shutil
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import save_file
from torch import Tensor, nn

from mingle.checkpoints.family import Family, PartSpec
from mingle.checkpoints.load import ModelFolder, by_pattern, readings_of
from mingle.checkpoints.store import check_room
from mingle.checkpoints.streaming import Reading, stored_tensors
from mingle.checkpoints.table import Piece, Table
from mingle.errors import CapacityError, InputError

SHARD_BYTES = 5 * 10**9  # as the official shards

Place = tuple[str, str]  # folder and stem of a set of tensor files


@dataclass(frozen=True, kw_only=True)
class Entry:
    """A tensor to write: its size, and how to get it when its turn comes."""

    num_bytes: int
    make: Callable[[], Tensor]


def save(
    source: ModelFolder,
    modules: Mapping[str, nn.Module],
    target: Path,
    *,
    shard_bytes: int = SHARD_BYTES,
) -> None:
    """Write a folder like `source` with the tensors of `modules` (by part) in their places.

    Everything else is carried over: tensors the rules ignore, parts that are not given, other
    files. Nothing appears at `target` until all of it is written. Raises InputError if `target`
    is there already, CapacityError if the disk has no room.
    """
    readings = readings_of(source, modules)
    made = _made(source.family, source.config, modules)
    plans: dict[Place, dict[str, Entry]] = {}
    for reading in readings:
        place = reading.folder, reading.stem
        carried = {name: _carried(name, reading) for name in reading.files.infos}
        plans[place] = carried | made[place]
    replaced = {info.file for reading in readings for info in reading.files.infos.values()}
    replaced |= {index_of(source.folder / reading.folder, reading.stem) for reading in readings}
    others = [file for file in _files(source.folder) if file not in replaced]
    _check(target, plans, sum(file.stat().st_size for file in others))
    with _whole_folder(target) as scratch:
        for file in others:
            copy = scratch / file.relative_to(source.folder)
            copy.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(file, copy)
        for (folder, stem), entries in plans.items():
            write_tensors(scratch / folder, stem, entries, shard_bytes)


def create(
    family: Family,
    configs: Mapping[str, Any],
    modules: Mapping[str, nn.Module],
    target: Path,
    *,
    shard_bytes: int = SHARD_BYTES,
) -> None:
    """Write a new folder from config files (by relative path) and modules (by part).

    Tensors that the rules ignore are not in it. Raises as `save` does.
    """
    raw = by_pattern(family, configs)
    read = {name: family.part(name).read_config(raw) for name in modules}
    plans = _made(family, read, modules)
    _check(target, plans, 0)
    with _whole_folder(target) as scratch:
        for name, content in configs.items():
            file = scratch / name
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")
        for (folder, stem), entries in plans.items():
            write_tensors(scratch / folder, stem, entries, shard_bytes)


def write_tensors(
    folder: Path, stem: str, entries: Mapping[str, Entry], shard_bytes: int = SHARD_BYTES
) -> None:
    """Write tensors as `stem.safetensors`, as shards with an index, or as the .pt file `stem`."""
    folder.mkdir(parents=True, exist_ok=True)
    if stem.endswith(".pt"):
        torch.save({name: entry.make() for name, entry in entries.items()}, folder / stem)
        return
    shards = _shards(entries, shard_bytes)
    if len(shards) == 1:
        _write_shard(folder / f"{stem}.safetensors", shards[0])
        return
    shard_of: dict[str, str] = {}
    for number, shard in enumerate(shards, start=1):
        file = f"{stem}-{number:05d}-of-{len(shards):05d}.safetensors"
        _write_shard(folder / file, shard)
        shard_of |= dict.fromkeys(shard, file)
    total = sum(entry.num_bytes for entry in entries.values())
    content = {"metadata": {"total_size": total}, "weight_map": dict(sorted(shard_of.items()))}
    index_of(folder, stem).write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")


def index_of(folder: Path, stem: str) -> Path:
    """Where the index of a set of shards lies."""
    return folder / f"{stem}.safetensors.index.json"


def _write_shard(file: Path, entries: Mapping[str, Entry]) -> None:
    tensors = {name: entry.make() for name, entry in entries.items()}
    save_file(tensors, file, metadata={"format": "pt"})


def _shards(entries: Mapping[str, Entry], shard_bytes: int) -> list[dict[str, Entry]]:
    shards: list[dict[str, Entry]] = [{}]
    held = 0
    for name, entry in entries.items():
        if shards[-1] and held + entry.num_bytes > shard_bytes:
            shards.append({})
            held = 0
        shards[-1][name] = entry
        held += entry.num_bytes
    return shards


def _made(
    family: Family, configs: Mapping[str, Any], modules: Mapping[str, nn.Module]
) -> dict[Place, dict[str, Entry]]:
    """The tensors that the modules hold, in their names and shapes, by the file they belong to."""
    plans: dict[Place, dict[str, Entry]] = {}
    for part, module in modules.items():
        spec = family.part(part)
        assert spec.rules is not None, f"the part '{part}' is not made by rules"
        ours = stored_tensors(module)
        table = Table(spec.rules(configs[part]))
        groups: dict[str, list[Piece]] = {}
        for name in ours:
            if table.makes(name):  # of a tied tensor's names only one is made by a rule
                for piece in table.pieces_of_ours(name):
                    groups.setdefault(piece.theirs, []).append(piece)
        for name, pieces in groups.items():
            place, prefix = _place_of(spec, name)
            plans.setdefault(place, {})[name.removeprefix(prefix)] = _entry(pieces, ours)
    return plans


def _place_of(spec: PartSpec, name: str) -> tuple[Place, str]:
    """The files a name belongs to: those with the longest prefix that it begins with."""
    fitting = [weights for weights in spec.weights if name.startswith(weights.prefix)]
    weights = max(fitting, key=lambda one: len(one.prefix))
    return (weights.folder, weights.stem), weights.prefix


def _entry(pieces: Sequence[Piece], ours: Mapping[str, Tensor]) -> Entry:
    first, like = pieces[0], ours[pieces[0].ours]
    shape = first.their_shape(tuple(like.shape))

    def make() -> Tensor:
        whole = torch.empty(shape, dtype=like.dtype)
        for piece in pieces:
            part = piece.link.their_part
            view = whole if part is None else part.of(whole)
            view.copy_(piece.give(ours[piece.ours]).detach())
        return whole

    return Entry(num_bytes=torch.Size(shape).numel() * like.element_size(), make=make)


def _carried(name: str, reading: Reading) -> Entry:
    return Entry(
        num_bytes=reading.files.infos[name].num_bytes,
        make=lambda: next(tensor for _, tensor in reading.files.stream([name])).clone(),
    )


def _files(folder: Path) -> Iterator[Path]:
    return (path for path in sorted(folder.rglob("*")) if path.is_file())


def _check(target: Path, plans: Mapping[Place, Mapping[str, Entry]], others: int) -> None:
    if target.exists():
        raise InputError(f"{target} exists already; give the name of a new folder")
    size = sum(entry.num_bytes for entries in plans.values() for entry in entries.values())
    check_room(target, size + others)


@contextmanager
def _whole_folder(target: Path) -> Iterator[Path]:
    """A scratch folder beside the target that becomes the target if the block ends well."""
    target.parent.mkdir(parents=True, exist_ok=True)
    scratch = Path(tempfile.mkdtemp(prefix=f".{target.name}-", dir=target.parent))
    try:
        yield scratch
        scratch.chmod(0o755)  # mkdtemp makes it private
        os.replace(scratch, target)
    except (OSError, SafetensorError) as error:  # the library hides the system's error in its own
        raise CapacityError(
            f"{target} could not be written ({error}); nothing was kept: make room and try again"
        ) from error
    finally:
        shutil.rmtree(scratch, ignore_errors=True)
