"""Weights that a run begins with: from a file, another run's folder, or a model's folder.

Names must be equal. What the source lacks, and what it has too much, is named in the recipe.
"""

import hashlib
import json
import logging
from collections.abc import Mapping, Sequence
from difflib import get_close_matches
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from mingle.checkpoints.load import open_model
from mingle.checkpoints.shards import TensorFiles, has_tensors, open_tensors, read_header
from mingle.errors import CheckpointError, ConfigError
from mingle.training import checkpoint, ranks
from mingle.training.names import matching
from mingle.training.recipe import Start

log = logging.getLogger(__name__)


def begin(model: nn.Module, starts: Sequence[Start], run: Path | None) -> None:
    """Fill the model from every source in turn, and note in the run's folder what was filled.

    A run whose checkpoint holds every weight needs its sources no more. Raises ConfigError or
    CheckpointError where names or shapes differ, a source is not there, or it has changed since
    the run began.
    """
    newest = None if run is None else checkpoint.latest(run / "checkpoints")
    if not starts or (newest is not None and checkpoint.holds(newest, list(model.state_dict()))):
        return
    reports = [_fill(model, start) for start in starts]
    for report in reports:
        log.info(
            "start from %(source)s: %(tensors)d tensors (%(numbers)d numbers) filled; "
            "as built: %(absent)s; left aside: %(unused)s",
            report,
        )
    if run is not None:
        _remember(run / "start.json", reports, begun=newest is not None)


def _remember(file: Path, reports: Sequence[dict[str, Any]], *, begun: bool) -> None:
    if begun and file.exists():
        before = json.loads(file.read_text(encoding="utf-8"))
        for old, new in zip(before, reports, strict=True):
            if old["digest"] != new["digest"]:
                raise CheckpointError(
                    f"start: the weights in {new['source']} are no longer those that "
                    f"{file.parent} began with; put them back, or name another --run"
                )
    elif ranks.rank() == 0 and file.parent.is_dir():
        fresh = file.with_suffix(".new")
        fresh.write_text(json.dumps(reports, indent=1), encoding="utf-8")
        fresh.replace(file)


@torch.no_grad()
def _fill(model: nn.Module, start: Start) -> dict[str, Any]:
    given, state, into = _read(start), model.state_dict(), _dotted(start.into)
    given = {into + name: tensor for name, tensor in given.items()}
    own = {name: tensor for name, tensor in state.items() if name.startswith(into)}
    if not own:
        known = ", ".join(name for name, _ in model.named_children())
        raise ConfigError(f"start.into: the model has no part '{start.into}'; it has {known}")
    absent = matching(list(own), start.absent, "start.absent")
    unused = matching(list(given), start.unused, "start.unused")
    wanted = {name: own[name] for name in own if name not in absent}
    offered = {name: given[name] for name in given if name not in unused}
    _check(wanted, offered, start)
    for name, tensor in wanted.items():
        tensor.copy_(offered[name])
    return {
        "source": start.source,
        "digest": _digest({name: offered[name] for name in wanted}),
        "tensors": len(wanted),
        "numbers": sum(tensor.numel() for tensor in wanted.values()),
        "absent": absent,
        "unused": unused,
    }


def _read(start: Start) -> dict[str, Tensor]:
    """The tensors of the part that is asked for, by their names inside it."""
    path, part = Path(start.source).expanduser(), _dotted(start.part)
    if path.is_file():
        found = _stream(TensorFiles(read_header(path)), part)
    elif (path / "checkpoints").is_dir():
        found = checkpoint.read_weights(path)
    elif (path / "config.json").is_file() or not ("/" in start.source or path.suffix):
        found = _of_model(start)
    elif has_tensors(path, "model"):
        found = _stream(open_tensors(path, "model"), part)
    else:
        raise CheckpointError(
            f"start.source: {path} is no safetensors file, and no folder with model.safetensors, "
            f"checkpoints of a run, or a model's config.json"
        )
    chosen = {n.removeprefix(part): t for n, t in found.items() if n.startswith(part)}
    if not chosen:
        raise ConfigError(f"start.part: no name in {start.source} begins with '{part}'")
    return chosen


def _of_model(start: Start) -> dict[str, Tensor]:
    name = start.part.partition(".")[0]
    path = Path(start.source).expanduser()
    model = open_model(path if path.is_dir() else start.source)
    if not name:
        raise ConfigError(
            f"start.part: {start.source} is a whole model; name the part that is read, "
            f"one of {', '.join(model.parts)}, or a module inside one"
        )
    modules, _ = model.load_modules((name,), dtype=torch.float32)
    return {f"{name}.{key}": tensor for key, tensor in modules[name].state_dict().items()}


def _stream(files: TensorFiles, part: str) -> dict[str, Tensor]:
    return dict(files.stream([name for name in files.infos if name.startswith(part)]))


def _dotted(part: str) -> str:
    return f"{part}." if part else ""


def _check(wanted: Mapping[str, Tensor], offered: Mapping[str, Tensor], start: Start) -> None:
    lacking = [name for name in wanted if name not in offered]
    if lacking:
        near = get_close_matches(lacking[0], offered, n=1)
        raise CheckpointError(
            f"start: {start.source} lacks {len(lacking)} of {len(wanted)} tensors, such as "
            f"{', '.join(lacking[:3])}{f' (nearest: {near[0]})' if near else ''}; set part and "
            f"into if it is another module, or list under start.absent what stays as it is built"
        )
    left = [name for name in offered if name not in wanted]
    if left:
        raise CheckpointError(
            f"start: {start.source} holds {len(left)} tensors that nothing here takes, such as "
            f"{', '.join(left[:3])}; list them under start.unused to leave them aside"
        )
    for name, tensor in wanted.items():
        if offered[name].shape != tensor.shape:
            raise CheckpointError(
                f"start: '{name}' has shape {tuple(offered[name].shape)} in {start.source}, the "
                f"recipe's model expects {tuple(tensor.shape)}; list it under absent and unused "
                f"to leave it as it is built"
            )


def _digest(tensors: Mapping[str, Tensor]) -> str:
    """One hash of names and values."""
    total = hashlib.sha256()
    for name in sorted(tensors):
        total.update(name.encode())
        flat = tensors[name].detach().contiguous().flatten()
        total.update(flat.view(torch.uint8).numpy().tobytes())
    return total.hexdigest()
