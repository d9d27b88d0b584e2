"""What a recipe trains: a task owns a model, makes batches for it and says what the losses are."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, fields, is_dataclass, replace
from pathlib import Path
from typing import Any, ClassVar, TypeVar

import torch
from safetensors.torch import save_file
from torch import Tensor, nn
from torch.utils import _pytree as pytree

from mingle.checkpoints.mapping import Rule
from mingle.nn.moe import Routing
from mingle.training.streams import Batch, Draw

T = TypeVar("T")


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """What one forward pass tells the loop.

    `losses` are scalars, each a mean over `batch.counts[name]` items; the recipe weighs them.
    `metrics` are logged. `routings` of a thinker over sequences of `lengths` are balanced where
    the stage says so.
    """

    losses: Mapping[str, Tensor]
    metrics: Mapping[str, float] = field(default_factory=dict)
    routings: tuple[Routing, ...] = ()
    lengths: tuple[int, ...] = ()


class Task:
    """Base of all tasks. Three members must be given: `build`, `batches`, `losses`.

    `Model` and `Data` are frozen dataclasses: the recipe's `model` section and each stage's `data`
    section are read into them, strictly.
    """

    Model: ClassVar[type]
    Data: ClassVar[type]

    def __init__(self, config: Any):
        self.config = config
        self.model: Any = self.build(config)  # Any: a task knows its own model's class

    def build(self, config: Any) -> nn.Module:
        """Everything with weights, frozen parts too. The global seed is set: init freely."""
        raise NotImplementedError

    def batches(self, data: Any, draw: Draw) -> Iterator[Batch]:
        """An endless stream, deterministic by `draw.seed`, going on from `draw.position`."""
        raise NotImplementedError

    def losses(self, batch: Batch, generator: torch.Generator) -> Outcome:
        """One forward pass. All randomness comes from the generator (or the global one)."""
        raise NotImplementedError

    def evaluate(self, data: Any, folder: Path) -> dict[str, float]:
        """Held-out figures, without gradients; may write samples into `folder`."""
        return {}

    @property
    def device(self) -> torch.device:
        """Where the model is."""
        return next(self.model.parameters()).device

    def here(self, value: T) -> T:
        """The same with its tensors where the model is; `batches` makes them on the processor."""
        return value if self.device.type == "cpu" else moved(value, self.device)

    def rules(self) -> tuple[Rule, ...]:
        """The official names of the model's weights, for adapters; none: they keep ours."""
        return ()

    def export(self, folder: Path) -> None:
        """Write the model as others read it: here one file of tensors under our own names."""
        folder.mkdir(parents=True, exist_ok=True)
        tensors = {name: tensor.contiguous() for name, tensor in self.model.state_dict().items()}
        save_file(tensors, folder / "model.safetensors")


def moved(value: T, device: torch.device) -> T:
    """The same containers and dataclasses with their tensors on the device."""

    def leaf(item: Any) -> Any:
        if isinstance(item, Tensor):
            return item.to(device)
        if is_dataclass(item) and not isinstance(item, type):
            inside = {one.name: getattr(item, one.name) for one in fields(item) if one.init}
            return replace(item, **moved(inside, device))
        return item

    return pytree.tree_map(leaf, value)


class Pass(nn.Module):
    """A task's forward pass as a module: what back ends that split a model take hold of."""

    def __init__(self, task: Task):
        super().__init__()
        self.model = task.model
        self.losses = task.losses

    def forward(self, batch: Batch, generator: torch.Generator) -> Outcome:
        return self.losses(batch, generator)
