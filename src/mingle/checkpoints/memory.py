"""Whether a model fits into this machine's memory, asked before a tensor is read."""

import re
from collections.abc import Iterable
from pathlib import Path

import torch

from mingle.checkpoints.shards import TensorInfo
from mingle.checkpoints.store import readable
from mingle.errors import CapacityError

MEMINFO = Path("/proc/meminfo")


def available_memory() -> int | None:
    """Bytes that can be had without swapping, where the system tells."""
    text = MEMINFO.read_text(encoding="ascii") if MEMINFO.exists() else ""
    found = re.search(r"MemAvailable:\s+(\d+) kB", text)
    return int(found[1]) * 1024 if found else None


def check_memory(
    infos: Iterable[TensorInfo], dtype: torch.dtype | None, available: int | None
) -> None:
    """Raise CapacityError for tensors that main memory has no room for once they are of `dtype`.

    None keeps what the files hold; `available` None: nobody knows. The system would not refuse, but
    kill the process half way.
    """
    needed = sum(_bytes_as(info, dtype) for info in infos)
    if available is not None and needed > available:
        raise CapacityError(
            f"the model takes {readable(needed)} of memory, but only {readable(available)} are "
            "available; load it as bfloat16 (--dtype bfloat16), or on a larger machine"
        )


def _bytes_as(info: TensorInfo, dtype: torch.dtype | None) -> int:
    if dtype is None or not info.dtype.is_floating_point:
        return info.num_bytes
    return info.num_bytes // info.dtype.itemsize * dtype.itemsize
