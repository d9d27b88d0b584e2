"""Run by torchrun from test_parallel.py: train the recipe of a folder in every way, two ranks."""

import sys
from dataclasses import replace
from pathlib import Path

import torch.distributed as dist

from mingle.training import loop
from mingle.training.recipe import Parallel, load

WAYS = {
    "copies": Parallel(shard=False),
    "fsdp": Parallel(shard=True, units=("layers.*",)),
    "experts": Parallel(shard=False, expert_ranks=2),
    "both": Parallel(shard=True, units=("layers.*",), expert_ranks=2),
}


def main(folder: Path) -> None:
    dist.init_process_group("gloo")
    recipe = load(folder / "recipe.yaml")
    options = loop.Options(quiet=True)
    for name, parallel in WAYS.items():
        loop.train(replace(recipe, parallel=parallel), folder / name, options)
    for _ in range(2):  # two of the four steps, then one process goes on
        half = replace(recipe, parallel=WAYS["both"])
        loop.train(half, folder / "resumed", replace(options, minutes=0.0))
    dist.destroy_process_group()


if __name__ == "__main__":
    main(Path(sys.argv[1]))
