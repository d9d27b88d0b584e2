"""When a painted picture counts as right."""

import numpy as np
import PIL.Image
import pytest

from mingle.evaluation.abilities import lettering
from mingle.evaluation.abilities.edits import background_of, followed, psnr_outside
from mingle.evaluation.abilities.wishes import TASKS, Wish, fulfilled, sample_wish
from mingle.evaluation.judge import Seen
from mingle.worlds import sprites
from mingle.worlds.lessons import draw_plan, sample_plan
from mingle.worlds.scenes import FONTS, Lettering, Scene, Thing, draw

CAT = Thing(kind="cat", colour="red", x=0.2, y=0.5, size=0.3)
DOG = Thing(kind="dog", colour=None, x=0.8, y=0.5, size=0.3)
BOTH = Wish(
    prompt="a red cat left of a dog",
    scene=Scene(things=(CAT, DOG), background="white"),
    placed=True,
)
world = pytest.mark.skipif(
    not sprites.FONT.exists(), reason="the emoji font is not installed (make worlds)"
)


def seen(kind: str, colour: str | None, x: float, y: float = 0.5) -> Seen:
    return Seen(kind=kind, colour=colour, x=x, y=y)


@pytest.mark.parametrize(
    ("shown", "right"),
    [
        ([seen("dog", "blue", 0.7), seen("cat", "red", 0.3)], True),  # any dog was asked for
        ([seen("cat", "red", 0.3)], False),  # one is missing
        ([seen("cat", "red", 0.3), seen("dog", None, 0.7), seen("key", None, 0.5)], False),
        ([seen("cat", "blue", 0.3), seen("dog", None, 0.7)], False),  # another colour
        ([seen("cat", "red", 0.7), seen("dog", None, 0.3)], False),  # the wrong way round
        ([seen("cat", "red", 0.5, 0.2), seen("dog", None, 0.5, 0.8)], False),  # above
    ],
)
def test_only_the_named_things_in_their_colours_and_places_are_right(shown, right: bool):
    assert fulfilled(BOTH, shown) is right


@world
@pytest.mark.parametrize("task", TASKS)
def test_the_scene_of_a_wish_fulfils_it(task):
    rng = np.random.default_rng(1)
    for _ in range(20):
        wish = sample_wish(rng, task)
        things = wish.scene.things
        assert fulfilled(wish, [seen(t.kind, t.colour, t.x, t.y) for t in things])
        assert wish.placed == (task == "position")
        if task == "attribution":
            assert all(thing.colour for thing in things)


@world
def test_an_edit_is_followed_by_its_own_picture_and_not_by_the_one_before():
    rng = np.random.default_rng(2)
    for _ in range(30):
        plan = sample_plan(rng, "edit", split="held_out")
        lesson = draw_plan(rng, plan, 64)
        things = [seen(t.kind, t.colour, t.x, t.y) for t in lesson.target.things]
        assert followed(lesson, PIL.Image.fromarray(lesson.pixels), things)
        if plan.kind == "background":
            assert lesson.before is not None
            assert not followed(lesson, PIL.Image.fromarray(lesson.before), things)
        assert psnr_outside(PIL.Image.fromarray(lesson.pixels), lesson) in (None, 80.0)


@world
def test_backgrounds_are_told_apart_beside_things():
    for background in ("sky", "mint", "grey"):
        scene = Scene(things=(CAT, DOG), background=background, gradient=True)
        assert background_of(PIL.Image.fromarray(draw(scene, 64).pixels), scene) == background


@world
@pytest.mark.skipif(lettering.shutil.which("tesseract") is None, reason="Tesseract is not there")
def test_a_word_of_the_world_is_read():
    word = Lettering(text="HELLO", font=FONTS[0], colour="blue", y=0.4, size=0.25)
    scene = Scene(things=(), background="white", lettering=word)
    assert lettering.read_word(PIL.Image.fromarray(draw(scene, 64).pixels)) == "HELLO"
