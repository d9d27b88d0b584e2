"""The loop: exact resume, kill -9, stop signals, locks, logs, NaN, wrong recipes."""

import os
import random
import resource
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from mingle import typed
from mingle.errors import CapacityError, CheckpointError, ConfigError, TrainingError
from mingle.training import balance, checkpoint, loop
from mingle.training.recipe import Recipe, Save
from mingle.training.run_folder import RunFolder, read_log
from mingle.training.streams import Batch
from mingle.training.task import Outcome
from mingle.training.tasks.text import TextTask

HOLD_THE_LOCK = """
import fcntl, os, sys
file = open(sys.argv[1], "w")
fcntl.lockf(file, fcntl.LOCK_EX)
file.write(str(os.getpid()))
file.flush()
print("held", flush=True)
sys.stdin.read()
"""
QUIET = loop.Options(quiet=True)


def tiny(folder: Path, **changes: object) -> Recipe:
    text = folder / "text.txt"
    text.write_text("the quick brown fox jumps over the lazy dog. " * 20)
    stage = {
        "name": "main",
        "steps": 12,
        "train": ["*"],
        "data": {"files": [str(text)], "rows": 2, "length": 16},
        "losses": {"text": 1.0},
        "optimizer": {
            "lr": 0.01,
            "betas": [0.9, 0.99],
            "eps": 1e-8,
            "weight_decay": 0.1,
            "clip_norm": 1.0,
        },
        "schedule": {"warmup_steps": 2, "decay_steps": 4, "decay": "cosine", "final_factor": 0.1},
        "ema": 0.9,
    }
    second = {**stage, "name": "head", "steps": 6, "train": ["*", "!embedding.*"], "accumulate": 2}
    recipe = typed.read(
        Recipe,
        {
            "task": "text",
            "seed": 3,
            "model": {"num_layers": 1, "dim": 8, "num_heads": 2, "inner_dim": 16},
            "stages": [stage, second],
            "save": {"every_minutes": 0.0, "keep": 2},
            "log_every": 3,
        },
        "",
    )
    return replace(recipe, **changes)


def weights(run: Path) -> dict[str, torch.Tensor]:
    return checkpoint.read_weights(run)


def assert_equal_runs(left: Path, right: Path) -> None:
    one, other = weights(left), weights(right)
    assert one.keys() == other.keys()
    assert all(torch.equal(one[name], other[name]) for name in one)
    timed = ("seconds", "speed")
    logs = [[{k: r[k] for k in r if k not in timed} for r in read_log(x)] for x in (left, right)]
    assert logs[0] == logs[1]


def test_run_stopped_after_every_step_equals_uninterrupted_run_bit_for_bit(tmp_path):
    recipe = tiny(tmp_path)
    loop.train(recipe, tmp_path / "whole", QUIET)
    for _ in range(18):
        progress = loop.train(recipe, tmp_path / "pieces", replace(QUIET, minutes=0.0))
    assert progress.stage == 2
    assert progress.total_steps == 18
    assert_equal_runs(tmp_path / "whole", tmp_path / "pieces")


def test_run_killed_at_random_points_equals_uninterrupted_run_bit_for_bit(tmp_path):
    recipe = tiny(tmp_path, workers=1)
    loop.train(recipe, tmp_path / "whole", QUIET)
    path = tmp_path / "recipe.yaml"
    path.write_text((tmp_path / "whole" / "recipe.yaml").read_text())
    killed = tmp_path / "killed"
    chance = random.Random(0)
    for goal in (2, 9):
        run = subprocess.Popen(
            [sys.executable, "-m", "mingle", "train", str(path), "--run", str(killed)],
            env={**os.environ, "OMP_NUM_THREADS": "1"},
            stderr=subprocess.DEVNULL,
        )
        while run.poll() is None and not (killed / f"checkpoints/step-{goal:08d}").exists():
            time.sleep(0.001)
        time.sleep(chance.random() * 0.05)
        run.send_signal(signal.SIGKILL)
        run.wait()
    assert checkpoint.latest(killed / "checkpoints") is not None
    loop.train(recipe, killed, QUIET)
    assert_equal_runs(tmp_path / "whole", killed)


