"""The picture world: scenes as data, drawn with exact masks, described in words."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cache
from typing import Any

import numpy as np
from jaxtyping import Bool, UInt8

from mingle.worlds.split import Split, is_held_out
from mingle.worlds.sprites import COLOURS, KINDS, PLURALS, SIDE, sprite

BACKGROUNDS = {
    "white": (255, 255, 255),
    "black": (20, 20, 24),
    "grey": (150, 150, 150),
    "sky": (170, 215, 245),
    "sand": (235, 215, 170),
    "mint": (185, 235, 205),
}
NUMBERS = ("zero", "one", "two", "three", "four", "five")
FONTS = ("DejaVuSans-Bold.ttf", "DejaVuSerif-Bold.ttf", "DejaVuSansMono-Bold.ttf")


@dataclass(frozen=True, kw_only=True)
class Thing:
    """One object. Centre and size are shares of the picture's side; colour None is natural."""

    kind: str
    colour: str | None
    x: float
    y: float
    size: float

    @property
    def name(self) -> str:
        """The thing in words, without an article: 'red apple'."""
        return self.kind if self.colour is None else f"{self.colour} {self.kind}"


@dataclass(frozen=True, kw_only=True)
class Lettering:
    """Words in the picture: one line, centred at height y; size is the letters' height.

    `pitch`: how far apart letters stand, each on a multiple of it; None as the font has it.
    """

    text: str
    font: str
    colour: str
    y: float
    size: float
    pitch: float | None = None

    @property
    def cells(self) -> range:
        """Where the letters of a centred word stand on the grid. Raises ValueError off a grid."""
        if self.pitch is None:
            raise ValueError(f"the letters of '{self.text}' are not on a grid")
        first = (round(1 / self.pitch) - len(self.text)) // 2
        return range(first, first + len(self.text))


@dataclass(frozen=True, kw_only=True)
class Scene:
    """A picture before it is drawn. Things later in the tuple lie on top."""

    things: tuple[Thing, ...]
    background: str
    gradient: bool = False
    lettering: Lettering | None = None

    def with_thing(self, index: int, **changes: Any) -> "Scene":
        """The same scene with one thing changed."""
        things = list(self.things)
        things[index] = replace(things[index], **changes)
        return replace(self, things=tuple(things))


@dataclass(frozen=True, kw_only=True)
class Drawing:
    """A drawn scene; `masks` has the visible pixels of each thing, in the scene's order."""

    pixels: UInt8[np.ndarray, "height width 3"]
    masks: Bool[np.ndarray, "things height width"]


def draw(scene: Scene, side: int) -> Drawing:
    """Draw a scene, `side` pixels square."""
    canvas = _background(scene, side)
    masks = np.zeros((len(scene.things), side, side), dtype=bool)
    for index, thing in enumerate(scene.things):
        alpha = _paste(canvas, thing, side)
        masks[:index] &= ~(alpha > 0.5)
        masks[index] = alpha > 0.5
    if scene.lettering is not None:
        _write(canvas, scene.lettering, side)
    return Drawing(pixels=(canvas + 0.5).clip(0, 255).astype(np.uint8), masks=masks)


def sample_scene(
    rng: np.random.Generator, *, num_things: int, split: Split, same_kind: bool = False
) -> Scene:
    """A scene of `num_things` things that do not cover each other.

    Train scenes hold no held-out combination (kind with colour, kind beside kind); held-out scenes
    hold at least one. `same_kind` makes all things equal but for place and size (for counting).
    """
    while True:
        scene = _draft(rng, num_things, same_kind)
        if (split == "held_out") == has_held_out(scene.things):
            return scene


def caption(rng: np.random.Generator, scene: Scene) -> str:
    """Say what is in the scene: counts, relations of two, colours; the background half the time."""
    words = _contents(rng, scene.things)
    if scene.lettering is not None:
        words += f' and the text "{scene.lettering.text}"' if words else ""
        words = words or f'the text "{scene.lettering.text}"'
    if rng.random() < 0.5:
        words += f" on a {scene.background} background"
    return words


def article(noun: str) -> str:
    """'a' or 'an' and the noun."""
    return f"an {noun}" if noun[0] in "aeiou" else f"a {noun}"


def plural(thing: Thing) -> str:
    """The thing's name for more than one: 'red apples'."""
    many = PLURALS[thing.kind]
    return many if thing.colour is None else f"{thing.colour} {many}"


def relation(first: Thing, second: Thing) -> str:
    """Where the first thing is, seen from the second."""
    across, down = first.x - second.x, first.y - second.y
    if abs(across) >= abs(down):
        return "left of" if across < 0 else "right of"
    return "above" if down < 0 else "below"


def sample_look(rng: np.random.Generator) -> tuple[str, str | None]:
    """A kind, and its colour; emoji keep their natural look (None) half of the time."""
    kind = KINDS[rng.integers(len(KINDS))]
    natural = kind not in ("circle", "square", "triangle", "hexagon") and rng.random() < 0.5
    return kind, None if natural else list(COLOURS)[rng.integers(len(COLOURS))]


