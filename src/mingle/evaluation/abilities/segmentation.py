"""Segmentation as editing: what a phrase names is painted over, and the mask read from that."""

import numpy as np
import PIL.Image

from mingle.engine.assistant import Assistant
from mingle.evaluation.abilities.figure import Ability, Effort, Figure, mean, ratio, share
from mingle.evaluation.abilities.gallery import Card, write_sheet
from mingle.worlds.lessons import draw_plan, sample_plan

COUNT = 48
SIDE = 64
GOOD = 0.5  # intersection over union from which on a mask counts as found


def measure(assistant: Assistant, effort: Effort) -> list[Figure]:
    """cIoU (summed intersections over summed unions), mean IoU, and the share above 0.5."""
    rng = np.random.default_rng(20261129)
    plans = [sample_plan(rng, "segment", split="held_out") for _ in range(effort.of(COUNT))]
    lessons = [draw_plan(rng, plan, SIDE) for plan in plans]
    both, either, cards = [], [], []
    for seed, lesson in enumerate(lessons):
        assert lesson.before is not None
        picture = PIL.Image.fromarray(lesson.before)
        phrase = lesson.text.removeprefix("paint ").rsplit(" ", 1)[0]
        found = assistant.segment(picture, phrase, seed=seed)
        mask = np.asarray(found.mask) > 127
        assert lesson.changed is not None
        both.append(int((mask & lesson.changed).sum()))
        either.append(int((mask | lesson.changed).sum()))
        overlap = both[-1] / max(either[-1], 1)
        wanted = PIL.Image.fromarray(lesson.changed.astype(np.uint8) * 255)
        cards.append(
            Card(
                pictures=(picture, found.overlay, wanted),
                asked=phrase,
                said=f"IoU {overlap:.2f}",
                right=overlap >= GOOD,
            )
        )
    if (folder := effort.folder(ABILITY.name)) is not None:
        write_sheet(folder / "masks.png", cards)
    return _figures(both, either)


def _figures(both: list[int], either: list[int]) -> list[Figure]:
    overlaps = [one / max(all_, 1) for one, all_ in zip(both, either, strict=True)]
    values = {
        "cIoU": (ratio(both, either), 0.60, 0.75),
        "mean IoU": (mean(overlaps), None, None),
        "masks with an IoU of 0.5 or more": (share([o >= GOOD for o in overlaps]), None, None),
    }
    return [
        Figure(
            name=name, value=value, low=low, high=high, count=len(both), better="higher",
            bar=bar, goal=goal,
        )
        for name, ((value, low, high), bar, goal) in values.items()
    ]  # fmt: skip


ABILITY = Ability(
    name="segmentation",
    title="Segmentation as editing",
    parts=("thinker", "painter"),
    data="48 referring phrases on scenes with unseen combinations; masks read from the edit",
    measure=measure,
)
