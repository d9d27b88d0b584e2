"""The road from public packages to nano: its steps fit the recipes and each other."""

import importlib.util
import sys
from pathlib import Path

import pytest

from mingle.training import recipe

RECIPES = Path(__file__).parents[3] / "recipes" / "nano"


@pytest.fixture(scope="module")
def steps():
    spec = importlib.util.spec_from_file_location("chain", RECIPES / "chain.py")
    module = sys.modules["chain"] = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    yield module.chain(Path("/there/nano"), Path("/there/runs"))
    del sys.modules["chain"]


def test_every_step_is_a_recipe_with_its_overrides_long_and_short(steps):
    for step in steps:
        file = RECIPES / f"{step.recipe}.yaml"
        recipe.load(file, [*step.overrides])
        recipe.shortened(recipe.load(file, [*step.overrides, *step.quick]), 0.002)


def test_every_step_begins_with_runs_that_came_before(steps):
    done: set[str] = set()
    for step in steps:
        chosen = recipe.load(RECIPES / f"{step.recipe}.yaml", [*step.overrides])
        for start in chosen.start:
            assert Path(start.source).parent == Path("/there/runs")
            assert Path(start.source).name in done
        done.add(step.run)
