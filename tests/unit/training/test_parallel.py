"""Two processes (gloo) compute what one computes: copies, FSDP2, expert parallelism, both."""

import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
import torch
import yaml

from mingle import typed
from mingle.training import checkpoint, loop
from mingle.training.recipe import Recipe
from mingle.training.run_folder import read_log

WAYS = ("copies", "fsdp", "experts", "both")
SCRIPT = Path(__file__).with_name("two_ranks.py")


def recipe() -> Recipe:
    model = {"num_layers": 2, "dim": 32, "num_experts": 4, "top_k": 2, "expert_dim": 8}
    stage = {
        "name": "main",
        "steps": 4,
        "train": ["*"],
        "data": {"rows": 2, "runs": [12, 3, 3]},
        "losses": {"text": 0.8, "image": 0.1, "audio": 0.1},
        "optimizer": {
            "lr": 0.003,
            "betas": [0.9, 0.95],
            "eps": 1e-8,
            "weight_decay": 0.01,
            "clip_norm": 0.5,
        },
        "schedule": {"warmup_steps": 0, "decay_steps": 0, "decay": "linear", "final_factor": 0.0},
        "ema": 0.9,
        "recompute": ["layers.1"],
        "balance": {"sequence": {"text": 0.01, "image": 0.01}, "bias_step": 0.01},
    }
    raw = {
        "task": "tongues",
        "seed": 5,
        "model": {**model, "tokens_each": 16, "topics_each": 2},
        "stages": [stage],
        "log_every": 1,
    }
    return typed.read(Recipe, raw, "")


@pytest.fixture(scope="module")
def runs(tmp_path_factory) -> Path:
    """One process with two batches a step, and two processes with one batch each."""
    folder = tmp_path_factory.mktemp("runs")
    (folder / "recipe.yaml").write_text(yaml.safe_dump(typed.plain(recipe())))
    command = [
        sys.executable,
        "-m",
        "torch.distributed.run",
        "--nproc-per-node",
        "2",
        "--standalone",
    ]
    done = subprocess.run(
        [*command, str(SCRIPT), str(folder)],
        env={**os.environ, "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        timeout=280,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    loop.train(alone(), folder / "one", loop.Options(quiet=True))
    return folder


def alone() -> Recipe:
    one = recipe()
    return replace(one, stages=(replace(one.stages[0], accumulate=2),))


def losses(run: Path) -> list[float]:
    return [record["loss"] for record in read_log(run) if "loss" in record]


@pytest.mark.parametrize("way", WAYS)
def test_two_processes_have_the_losses_and_weights_of_one(runs, way):
    assert losses(runs / way) == pytest.approx(losses(runs / "one"), abs=1e-5)
    one, two = checkpoint.read_weights(runs / "one"), checkpoint.read_weights(runs / way)
    assert one.keys() == two.keys()
    assert max(float((one[name] - two[name]).abs().max()) for name in one) < 1e-4


@pytest.mark.parametrize("way", WAYS)
def test_two_processes_move_the_router_biases_alike(runs, way):
    one, two = checkpoint.read_weights(runs / "one"), checkpoint.read_weights(runs / way)
    biases = [name for name in one if name.endswith("selection_bias")]
    assert len(biases) == 3
    assert all(torch.equal(one[name], two[name]) for name in biases)


def test_checkpoint_of_two_ranks_goes_on_with_one(runs):
    assert checkpoint.latest(runs / "resumed/checkpoints").name == "step-00000002"
    loop.train(alone(), runs / "resumed", loop.Options(quiet=True))
    assert losses(runs / "resumed") == pytest.approx(losses(runs / "one"), abs=1e-5)
