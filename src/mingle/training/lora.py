"""Low-rank adapters on linear layers and on stacks of experts: attach, save, load, merge.

A weight W becomes W + (alpha / rank) * up @ down while it is used (Hu et al. 2021); `up` begins at
zero. Files are those of the PEFT library, under the official names of the weights.
"""

import json
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import cast

import torch
from jaxtyping import Float, Int
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor, nn
from torch.nn.utils import parametrize

from mingle.checkpoints.mapping import Rule, invert
from mingle.errors import CheckpointError, ConfigError
from mingle.training.names import matching
from mingle.training.recipe import Lora

BEFORE = "base_model.model."  # what PEFT puts before every name
WEIGHTS, DESCRIPTION = "adapter_model.safetensors", "adapter_config.json"


class LowRank(nn.Module):
    """What is added to one weight, or to each of a stack of them."""

    def __init__(self, weight: Tensor, rank: int, scale: float):
        super().__init__()
        *stack, rows, columns = weight.shape
        self.down = nn.Parameter(weight.new_empty(*stack, rank, columns))
        self.up = nn.Parameter(weight.new_zeros(*stack, rows, rank))
        nn.init.uniform_(self.down, -(columns**-0.5), columns**-0.5)  # as nn.Linear does
        self.scale = scale

    @property
    def columns(self) -> int:
        """Width of what the weight takes."""
        return self.down.shape[-1]

    def fill(self, matrices: Sequence[tuple[Tensor, Tensor]]) -> None:
        """Take (down, up) of every matrix of the stack, and the largest of their ranks."""
        rank = max(len(down) for down, _ in matrices)
        *stack, rows, _ = self.up.shape
        down = self.down.new_zeros(len(matrices), rank, self.columns)
        up = self.up.new_zeros(len(matrices), rows, rank)
        for number, (one, other) in enumerate(matrices):
            down[number, : len(one)], up[number, :, : len(one)] = one, other
        self.down = nn.Parameter(down.view(*stack, rank, self.columns))
        self.up = nn.Parameter(up.view(*stack, rows, rank))

    def forward(self, weight: Float[Tensor, "*stack rows columns"]) -> Tensor:
        return weight + self.scale * (self.up @ self.down)


@dataclass(frozen=True, kw_only=True)
class Adapted:
    """A weight that has an adapter: its name before it had one, and where it sits."""

    name: str
    module: nn.Module
    weight: str

    @property
    def low_rank(self) -> LowRank:
        """The adapter."""
        lists = cast(nn.ModuleDict, self.module.parametrizations)
        return cast(LowRank, cast(nn.ModuleList, lists[self.weight])[0])


def attach(model: nn.Module, config: Lora) -> None:
    """Give every chosen weight an adapter. Raises ConfigError where a name is no matrix."""
    named = dict(model.named_parameters())
    for name in matching(list(named), config.match, "lora.match"):
        if named[name].ndim not in (2, 3):
            raise ConfigError(
                f"lora.match: '{name}' has shape {tuple(named[name].shape)}; expected the matrix "
                f"of a linear layer or a stack of experts"
            )
        path, _, weight = name.rpartition(".")
        adapter = LowRank(named[name].detach(), config.rank, config.scale)
        parametrize.register_parametrization(model.get_submodule(path), weight, adapter)


def adapted(model: nn.Module) -> Iterator[Adapted]:
    """Every weight of the model that has an adapter."""
    for path, module in model.named_modules():
        if not parametrize.is_parametrized(module):
            continue
        for weight, steps in cast(nn.ModuleDict, module.parametrizations).items():
            if isinstance(cast(nn.ModuleList, steps)[0], LowRank):
                name = f"{path}.{weight}" if path else weight
                yield Adapted(name=name, module=module, weight=weight)


def merge(model: nn.Module) -> None:
    """Add every adapter into its weight; names are then as if there had been none."""
    for one in list(adapted(model)):
        parametrize.remove_parametrizations(one.module, one.weight, leave_parametrized=True)


def save(model: nn.Module, rules: Sequence[Rule], config: Lora, base: str, folder: Path) -> None:
    """Write `adapter_model.safetensors` and `adapter_config.json` for PEFT."""
    tensors: dict[str, Tensor] = {}
    ranks: dict[str, int] = {}
    for one in adapted(model):
        down, up = _flat(one.low_rank.down), _flat(one.low_rank.up)
        for theirs, expert, rows in _places(one, rules):
            tensors[f"{BEFORE}{theirs}.lora_A.weight"] = down[expert].detach().clone()
            tensors[f"{BEFORE}{theirs}.lora_B.weight"] = up[expert][rows].detach().clone()
            ranks[theirs] = down.shape[1]
    folder.mkdir(parents=True, exist_ok=True)
    save_file(tensors, folder / WEIGHTS, metadata={"format": "pt"})
    other = {name: rank for name, rank in ranks.items() if rank != config.rank}
    described = {
        "peft_type": "LORA",
        "task_type": None,
        "base_model_name_or_path": base,
        "r": config.rank,
        "lora_alpha": config.alpha,
        "rank_pattern": other,  # wider where `load` put adapters together; the scale is the same
        "alpha_pattern": {name: config.scale * rank for name, rank in other.items()},
        "lora_dropout": 0.0,
        "bias": "none",
        "fan_in_fan_out": False,
        "target_modules": sorted(ranks),
    }
    (folder / DESCRIPTION).write_text(json.dumps(described, indent=1))


