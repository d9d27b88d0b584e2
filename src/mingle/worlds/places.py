"""What stands where: exact labels for each place of a picture, or of two frames of a film."""

from collections.abc import Sequence
from dataclasses import dataclass
from string import ascii_uppercase

import numpy as np
from jaxtyping import Bool, Float32, Int64

from mingle.worlds.edits import PAINTS
from mingle.worlds.films import DIRECTIONS, Film
from mingle.worlds.scenes import BACKGROUNDS, Lettering, Scene, Thing
from mingle.worlds.sprites import COLOURS, KINDS

NOTHING = "nothing"
PLACE_KINDS = (NOTHING, *KINDS)
PLACE_COLOURS = ("natural", *COLOURS)
EVENTS = ("stays", *DIRECTIONS, "appears", "vanishes")
PLACE_LETTERS = (NOTHING, *ascii_uppercase)
PLACE_PAINTS = (NOTHING, *PAINTS, "white")
GROUNDS = tuple(BACKGROUNDS)
IGNORED = -1
COVERED = 0.08  # of a place's area: from so much on it shows what lies there


@dataclass(frozen=True, kw_only=True)
class Places:
    """Labels of a grid of places, row by row: indices into PLACE_KINDS, PLACE_COLOURS, EVENTS.

    A thing belongs to the place of its centre, in the first of two frames where it is there.
    `centre` is where in its place it is, from 0 to 1 (across, down). Without a thing, colour and
    event are IGNORED. `background` indexes GROUNDS; `count` is how many places have a thing.
    """

    kind: Int64[np.ndarray, " places"]
    colour: Int64[np.ndarray, " places"]
    event: Int64[np.ndarray, " places"]
    centre: Float32[np.ndarray, "places 2"]
    background: int
    count: int


def places_of_scene(scene: Scene, rows: int) -> Places:
    """The labels of a still picture on a grid of `rows` x `rows`."""
    return _places([(thing, "stays") for thing in scene.things], scene.background, rows)


def covered_places(scene: Scene, rows: int) -> Int64[np.ndarray, "2 places"]:
    """Kind and colour of the thing whose square covers most of a place, row by row.

    Without a thing, the colour is IGNORED. Where two cover as much, it is the upper one.
    """
    starts = np.arange(rows) / rows
    kind, colour = np.zeros((rows, rows), np.int64), np.full((rows, rows), IGNORED, np.int64)
    most = np.full((rows, rows), COVERED)
    for thing in scene.things:
        half = thing.size / 2
        down, across = (
            np.minimum(starts + 1 / rows, at + half) - np.maximum(starts, at - half)
            for at in (thing.y, thing.x)
        )
        area = down.clip(0)[:, None] * across.clip(0) * rows**2
        covered = area >= most
        most[covered] = area[covered]
        kind[covered] = PLACE_KINDS.index(thing.kind)
        colour[covered] = PLACE_COLOURS.index(thing.colour or "natural")
    return np.stack((kind.ravel(), colour.ravel()))


def painted_places(
    painted: Bool[np.ndarray, "side side"] | None, paint: str | None, rows: int
) -> Int64[np.ndarray, " places"]:
    """Which paint covers a place, as an index into PLACE_PAINTS, row by row; None is no paint."""
    if painted is None or paint is None:
        return np.zeros(rows * rows, np.int64)
    side = len(painted) // rows
    shares = painted.reshape(rows, side, rows, side).mean((1, 3))
    return np.where(shares >= COVERED, PLACE_PAINTS.index(paint), 0).ravel()


def letters_in_places(lettering: Lettering | None, rows: int) -> Int64[np.ndarray, "2 places"]:
    """The left and the right letter of each place, as indices into PLACE_LETTERS, row by row.

    Places are two letters wide. Raises ValueError for letters that are not on a grid.
    """
    letters = np.zeros((rows, 2 * rows), np.int64)
    if lettering is not None:
        line = letters[int(lettering.y * rows)]
        line[lettering.cells] = [PLACE_LETTERS.index(letter) for letter in lettering.text]
    return np.stack((letters[:, ::2].ravel(), letters[:, 1::2].ravel()))


def places_of_frames(film: Film, first: int, rows: int) -> Places:
    """The labels of frames `first` and `first + 1` (the last frame follows itself)."""
    second = min(first + 1, film.num_frames - 1)
    found: list[tuple[Thing, str]] = []
    for actor in film.actors:
        before, after = actor.at(first), actor.at(second)
        if before is None and after is not None:
            found.append((after, "appears"))
        elif before is not None and after is None:
            found.append((before, "vanishes"))
        elif before is not None:
            found.append((before, actor.direction or "stays"))
    return _places(found, film.background, rows)


def _places(found: Sequence[tuple[Thing, str]], background: str, rows: int) -> Places:
    kind = np.zeros(rows * rows, dtype=np.int64)
    colour = np.full(rows * rows, IGNORED, dtype=np.int64)
    event = np.full(rows * rows, IGNORED, dtype=np.int64)
    centre = np.zeros((rows * rows, 2), dtype=np.float32)
    for thing, what in found:
        column, row = (min(int(value * rows), rows - 1) for value in (thing.x, thing.y))
        place = row * rows + column
        kind[place] = PLACE_KINDS.index(thing.kind)
        colour[place] = PLACE_COLOURS.index(thing.colour or "natural")
        event[place] = EVENTS.index(what)
        centre[place] = (thing.x * rows - column, thing.y * rows - row)
    return Places(
        kind=kind,
        colour=colour,
        event=event,
        centre=centre,
        background=GROUNDS.index(background),
        count=int((kind > 0).sum()),
    )
