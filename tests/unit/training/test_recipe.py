"""Recipes: typed, strict, with overrides."""

import pytest
import torch

from mingle import typed
from mingle.errors import CapacityError, ConfigError
from mingle.training import recipe
from mingle.training.learner import factor
from mingle.training.loop import Options, train
from mingle.training.names import matching
from mingle.training.recipe import Schedule

TEXT = """
task: text
seed: 1
model: {num_layers: 1, dim: 8, num_heads: 2, inner_dim: 16}
stages:
  - name: main
    steps: 10
    train: ["*"]
    data: {files: [a.txt], rows: 1, length: 8}
    losses: {text: 1.0}
    optimizer: {lr: 1e-3, betas: [0.9, 0.98], eps: 1e-8, weight_decay: 0.01, clip_norm: null}
    schedule: {warmup_steps: 2, decay_steps: 3, decay: linear, final_factor: 0.0}
"""


def loaded(tmp_path, text=TEXT, *overrides):
    path = tmp_path / "recipe.yaml"
    path.write_text(text)
    return recipe.load(path, overrides)


def test_numbers_like_1e3_are_read_as_numbers(tmp_path):
    assert loaded(tmp_path).stages[0].optimizer.lr == 0.001


@pytest.mark.parametrize(
    ("typo", "message"),
    [
        ("seed: 1\nsead: 2", "unknown key 'sead'; did you mean 'seed'"),
        ("seed: one", "seed: found str 'one', expected int"),
        ("seed: 1\nsave: {evry_minutes: 3}", "save: unknown key 'evry_minutes'.*'every_minutes'"),
        ("", "the key 'seed' is missing"),
        ("seed: [1", "not valid YAML"),
    ],
)
def test_typo_is_answered_with_place_and_remedy(tmp_path, typo, message):
    with pytest.raises(ConfigError, match=message):
        loaded(tmp_path, TEXT.replace("seed: 1", typo))


def test_overrides_reach_stages_by_name_and_number(tmp_path):
    changed = loaded(tmp_path, TEXT, "seed=7", "stages.main.optimizer.lr=2e-4", "stages.0.steps=9")
    assert changed.seed == 7
    assert changed.stages[0].optimizer.lr == 2e-4
    assert changed.stages[0].steps == 9


@pytest.mark.parametrize("override", ["seed", "stages.other.steps=3", "seed.deep=1"])
def test_wrong_override_is_refused(tmp_path, override):
    with pytest.raises(ConfigError, match="override"):
        loaded(tmp_path, TEXT, override)


def test_schedule_longer_than_stage_is_refused(tmp_path):
    with pytest.raises(ConfigError, match="longer than the stage"):
        loaded(tmp_path, TEXT, "stages.main.steps=4")


@pytest.mark.parametrize("share", [1.0, 0.5, 0.01])
def test_a_shortened_recipe_keeps_its_shape(tmp_path, share):
    whole = loaded(tmp_path, TEXT, "stages.main.steps=200")
    (stage,) = recipe.shortened(whole, share).stages
    assert stage.steps == max(1, 200 * share)
    assert stage.schedule.warmup_steps <= whole.stages[0].schedule.warmup_steps
    assert stage.optimizer == whole.stages[0].optimizer


def test_a_share_of_nothing_is_refused(tmp_path):
    with pytest.raises(ConfigError, match="share is 0"):
        recipe.shortened(loaded(tmp_path), 0.0)


def test_stored_recipe_reads_back_equal(tmp_path):
    first = loaded(tmp_path)
    assert typed.read(recipe.Recipe, typed.plain(first), "") == first


def test_rate_rises_holds_and_falls():
    schedule = Schedule(warmup_steps=2, decay_steps=4, decay="linear", final_factor=0.2)
    factors = [round(factor(schedule, step, 10), 3) for step in range(10)]
    assert factors == [0.5, 1, 1, 1, 1, 1, 0.8, 0.6, 0.4, 0.2]


def test_last_matching_glob_decides():
    names = ["a.weight", "a.bias", "b.weight"]
    assert matching(names, ["*", "!a.*", "a.bias"], "train") == ["a.bias", "b.weight"]
    with pytest.raises(ConfigError, match=r"'c\.\*' matches none of 3 names"):
        matching(names, ["c.*"], "train")


@pytest.mark.parametrize(
    "override", ["workers=-1", "threads=0", "log_every=0", "evaluate_every=0", "device=tpu"]
)
def test_a_number_too_small_and_an_unknown_device_are_refused(tmp_path, override):
    with pytest.raises(ConfigError, match=override.split("=")[0]):
        loaded(tmp_path, TEXT, override)


@pytest.mark.skipif(torch.cuda.is_available(), reason="this machine has a GPU")
def test_training_on_a_gpu_that_is_not_there_is_exit_code_3(tmp_path):
    (tmp_path / "a.txt").write_text("some words\n" * 9)
    run = loaded(tmp_path, TEXT.replace("a.txt", str(tmp_path / "a.txt")), "device=cuda")
    with pytest.raises(CapacityError, match="no device 'cuda' here") as raised:
        train(run, tmp_path / "run", Options(quiet=True))
    assert raised.value.exit_code == 3
    assert not (tmp_path / "run").exists()
