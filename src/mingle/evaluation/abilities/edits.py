"""Edits by words: is the instruction followed, and does the rest stay as it was?"""

from collections.abc import Sequence
from itertools import permutations

import numpy as np
import PIL.Image

from mingle.engine.assistant import Assistant
from mingle.evaluation.abilities.figure import Ability, Effort, Figure, mean, share
from mingle.evaluation.abilities.gallery import Card, write_sheet
from mingle.evaluation.abilities.wishes import is_shown
from mingle.evaluation.judge import Seen, open_judge
from mingle.worlds.edits import EDITS
from mingle.worlds.lessons import Lesson, Plan, draw_plan, sample_plan
from mingle.worlds.scenes import BACKGROUNDS, Scene

COUNT = 48
SIDE = 64
NEAR = 0.12  # of the side; so far may a thing be from where it should be
SEVEREST = 1e-8  # of the squared range; equal pictures count as 80 dB


def measure(assistant: Assistant, effort: Effort) -> list[Figure]:
    """The share of edits followed, by kind; PSNR of what they must not touch; the judge's share."""
    rng = np.random.default_rng(20261128)
    plans = [sample_plan(rng, "edit", split="held_out") for _ in range(effort.of(COUNT))]
    lessons = [draw_plan(rng, plan, SIDE) for plan in plans]
    judge = open_judge()
    before = [PIL.Image.fromarray(_before(lesson)) for lesson in lessons]
    edited = [
        assistant.edit(picture, lesson.text, seed=seed)[0].image
        for seed, (picture, lesson) in enumerate(zip(before, lessons, strict=True))
    ]
    wanted = [PIL.Image.fromarray(lesson.pixels) for lesson in lessons]
    right, real = (
        [followed(*one) for one in zip(lessons, ps, judge.look(ps), strict=True)]
        for ps in (edited, wanted)
    )
    if (folder := effort.folder(ABILITY.name)) is not None:
        cards = [
            Card(pictures=trio, asked=lesson.text, said="followed" if ok else "not", right=ok)
            for *trio, lesson, ok in zip(before, edited, wanted, lessons, right, strict=True)
        ]
        write_sheet(folder / "edits.png", cards)
    outside = [psnr_outside(p, lesson) for p, lesson in zip(edited, lessons, strict=True)]
    untouched = [value for value in outside if value is not None]
    value, low, high = mean(untouched)
    return [
        _share("edits followed", right, bar=0.60, goal=0.80),
        Figure(
            name="PSNR outside the edit, dB", value=value, low=low, high=high,
            count=len(untouched), better="higher", bar=26.0, goal=30.0,
        ),
        *_by_kind(plans, right),
        _share("edits followed by the world's own pictures", real),
    ]  # fmt: skip


def followed(lesson: Lesson, picture: PIL.Image.Image, seen: Sequence[Seen]) -> bool:
    """Whether the picture shows the scene that was asked for: its things, places, background."""
    target = lesson.target
    if len(seen) != len(target.things) or background_of(picture, target) != target.background:
        return False
    return any(
        all(
            is_shown(thing, seen[i])
            and max(abs(thing.x - seen[i].x), abs(thing.y - seen[i].y)) < NEAR
            for thing, i in zip(target.things, order, strict=True)
        )
        for order in permutations(range(len(seen)))
    )


def background_of(picture: PIL.Image.Image, scene: Scene) -> str:
    """The background whose colour is nearest to the upper edge, where no shade lies, off things."""
    pixels = np.asarray(picture.convert("RGB").resize((SIDE, SIDE)), np.float32)
    rows = pixels[: SIDE // 4]
    places = (np.arange(SIDE) + 0.5) / SIDE
    free = np.ones(rows.shape[:2], bool)
    for thing in scene.things:
        half = thing.size / 2 + 0.03
        free &= ~(
            (abs(places[: SIDE // 4, None] - thing.y) < half) & (abs(places - thing.x) < half)
        )
    colour = np.median(rows[free] if free.any() else rows.reshape(-1, 3), axis=0)
    return min(BACKGROUNDS, key=lambda name: float(np.linalg.norm(colour - BACKGROUNDS[name])))


def psnr_outside(picture: PIL.Image.Image, lesson: Lesson) -> float | None:
    """PSNR in dB of what the edit must not touch against the original; None if it is for all."""
    assert lesson.changed is not None
    kept = ~lesson.changed
    if kept.mean() < 0.05:
        return None
    edited = np.asarray(picture.convert("RGB").resize((SIDE, SIDE)), np.float32)
    error = ((edited - _before(lesson).astype(np.float32))[kept] / 255) ** 2
    return float(-10 * np.log10(max(float(error.mean()), SEVEREST)))


def _before(lesson: Lesson) -> np.ndarray:
    assert lesson.before is not None
    return lesson.before


def _by_kind(plans: Sequence[Plan], right: Sequence[bool]) -> list[Figure]:
    return [
        _share(
            f"edits followed: {kind}",
            [ok for plan, ok in zip(plans, right, strict=True) if plan.kind == kind],
        )
        for kind in EDITS
        if any(plan.kind == kind for plan in plans)
    ]


def _share(
    name: str, outcomes: Sequence[bool], bar: float | None = None, goal: float | None = None
) -> Figure:
    value, low, high = share(outcomes)
    return Figure(
        name=name, value=value, low=low, high=high, count=len(outcomes), better="higher",
        bar=bar, goal=goal,
    )  # fmt: skip


ABILITY = Ability(
    name="edits",
    title="Edits by words",
    parts=("thinker", "painter"),
    data=(
        "48 edits of six kinds on scenes with unseen combinations; followed when the judge sees "
        "the things asked for, in their places, on the background asked for"
    ),
    measure=measure,
)
