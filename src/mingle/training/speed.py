"""How fast a step is, against how fast this machine multiplies matrices."""

import time
from collections.abc import Callable
from typing import TypeVar

import torch
from torch.utils.flop_counter import FlopCounterMode

T = TypeVar("T")


def sgemm_rate(size: int = 1024, seconds: float = 0.1) -> float:
    """The best rate of fp32 matrix products found in `seconds`, in FLOP/s, with torch's threads."""
    left, right = torch.randn(size, size), torch.randn(size, size)
    product = torch.mm(left, right)  # warm-up
    best, deadline = float("inf"), time.perf_counter() + seconds
    while (start := time.perf_counter()) < deadline:
        torch.mm(left, right, out=product)
        best = min(best, time.perf_counter() - start)
    return 2 * size**3 / best


def counted(work: Callable[[], T]) -> tuple[T, int]:
    """Do the work; also return how many FLOPs its matrix products took, backward included."""
    counter = FlopCounterMode(display=False)
    with counter:
        result = work()
    return result, counter.get_total_flops()
