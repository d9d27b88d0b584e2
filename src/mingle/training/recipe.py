"""What a training run is: a recipe file, read strictly, with `key=value` overrides."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Literal

import yaml

from mingle import typed
from mingle.errors import ConfigError
from mingle.training.balance import Balance


@dataclass(frozen=True, kw_only=True)
class Group:
    """Parameters (a glob on their names, first match wins) that are optimised differently."""

    match: str
    lr_factor: float = 1.0
    weight_decay: float | None = None


@dataclass(frozen=True, kw_only=True)
class Optimizer:
    """AdamW. `weight_decay` acts on matrices only, never on vectors (norms, biases)."""

    lr: float
    betas: tuple[float, float]
    eps: float
    weight_decay: float
    clip_norm: float | None
    groups: tuple[Group, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Schedule:
    """The learning rate's factor: up over warmup_steps, flat, down over the last decay_steps."""

    warmup_steps: int
    decay_steps: int
    decay: Literal["linear", "cosine"]
    final_factor: float


@dataclass(frozen=True, kw_only=True)
class Stage:
    """One part of a run: which parameters learn (globs on names), from which data, how long.

    `losses` weighs every loss the task returns. With `ema`, a running average of the weights is
    kept, evaluated, and taken over as the weights when the stage ends. `recompute` names modules
    (globs) whose activations are computed again in the backward pass instead of kept. `balance`
    spreads the tokens of each modality over the experts.
    """

    name: str
    steps: int
    train: tuple[str, ...]
    data: dict[str, Any]
    losses: dict[str, float]
    optimizer: Optimizer
    schedule: Schedule
    accumulate: int = 1
    ema: float | None = None
    recompute: tuple[str, ...] = ()
    balance: Balance | None = None


@dataclass(frozen=True, kw_only=True)
class Start:
    """Weights to begin with, and where in the task's model they go.

    `source` is a safetensors file, a folder with `model.safetensors` (what `--export` writes), a
    run's folder (its newest weights, averages where it keeps them), or a model's folder or name.
    Only its module `part` is read (all of it without), and fills the module `into` (the whole
    model without). Names must be equal. `absent` are globs on the model's names that the source
    does not hold: they stay as the task builds them. `unused` are globs on names that the source
    has too much, as they would be called in the model.
    """

    source: str
    part: str = ""
    into: str = ""
    absent: tuple[str, ...] = ()
    unused: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Lora:
    """Low-rank adapters on weights (globs on names): linear layers and stacks of experts.

    They are called `parametrizations.WEIGHT.0.down` and `.up` inside their module; a stage trains
    them with `train: ["*.parametrizations.*.0.*"]`. `start` is a folder to go on from.
    """

    match: tuple[str, ...]
    rank: int
    alpha: float
    start: Path | None = None

    @property
    def scale(self) -> float:
        """What `up @ down` is multiplied with."""
        return self.alpha / self.rank


@dataclass(frozen=True, kw_only=True)
class Parallel:
    """How several processes share a model (torchrun). Experts are split over `expert_ranks` of
    them; with `shard`, all other weights over all of them (FSDP2), in `units` (globs on modules)
    that are gathered one at a time. Otherwise every process holds them whole.
    """

    shard: bool
    units: tuple[str, ...] = ()
    expert_ranks: int = 1


@dataclass(frozen=True, kw_only=True)
class Save:
    """When checkpoints are written, and how many are kept."""

    every_minutes: float = 5.0
    keep: int = 2


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """One run. `task` names an entry of `tasks.TASKS`; it reads `model` and each stage's `data`.

    `start` is where weights come from: one source for the whole model, or several for its parts.
    """

    task: str
    seed: int
    model: dict[str, Any]
    stages: tuple[Stage, ...]
    start: str | tuple[Start, ...] = ()
    lora: Lora | None = None
    parallel: Parallel = field(default_factory=lambda: Parallel(shard=False))
    device: Literal["cpu", "cuda"] = "cpu"
    save: Save = field(default_factory=Save)
    log_every: int = 10
    evaluate_every: int | None = None
    workers: int = 0
    threads: int = 1

    def __post_init__(self) -> None:
        least = {"log_every": 1, "evaluate_every": 1, "workers": 0, "threads": 1}
        for name, bound in least.items():
            if (found := getattr(self, name)) is not None and found < bound:
                raise ConfigError(f"{name} is {found}; expected {bound} or more")

    @property
    def starts(self) -> tuple[Start, ...]:
        """The sources of weights, in their order."""
        return (Start(source=self.start),) if isinstance(self.start, str) else self.start


