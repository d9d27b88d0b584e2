"""Checkpoints of a run: whole or not there at all, the last few kept, sharded where ranks are.

A checkpoint is a folder `step-00000120` with the tensors (torch.distributed.checkpoint, so another
number of ranks can read it) and `state.json`. It is written under another name, flushed to the
disk, and renamed: a process killed at any moment leaves the previous one as the newest.
"""

import errno
import json
import os
import shutil
import warnings
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor
from torch.distributed.checkpoint import state_dict_loader, state_dict_saver
from torch.distributed.checkpoint.api import CheckpointException
from torch.distributed.checkpoint.filesystem import FileSystemReader

from mingle.errors import CapacityError, CheckpointError

UNFINISHED = ".writing"
FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
# how torch's writer of zip files tells of a short write, whose errno it drops
SHORT_WRITE = ("No space left", "file write failed", "unexpected pos")


def save(folder: Path, step: int, tensors: Mapping[str, Tensor], state: Any, keep: int) -> Path:
    """Write a checkpoint and delete all but the newest `keep`. Every rank calls this.

    Raises CapacityError when the disk is full; older checkpoints are untouched then.
    """
    unfinished, final = folder / UNFINISHED, folder / f"step-{step:08d}"
    first = not dist.is_initialized() or dist.get_rank() == 0
    try:
        if first:
            discard_unfinished(folder)
            unfinished.mkdir(parents=True)
        _meet()
        with _quietly():
            state_dict_saver.save(
                dict(tensors), checkpoint_id=unfinished, no_dist=not dist.is_initialized()
            )
        if first:
            (unfinished / "state.json").write_text(json.dumps(state), encoding="utf-8")
            _flush(unfinished)
            _replace(unfinished, final)
            for old in all_in(folder)[:-keep]:
                shutil.rmtree(old)
        _meet()
    except (OSError, CheckpointException, RuntimeError) as error:
        discard_unfinished(folder)
        raise _explained(error, final) from error
    return final


def all_in(folder: Path) -> list[Path]:
    """The finished checkpoints of a run, oldest first."""
    return sorted(path for path in folder.glob("step-*") if path.is_dir())


def latest(folder: Path) -> Path | None:
    """The newest finished checkpoint, or None."""
    return next(reversed(all_in(folder)), None)


def read_state(checkpoint: Path) -> Any:
    """What was saved as plain data. Raises CheckpointError when it cannot be read."""
    try:
        return json.loads((checkpoint / "state.json").read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise CheckpointError(f"{checkpoint}/state.json cannot be read: {error}") from error


def read_into(checkpoint: Path, tensors: Mapping[str, Tensor]) -> None:
    """Fill the tensors in place; names and shapes must be those saved, however it was sharded.

    Raises CheckpointError for a missing name or another shape.
    """
    saved = _catalogue(checkpoint)
    for name, tensor in tensors.items():
        if name not in saved:
            raise CheckpointError(
                f"{checkpoint} has no tensor '{name}'; the recipe's model is not the one saved"
            )
        if tuple(saved[name].size) != tuple(tensor.shape):
            raise CheckpointError(
                f"{checkpoint}: '{name}' has shape {tuple(saved[name].size)}, the recipe's model "
                f"expects {tuple(tensor.shape)}"
            )
    try:
        with _quietly(), torch.no_grad():
            whole = dict(tensors)
            state_dict_loader.load(
                whole, checkpoint_id=checkpoint, no_dist=not dist.is_initialized()
            )
            for name, tensor in tensors.items():
                if whole[name] is not tensor:
                    tensor.copy_(whole[name])
    except CheckpointException as error:
        raise CheckpointError(f"{checkpoint} cannot be read: {error}") from error


def holds(checkpoint: Path, names: Collection[str]) -> bool:
    """Whether a checkpoint has a weight for every name."""
    return {f"weights/{name}" for name in names} <= set(_catalogue(checkpoint))


def read_weights(run: Path) -> dict[str, Tensor]:
    """The trained weights of a run's newest checkpoint; running averages where there are any.

    For export and evaluation, in one process, whatever wrote it.
    """
    checkpoint = latest(run / "checkpoints")
    if checkpoint is None:
        raise CheckpointError(f"{run} holds no finished checkpoint; train first")
    saved = _catalogue(checkpoint)
    weights = {
        name.removeprefix("weights/"): f"average/{name.removeprefix('weights/')}"
        for name in saved
        if name.startswith("weights/")
    }
    wanted = {
        (average if average in saved else f"weights/{name}"): name
        for name, average in weights.items()
    }
    tensors = {
        key: torch.empty(saved[key].size, dtype=saved[key].properties.dtype) for key in wanted
    }
    read_into(checkpoint, tensors)
    return {wanted[key]: tensor for key, tensor in tensors.items()}


def discard_unfinished(folder: Path) -> None:
    """Remove what a killed process left half written."""
    shutil.rmtree(folder / UNFINISHED, ignore_errors=True)


def _catalogue(checkpoint: Path) -> dict[str, Any]:
    try:
        return FileSystemReader(checkpoint).read_metadata().state_dict_metadata
    except (OSError, EOFError) as error:
        raise CheckpointError(f"{checkpoint} cannot be read: {error}") from error


def _flush(folder: Path) -> None:
    for path in (*folder.iterdir(), folder):
        handle = os.open(path, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)


def _replace(unfinished: Path, final: Path) -> None:
    if final.exists():  # a run that goes on from an older checkpoint writes the same step again
        shutil.rmtree(final)
    unfinished.rename(final)
    _flush_entry(final.parent)


def _flush_entry(folder: Path) -> None:
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _meet() -> None:
    if dist.is_initialized():
        dist.barrier()


def _explained(error: BaseException, final: Path) -> Exception:
    if isinstance(error, CheckpointException):  # one failure for each rank; any tells
        error = next(iter(error.failures.values()))[0]
    said = next(iter(str(error).splitlines()), type(error).__name__)
    full = isinstance(error, OSError) and error.errno in FULL
    if full or any(words in said for words in SHORT_WRITE):
        return CapacityError(
            f"no room on the disk for {final}; older checkpoints are kept. Free some space (or "
            f"lower save.keep) and start the same command again"
        )
    return CheckpointError(f"{final} could not be written: {said}")


def _quietly() -> warnings.catch_warnings:
    return warnings.catch_warnings(action="ignore", category=UserWarning)  # "single process"
