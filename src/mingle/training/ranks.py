"""The processes of one run: joining, who am I, and sums over all of us."""

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor


@contextmanager
def joined(device: str) -> Iterator[None]:
    """Inside, the processes that torchrun started are one group; a lone process stays alone.

    A caller that has made the group itself keeps it.
    """
    if int(os.environ.get("WORLD_SIZE", "1")) == 1 or dist.is_initialized():
        yield
        return
    dist.init_process_group("nccl" if device == "cuda" else "gloo")
    try:
        yield
    finally:
        dist.destroy_process_group()


def rank() -> int:
    """This process's number; 0 when it is alone."""
    return dist.get_rank() if dist.is_initialized() else 0


def size() -> int:
    """How many processes train together."""
    return dist.get_world_size() if dist.is_initialized() else 1


def add_up(values: Mapping[str, float]) -> dict[str, float]:
    """Sum each number over all processes; every process must give the same names."""
    if not dist.is_initialized():
        return dict(values)
    row = torch.tensor([values[name] for name in sorted(values)], dtype=torch.float64)
    row = row.to(_device())
    dist.all_reduce(row)
    return dict(zip(sorted(values), row.tolist(), strict=True))


def all_reduced(values: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Sum each tensor over all processes."""
    if dist.is_initialized():
        for name in sorted(values):
            dist.all_reduce(values[name])
    return dict(values)


def any_of(flag: bool) -> bool:
    """Whether any process says yes."""
    return add_up({"flag": float(flag)})["flag"] > 0


def gathered(value: Any) -> Any:
    """Every process's value as a list by rank; the value itself where a process is alone."""
    if not dist.is_initialized():
        return value
    values: list[Any] = [None] * size()
    dist.all_gather_object(values, value)
    return values


def _device() -> str:
    """Where the group's messages must lie."""
    return "cuda" if dist.get_backend() == "nccl" else "cpu"
