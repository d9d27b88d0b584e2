"""Questions about pictures of the world, with short exact answers."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from mingle.worlds.scenes import NUMBERS, Scene, article, relation
from mingle.worlds.sprites import COLOURS, KINDS, PLURALS


@dataclass(frozen=True, kw_only=True)
class Question:
    """A question and its one right answer, in lower case."""

    kind: str
    text: str
    answer: str


def sample_question(rng: np.random.Generator, scene: Scene) -> Question:
    """A question of a kind that this scene can answer without doubt."""
    kinds = list(QUESTIONS)
    while True:
        kind = kinds[rng.integers(len(kinds))]
        asked = QUESTIONS[kind](rng, scene)
        if asked is not None:
            return Question(kind=kind, text=asked[0], answer=asked[1])


Asked = tuple[str, str] | None


def _what(rng: np.random.Generator, scene: Scene) -> Asked:
    if len(scene.things) != 1:
        return None
    return "What is in the picture?", article(scene.things[0].kind)


def _count(rng: np.random.Generator, scene: Scene) -> Asked:
    kind = scene.things[rng.integers(len(scene.things))].kind
    number = sum(thing.kind == kind for thing in scene.things)
    return f"How many {PLURALS[kind]} are there?", NUMBERS[number]


def _colour(rng: np.random.Generator, scene: Scene) -> Asked:
    coloured = [thing for thing in scene.things if thing.colour is not None]
    unique = [t for t in coloured if sum(o.kind == t.kind for o in scene.things) == 1]
    if not unique:
        return None
    thing = unique[rng.integers(len(unique))]
    assert thing.colour is not None
    return f"What colour is the {thing.kind}?", thing.colour


def _exists(rng: np.random.Generator, scene: Scene) -> Asked:
    present = {thing.kind for thing in scene.things}
    if rng.random() < 0.5:
        kind = sorted(present)[rng.integers(len(present))]
        return f"Is there {article(kind)} in the picture?", "yes"
    absent = [kind for kind in KINDS if kind not in present]
    return f"Is there {article(absent[rng.integers(len(absent))])} in the picture?", "no"


def _where(rng: np.random.Generator, scene: Scene) -> Asked:
    if len({thing.kind for thing in scene.things}) != len(scene.things) or len(scene.things) < 2:
        return None
    first, second = rng.permutation(len(scene.things))[:2]
    a, b = scene.things[first], scene.things[second]
    across, down = abs(a.x - b.x), abs(a.y - b.y)
    if max(across, down) < 2 * min(across, down):
        return None  # neither beside nor above: no clear answer
    where = {"left of": "left", "right of": "right"}.get(relation(a, b), relation(a, b))
    return f"Where is the {a.kind}, seen from the {b.kind}?", where


def _background(rng: np.random.Generator, scene: Scene) -> Asked:
    return "What is the background?", scene.background


def _which_is_coloured(rng: np.random.Generator, scene: Scene) -> Asked:
    colour = list(COLOURS)[rng.integers(len(COLOURS))]
    found = [thing for thing in scene.things if thing.colour == colour]
    return (f"What is {colour}?", article(found[0].kind)) if len(found) == 1 else None


QUESTIONS: dict[str, Callable[[np.random.Generator, Scene], Asked]] = {
    "what": _what,
    "count": _count,
    "colour": _colour,
    "exists": _exists,
    "where": _where,
    "background": _background,
    "which": _which_is_coloured,
}
