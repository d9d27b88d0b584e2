"""Scenes as a small brush arranges them."""

import numpy as np
import pytest

from mingle.worlds import sprites
from mingle.worlds.arrangement import LETTER, arrange
from mingle.worlds.scenes import Lettering, Scene, Thing, draw, relation

needs_font = pytest.mark.skipif(
    not sprites.FONT.exists(), reason="the emoji font is not installed (make worlds)"
)
PLACES = ((0.1, 0.5), (0.4, 0.52), (0.6, 0.2), (0.9, 0.8), (0.5, 0.5))


def scene(count: int, word: str | None = None) -> Scene:
    things = [Thing(kind="cat", colour="red", x=x, y=y, size=0.3) for x, y in PLACES[:count]]
    lettering = word and Lettering(text=word, font="any", colour="red", y=0.5, size=0.2)
    return Scene(
        things=tuple(things), background="grey", gradient=True, lettering=lettering or None
    )  # fmt: skip


@needs_font
@pytest.mark.parametrize("count", range(1, 5))
def test_things_lie_apart_and_inside(count: int):
    arranged = arrange(scene(count))
    assert not arranged.gradient
    masks = draw(arranged, 64).masks
    assert masks.any((1, 2)).all()
    for i, thing in enumerate(arranged.things):
        assert thing.size / 2 <= min(thing.x, thing.y)
        assert max(thing.x, thing.y) <= 1 - thing.size / 2
        for other in arranged.things[:i]:
            gap = max(abs(thing.x - other.x), abs(thing.y - other.y))
            assert gap > (thing.size + other.size) / 2


@pytest.mark.parametrize(("first", "second"), [(0, 1), (1, 0), (2, 3), (3, 2)])
def test_two_things_keep_their_relation(first: int, second: int):
    things = scene(4).things
    two = Scene(things=(things[first], things[second]), background="white")
    assert relation(*arrange(two).things) == relation(*two.things)


def test_more_things_than_places_are_refused():
    with pytest.raises(ValueError, match="5 things, there are places for 1 to 4"):
        arrange(scene(5))


@needs_font
@pytest.mark.parametrize("word", ["OWL", "EIGHTEEN"])
def test_letters_stand_on_a_grid(word: str):
    arranged = arrange(scene(0, word))
    plain = Scene(things=(), background="grey")
    touched = (draw(arranged, 64).pixels != draw(plain, 64).pixels).any((0, 2))
    side = round(64 * LETTER)
    columns = touched.reshape(-1, side).any(1)
    first = (8 - len(word)) // 2
    assert columns.tolist() == [first <= i < first + len(word) for i in range(8)]
    assert np.flatnonzero(touched).min() >= side * first
