"""One comparison with a stored tensor, and the reading of a case's files."""

import json
import math
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file
from torch import Tensor

from mingle.errors import InputError


@dataclass(frozen=True, kw_only=True)
class Check:
    """One tensor or fact of a case. An infinite difference means: not comparable at all."""

    name: str
    max_abs_diff: float
    tolerance: float
    passed: bool


@dataclass(frozen=True, kw_only=True)
class Tolerance:
    """A value passes where |ours - stored| <= atol + rtol * |stored|."""

    atol: float = 0.0
    rtol: float = 0.0


EXACT = Tolerance()


def read_tolerance(stated: Any) -> Tolerance:
    """Read 'exact', 'atol 2e-4 rtol 1e-4', or {'atol': .., 'rtol': ..} of a case.json."""
    if stated in ("exact", {"exact": True}):
        return EXACT
    if isinstance(stated, str):
        pairs = re.findall(r"(atol|rtol)\s+([0-9.]+(?:e-?[0-9]+)?)", stated)
    elif isinstance(stated, dict):
        pairs = [(key, stated[key]) for key in ("atol", "rtol") if key in stated]
    else:
        pairs = []
    if not pairs:
        raise InputError(f"tolerance {stated!r} in case.json; expected 'exact' or atol and rtol")
    return Tolerance(**{key: float(value) for key, value in pairs})


def compare(name: str, ours: Any, stored: Any, tolerance: Tolerance = EXACT) -> Check:
    """Compare two tensors (or arrays, or nested numbers) of equal shape, element by element."""
    ours, stored = torch.as_tensor(ours), torch.as_tensor(stored)
    if ours.shape != stored.shape:
        shapes = f"shape {tuple(ours.shape)}, stored {tuple(stored.shape)}"
        return failure(f"{name}: {shapes}")
    if stored.numel() == 0:
        return Check(name=name, max_abs_diff=0.0, tolerance=tolerance.atol, passed=True)
    stored = stored.detach().to(torch.float64).flatten()
    diff = (ours.detach().to(torch.float64).flatten() - stored).abs()
    diff = diff.nan_to_num(nan=math.inf, posinf=math.inf)
    bound = tolerance.atol + tolerance.rtol * stored.abs()
    passed = bool((diff <= bound).all())
    shown = diff.argmax() if passed else (diff - bound).argmax()
    greatest = float(diff.max())
    return Check(name=name, max_abs_diff=greatest, tolerance=float(bound[shown]), passed=passed)


def compare_facts(name: str, ours: Any, stored: Any) -> Check:
    """Compare what has no distance: strings, lists, truth values. They are equal or they fail."""
    return (
        Check(name=name, max_abs_diff=0.0, tolerance=0.0, passed=True)
        if ours == stored
        else (failure(f"{name}: {_short(ours)}, stored {_short(stored)}"))
    )


def failure(name: str) -> Check:
    """A check that cannot pass; the name says why."""
    return Check(name=name, max_abs_diff=math.inf, tolerance=0.0, passed=False)


def read_json(case_folder: Path, name: str) -> Any:
    """Parse one JSON file of a case."""
    try:
        return json.loads((case_folder / name).read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise InputError(f"{name} of the case cannot be read: {error}") from error


def read_tensors(case_folder: Path, name: str) -> dict[str, Tensor]:
    """Load `<name>.safetensors` of a case; a file that is empty on purpose gives {}."""
    tensors = load_file(case_folder / f"{name}.safetensors")
    tensors.pop("_empty", None)
    return tensors


def _short(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 80 else text[:77] + "..."
