"""The film world: answers and labels are true of what is drawn, and held out is held out."""

from itertools import pairwise

import numpy as np
import pytest

from mingle.worlds import film_questions, films, sprites
from mingle.worlds.films import Actor, Film
from mingle.worlds.places import EVENTS, PLACE_COLOURS, PLACE_KINDS, places_of_frames
from mingle.worlds.scenes import Thing, has_held_out
from mingle.worlds.split import Split, is_held_out

drawn = pytest.mark.skipif(
    not sprites.FONT.exists(), reason="the emoji font is not installed (make worlds)"
)


def actor(kind: str, colour: str = "red", x: float = 0.5, y: float = 0.5, **times) -> Actor:
    thing = Thing(kind=kind, colour=colour, x=x, y=y, size=0.2)
    return Actor(**{"thing": thing, "first": 0, "end": 6, **times})


def film(story: str, *actors: Actor) -> Film:
    return Film(story=story, actors=actors, background="sky", gradient=False, num_frames=6)


def answers(film: Film) -> dict[str, str]:
    rng = np.random.default_rng(0)
    asked = {film_questions.sample_film_question(rng, film) for _ in range(200)}
    found = {question.text: question.answer for question in asked}
    assert len(found) == len(asked)  # no text with two answers
    return found


def test_answers_are_true_of_a_known_parade():
    parade = film(
        "parade",
        actor("circle", end=2),
        actor("square", first=2, end=4),
        actor("triangle", "blue", first=4),
    )
    assert answers(parade) == {
        "What came after the circle?": "a square",
        "What came after the square?": "a triangle",
        "What came before the square?": "a circle",
        "What came before the triangle?": "a square",
        "What came first?": "a circle",
        "What came last?": "a triangle",
        "How many things were there in all?": "three",
        "What colour was the circle?": "red",
        "What colour was the square?": "red",
        "What colour was the triangle?": "blue",
    }


def test_answers_are_true_of_a_known_ride():
    ride = film("ride", actor("circle", direction="up", step=0.05), actor("square", y=0.9))
    told = answers(ride)
    assert told["Which way did the circle move?"] == "up"
    assert told["What moved?"] == "a circle"
    assert "Which way did the square move?" not in told


@pytest.mark.parametrize(("story", "word"), [("arrival", "appeared"), ("departure", "vanished")])
def test_answers_are_true_of_comings_and_goings(story: str, word: str):
    guest = actor("circle", first=3) if story == "arrival" else actor("circle", end=3)
    assert answers(film(story, actor("square"), guest))[f"What {word}?"] == ("a circle")


def test_labels_say_what_happens_between_two_frames():
    told = film(
        "ride",
        actor("circle", x=0.1, y=0.1, direction="right", step=0.05),
        actor("square", x=0.9, y=0.1, first=3),
        actor("triangle", "blue", x=0.1, y=0.9, end=3),
    )
    labels = places_of_frames(told, 2, rows=4)
    things = {
        PLACE_KINDS[kind]: (place, PLACE_COLOURS[labels.colour[place]], EVENTS[labels.event[place]])
        for place, kind in enumerate(labels.kind)
        if kind
    }
    assert things == {
        "circle": (0, "red", "right"),
        "square": (3, "red", "appears"),
        "triangle": (12, "blue", "vanishes"),
    }
    assert labels.count == 3
    np.testing.assert_allclose(labels.centre[0], (0.8, 0.4), atol=1e-6)  # 0.1 + 2 * 0.05, 0.1


@pytest.mark.parametrize("split", ["train", "held_out"])
def test_only_held_out_films_hold_unseen_combinations(split: Split):
    rng = np.random.default_rng(0)
    for _ in range(40):
        made = films.sample_film(rng, split=split)
        kinds = [one.thing.kind for one in made.actors]
        seen_together = [made.scene(frame).things for frame in range(made.num_frames)]
        unseen = any(has_held_out(things) for things in seen_together)
        unseen |= any(is_held_out(a.thing.kind, a.direction) for a in made.actors if a.direction)
        if made.story == "parade":
            unseen |= any(is_held_out("after", b, a) for a, b in pairwise(kinds))
        assert unseen == (split == "held_out")


def test_things_stay_in_the_picture_and_apart():
    rng = np.random.default_rng(1)
    for _ in range(40):
        made = films.sample_film(rng, split="train")
        for frame in range(made.num_frames):
            things = made.scene(frame).things
            for i, a in enumerate(things):
                assert a.size / 2 <= a.x <= 1 - a.size / 2
                assert a.size / 2 <= a.y <= 1 - a.size / 2
                for b in things[:i]:
                    assert max(abs(a.x - b.x), abs(a.y - b.y)) > (a.size + b.size) / 2


@drawn
def test_frames_are_drawn_as_told_and_times_are_theirs():
    told = film("arrival", actor("square", "green", first=2))
    frames = films.draw_film(told, 64)
    assert frames.shape == (6, 64, 64, 3)
    shown = [bool((frame == sprites.COLOURS["green"]).all(-1).any()) for frame in frames]
    assert shown == [False, False, True, True, True, True]
    assert told.seconds == (0.0, 0.5, 1.0, 1.5, 2.0, 2.5)
