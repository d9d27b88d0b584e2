"""Pictures from words: the six GenEval tasks on the picture world, judged strictly."""

import numpy as np
import PIL.Image

from mingle.engine.assistant import Assistant
from mingle.evaluation.abilities.figure import Ability, Effort, Figure, share
from mingle.evaluation.abilities.gallery import Card, write_sheet
from mingle.evaluation.abilities.wishes import TASKS, Wish, fulfilled, sample_wish
from mingle.evaluation.judge import SIDE, Judge, Seen, open_judge
from mingle.worlds.scenes import draw

COUNT = 20  # prompts a task


def measure(assistant: Assistant, effort: Effort) -> list[Figure]:
    """The share of right pictures in each task and their mean; and of real ones, the ceiling."""
    judge, figures, everything = open_judge(), [], []
    real: list[bool] = []
    for task in TASKS:
        rng = np.random.default_rng((20261126, TASKS.index(task)))
        wishes = [sample_wish(rng, task) for _ in range(effort.of(COUNT))]
        painted = [
            assistant.paint(wish.prompt, seed=seed)[0].image for seed, wish in enumerate(wishes)
        ]
        seen = judge.look(painted)
        right = [fulfilled(wish, found) for wish, found in zip(wishes, seen, strict=True)]
        if (folder := effort.folder(ABILITY.name)) is not None:
            write_sheet(folder / f"{task}.png", _cards(wishes, painted, seen, right))
        figures.append(_figure(f"right pictures: {task}", right))
        everything.append(right)
        real += _real(judge, wishes)
    means = [float(np.mean(right)) for right in everything]
    outcomes = [outcome for right in everything for outcome in right]
    _, low, high = share(outcomes)
    return [
        Figure(
            name="right pictures: mean of the six",
            value=float(np.mean(means)),
            low=low,
            high=high,
            count=len(outcomes),
            better="higher",
            bar=0.60,
            goal=0.90,
        ),
        *figures,
        _figure("the judge on real pictures of the same", real),
    ]


def _real(judge: Judge, wishes: list[Wish]) -> list[bool]:
    drawn = [PIL.Image.fromarray(draw(wish.scene, SIDE).pixels) for wish in wishes]
    return [fulfilled(w, found) for w, found in zip(wishes, judge.look(drawn), strict=True)]


def _cards(
    wishes: list[Wish], painted: list[PIL.Image.Image], seen: list[list[Seen]], right: list[bool]
) -> list[Card]:
    return [
        Card(pictures=[p], asked=w.prompt, said=in_words(found), right=ok)
        for p, w, found, ok in zip(painted, wishes, seen, right, strict=True)
    ]


def in_words(seen: list[Seen]) -> str:
    """What the judge sees, for people."""
    return ", ".join(f"{s.colour or ''} {s.kind}".strip() for s in seen) or "nothing"


def _figure(name: str, outcomes: list[bool]) -> Figure:
    value, low, high = share(outcomes)
    return Figure(
        name=name, value=value, low=low, high=high, count=len(outcomes), better="higher"
    )  # fmt: skip


ABILITY = Ability(
    name="pictures",
    title="Pictures from words",
    parts=("thinker", "painter"),
    data=(
        "20 prompts for each of GenEval's six tasks on the picture world, unseen combinations; "
        "judged strictly by a detector of another seed: the named things and no other"
    ),
    measure=measure,
)
