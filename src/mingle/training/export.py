"""A finished (or stopped) run -> a model in its official layout, or an adapter."""

from pathlib import Path

import yaml

from mingle import typed
from mingle.errors import CheckpointError, ConfigError
from mingle.training import checkpoint, loop, lora
from mingle.training.recipe import Recipe
from mingle.training.task import Task


def export_model(run: Path, folder: Path) -> None:
    """Write the run's newest weights, adapters merged. Raises CheckpointError, InputError."""
    task, _ = trained(run)
    lora.merge(task.model)
    task.export(folder)


def export_adapter(run: Path, folder: Path) -> None:
    """Write the run's newest adapter as PEFT reads it. Raises ConfigError if it has none."""
    task, recipe = trained(run)
    if recipe.lora is None:
        raise ConfigError(f"{run} trained no adapter (its recipe has no `lora`); use --export")
    lora.save(task.model, task.rules(), recipe.lora, str(recipe.model.get("start", "")), folder)


def trained(run: Path) -> tuple[Task, Recipe]:
    """The task of a run with its newest weights (running averages where there are any)."""
    path = run / "recipe.yaml"
    if not path.exists():
        raise CheckpointError(f"{run} is no run's folder (no recipe.yaml); train first")
    recipe = typed.read(Recipe, yaml.safe_load(path.read_text(encoding="utf-8")), "")
    task = loop.build(recipe, run)
    weights = checkpoint.read_weights(run)
    unknown = task.model.load_state_dict(weights, strict=False).unexpected_keys
    if unknown:
        raise CheckpointError(f"{run} holds weights that its recipe's model lacks: {unknown[:3]}")
    task.model.eval()
    return task, recipe
