"""A family of two parts in one set of shards, and a third in a folder of its own: for tests."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor, nn

from mingle.checkpoints.family import Family, PartSpec, Weights
from mingle.checkpoints.fields import Fields
from mingle.checkpoints.load import ModelFolder
from mingle.checkpoints.mapping import Ignore, Join, Rename, Rule, Split, Stack

EXPERTS = 3


class Body(nn.Module):
    """Experts, a joined matrix, a tied table, a computed buffer, a stored counter."""

    def __init__(self, dim: int, layers: int):
        super().__init__()
        self.embedding = nn.Embedding(7, dim)
        self.head = nn.Linear(dim, 7, bias=False)
        self.head.weight = self.embedding.weight
        self.layers = nn.ModuleList(Layer(dim) for _ in range(layers))
        self.register_buffer("table", torch.arange(dim) * 0.5, persistent=False)
        self.register_buffer("steps", torch.zeros(2, dtype=torch.int64))


class Layer(nn.Module):
    """One layer of the body."""

    def __init__(self, dim: int):
        super().__init__()
        self.norm = nn.LayerNorm(dim)
        self.qkv = nn.Linear(dim, 2 * dim, bias=False)
        self.gate_up = nn.Parameter(torch.empty(EXPERTS, 4 * dim, dim))
        self.down = nn.Parameter(torch.empty(EXPERTS, dim, 2 * dim))


class Eye(nn.Module):
    """A part beside the body in the same shards."""

    def __init__(self, dim: int):
        super().__init__()
        self.left = nn.Linear(dim, 3)
        self.right = nn.Linear(dim, 2)


def body_rules(dim: int) -> tuple[Rule, ...]:
    layer, experts = "body.layers.{i}.", "body.layers.{i}.experts.{e}."
    return (
        Rename("body.words.weight", "embedding.weight"),
        Rename("body.steps", "steps"),
        Rename(layer + "norm.{weight|bias}", "layers.{i}.norm.{weight|bias}"),
        Join(
            (layer + "q.weight", layer + "k.weight", layer + "v.weight"),
            "layers.{i}.qkv.weight",
            (2, 1, 1),
        ),
        Stack(
            (experts + "gate.weight", experts + "up.weight"), "layers.{i}.gate_up", count=EXPERTS
        ),
        Stack(experts + "down.weight", "layers.{i}.down", count=EXPERTS),
        Ignore("body.unused.*", "computed and thrown away"),
    )


def eye_rules(dim: int) -> tuple[Rule, ...]:
    names = tuple(f"{side}.{{weight|bias}}" for side in ("left", "right"))
    return (Split("eye.both.{weight|bias}", names, (3, 2)),)


def dim_of(raw: Mapping[str, Any]) -> tuple[int, int]:
    fields = Fields(raw["config.json"], "config.json")
    sizes = fields.take("dim", int), fields.take("layers", int)
    fields.done()
    return sizes


TOY = Family(
    name="toy",
    description="for tests",
    parts=(
        PartSpec(
            name="body",
            configs=("config.json",),
            read_config=dim_of,
            build=lambda config: Body(*config),
            rules=lambda config: body_rules(config[0]),
            weights=(Weights(),),
        ),
        PartSpec(
            name="eye",
            configs=("config.json",),
            read_config=dim_of,
            build=lambda config: Eye(config[0]),
            rules=lambda config: eye_rules(config[0]),
            weights=(Weights(),),
        ),
        PartSpec(
            name="voice",
            configs=("voice/config.json",),
            read_config=lambda raw: raw["voice/config.json"]["dim"],
            build=lambda dim: nn.Linear(dim, dim),
            rules=lambda _: (Rename("deep/out.{weight|bias}", "{weight|bias}"),),
            weights=(Weights(folder="voice", stem="voice.pt", prefix="deep/"),),
        ),
    ),
    assemble=lambda modules, configs: pytest.fail("no whole model"),
    recognise=lambda config: "layers" in config,
    processor=lambda folder, raw: pytest.fail("no processor"),
    default_parts=("body", "eye"),
)


def toy_tensors(dim: int = 4, layers: int = 2, dtype: torch.dtype = torch.float32) -> dict:
    """Official-looking tensors of the root folder, random."""
    draw = torch.Generator().manual_seed(1)
    shapes: dict[str, tuple[int, ...]] = {
        "body.words.weight": (7, dim),
        "body.unused.0.weight": (dim,),
        "eye.both.weight": (5, dim),
        "eye.both.bias": (5,),
    }
    for i in range(layers):
        name = f"body.layers.{i}"
        shapes |= {f"{name}.norm.weight": (dim,), f"{name}.norm.bias": (dim,)}
        shapes |= {f"{name}.q.weight": (dim, dim)}
        shapes |= {f"{name}.{one}.weight": (dim // 2, dim) for one in "kv"}
        for e in range(EXPERTS):
            shapes |= {f"{name}.experts.{e}.{one}.weight": (2 * dim, dim) for one in ("gate", "up")}
            shapes |= {f"{name}.experts.{e}.down.weight": (dim, 2 * dim)}
    tensors = {name: torch.randn(shape, generator=draw).to(dtype) for name, shape in shapes.items()}
    return tensors | {"body.steps": torch.tensor([3, 4])}


def write_toy(
    folder: Path, *, shards: int = 3, tensors: dict[str, Tensor] | None = None, dim: int = 4
) -> ModelFolder:
    """Write the family's folder with its root tensors in so many shards, and open it."""
    tensors = toy_tensors(dim) if tensors is None else tensors
    (folder / "voice").mkdir(parents=True)
    (folder / "config.json").write_text(json.dumps({"dim": dim, "layers": 2}))
    (folder / "voice" / "config.json").write_text(json.dumps({"dim": dim}))
    (folder / "notes.txt").write_text("carried over")
    draw = torch.Generator().manual_seed(2)
    voice = {
        "out.weight": torch.randn(dim, dim, generator=draw),
        "out.bias": torch.randn(dim, generator=draw),
    }
    torch.save({"state_dict": voice}, folder / "voice" / "voice.pt")
    shard_of: dict[str, str] = {}
    for number in range(shards):
        file = f"model-{number + 1:05d}-of-{shards:05d}.safetensors"
        names = list(tensors)[number::shards]
        save_file({name: tensors[name] for name in names}, folder / file)
        shard_of |= dict.fromkeys(names, file)
    index = {"metadata": {}, "weight_map": shard_of}
    (folder / "model.safetensors.index.json").write_text(json.dumps(index))
    return ModelFolder(folder, TOY)