def test_sigterm_ends_the_run_with_a_checkpoint(tmp_path, monkeypatch):
    recipe = tiny(tmp_path, save=Save(every_minutes=60.0, keep=2))
    original = TextTask.losses

    def losses(self, batch: Batch, generator: torch.Generator) -> Outcome:
        os.kill(os.getpid(), signal.SIGTERM)
        return original(self, batch, generator)

    monkeypatch.setattr(TextTask, "losses", losses)
    progress = loop.train(recipe, tmp_path / "run", QUIET)
    assert progress.total_steps == 1
    assert checkpoint.latest(tmp_path / "run/checkpoints").name == "step-00000001"


def test_second_process_on_one_folder_is_refused(tmp_path):
    run = tmp_path / "run"
    run.mkdir()
    owner = subprocess.Popen(
        [sys.executable, "-c", HOLD_THE_LOCK, str(run / "lock")],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )
    assert owner.stdout is not None
    owner.stdout.readline()
    with pytest.raises(ConfigError, match=f"in use by process {owner.pid}"):
        loop.train(tiny(tmp_path), run, QUIET)
    owner.communicate(b"")
    loop.train(tiny(tmp_path), run, QUIET)


def test_nan_names_the_batch_and_keeps_the_last_checkpoint(tmp_path, monkeypatch):
    recipe = tiny(tmp_path)
    original = TextTask.losses

    def losses(self, batch: Batch, generator: torch.Generator) -> Outcome:
        outcome = original(self, batch, generator)
        poison = float("nan") if batch.position == 5 else 1.0
        return Outcome(losses={"text": outcome.losses["text"] * poison})

    monkeypatch.setattr(TextTask, "losses", losses)
    with pytest.raises(TrainingError, match=r"the loss is nan in stage 0, step 4.*position 5"):
        loop.train(recipe, tmp_path / "run", QUIET)
    assert checkpoint.latest(tmp_path / "run/checkpoints").name == "step-00000004"


def test_only_the_last_checkpoints_are_kept(tmp_path):
    loop.train(tiny(tmp_path), tmp_path / "run", QUIET)
    names = [path.name for path in checkpoint.all_in(tmp_path / "run/checkpoints")]
    assert names == ["step-00000017", "step-00000018"]


def test_frozen_parameters_do_not_move_and_average_is_taken_over(tmp_path):
    recipe = tiny(tmp_path)
    loop.train(replace(recipe, stages=recipe.stages[:1]), tmp_path / "first", QUIET)
    loop.train(recipe, tmp_path / "both", QUIET)
    first, both = weights(tmp_path / "first"), weights(tmp_path / "both")
    assert torch.equal(first["embedding.weight"], both["embedding.weight"])
    assert not torch.equal(first["decoder.norm.weight"], both["decoder.norm.weight"])


def test_another_model_in_the_same_folder_is_refused(tmp_path):
    recipe = tiny(tmp_path)
    loop.train(recipe, tmp_path / "run", QUIET)
    with pytest.raises(ConfigError, match="was begun with seed = 3, now it is 4"):
        loop.train(replace(recipe, seed=4), tmp_path / "run", QUIET)


def test_unweighed_loss_is_an_error_that_names_both_lists(tmp_path):
    recipe = tiny(tmp_path)
    stage = replace(recipe.stages[0], losses={"txt": 1.0})
    with pytest.raises(ConfigError, match=r"weighs \['txt'\], but the task returns \['text'\]"):
        loop.train(replace(recipe, stages=(stage,)), tmp_path / "run", QUIET)


