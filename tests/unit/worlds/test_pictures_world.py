"""The picture world: what is drawn is what is said, and held out is held out."""

from dataclasses import replace

import numpy as np
import pytest

from mingle.worlds import edits, pictures, questions, scenes, sentences, sprites
from mingle.worlds.scenes import Scene, Thing
from mingle.worlds.split import is_held_out

pytestmark = pytest.mark.skipif(
    not (sprites.FONT.exists() and sentences.WORDNET.exists()),
    reason="the emoji font and WordNet are not installed (make worlds)",
)
SIDE = 64


def square(**changes: object) -> Thing:
    whole = Thing(kind="square", colour="red", x=0.5, y=0.5, size=0.5)
    return replace(whole, **changes)


def test_mask_of_a_square_is_the_square():
    drawing = scenes.draw(Scene(things=(square(),), background="white"), SIDE)
    expected = np.zeros((SIDE, SIDE), dtype=bool)
    expected[16:48, 16:48] = True
    assert (drawing.masks[0] == expected).mean() > 0.99
    assert (drawing.pixels[32, 32] == sprites.COLOURS["red"]).all()


def test_a_thing_on_top_hides_the_mask_below():
    below, above = square(), square(colour="blue", size=0.25)
    drawing = scenes.draw(Scene(things=(below, above), background="white"), SIDE)
    assert not (drawing.masks[0] & drawing.masks[1]).any()
    assert drawing.masks[1].sum() == pytest.approx(16 * 16, rel=0.1)


@pytest.mark.parametrize("num_things", [1, 2, 3, 5])
def test_things_of_a_scene_do_not_cover_each_other(num_things: int):
    rng = np.random.default_rng(num_things)
    scene = scenes.sample_scene(rng, num_things=num_things, split="train")
    alone = [
        scenes.draw(replace(scene, things=(thing,)), SIDE).masks[0].sum() for thing in scene.things
    ]
    assert scenes.draw(scene, SIDE).masks.sum(axis=(1, 2)).tolist() == alone


@pytest.mark.parametrize("split", ["train", "held_out"])
def test_splits_share_no_coloured_kind(split: str):
    rng = np.random.default_rng(0)
    for _ in range(50):
        scene = scenes.sample_scene(rng, num_things=1, split=split)
        thing = scene.things[0]
        held_out = thing.colour is not None and is_held_out(thing.kind, thing.colour)
        assert held_out == (split == "held_out")


def test_equal_seeds_give_equal_pictures():
    first, second = (
        pictures.sample_picture(np.random.default_rng(7), side=SIDE, split="train")
        for _ in range(2)
    )
    assert (first == second).all()


@pytest.mark.parametrize("kind", list(edits.EDITS))
def test_an_edit_changes_only_what_it_names(kind: str):
    rng = np.random.default_rng(3)
    scene = scenes.sample_scene(rng, num_things=2, split="train")
    instruction, target = edits.EDITS[kind](rng, scene)
    kept = set(scene.things) & set(target.things)
    assert len(kept) == (2 if kind in ("add", "background") else 1)
    assert any(word in instruction for word in ("make", "remove", "add", "replace", "move", "chan"))


def test_a_segmentation_paints_exactly_the_named_thing():
    rng = np.random.default_rng(1)
    for _ in range(20):
        edit = edits.sample_segmentation(rng, side=SIDE, split="train")
        paint = edits.PAINTS[edit.instruction.rsplit(" ", 1)[1]]
        assert (edit.after[edit.changed] == paint).all()
        assert (edit.after[~edit.changed] == edit.before[~edit.changed]).all()


def test_a_referring_phrase_fits_one_thing_only():
    things = tuple(square(x=x, size=0.2) for x in (0.15, 0.5, 0.85))
    scene = Scene(things=things, background="white")
    rng = np.random.default_rng(0)
    phrases = [{edits.referring_phrase(rng, scene, index) for _ in range(20)} for index in range(3)]
    assert sum(len(found) for found in phrases) == len(set.union(*phrases))


def test_answers_are_true_of_a_known_scene():
    left, right = square(x=0.2, size=0.2), square(kind="circle", colour="blue", x=0.8, size=0.2)
    scene = Scene(things=(left, right), background="mint")
    rng = np.random.default_rng(0)
    asked = {questions.sample_question(rng, scene) for _ in range(300)}
    answers = {question.text: question.answer for question in asked}
    assert answers["How many squares are there?"] == "one"
    assert answers["What colour is the circle?"] == "blue"
    assert answers["Where is the square, seen from the circle?"] == "left"
    assert answers["What is the background?"] == "mint"
    assert answers["What is red?"] == "a square"
    assert len(answers) == len(asked)  # no text with two answers


def test_words_stay_inside_the_picture():
    rng = np.random.default_rng(5)
    for _ in range(20):
        scene = pictures.sample_lettered_scene(rng, split="train")
        bare = replace(scene, lettering=None)
        inked = scenes.draw(scene, SIDE).pixels != scenes.draw(bare, SIDE).pixels
        assert inked.any()
        assert not inked[:, [0, -1]].any()