def has_held_out(things: Sequence[Thing]) -> bool:
    """Whether a kind with its colour, or two kinds together, is a held-out combination."""
    kinds = sorted({thing.kind for thing in things})
    return any(thing.colour and is_held_out(thing.kind, thing.colour) for thing in things) or any(
        is_held_out(kinds[i], kinds[j]) for i in range(len(kinds)) for j in range(i + 1, len(kinds))
    )


def _contents(rng: np.random.Generator, things: Sequence[Thing]) -> str:
    names = [thing.name for thing in things]
    if not names:
        return ""
    if len(things) > 1 and len(set(names)) == 1:
        return f"{NUMBERS[len(things)]} {plural(things[0])}"
    if len(things) == 2 and rng.random() < 0.7:
        first, second = rng.permutation(2)
        where = relation(things[first], things[second])
        return f"{article(names[first])} {where} {article(names[second])}"
    listed = [article(name) for name in names]
    return listed[0] if len(listed) == 1 else ", ".join(listed[:-1]) + " and " + listed[-1]


def places(rng: np.random.Generator, num_things: int) -> list[tuple[float, float, float]]:
    """(x, y, size) of things that do not cover each other; the fewer, the larger."""
    span = (0.42, 0.8) if num_things == 1 else (0.3, 0.42) if num_things == 2 else (0.22, 0.3)
    found: list[tuple[float, float, float]] = []
    while len(found) < num_things:
        size = rng.uniform(*span)
        x, y = rng.uniform(size / 2, 1 - size / 2, 2)
        if all(max(abs(x - a), abs(y - b)) > (size + c) / 2 + 0.02 for a, b, c in found):
            found.append((float(x), float(y), float(size)))
        elif rng.random() < 0.02:
            found.clear()  # a corner that cannot be finished: begin again
    return found


def _draft(rng: np.random.Generator, num_things: int, same_kind: bool) -> Scene:
    spots = places(rng, num_things)
    looks = [sample_look(rng) for _ in range(1 if same_kind else num_things)]
    looks = looks * num_things if same_kind else looks
    things = tuple(
        Thing(kind=kind, colour=colour, x=x, y=y, size=size)
        for (kind, colour), (x, y, size) in zip(looks, spots, strict=True)
    )
    background = list(BACKGROUNDS)[rng.integers(len(BACKGROUNDS))]
    return Scene(things=things, background=background, gradient=bool(rng.random() < 0.4))


def _background(scene: Scene, side: int) -> np.ndarray:
    colour = np.array(BACKGROUNDS[scene.background], np.float32)
    if not scene.gradient:
        return np.full((side, side, 3), colour, dtype=np.float32)
    shade = np.linspace(1.0, 0.75, side, dtype=np.float32)[:, None, None]
    return np.broadcast_to(colour * shade, (side, side, 3)).copy()


@cache
def _scaled(kind: str, colour: str | None, pixels: int) -> np.ndarray:
    from PIL import Image

    image = Image.fromarray(sprite(kind, colour)).resize((pixels, pixels), Image.Resampling.BOX)
    return np.asarray(image, dtype=np.float32)


def _paste(canvas: np.ndarray, thing: Thing, side: int) -> np.ndarray:
    """Lay one thing on the canvas; returns its alpha over the whole picture."""
    pixels = min(max(2, round(thing.size * side)), SIDE)
    left = min(max(0, round(thing.x * side - pixels / 2)), side - pixels)
    top = min(max(0, round(thing.y * side - pixels / 2)), side - pixels)
    image = _scaled(thing.kind, thing.colour, pixels)
    alpha = image[..., 3:] / 255
    window = canvas[top : top + pixels, left : left + pixels]
    window += alpha * (image[..., :3] - window)
    whole = np.zeros((side, side), dtype=np.float32)
    whole[top : top + pixels, left : left + pixels] = alpha[..., 0]
    return whole


def _write(canvas: np.ndarray, lettering: Lettering, side: int) -> None:
    from PIL import Image, ImageDraw, ImageFont

    font = ImageFont.truetype(lettering.font, round(lettering.size * side))
    if (length := font.getlength(lettering.text)) > 0.96 * side:
        font = font.font_variant(size=int(font.size * 0.96 * side / length))
    mask = Image.new("L", (side, side), 0)
    pen = ImageDraw.Draw(mask)
    y = lettering.y * side
    if lettering.pitch is None:
        pen.text((side / 2, y), lettering.text, fill=255, font=font, anchor="mm")
    else:
        for sign, cell in zip(lettering.text, lettering.cells, strict=True):
            x = (cell + 0.5) * lettering.pitch * side
            pen.text((x, y), sign, fill=255, font=font, anchor="mm")
    alpha = np.asarray(mask, dtype=np.float32)[..., None] / 255
    canvas += alpha * (np.array(COLOURS[lettering.colour], np.float32) - canvas)
