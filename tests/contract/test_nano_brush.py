"""nano's brush, from the committed weights: it paints, edits and finds things of its world."""

import numpy as np
import PIL.Image
import pytest

from mingle.evaluation.judge import Judge, open_judge
from mingle.worlds import sprites
from mingle.worlds.scenes import Drawing, Scene, Thing, draw

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not sprites.FONT.exists(), reason="no emoji font (make worlds)"),
]
STAR = Thing(kind="star", colour="yellow", x=0.27, y=0.3, size=0.36)
CUP = Thing(kind="cup", colour="red", x=0.72, y=0.68, size=0.36)


@pytest.fixture(scope="module")
def judge() -> Judge:
    return open_judge()


@pytest.fixture(scope="module")
def scene() -> Drawing:
    return draw(Scene(things=(STAR, CUP), background="white"), 64)


def names(judge: Judge, picture: PIL.Image.Image) -> list[str]:
    return sorted(f"{seen.colour or ''} {seen.kind}".strip() for seen in judge.look([picture])[0])


def test_it_paints_what_stands_where(nano_itself, judge: Judge):
    painted = nano_itself.paint("a red circle left of a blue square", seed=3)[0].image
    left, right = sorted(judge.look([painted])[0], key=lambda seen: seen.x)
    assert (left.colour, left.kind, right.colour, right.kind) == ("red", "circle", "blue", "square")


def test_it_draws_any_text_in_the_capitals_it_was_taught(nano_itself):
    small, large = (
        nano_itself.paint(f'the text "{word}"', seed=3)[0].image for word in ("open", "OPEN")
    )
    assert np.array_equal(np.asarray(small), np.asarray(large))
    assert nano_itself.paint('the text "OVEN"', seed=3)[0].image.tobytes() != large.tobytes()


def test_an_edit_changes_what_is_named_and_nothing_else(nano_itself, judge: Judge, scene: Drawing):
    before = PIL.Image.fromarray(scene.pixels)
    edited = nano_itself.edit(before, "remove the yellow star", seed=3)[0].image
    assert names(judge, edited) == ["red cup"]
    cup = scene.masks[1]
    error = np.asarray(edited, np.float32)[cup] - scene.pixels[cup]
    assert np.sqrt((error**2).mean()) < 2  # levels: its latents are kept


def test_a_mask_lies_on_what_is_named(nano_itself, scene: Drawing):
    picture = PIL.Image.fromarray(scene.pixels)
    for thing, truth in zip((STAR, CUP), scene.masks, strict=True):
        found = np.asarray(nano_itself.segment(picture, f"the {thing.name}", seed=3).mask) > 127
        overlap = (found & truth).sum() / (found | truth).sum()
        assert overlap > 0.6, thing.name
