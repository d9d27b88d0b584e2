"""The learning half of a stage: chosen parameters, AdamW, clipping, schedule, running average."""

import math
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from fnmatch import fnmatchcase
from typing import Any

import torch
from torch import Tensor, nn
from torch.distributed.tensor import DTensor

from mingle.training.names import matching
from mingle.training.parallel import Layout, gradient_norm
from mingle.training.recipe import Optimizer, Schedule, Stage


def factor(schedule: Schedule, step: int, steps: int) -> float:
    """The learning rate's factor in [0, 1] for `step` (0 is the first) of `steps`."""
    if step < schedule.warmup_steps:
        return (step + 1) / schedule.warmup_steps
    done = step + 1 - (steps - schedule.decay_steps)
    if done <= 0:
        return 1.0
    share = done / schedule.decay_steps
    if schedule.decay == "cosine":
        share = (1 - math.cos(math.pi * share)) / 2
    return 1 + (schedule.final_factor - 1) * share


class Learner:
    """Turns the gradients of one stage's parameters into steps.

    Freezes everything else, and sets frozen modules to evaluation mode.
    """

    def __init__(self, model: nn.Module, stage: Stage, layout: Layout):
        self.stage, self.layout = stage, layout
        named = dict(model.named_parameters())
        chosen = matching(list(named), stage.train, f"stages.{stage.name}.train")
        for name, parameter in named.items():
            parameter.requires_grad_(name in set(chosen))
        self.parameters = {name: named[name] for name in chosen}
        self.adam = _adam(self.parameters, stage.optimizer)
        self.average = (
            {name: p.detach().clone() for name, p in self.parameters.items()}
            if stage.ema is not None
            else {}
        )
        set_modes(model)

    def step(self, step: int) -> float:
        """Clip, move the parameters, forget the gradients. Returns the norm before clipping."""
        parameters = list(self.parameters.values())
        for parameter in parameters:
            if parameter.grad is None:  # unused this time: one rank must do what many would
                parameter.grad = torch.zeros_like(parameter)
        self.layout.sum_gradients(parameters)
        norm = gradient_norm(parameters)
        self._clip(norm)
        rate = self.stage.optimizer.lr * factor(self.stage.schedule, step, self.stage.steps)
        for group in self.adam.param_groups:
            group["lr"] = rate * group["lr_factor"]
        if math.isfinite(norm):
            self.adam.step()
            self._follow(step)
        self.adam.zero_grad(set_to_none=True)
        return norm

    @property
    def rate(self) -> float:
        """The learning rate of the last step."""
        return self.adam.param_groups[0]["lr"] / self.adam.param_groups[0]["lr_factor"]

    def tensors(self) -> dict[str, Tensor]:
        """Everything a checkpoint must hold beside the weights, by name."""
        found = {f"average/{name}": tensor for name, tensor in self.average.items()}
        for name, parameter in self.parameters.items():
            for key, tensor in self.adam.state[parameter].items():
                found[f"adam/{name}/{key}"] = tensor
        return found

    @contextmanager
    def averaged(self) -> Iterator[None]:
        """Inside, the model's weights are their running average (if the stage keeps one)."""
        held = {name: self.parameters[name].detach().clone() for name in self.average}
        self.take(self.average)
        try:
            yield
        finally:
            self.take(held)

    @torch.no_grad()
    def take(self, values: Mapping[str, Tensor]) -> None:
        """Write values into the parameters of these names."""
        for name, value in values.items():
            self.parameters[name].copy_(value)

    def restart_average(self) -> None:
        """Let the running average begin at the weights as they are now."""
        for name, tensor in self.average.items():
            tensor.copy_(self.parameters[name].detach())

    def _clip(self, norm: float) -> None:
        limit = self.stage.optimizer.clip_norm
        if limit is not None and norm > limit:
            for parameter in self.parameters.values():
                assert parameter.grad is not None
                parameter.grad.mul_(limit / (norm + 1e-6))

    def _follow(self, step: int) -> None:
        if self.stage.ema is None:
            return
        decay = min(self.stage.ema, (1 + step) / (10 + step))  # young averages forget faster
        for name, average in self.average.items():
            average.lerp_(self.parameters[name].detach(), 1 - decay)


def set_modes(model: nn.Module, training: bool = True) -> None:
    """Training mode for modules that learn; evaluation mode for those whose weights are frozen."""
    parameters = list(model.parameters())
    learns = any(p.requires_grad for p in parameters) if parameters else True
    model.training = training and learns
    for child in model.children():
        set_modes(child, model.training)


def _adam(parameters: Mapping[str, nn.Parameter], config: Optimizer) -> torch.optim.AdamW:
    grouped: dict[tuple[float, float, Any], list[nn.Parameter]] = {}
    for name, parameter in parameters.items():
        group = next((g for g in config.groups if fnmatchcase(name, g.match)), None)
        decay = config.weight_decay if group is None else group.weight_decay
        decay = config.weight_decay if decay is None else decay
        if parameter.ndim < 2:
            decay = 0.0
        rate = 1.0 if group is None else group.lr_factor
        mesh = parameter.device_mesh if isinstance(parameter, DTensor) else None
        grouped.setdefault((rate, decay, mesh), []).append(parameter)  # one layout a fused call
    adam = torch.optim.AdamW(
        [
            {"params": members, "lr": config.lr * rate, "lr_factor": rate, "weight_decay": decay}
            for (rate, decay, _), members in grouped.items()
        ],
        betas=config.betas,
        eps=config.eps,
        fused=True,
    )
    for parameter in parameters.values():  # made now, so that a checkpoint can be read into it
        adam.state[parameter] = {
            "step": torch.zeros((), dtype=torch.float32, device=parameter.device),
            "exp_avg": torch.zeros_like(parameter, memory_format=torch.preserve_format),
            "exp_avg_sq": torch.zeros_like(parameter, memory_format=torch.preserve_format),
        }
    return adam
