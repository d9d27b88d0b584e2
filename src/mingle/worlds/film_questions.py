"""Questions about films of the world, with short exact answers."""

from collections.abc import Callable

import numpy as np

from mingle.worlds.films import Film
from mingle.worlds.questions import Asked, Question
from mingle.worlds.scenes import NUMBERS, article


def sample_film_question(rng: np.random.Generator, film: Film) -> Question:
    """A question of a kind that this film can answer without doubt."""
    kinds = list(FILM_QUESTIONS)
    while True:
        kind = kinds[rng.integers(len(kinds))]
        asked = FILM_QUESTIONS[kind](rng, film)
        if asked is not None:
            return Question(kind=kind, text=asked[0], answer=asked[1])


def _kind(film: Film, index: int) -> str:
    return film.actors[index].thing.kind


def _after(rng: np.random.Generator, film: Film) -> Asked:
    if film.story != "parade":
        return None
    index = int(rng.integers(len(film.actors) - 1))
    return f"What came after the {_kind(film, index)}?", article(_kind(film, index + 1))


def _before(rng: np.random.Generator, film: Film) -> Asked:
    if film.story != "parade":
        return None
    index = int(rng.integers(1, len(film.actors)))
    return f"What came before the {_kind(film, index)}?", article(_kind(film, index - 1))


def _first_or_last(rng: np.random.Generator, film: Film) -> Asked:
    if film.story != "parade":
        return None
    word, index = (("first", 0), ("last", -1))[rng.integers(2)]
    return f"What came {word}?", article(_kind(film, index))


def _in_all(rng: np.random.Generator, film: Film) -> Asked:
    return "How many things were there in all?", NUMBERS[len(film.actors)]


def _direction(rng: np.random.Generator, film: Film) -> Asked:
    if film.story != "ride":
        return None
    direction = film.actors[0].direction
    assert direction is not None
    return f"Which way did the {_kind(film, 0)} move?", direction


def _moved(rng: np.random.Generator, film: Film) -> Asked:
    if film.story != "ride" or len(film.actors) < 2:
        return None
    return "What moved?", article(_kind(film, 0))


def _appeared(rng: np.random.Generator, film: Film) -> Asked:
    return ("What appeared?", article(_kind(film, -1))) if film.story == "arrival" else None


def _vanished(rng: np.random.Generator, film: Film) -> Asked:
    return ("What vanished?", article(_kind(film, -1))) if film.story == "departure" else None


def _colour(rng: np.random.Generator, film: Film) -> Asked:
    coloured = [actor.thing for actor in film.actors if actor.thing.colour is not None]
    if not coloured:
        return None
    thing = coloured[rng.integers(len(coloured))]
    assert thing.colour is not None
    return f"What colour was the {thing.kind}?", thing.colour


FILM_QUESTIONS: dict[str, Callable[[np.random.Generator, Film], Asked]] = {
    "after": _after,
    "before": _before,
    "first or last": _first_or_last,
    "in all": _in_all,
    "direction": _direction,
    "moved": _moved,
    "appeared": _appeared,
    "vanished": _vanished,
    "colour": _colour,
}