@pytest.fixture
def no_room(monkeypatch):
    """Lets this process write at most 64 kB into a file: what a full disk does, without one."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    heard = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    yield lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (2**16, before[1]))
    resource.setrlimit(resource.RLIMIT_FSIZE, before)
    signal.signal(signal.SIGXFSZ, heard)


def test_full_disk_keeps_the_older_checkpoint_and_says_so(tmp_path, no_room):
    tensors = {f"weights/{i}": torch.randn(20_000) for i in range(3)}
    checkpoint.save(tmp_path, 1, tensors, {}, keep=2)
    no_room()
    with pytest.raises(CapacityError, match=r"^no room on the disk for .*step-00000002"):
        checkpoint.save(tmp_path, 2, tensors, {}, keep=2)
    assert [path.name for path in tmp_path.iterdir()] == ["step-00000001"]
    checkpoint.read_into(tmp_path / "step-00000001", tensors)


def test_log_without_room_is_one_line(tmp_path, no_room):
    with RunFolder(tmp_path / "run", first=True) as run:
        run.log({"step": 1, "loss": 1.0})
        no_room()
        with pytest.raises(CapacityError, match=r"the log in .*run cannot be written"):
            run.log({"step": 2, "names": "x" * 2**17})


def test_checkpoint_of_another_shape_is_refused_by_name(tmp_path):
    path = checkpoint.save(tmp_path, 1, {"a": torch.ones(3)}, {}, keep=1)
    with pytest.raises(CheckpointError, match=r"'a' has shape \(3,\).*expects \(4,\)"):
        checkpoint.read_into(path, {"a": torch.ones(4)})


def test_recomputed_activations_change_no_weight(tmp_path):
    recipe = tiny(tmp_path)
    loop.train(recipe, tmp_path / "kept", QUIET)
    stages = tuple(replace(stage, recompute=("decoder.layers.*",)) for stage in recipe.stages)
    loop.train(replace(recipe, stages=stages), tmp_path / "recomputed", QUIET)
    assert_equal_runs(tmp_path / "kept", tmp_path / "recomputed")


@pytest.mark.parametrize("recompute", [(), ("layers.*",)])
def test_routed_tokens_count_once_for_each_step(tmp_path, monkeypatch, recompute):
    recipe = tongues(recompute)
    seen: list[torch.Tensor] = []
    original = balance.move_biases

    def watched(routers, loads: torch.Tensor, *how: object) -> None:
        seen.append(loads)
        original(routers, loads, *how)

    monkeypatch.setattr(balance, "move_biases", watched)
    loop.train(recipe, tmp_path / "run", QUIET)
    assert len(seen) == 2  # once a step
    for loads in (
        seen
    ):  # 2 batches of 3 rows; 2 experts a token; text 6, image 4, audio 2 tokens, about media 0
        assert loads.sum(-1).tolist() == [[72, 48, 24, 0]]


def tongues(recompute: tuple[str, ...]) -> Recipe:
    stage = {
        "name": "main",
        "steps": 2,
        "train": ["*"],
        "data": {"rows": 3, "runs": [6, 4, 2]},
        "losses": {"text": 1.0, "image": 1.0, "audio": 1.0},
        "optimizer": {
            "lr": 0.01,
            "betas": [0.9, 0.99],
            "eps": 1e-8,
            "weight_decay": 0.0,
            "clip_norm": None,
        },
        "schedule": {"warmup_steps": 0, "decay_steps": 0, "decay": "linear", "final_factor": 1.0},
        "accumulate": 2,
        "recompute": list(recompute),
        "balance": {"bias_step": 0.001},
    }
    model = {"num_layers": 2, "dim": 32, "num_experts": 4, "top_k": 2, "expert_dim": 8}
    raw = {
        "task": "tongues",
        "seed": 1,
        "model": {**model, "tokens_each": 8, "topics_each": 2},
        "stages": [stage],
    }
    return typed.read(Recipe, raw, "")