@torch.no_grad()
def load(model: nn.Module, rules: Sequence[Rule], config: Lora, folder: Path) -> None:
    """Fill the attached adapters from files. Raises CheckpointError for what does not fit.

    PEFT gives q, k and v an adapter each, and an expert's gate and up too. Where they are one
    weight here, their adapters become one whose rank is the sum.
    """
    described = _described(folder, config)
    file = folder / WEIGHTS
    try:
        tensors = load_file(file)
    except (OSError, SafetensorError) as error:
        raise CheckpointError(f"{file} cannot be read: {error}") from error
    for one in adapted(model):
        parts: list[list[_Part]] = [[] for _ in _flat(one.low_rank.up)]
        for theirs, expert, rows in _places(one, rules):
            down = _take(tensors, f"{theirs}.lora_A.weight", (None, one.low_rank.columns), file)
            up = _take(tensors, f"{theirs}.lora_B.weight", (len(rows), len(down)), file)
            scale = described.scale(theirs, len(down))
            if abs(scale - config.scale) > 1e-6 * config.scale:
                raise CheckpointError(
                    f"{file}: '{theirs}' is added with alpha / rank = {scale:g}, the recipe's lora "
                    f"says {config.scale:g}; write alpha: {scale * config.rank:g}"
                )
            parts[expert].append(_Part(rows=rows, down=down, up=up))
        one.low_rank.fill([_joined(each, one.low_rank.up.shape[-2]) for each in parts])
    if tensors:
        raise CheckpointError(f"{file}: nothing here takes {sorted(tensors)[:3]} ...")


@dataclass(frozen=True, kw_only=True)
class _Part:
    """An adapter of some rows of a matrix."""

    rows: Int[Tensor, " part"]
    down: Float[Tensor, "rank columns"]
    up: Float[Tensor, "part rank"]


def _joined(parts: Sequence[_Part], rows: int) -> tuple[Tensor, Tensor]:
    """Adapters of parts of a matrix as (down, up) of the whole; equal downs are one."""
    downs: list[Tensor] = []
    places = []
    for part in parts:
        same = (i for i, down in enumerate(downs) if torch.equal(down, part.down))
        places.append(next(same, len(downs)))
        if places[-1] == len(downs):
            downs.append(part.down)
    starts = [sum(map(len, downs[:i])) for i in range(len(downs))]
    up = parts[0].up.new_zeros(rows, sum(map(len, downs)))
    for part, place in zip(parts, places, strict=True):
        up[part.rows, starts[place] : starts[place] + len(part.down)] = part.up
    return torch.cat(downs), up


@dataclass(frozen=True, kw_only=True)
class _Described:
    """What an `adapter_config.json` says about scales."""

    alpha: float
    alphas: dict[str, float]
    stabilised: bool

    def scale(self, name: str, rank: int) -> float:
        """What `up @ down` of a matrix is multiplied with."""
        own = (a for key, a in self.alphas.items() if re.fullmatch(rf"(.*\.)?({key})", name))
        return next(own, self.alpha) / (rank**0.5 if self.stabilised else rank)


def _described(folder: Path, config: Lora) -> _Described:
    """Read `adapter_config.json`. Raises CheckpointError for another kind of adapter."""
    file = folder / DESCRIPTION
    try:
        said = json.loads(file.read_text())
    except (OSError, ValueError) as error:
        raise CheckpointError(f"{file} cannot be read: {error}") from error
    if said.get("peft_type") != "LORA" or said.get("use_dora"):
        kind = "DoRA" if said.get("use_dora") else said.get("peft_type")
        raise CheckpointError(f"{file} describes an adapter of kind {kind}; only LoRA is known")
    if said.get("r") != config.rank:
        raise CheckpointError(
            f"{file} has r = {said.get('r')}, the recipe's lora says rank: {config.rank}; "
            f"they must be equal"
        )
    return _Described(
        alpha=float(said.get("lora_alpha", 8)),  # PEFT's own default
        alphas={name: float(alpha) for name, alpha in (said.get("alpha_pattern") or {}).items()},
        stabilised=bool(said.get("use_rslora")),
    )


def _places(one: Adapted, rules: Sequence[Rule]) -> Iterator[tuple[str, int, Tensor]]:
    """(their module, expert, rows of ours) of every official matrix that a weight of ours holds."""
    shape = _flat(one.low_rank.up).shape[:2]  # experts rows
    rows = torch.arange(shape[0] * shape[1]).view(*one.low_rank.up.shape[:-1], 1)
    found = invert(rules, {one.name: rows}) if rules else {one.name: rows}
    for theirs, numbers in found.items():
        for expert, part in enumerate(_flat(numbers)):
            own = int(numbers.flatten()[0]) // shape[1] if numbers.ndim == 2 else expert
            stacked = f".{expert}" if numbers.ndim == 3 else ""
            yield theirs.removesuffix(".weight") + stacked, own, part[:, 0] % shape[1]


def _flat(weight: Tensor) -> Tensor:
    """A stack of matrices, of one if it is none."""
    return weight if weight.ndim == 3 else weight[None]


def _take(
    tensors: dict[str, Tensor], name: str, shape: tuple[int | None, int], file: Path
) -> Tensor:
    """Take a matrix out of the file's; the first number of its shape may be open."""
    found = tensors.pop(BEFORE + name, None)
    if found is None:
        raise CheckpointError(f"{file} has no '{BEFORE}{name}'; it was made for other weights")
    if found.ndim != 2 or found.shape[1] != shape[1] or shape[0] not in (None, found.shape[0]):
        raise CheckpointError(
            f"{file}: '{BEFORE}{name}' has shape {tuple(found.shape)}, expected "
            f"({shape[0] or 'rank'}, {shape[1]})"
        )
    return found
