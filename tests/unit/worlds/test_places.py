"""Labels of the places of a picture."""

import numpy as np
import pytest

from mingle.worlds.arrangement import arrange
from mingle.worlds.places import (
    IGNORED,
    PLACE_COLOURS,
    PLACE_KINDS,
    PLACE_LETTERS,
    PLACE_PAINTS,
    covered_places,
    letters_in_places,
    painted_places,
)
from mingle.worlds.scenes import Lettering, Scene, Thing


def test_a_thing_covers_the_places_that_it_fills_by_a_twelfth():
    cat = Thing(kind="cat", colour=None, x=0.25, y=0.25, size=0.5)
    ball = Thing(kind="ball", colour="red", x=0.9, y=0.9, size=0.2)
    kind, colour = covered_places(Scene(things=(cat, ball), background="white"), 4)
    at_cat, at_ball = [0, 1, 4, 5], [15]
    assert {i for i in range(16) if kind[i]} == {*at_cat, *at_ball}
    assert all(kind[i] == PLACE_KINDS.index("cat") for i in at_cat)
    assert all(colour[i] == PLACE_COLOURS.index("natural") for i in at_cat)
    assert colour[15] == PLACE_COLOURS.index("red")
    assert colour[2] == IGNORED


def test_between_places_a_small_thing_is_told_to_all_four():
    cat = Thing(kind="cat", colour=None, x=0.5, y=0.5, size=0.2)
    kind, _ = covered_places(Scene(things=(cat,), background="white"), 4)
    assert {i for i in range(16) if kind[i]} == {5, 6, 9, 10}


def test_a_place_is_told_what_covers_most_of_it():
    large = Thing(kind="cat", colour=None, x=0.3, y=0.375, size=0.35)
    small = Thing(kind="dog", colour=None, x=0.55, y=0.375, size=0.12)
    kind, _ = covered_places(Scene(things=(small, large), background="white"), 4)
    assert PLACE_KINDS[kind[5]] == "cat"
    assert PLACE_KINDS[kind[6]] == "dog"


def test_paint_is_told_where_it_lies():
    mask = np.zeros((8, 8), bool)
    mask[:2, 2:5] = True
    paint = [PLACE_PAINTS[i] for i in painted_places(mask, "red", 4)]
    assert paint == ["nothing", "red", "red", *["nothing"] * 13]
    assert not painted_places(mask, None, 4).any()


def test_letters_are_told_two_a_place():
    word = Lettering(text="OWL", font="any", colour="red", y=0.5, size=0.2)
    arranged = arrange(Scene(things=(), background="white", lettering=word)).lettering
    left, right = letters_in_places(arranged, 4)
    spelt = [PLACE_LETTERS[i] for pair in zip(left[4:8], right[4:8], strict=True) for i in pair]
    assert "".join(letter for letter in spelt if letter != "nothing") == "OWL"
    assert spelt.index("O") == 2
    assert not left[:4].any()
    assert not letters_in_places(None, 4).any()


def test_letters_off_the_grid_are_refused():
    word = Lettering(text="OWL", font="any", colour="red", y=0.5, size=0.2)
    with pytest.raises(ValueError, match="the letters of 'OWL' are not on a grid"):
        letters_in_places(word, 4)
