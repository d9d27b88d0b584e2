"""The film world: things of the picture world that move, appear and vanish, told exactly.

A film is a list of frames that stand `1 / FRAMES_PER_SECOND` apart, as `messages.Video` takes it.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np
from jaxtyping import UInt8

from mingle.worlds.scenes import BACKGROUNDS, Scene, Thing, draw, has_held_out, sample_look
from mingle.worlds.split import Split, is_held_out

FRAMES_PER_SECOND = 2.0
FRAMES = (6, 8)
"""How many frames a film may have: 3 or 4 seconds."""
DIRECTIONS = {"left": (-1.0, 0.0), "right": (1.0, 0.0), "up": (0.0, -1.0), "down": (0.0, 1.0)}
GAP = 0.02  # between things, as in still scenes


@dataclass(frozen=True, kw_only=True)
class Actor:
    """A thing that is seen from frame `first` to before frame `end`, and how it moves.

    `thing` is how it looks and where it stands in frame `first`; `step` is how far it goes from
    one frame to the next, as a share of the picture's side.
    """

    thing: Thing
    first: int
    end: int
    direction: str | None = None
    step: float = 0.0

    def at(self, frame: int) -> Thing | None:
        """The thing in this frame; None while it is not there."""
        if not self.first <= frame < self.end:
            return None
        if self.direction is None:
            return self.thing
        across, down = DIRECTIONS[self.direction]
        way = self.step * (frame - self.first)
        return replace(self.thing, x=self.thing.x + across * way, y=self.thing.y + down * way)


@dataclass(frozen=True, kw_only=True)
class Film:
    """A film before it is drawn. `story` is the name of how it was made up, one of STORIES."""

    story: str
    actors: tuple[Actor, ...]
    background: str
    gradient: bool
    num_frames: int

    def scene(self, frame: int) -> Scene:
        """What is seen in one frame."""
        things = tuple(thing for actor in self.actors if (thing := actor.at(frame)) is not None)
        return Scene(things=things, background=self.background, gradient=self.gradient)

    @property
    def seconds(self) -> tuple[float, ...]:
        """The time of every frame."""
        return tuple(frame / FRAMES_PER_SECOND for frame in range(self.num_frames))


def draw_film(film: Film, side: int) -> UInt8[np.ndarray, "frames side side 3"]:
    """All frames, `side` pixels square."""
    return np.stack([draw_frame(film, frame, side) for frame in range(film.num_frames)])


def draw_frame(film: Film, frame: int, side: int) -> UInt8[np.ndarray, "side side 3"]:
    """One frame, `side` pixels square."""
    return draw(film.scene(frame), side).pixels


def sample_film(rng: np.random.Generator, *, split: Split) -> Film:
    """A film of a story drawn evenly from STORIES.

    Train films hold no held-out combination (of the picture world, of a kind with its direction,
    of two kinds that follow each other); held-out films hold at least one.
    """
    stories = list(STORIES)
    while True:
        story = stories[rng.integers(len(stories))]
        num_frames = FRAMES[rng.integers(len(FRAMES))]
        film = Film(
            story=story,
            actors=STORIES[story](rng, num_frames),
            background=list(BACKGROUNDS)[rng.integers(len(BACKGROUNDS))],
            gradient=bool(rng.random() < 0.4),
            num_frames=num_frames,
        )
        if _fits(film) and _holds_held_out(film) == (split == "held_out"):
            return film


def _parade(rng: np.random.Generator, num_frames: int) -> tuple[Actor, ...]:
    """Two to four things, each alone in the picture, one after another."""
    count = int(rng.integers(2, min(4, num_frames // 2) + 1))
    inner = 1 + rng.permutation(num_frames // 2 - 1)[: count - 1]
    cuts = sorted(int(2 * cut - (rng.random() < 0.3)) for cut in inner)  # at times inside a pair
    bounds = [0, *cuts, num_frames]
    return tuple(
        Actor(thing=_place(rng, (0.35, 0.6)), first=bounds[i], end=bounds[i + 1])
        for i in range(count)
    )


def _ride(rng: np.random.Generator, num_frames: int) -> tuple[Actor, ...]:
    """One thing moves; up to two others stand still."""
    direction = list(DIRECTIONS)[rng.integers(4)]
    across, down = DIRECTIONS[direction]
    way = float(rng.uniform(0.4, 0.6))
    thing = _place(rng, (0.22, 0.32))
    begin = 0.5 - way / 2
    thing = replace(
        thing,
        x=thing.x if not across else begin if across > 0 else 1 - begin,
        y=thing.y if not down else begin if down > 0 else 1 - begin,
    )
    step = way / (num_frames - 1)
    mover = Actor(thing=thing, first=0, end=num_frames, direction=direction, step=step)
    return (mover, *_bystanders(rng, num_frames, int(rng.integers(0, 3))))


def _arrival(rng: np.random.Generator, num_frames: int) -> tuple[Actor, ...]:
    """A thing appears where one or two others have been from the start."""
    when = int(rng.integers(2, num_frames - 1))
    guest = Actor(thing=_place(rng, (0.22, 0.36)), first=when, end=num_frames)
    return (*_bystanders(rng, num_frames, int(rng.integers(1, 3))), guest)


def _departure(rng: np.random.Generator, num_frames: int) -> tuple[Actor, ...]:
    """One of two or three things vanishes."""
    when = int(rng.integers(2, num_frames - 1))
    leaving = Actor(thing=_place(rng, (0.22, 0.36)), first=0, end=when)
    return (*_bystanders(rng, num_frames, int(rng.integers(1, 3))), leaving)


STORIES: dict[str, Callable[[np.random.Generator, int], tuple[Actor, ...]]] = {
    "parade": _parade,
    "ride": _ride,
    "arrival": _arrival,
    "departure": _departure,
}


def _bystanders(rng: np.random.Generator, num_frames: int, count: int) -> tuple[Actor, ...]:
    return tuple(
        Actor(thing=_place(rng, (0.22, 0.36)), first=0, end=num_frames) for _ in range(count)
    )


def _place(rng: np.random.Generator, span: tuple[float, float]) -> Thing:
    kind, colour = sample_look(rng)
    size = float(rng.uniform(*span))
    x, y = (float(value) for value in rng.uniform(size / 2, 1 - size / 2, 2))
    return Thing(kind=kind, colour=colour, x=x, y=y, size=size)


def _fits(film: Film) -> bool:
    """Whether all kinds differ and no two things ever touch, so that every answer is clear."""
    if len({actor.thing.kind for actor in film.actors}) < len(film.actors):
        return False
    return all(_apart(film.scene(frame).things) for frame in range(film.num_frames))


def _apart(things: Sequence[Thing]) -> bool:
    return all(
        max(abs(a.x - b.x), abs(a.y - b.y)) > (a.size + b.size) / 2 + GAP
        for i, a in enumerate(things)
        for b in things[:i]
    )


def _holds_held_out(film: Film) -> bool:
    actors = film.actors
    if any(actor.direction and is_held_out(actor.thing.kind, actor.direction) for actor in actors):
        return True
    if film.story == "parade":
        kinds = [actor.thing.kind for actor in actors]
        if any(is_held_out("after", *pair) for pair in zip(kinds[1:], kinds, strict=False)):
            return True
        return any(has_held_out([actor.thing]) for actor in actors)  # no two are seen together
    return has_held_out([actor.thing for actor in actors])
