"""What the brush is taught: words, the picture they ask for, and the one they start from.

A plan fixes the words. The pictures can be drawn again and again: what the words leave open is
drawn anew each time, so a limited number of texts, which are dear to read, gives many pictures.
Pictures from words alone are arranged (`arrangement`): only their background is open. Edits start
from any scene of the world.
"""

from dataclasses import dataclass, replace
from itertools import permutations
from typing import Literal

import numpy as np
from jaxtyping import Bool, UInt8

from mingle.worlds.arrangement import arrange
from mingle.worlds.edits import PAINTS, Edit, sample_edit, sample_segmentation
from mingle.worlds.pictures import sample_lettered_scene
from mingle.worlds.scenes import (
    BACKGROUNDS,
    Scene,
    caption,
    draw,
    relation,
    sample_scene,
)
from mingle.worlds.split import Split

Kind = Literal["single", "several", "words", "edit", "segment", "mask"]
WHITE = (255, 255, 255)
TO_CORNERS = ("add", "move")  # kinds of edits
LARGEST_SHIFT = 0.08  # of the side; an edited scene is moved as a whole, so order and corners stay


@dataclass(frozen=True, kw_only=True)
class Plan:
    """One text and the scenes it fits. `source` is what an edit starts from.

    `painted` is the thing that segmentation paints over, and its paint (None: the picture becomes a
    black and white mask of it); `kind` a kind of edit.
    """

    text: str
    target: Scene
    source: Scene | None = None
    painted: tuple[int, str | None] | None = None
    kind: str = ""


@dataclass(frozen=True, kw_only=True)
class Lesson:
    """A plan drawn. `changed` is where an edit may change something; `paint` covers all of it."""

    text: str
    pixels: UInt8[np.ndarray, "side side 3"]
    before: UInt8[np.ndarray, "side side 3"] | None
    changed: Bool[np.ndarray, "side side"] | None
    source: Scene | None
    target: Scene
    paint: str | None = None


def sample_plan(rng: np.random.Generator, kind: Kind, *, split: Split) -> Plan:
    """A text of the kind, and scenes that it fits."""
    if kind == "edit":
        edit = sample_edit(rng, side=32, split=split)
        return Plan(text=edit.instruction, target=edit.target, source=edit.source, kind=edit.kind)
    if kind in ("segment", "mask"):
        edit = sample_segmentation(rng, side=32, split=split)
        painted = next(i for i in range(len(edit.source.things)) if _is_painted(edit, i))
        words, paint = edit.instruction.rsplit(" ", 1)
        if kind == "mask":
            words = words.replace("paint ", "show the mask of ", 1)
        return Plan(
            text=words if kind == "mask" else edit.instruction, target=edit.target,
            source=edit.source, painted=(painted, None if kind == "mask" else paint),
            kind=edit.kind,
        )  # fmt: skip
    if kind == "words":
        scene = sample_lettered_scene(rng, split=split)
    elif kind == "single":
        scene = sample_scene(rng, num_things=1, split=split)
    else:
        count = int(rng.choice([2, 2, 2, 2, 3, 3, 4]))
        same = rng.random() < (0.8 if count > 2 else 0.25)
        scene = sample_scene(rng, num_things=count, split=split, same_kind=same)
    return Plan(text=caption(rng, scene), target=scene)


def draw_plan(rng: np.random.Generator, plan: Plan, side: int, *, settled: bool = False) -> Lesson:
    """Draw a plan, with all that its words leave open drawn by chance.

    `settled`: what is added to a corner, or moved there, stands at one and the same point of it.
    """
    if plan.source is None:
        target = _anew(rng, plan)
        pixels = draw(target, side).pixels
        return Lesson(
            text=plan.text, pixels=pixels, before=None, changed=None, source=None, target=target
        )
    source, target = _moved(rng, plan.source, plan.target, plan.kind, settled)
    before, after = draw(source, side), draw(target, side)
    pixels, changed = after.pixels, (before.pixels != after.pixels).any(-1)
    laid = None
    if plan.painted is not None:
        thing, paint = plan.painted
        changed = before.masks[thing]
        pixels = np.zeros_like(before.pixels) if paint is None else before.pixels.copy()
        pixels[changed] = PAINTS[paint] if paint else WHITE
        laid = paint or "white"
    return Lesson(
        text=plan.text, pixels=pixels, before=before.pixels, changed=changed,
        source=source, target=target, paint=laid,
    )  # fmt: skip


def is_ground_told(caption: str) -> bool:
    """Whether a caption of the world names the background."""
    return caption.endswith(" background")


def _is_painted(edit: Edit, index: int) -> bool:
    return bool((draw(edit.source, 32).masks[index] == edit.changed).all())


def _anew(rng: np.random.Generator, plan: Plan) -> Scene:
    """Another scene that the plan's words fit; two things stand in their order if none is told."""
    scene = plan.target
    if not is_ground_told(plan.text):
        scene = replace(scene, background=list(BACKGROUNDS)[rng.integers(len(BACKGROUNDS))])
    told = (relation(*pair) in plan.text for pair in permutations(scene.things, 2))
    if len(scene.things) == 2 and not any(told):
        scene = scene.with_thing(0, x=0.0, y=0.5).with_thing(1, x=1.0, y=0.5)
    return arrange(scene)


def _moved(
    rng: np.random.Generator, source: Scene, target: Scene, kind: str, settled: bool
) -> tuple[Scene, Scene]:
    """Both scenes moved alike, on another background unless that is what the edit changes."""
    things = (*source.things, *target.things)
    down, across = (_shift(rng, [(getattr(t, axis), t.size) for t in things]) for axis in "yx")
    choice = [name for name in BACKGROUNDS if kind != "background" or name != target.background]
    background = choice[rng.integers(len(choice))]
    gradient = bool(rng.random() < 0.4)

    still = set(target.things) - set(source.things) if settled and kind in TO_CORNERS else ()

    def moved(scene: Scene, background: str) -> Scene:
        shifted = tuple(
            t if t in still else replace(t, x=t.x + across, y=t.y + down) for t in scene.things
        )
        return replace(scene, things=shifted, background=background, gradient=gradient)

    new = target.background if kind == "background" else background
    return moved(source, background), moved(target, new)


def _shift(rng: np.random.Generator, spans: list[tuple[float, float]]) -> float:
    """A shift along one axis that keeps every (centre, size) inside the picture."""
    least = max(max(size / 2 - centre for centre, size in spans), -LARGEST_SHIFT)
    most = min(min(1 - size / 2 - centre for centre, size in spans), LARGEST_SHIFT)
    return float(rng.uniform(least, most)) if least < most else 0.0
