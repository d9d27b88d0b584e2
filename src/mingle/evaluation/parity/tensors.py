"""Named tensors of a case: by scenario, watched inside a module, compared in the stored order."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from torch import Tensor, nn

from mingle.errors import InputError
from mingle.evaluation.parity.check import (
    Check,
    Tolerance,
    compare,
    failure,
    read_json,
    read_tensors,
    read_tolerance,
)


class Watch:
    """While entered, keeps the last output of each of the named modules."""

    def __init__(self, modules: Mapping[str, nn.Module]):
        self.modules = modules
        self.outputs: dict[str, Any] = {}

    def __enter__(self) -> "Watch":
        self._hooks = [
            module.register_forward_hook(self._keep(name)) for name, module in self.modules.items()
        ]
        return self

    def __exit__(self, *_: object) -> None:
        for hook in self._hooks:
            hook.remove()

    def _keep(self, name: str) -> Any:
        def keep(module: nn.Module, inputs: Any, output: Any) -> None:
            self.outputs[name] = output

        return keep


def scenarios(tensors: Mapping[str, Tensor]) -> dict[str, dict[str, Tensor]]:
    """Sort tensors by what stands before the first dot of their names."""
    sorted_tensors: dict[str, dict[str, Tensor]] = {}
    for name, tensor in tensors.items():
        scenario, _, key = name.partition(".")
        sorted_tensors.setdefault(scenario, {})[key] = tensor
    return sorted_tensors


def pad_rows(rows: Sequence[Tensor]) -> Tensor:
    """Stack tensors of unequal length, zeros behind the shorter ones."""
    return nn.utils.rnn.pad_sequence(list(rows), batch_first=True)


def compare_all(
    case: Path,
    found: Mapping[str, Tensor],
    tolerances: Callable[[str], Sequence[str]],
    masks: Mapping[str, Tensor] | None = None,
) -> list[Check]:
    """Compare every stored output with what was found; one that we did not compute fails.

    `tolerances`: a tensor's name (without the scenario) -> names of tolerances, of which the first
    that the case states is taken; 'exact' needs no stating. `masks`, by tensor: over its leading
    axes, true where the stored one means something (not at padding).
    """
    stated = read_json(case, "case.json")["tolerance"]
    checks = []
    for name, stored in read_tensors(case, "outputs").items():
        if name not in found:
            checks.append(failure(f"{name}: stored, but nothing here computes it"))
            continue
        ours = found[name]
        mask = (masks or {}).get(name)
        if mask is not None and ours.shape == stored.shape:
            ours, stored = ours[mask], stored[mask]
        checks.append(
            compare(name, ours, stored, _tolerance(stated, tolerances(name.partition(".")[2])))
        )
    return checks


def _tolerance(stated: Any, names: Sequence[str]) -> Tolerance:
    for name in names:
        if name in stated or name == "exact":
            return read_tolerance(stated.get(name, "exact"))
    if "atol" in stated:  # one for the whole case
        return read_tolerance(stated)
    raise InputError(f"case.json states tolerances {list(stated)}, expected one of {list(names)}")