def load(path: Path, overrides: Sequence[str] = ()) -> Recipe:
    """Read a recipe file and apply `a.b=value` overrides (stages by number or by name).

    Raises ConfigError with the line or the key that is wrong.
    """
    try:
        raw = yaml.safe_load(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise ConfigError(f"cannot read the recipe {path}: {error.strerror}") from error
    except yaml.YAMLError as error:
        raise ConfigError(f"{path} is not valid YAML: {error}") from error
    if not isinstance(raw, dict):
        raise ConfigError(f"{path} holds no recipe; expected key: value lines")
    for override in overrides:
        _apply(raw, override)
    return checked(typed.read(Recipe, raw, ""))


def checked(recipe: Recipe) -> Recipe:
    """Refuse what no run could mean: no stages, equal names, counts below one."""
    names = [stage.name for stage in recipe.stages]
    if not names or len(set(names)) != len(names):
        raise ConfigError(f"stages: found names {names}, expected at least one, all different")
    if recipe.parallel.shard and len({stage.train for stage in recipe.stages}) > 1:
        raise ConfigError(
            "parallel.shard: all stages must train the same parameters (FSDP2 fixes them at the "
            "start); make each stage a recipe of its own"
        )
    for stage in recipe.stages:
        for key in ("steps", "accumulate"):
            if getattr(stage, key) < 1:
                raise ConfigError(f"stages.{stage.name}.{key}: expected at least 1")
        if stage.schedule.warmup_steps + stage.schedule.decay_steps > stage.steps:
            raise ConfigError(
                f"stages.{stage.name}.schedule: warm-up ({stage.schedule.warmup_steps}) and decay "
                f"({stage.schedule.decay_steps}) are longer than the stage ({stage.steps} steps)"
            )
    return recipe


def shortened(recipe: Recipe, share: float) -> Recipe:
    """The same recipe with this share of every stage's steps, warm-up and decay; at least one step.

    For trying a whole road in minutes. Raises ConfigError for a share outside (0, 1].
    """
    if not 0 < share <= 1:
        raise ConfigError(f"share is {share}; give more than 0 and at most 1")

    def short(stage: Stage) -> Stage:
        steps = max(1, round(stage.steps * share))
        warmup = min(round(stage.schedule.warmup_steps * share), steps - 1)
        decay = min(round(stage.schedule.decay_steps * share), steps - warmup)
        schedule = replace(stage.schedule, warmup_steps=warmup, decay_steps=decay)
        return replace(stage, steps=steps, schedule=schedule)

    return checked(replace(recipe, stages=tuple(map(short, recipe.stages))))


def _apply(raw: dict[str, Any], override: str) -> None:
    path, separator, value = override.partition("=")
    if not separator:
        raise ConfigError(f"override '{override}': expected key=value, as in seed=2")
    *parents, last = path.split(".")
    place: Any = raw
    for depth, key in enumerate(parents):
        place = _child(place, key, ".".join(parents[: depth + 1]))
    if isinstance(place, list):
        place[_index(place, last, path)] = yaml.safe_load(value)
    elif isinstance(place, dict):
        place[last] = yaml.safe_load(value)
    else:
        raise ConfigError(f"override '{path}': '{'.'.join(parents)}' has no keys inside")


def _child(place: Any, key: str, path: str) -> Any:
    if isinstance(place, list):
        return place[_index(place, key, path)]
    if not isinstance(place, dict):
        raise ConfigError(f"override '{path}': there is nothing inside to set")
    if place.get(key) is None:
        place[key] = {}
    return place[key]


def _index(place: list[Any], key: str, path: str) -> int:
    names = [item.get("name") if isinstance(item, dict) else None for item in place]
    if key in names:
        return names.index(key)
    if key.isdecimal() and int(key) < len(place):
        return int(key)
    raise ConfigError(f"override '{path}': no '{key}' here; known: {names or 'nothing'}")
