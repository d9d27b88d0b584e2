"""What a measurement was taken on, and figures of repeated measurements."""

import os
import platform
import statistics
import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch

import mingle


def describe_machine() -> dict[str, Any]:
    """Processor, cores, load, versions and commit: what stands beside every figure."""
    return {
        "processor": processor_name(),
        "cores": len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else None,
        "load": round(os.getloadavg()[0], 1) if hasattr(os, "getloadavg") else None,
        "simd": torch.backends.cpu.get_cpu_capability(),
        "torch": torch.__version__,
        "threads": torch.get_num_threads(),
        "mingle": mingle.__version__,
        "commit": commit(),
    }


def processor_name() -> str:
    """The processor as the system names it."""
    info = Path("/proc/cpuinfo")
    if info.exists():
        for line in info.read_text(encoding="utf-8").splitlines():
            if line.startswith("model name"):
                return line.split(":", 1)[1].strip()
    return platform.processor() or platform.machine()


def commit() -> str | None:
    """The commit of the source tree that runs, `+` when it has changes; None outside of one."""
    tree = Path(mingle.__file__).parents[2]
    if not (tree / ".git").exists():
        return None
    command = ["git", "-C", str(tree), "describe", "--always", "--dirty=+", "--exclude=*"]
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=False)
    except OSError:  # no git here
        return None
    return done.stdout.strip() or None


def spread(values: Sequence[float]) -> dict[str, float]:
    """Median, 95th percentile (nearest rank) and best of repeated times, rounded to 0.1 ms."""
    ranked = sorted(values)
    p95 = ranked[min(len(ranked) - 1, round(0.95 * (len(ranked) - 1)))]
    named = {"median": statistics.median(ranked), "p95": p95, "best": ranked[0]}
    return {name: round(value, 4) for name, value in named.items()}
