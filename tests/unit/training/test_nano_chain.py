"""The road from public packages to nano: its steps fit the recipes and each other."""

import importlib.util
import json
import sys
from pathlib import Path

import pytest

from mingle.training import recipe

RECIPES = Path(__file__).parents[3] / "recipes" / "nano"


@pytest.fixture(scope="module")
def chain():
    spec = importlib.util.spec_from_file_location("chain", RECIPES / "chain.py")
    module = sys.modules["chain"] = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    yield module
    del sys.modules["chain"]


@pytest.fixture(scope="module")
def steps(chain):
    return chain.chain(Path("/there/nano"), Path("/there/runs"))


def test_every_step_is_a_recipe_with_its_overrides_long_and_short(chain, steps):
    for step in steps:
        recipe.load(step.file, step.overrides)
        little = [*step.overrides, *chain.little_data(step.file), *step.little]
        recipe.shortened(recipe.load(step.file, little), 0.002)


def test_little_data_is_one_shard_of_each_kind_in_every_stage(chain, tmp_path):
    file = tmp_path / "recipe.yaml"
    corpus = "{folder: there, seed: 1}"
    file.write_text(
        f"stages:\n- {{name: one, data: {{shards: 8, held_out: {corpus}}}}}\n"
        "- {name: two, data: {shards: {single: 4, words: 2}, held_out: 40}}\n"
    )
    assert chain.little_data(file) == [
        "stages.one.data.shards=1",
        'stages.two.data.shards={"single": 1, "words": 1}',
        "stages.two.data.held_out=4",
    ]


def test_the_painter_is_told_how_its_autoencoder_spreads(chain, tmp_path):
    lines = [
        {"step": 1, "evaluation": {"psnr": 20.0, "latent_mean": 0.5, "latent_std": 4.0}},
        {"step": 2, "loss": 1.0},
        {"step": 3, "evaluation": {"psnr": 22.0, "latent_mean": -0.04421, "latent_std": 2.0}},
        {"step": 3, "loss": 0.9},
    ]
    (tmp_path / "log.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    overrides = chain.latents_of(tmp_path)
    model = recipe.load(RECIPES / "brush.yaml", overrides).model
    told = model["painter"]["autoencoder"]
    assert (told["scale"], told["shift"]) == (0.5, -0.0442)


def test_every_step_begins_with_runs_that_came_before(steps):
    done: set[str] = set()
    for step in steps:
        chosen = recipe.load(step.file, step.overrides)
        for start in chosen.start:
            assert Path(start.source).parent == Path("/there/runs")
            assert Path(start.source).name in done
        done.add(step.run)
