"""What the brush is taught: pictures drawn anew must still fit their words."""

import re

import numpy as np
import pytest

from mingle.worlds import sprites
from mingle.worlds.edits import PAINTS
from mingle.worlds.lessons import Kind, draw_plan, sample_plan
from mingle.worlds.scenes import article, relation

pytestmark = pytest.mark.skipif(
    not sprites.FONT.exists(), reason="the emoji font is not installed (make worlds)"
)
ALL: tuple[Kind, ...] = ("single", "several", "edit", "segment")


def lessons(kind: Kind, plans: int = 30, times: int = 3):
    rng = np.random.default_rng(3)
    for _ in range(plans):
        plan = sample_plan(rng, kind, split="train")
        for _ in range(times):
            yield plan, draw_plan(rng, plan, 64)


@pytest.mark.parametrize("kind", ALL)
def test_things_lie_inside_the_picture_and_keep_their_looks(kind: Kind):
    for plan, lesson in lessons(kind):
        for before, after in zip(plan.target.things, lesson.target.things, strict=True):
            assert (before.kind, before.colour) == (after.kind, after.colour)
            for place in (after.x, after.y):
                assert after.size / 2 - 1e-6 <= place <= 1 - after.size / 2 + 1e-6


def test_a_relation_that_was_told_stays_whichever_thing_is_named_first():
    orders = {True: 0, False: 0}
    for plan, lesson in lessons("several", plans=300, times=1):
        things = lesson.target.things
        where = re.search(r" (left of|right of|above|below) ", plan.text)
        if where is None or things[0].name == things[1].name:
            continue
        in_order = article(things[0].name) == plan.text[: where.start()]
        orders[in_order] += 1
        assert relation(*(things if in_order else things[::-1])) == where[1], plan.text
    assert min(orders.values()) > 10


def test_two_things_of_which_no_relation_is_told_stand_in_their_order():
    listed = [
        relation(*lesson.target.things)
        for plan, lesson in lessons("several", plans=120, times=1)
        if len(lesson.target.things) == 2 and " and " in plan.text
    ]
    assert len(listed) > 10
    assert set(listed) == {"left of"}


def test_a_background_that_was_told_stays():
    seen = {True: set(), False: set()}
    for plan, lesson in lessons("single", plans=60):
        told = plan.text.endswith(" background")
        seen[told].add(lesson.target.background == plan.target.background)
    assert seen == {True: {True}, False: {True, False}}


def test_an_edit_changes_nothing_but_what_it_may():
    for _, lesson in lessons("edit"):
        assert lesson.before is not None
        assert lesson.changed is not None
        assert (lesson.before == lesson.pixels)[~lesson.changed].all()


def test_what_is_settled_in_a_corner_stands_at_one_point_of_it():
    rng = np.random.default_rng(5)
    seen = {"add": 0, "move": 0}
    for _ in range(200):
        plan = sample_plan(rng, "edit", split="train")
        if plan.kind not in seen:
            continue
        drawn = [draw_plan(rng, plan, 64, settled=True) for _ in range(3)]
        (new,) = set(plan.target.things) - set(plan.source.things)  # pyright: ignore
        assert all(new in lesson.target.things for lesson in drawn)
        others = [set(one.target.things) - {new} for one in drawn]
        seen[plan.kind] += others[0] != others[1]
    assert min(seen.values()) > 5


def test_segmentation_paints_one_thing_in_one_colour():
    for plan, lesson in lessons("segment"):
        assert lesson.before is not None
        paint = PAINTS[plan.text.rsplit(" ", 1)[1]]
        assert lesson.changed is not None
        assert (lesson.pixels[lesson.changed] == paint).all()
        assert (lesson.before == lesson.pixels)[~lesson.changed].all()
        assert lesson.changed.any()


def test_the_ablation_asks_for_a_mask_and_shows_it():
    for plan, lesson in lessons("mask", plans=10):
        assert plan.text.startswith("show the mask of the ")
        assert lesson.changed is not None
        assert (lesson.pixels[lesson.changed] == 255).all()
        assert (lesson.pixels[~lesson.changed] == 0).all()
