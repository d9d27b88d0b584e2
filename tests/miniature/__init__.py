"""A whole checkpoint of the family Ming-flash-omni 2.0, small and random, made in a second.

`write_miniature(folder)` writes the official layout: config files, shards with an index, a
tokenizer of bytes with the official special tokens. It answers nonsense, but through every door.
"""

import json
from collections.abc import Sequence
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file, save_file
from torch import nn

from mingle.checkpoints import flash_omni_preview
from mingle.checkpoints.family import Family
from mingle.checkpoints.flash_omni_2 import FAMILY
from mingle.checkpoints.load import by_pattern
from mingle.checkpoints.save import create
from miniature.configs import (
    painter_configs,
    preprocessor_config,
    preview_vision_config,
    root_config,
    talker_configs,
)
from miniature.words import TALKER_SPECIAL, write_tokenizer

PERCEPTION = ("thinker", "vision", "audio")
SHARD_BYTES = 400_000  # several shards


def write_miniature(
    folder: Path,
    parts: Sequence[str] = PERCEPTION,
    *,
    seed: int = 0,
    dtype: torch.dtype = torch.float32,
) -> Path:
    """Write the checkpoint with these parts (also "talker", "painter") and return its folder."""
    configs = {"config.json": root_config()}
    if "talker" in parts:
        configs |= talker_configs()
    if "painter" in parts:
        configs |= painter_configs()
    draw = torch.Generator().manual_seed(seed)
    modules = random_modules(FAMILY, parts, configs, draw)
    create(
        FAMILY,
        configs,
        {n: m.to(dtype) for n, m in modules.items()},
        folder,
        shard_bytes=SHARD_BYTES,
    )
    (folder / "preprocessor_config.json").write_text(json.dumps(preprocessor_config()))
    write_tokenizer(folder)
    if "talker" in parts:
        write_tokenizer(folder / "talker" / "llm", TALKER_SPECIAL)
    if "vision" in parts:
        add_deepstack(folder, draw)
    return folder


def write_preview(folder: Path, *, seed: int = 0) -> Path:
    """Write a checkpoint of the family Ming-flash-omni Preview and return its folder."""
    configs = {"config.json": {**root_config(), "vision_config": preview_vision_config()}}
    draw = torch.Generator().manual_seed(seed)
    family = flash_omni_preview.FAMILY
    modules = random_modules(family, PERCEPTION, configs, draw)
    create(family, configs, modules, folder, shard_bytes=SHARD_BYTES)
    write_tokenizer(folder)
    return folder


def random_modules(
    family: Family,
    parts: Sequence[str],
    configs: dict[str, Any],
    draw: torch.Generator,
    untouched: Sequence[str] = (),
) -> dict[str, nn.Module]:
    """Modules of the parts with drawn parameters; globs `untouched` stay as they were built."""
    modules: dict[str, nn.Module] = {}
    for name in family.names(parts):
        spec = family.part(name)
        modules[name] = spec.build(spec.read_config(by_pattern(family, configs)))
        randomise(modules[name], draw, untouched)
    return modules


@torch.no_grad()
def randomise(module: nn.Module, draw: torch.Generator, untouched: Sequence[str] = ()) -> None:
    """Draw every parameter: matrices keep the size of what passes, norms stay near one.

    Stored buffers, and parameters whose names match a glob of `untouched`, keep what the
    constructor computed.
    """
    for name, parameter in module.named_parameters():
        if any(fnmatchcase(name, glob) for glob in untouched):
            continue
        noise = torch.randn(parameter.shape, generator=draw)
        if parameter.ndim >= 2:
            parameter.copy_(noise * parameter[0].numel() ** -0.5)
        else:
            parameter.copy_(0.02 * noise + (1 if name.endswith("weight") else 0))


def add_deepstack(folder: Path, draw: torch.Generator) -> None:
    """Add tensors that the official files hold and that nothing computes with."""
    index = folder / "model.safetensors.index.json"
    content = json.loads(index.read_text())
    shard = folder / sorted(set(content["weight_map"].values()))[-1]
    extra = {
        f"vision.deepstack_merger_list.{i}.norm.{kind}": torch.randn(8, generator=draw)
        for i in range(2)
        for kind in ("weight", "bias")
    }
    save_file(load_file(shard) | extra, shard)
    content["weight_map"] |= dict.fromkeys(extra, shard.name)
    index.write_text(json.dumps(content))
