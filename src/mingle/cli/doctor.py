"""`mingle doctor`: what this machine has, what is missing, and the command that mends it."""

import argparse
import importlib.metadata
import os
import platform
import re
import shutil
from pathlib import Path
from typing import Any

from mingle import __version__
from mingle.cli import print_json

DISTRIBUTION = "mingle-omni"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """No options of its own."""


def run(args: argparse.Namespace) -> None:
    """Look, then print one JSON object or a page."""
    report = examine()
    if args.json:
        print_json(report)
    else:
        print("\n".join(page(report)))


def examine() -> dict[str, Any]:
    """Everything there is to know, ready for JSON. Memory and disk in bytes."""
    import torch  # here: a second of start-up that `mingle --help` need not pay

    from mingle.checkpoints import memory, store
    from mingle.evaluation.bench.machine import processor_name

    extras, models = examine_extras(), examine_models()
    return {
        "mingle": __version__,
        "python": platform.python_version(),
        "system": f"{platform.system()} {platform.release()}",
        "torch": torch.__version__,
        "processor": processor_name(),
        "cores": num_cores(),
        "simd": torch.backends.cpu.get_cpu_capability(),
        "memory": {"total": total_memory(), "available": memory.available_memory()},
        "gpus": [
            {"name": torch.cuda.get_device_name(i), "memory": torch.cuda.mem_get_info(i)[1]}
            for i in range(torch.cuda.device_count())
        ],
        "home": str(store.home()),
        "disk_free": store.free_bytes(store.home()),
        "voices": {name: shutil.which(name) is not None for name in ("flite", "espeak-ng")},
        "extras": extras,
        "models": models,
        "to_do": [entry["mend"] for entry in (*extras.values(), *models.values()) if entry["mend"]],
    }


def examine_extras() -> dict[str, dict[str, Any]]:
    """For each optional group of packages: which are missing. Read from our own metadata."""
    groups: dict[str, set[str]] = {}
    for line in importlib.metadata.requires(DISTRIBUTION) or []:
        extra = re.search(r"extra == ['\"]([\w-]+)['\"]", line)
        name = re.match(r"[\w.-]+", line)
        if extra and name and name[0] != DISTRIBUTION:
            groups.setdefault(extra[1], set()).add(name[0])
    report: dict[str, dict[str, Any]] = {}
    for extra, packages in groups.items():
        missing = sorted(name for name in packages if not is_installed(name))
        mend = f"pip install '{DISTRIBUTION}[{extra}]'" if missing and extra != "dev" else None
        report[extra] = {"missing": missing, "mend": mend}
    return report


def is_installed(package: str) -> bool:
    """Whether a distribution of this name is installed."""
    try:
        importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return False
    return True


def examine_models() -> dict[str, dict[str, Any]]:
    """For each model Mingle knows: where it is, and how to get it. Only nano counts as missing."""
    from mingle.checkpoints.families import FAMILIES
    from mingle.cli.models import describe

    report: dict[str, dict[str, Any]] = {}
    for name, family in FAMILIES.items():
        state = describe(family)["state"]
        command = f"mingle pull {name}"
        report[name] = {"state": state, "pull": None if state == "here" else command}
        report[name]["mend"] = command if state != "here" and name == "nano" else None
    return report


def num_cores() -> int:
    """Processor cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def total_memory() -> int | None:
    """Memory of the machine, or of the container's limit where that is less."""
    if not hasattr(os, "sysconf") or "SC_PHYS_PAGES" not in os.sysconf_names:
        return None
    total = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    limit = Path("/sys/fs/cgroup/memory.max")
    text = limit.read_text(encoding="ascii").strip() if limit.exists() else "max"
    return min(total, int(text)) if text.isdigit() else total


def page(report: dict[str, Any]) -> list[str]:
    """The report for people."""
    from mingle.checkpoints.store import readable

    memory = report["memory"]
    sizes = {key: "unknown" if n is None else readable(n) for key, n in memory.items()}
    gpus = [f"{gpu['name']} ({readable(gpu['memory'])})" for gpu in report["gpus"]]
    voices = [f"{name} {'yes' if here else 'no'}" for name, here in report["voices"].items()]
    lines = [
        f"mingle     {report['mingle']}, Python {report['python']}, torch {report['torch']}",
        f"processor  {report['processor']}, {report['cores']} cores, {report['simd']}",
        f"memory     {sizes['total']}, {sizes['available']} available",
        f"GPU        {', '.join(gpus) or 'none'}",
        f"disk       {readable(report['disk_free'])} free for models in {report['home']}",
        f"voices     {', '.join(voices)} (programs that make training speech)",
        "",
    ]
    for name, extra in report["extras"].items():
        state = f"missing: {', '.join(extra['missing'])}" if extra["missing"] else "complete"
        lines.append(f"extra      {name:<10} {state}")
    for name, model in report["models"].items():
        command = f" (to fetch it: {model['pull']})" if model["pull"] else ""
        lines.append(f"model      {name:<24} {model['state']}{command}")
    to_do = [f"to mend:   {command}" for command in report["to_do"]]
    return [*lines, "", *(to_do or ["Nothing is missing."])]
