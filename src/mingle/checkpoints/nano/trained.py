"""What this project trained for nano: one config and one file of tensors for each part.

A part is there when `PART.json` is in nano's folder; `PART.safetensors` beside it holds what was
trained (fp16 or fp32). What a part takes from elsewhere is not stored again.
"""

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save_file
from torch import Tensor, nn

from mingle import typed
from mingle.checkpoints.shards import open_tensors
from mingle.errors import CheckpointError


def read_tensors(folder: Path, part: str) -> dict[str, Tensor]:
    """The stored tensors of a part by our own names. Raises CheckpointError."""
    files = open_tensors(folder, part)
    return dict(files.stream(files.infos))


def fill(
    module: nn.Module,
    tensors: Mapping[str, Tensor],
    source: str,
    *,
    dtype: torch.dtype | None,
    device: torch.device,
) -> nn.Module:
    """Put the tensors into a module that was built on meta: every one, and nothing else.

    dtype None means fp32: fp16 is how they are stored, not how they are used. Raises
    CheckpointError that names `source`.
    """
    check(tensors, module.state_dict(), source)
    cast = {
        name: tensor.to(device, (dtype or torch.float32) if tensor.is_floating_point() else None)
        for name, tensor in tensors.items()
    }
    module.load_state_dict(cast, strict=True, assign=True)
    return module.to(device)


def check(given: Mapping[str, Tensor], wanted: Mapping[str, Tensor], source: str) -> None:
    """Raise CheckpointError unless names and shapes are just those that the config makes."""
    if missing := sorted(set(wanted) - set(given)):
        raise CheckpointError(
            f"{source} lacks '{missing[0]}' ({len(missing)} tensors in all); the config asks for it"
        )
    if unknown := sorted(set(given) - set(wanted)):
        raise CheckpointError(f"{source} holds '{unknown[0]}', which the config has no place for")
    for name, tensor in given.items():
        if tensor.shape != wanted[name].shape:
            raise CheckpointError(
                f"'{name}' in {source} is {list(tensor.shape)}, the config makes it "
                f"{list(wanted[name].shape)}; do the two files belong together?"
            )


def write_part(folder: Path, part: str, config: Any, tensors: Mapping[str, Tensor]) -> None:
    """Store a part: its config (a dataclass) as JSON, its tensors in fp16."""
    write_tensors(folder, part, tensors)
    text = json.dumps(typed.plain(config), indent=2) + "\n"
    (folder / f"{part}.json").write_text(text, encoding="utf-8")


def write_tensors(folder: Path, part: str, tensors: Mapping[str, Tensor]) -> Path:
    """Store tensors of a part in fp16, whole or not at all; returns the file."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{part}.safetensors"
    partial = path.with_suffix(".partial")
    stored = {
        name: (tensor.detach().half() if tensor.is_floating_point() else tensor).contiguous()
        for name, tensor in tensors.items()
    }
    save_file(stored, partial)
    os.replace(partial, path)
    return path
