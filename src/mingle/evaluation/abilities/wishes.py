"""What a picture is asked to show, and whether it does: the strict reading of GenEval's tasks.

A picture is right when it shows the named things and no other, each in its colour where one was
named, and where they were asked to be. (Ghosh et al. 2023; there other things do not count.)
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import permutations
from typing import Literal

import numpy as np

from mingle.evaluation.judge import Seen
from mingle.worlds.scenes import Scene, Thing, caption, relation, sample_scene
from mingle.worlds.sprites import KINDS, SHAPES

Task = Literal["single", "two", "counting", "colours", "position", "attribution"]
TASKS: tuple[Task, ...] = ("single", "two", "counting", "colours", "position", "attribution")
PLACES = ("left of", "right of", "above", "below")


@dataclass(frozen=True, kw_only=True)
class Wish:
    """A prompt, and the scene that it describes. With `placed` the relation of two is asked for."""

    prompt: str
    scene: Scene
    placed: bool


def sample_wish(rng: np.random.Generator, task: Task) -> Wish:
    """A prompt of the task, with an unseen combination (but a single thing in its own look)."""
    while True:
        scene = _scene(rng, task)
        prompt = caption(rng, scene)
        placed = any(f" {place} " in prompt for place in PLACES)
        if prompt.endswith(" background") or placed != (task == "position"):
            continue
        return Wish(prompt=prompt, scene=scene, placed=placed)


def _scene(rng: np.random.Generator, task: Task) -> Scene:
    while True:
        if task == "single":
            kind = KINDS[rng.integers(len(KINDS) - len(SHAPES))]
            thing = Thing(kind=kind, colour=None, x=0.5, y=0.5, size=0.6)
            return Scene(things=(thing,), background="white")
        if task == "counting":
            count = int(rng.integers(2, 5))
            return sample_scene(rng, num_things=count, split="held_out", same_kind=True)
        count = 1 if task == "colours" else 2
        scene = sample_scene(rng, num_things=count, split="held_out")
        named = [thing.colour is not None for thing in scene.things]
        kinds = {thing.kind for thing in scene.things}
        if len(kinds) < count or (task in ("colours", "attribution") and not all(named)):
            continue
        return scene


def fulfilled(wish: Wish, seen: Sequence[Seen]) -> bool:
    """Whether a picture shows what was wished for, and nothing else."""
    things = wish.scene.things
    if len(seen) != len(things):
        return False
    return any(_fits(wish, [seen[i] for i in order]) for order in permutations(range(len(seen))))


def _fits(wish: Wish, seen: Sequence[Seen]) -> bool:
    things = wish.scene.things
    if not all(is_shown(thing, one) for thing, one in zip(things, seen, strict=True)):
        return False
    return not wish.placed or relation(*_placed(seen)) == relation(*things)


def is_shown(thing: Thing, seen: Seen) -> bool:
    """Whether the judge sees this kind of thing, in its colour if it has one."""
    return thing.kind == seen.kind and thing.colour in (None, seen.colour)


def _placed(seen: Sequence[Seen]) -> list[Thing]:
    return [Thing(kind=s.kind, colour=s.colour, x=s.x, y=s.y, size=0.0) for s in seen]
