"""Edits of the picture world: an instruction, the picture before and after, what may change.

Segmentation is an edit too: the named things are painted in one flat colour (PAPERS.md,
segmentation as editing); the mask is what the paint covers.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
from jaxtyping import Bool, UInt8

from mingle.worlds.scenes import (
    BACKGROUNDS,
    Scene,
    Thing,
    article,
    draw,
    sample_scene,
)
from mingle.worlds.split import Split
from mingle.worlds.sprites import COLOURS, KINDS

PAINTS = {
    "red": (255, 0, 0),
    "green": (0, 255, 0),
    "blue": (0, 0, 255),
    "purple": (160, 0, 255),
    "yellow": (255, 255, 0),
    "cyan": (0, 255, 255),
}
ORDINALS = ("first", "second", "third", "fourth", "fifth")


@dataclass(frozen=True, kw_only=True)
class Edit:
    """One edit pair. `changed` covers every pixel that the edit is allowed to touch."""

    kind: str
    instruction: str
    before: UInt8[np.ndarray, "height width 3"]
    after: UInt8[np.ndarray, "height width 3"]
    changed: Bool[np.ndarray, "height width"]
    source: Scene
    target: Scene


def sample_edit(rng: np.random.Generator, *, side: int, split: Split) -> Edit:
    """One edit of a kind drawn evenly from EDITS, on a scene of the split."""
    kind = list(EDITS)[rng.integers(len(EDITS))]
    while True:
        scene = sample_scene(rng, num_things=int(rng.integers(1, 4)), split=split)
        instruction, target = EDITS[kind](rng, scene)
        before, after = draw(scene, side), draw(target, side)
        changed = (before.pixels != after.pixels).any(-1)
        if changed.mean() > 0.005:  # an edit nobody can see teaches nothing
            break
    return Edit(
        kind=kind,
        instruction=instruction,
        before=before.pixels,
        after=after.pixels,
        changed=changed,
        source=scene,
        target=target,
    )


def sample_segmentation(rng: np.random.Generator, *, side: int, split: Split) -> Edit:
    """Paint what a referring phrase names. `changed` is the mask of the named thing."""
    scene = sample_scene(
        rng, num_things=int(rng.integers(1, 5)), split=split, same_kind=bool(rng.random() < 0.3)
    )
    index = int(rng.integers(len(scene.things)))
    paint = list(PAINTS)[rng.integers(len(PAINTS))]
    drawing = draw(scene, side)
    after = drawing.pixels.copy()
    after[drawing.masks[index]] = PAINTS[paint]
    return Edit(
        kind="segment",
        instruction=f"paint {referring_phrase(rng, scene, index)} {paint}",
        before=drawing.pixels,
        after=after,
        changed=drawing.masks[index],
        source=scene,
        target=scene,
    )


def referring_phrase(rng: np.random.Generator, scene: Scene, index: int) -> str:
    """A phrase that fits this thing and no other: by name, by order, or by place."""
    thing = scene.things[index]
    alike = [other for other in scene.things if other.name == thing.name]
    if len(alike) == 1:
        same_kind = sum(other.kind == thing.kind for other in scene.things)
        return f"the {thing.kind if same_kind == 1 and rng.random() < 0.3 else thing.name}"
    by_x = sorted(alike, key=lambda other: other.x)
    rank = by_x.index(thing)
    if rank == 0 and rng.random() < 0.5:
        return f"the leftmost {thing.name}"
    if rank == len(by_x) - 1 and rng.random() < 0.5:
        return f"the rightmost {thing.name}"
    return f"the {ORDINALS[rank]} {thing.name} from the left"


def _recolour(rng: np.random.Generator, scene: Scene) -> tuple[str, Scene]:
    index = int(rng.integers(len(scene.things)))
    colours = [colour for colour in COLOURS if colour != scene.things[index].colour]
    colour = colours[rng.integers(len(colours))]
    phrase = referring_phrase(rng, scene, index)
    return f"make {phrase} {colour}", scene.with_thing(index, colour=colour)


def _remove(rng: np.random.Generator, scene: Scene) -> tuple[str, Scene]:
    index = int(rng.integers(len(scene.things)))
    kept = scene.things[:index] + scene.things[index + 1 :]
    return f"remove {referring_phrase(rng, scene, index)}", replace(scene, things=kept)


def _replace(rng: np.random.Generator, scene: Scene) -> tuple[str, Scene]:
    index = int(rng.integers(len(scene.things)))
    kinds = [kind for kind in KINDS if kind != scene.things[index].kind]
    new = replace(
        scene.things[index],
        kind=kinds[rng.integers(len(kinds))],
        colour=list(COLOURS)[rng.integers(len(COLOURS))],
    )
    phrase = referring_phrase(rng, scene, index)
    return (
        f"replace {phrase} with {article(new.name)}",
        scene.with_thing(index, kind=new.kind, colour=new.colour),
    )


def _add(rng: np.random.Generator, scene: Scene) -> tuple[str, Scene]:
    spot, where = _free_corner(rng, scene)
    kind = KINDS[rng.integers(len(KINDS))]
    colour = list(COLOURS)[rng.integers(len(COLOURS))]
    new = Thing(kind=kind, colour=colour, x=spot[0], y=spot[1], size=0.26)
    return f"add {article(new.name)} {where}", replace(scene, things=(*scene.things, new))


def _move(rng: np.random.Generator, scene: Scene) -> tuple[str, Scene]:
    index = int(rng.integers(len(scene.things)))
    spot, where = _free_corner(rng, scene)
    phrase = referring_phrase(rng, scene, index)
    size = min(scene.things[index].size, 0.4)
    half = size / 2
    x, y = (min(max(value, half), 1 - half) for value in spot)
    return f"move {phrase} {where.replace('in the', 'to the')}", scene.with_thing(
        index, x=x, y=y, size=size
    )


def _change_background(rng: np.random.Generator, scene: Scene) -> tuple[str, Scene]:
    others = [name for name in BACKGROUNDS if name != scene.background]
    background = others[rng.integers(len(others))]
    return f"change the background to {background}", replace(scene, background=background)


def _free_corner(rng: np.random.Generator, scene: Scene) -> tuple[tuple[float, float], str]:
    """The corner farthest from every thing (ties by chance), and how it is called."""
    corners = {
        "in the top left": (0.15, 0.15),
        "in the top right": (0.85, 0.15),
        "in the bottom left": (0.15, 0.85),
        "in the bottom right": (0.85, 0.85),
    }
    names = [list(corners)[i] for i in rng.permutation(len(corners))]

    def room(name: str) -> float:
        x, y = corners[name]
        return min(max(abs(x - t.x), abs(y - t.y)) - t.size / 2 for t in scene.things)

    best = max(names, key=room)
    return corners[best], best


EDITS: dict[str, Callable[[np.random.Generator, Scene], tuple[str, Scene]]] = {
    "recolour": _recolour,
    "remove": _remove,
    "add": _add,
    "replace": _replace,
    "move": _move,
    "background": _change_background,
}
