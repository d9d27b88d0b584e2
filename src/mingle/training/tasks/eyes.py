"""Task `eyes`: the vision tower on exact labels of the world, before any thinker looks through it.

Linear heads read the tower's output, place by place: kind, colour, centre, and what happens to the
thing between two frames; and, averaged over places, background and number of things. The loss
`words` pulls each output towards the thinker's own embeddings of the words that describe it, so
that the thinker begins with something it half knows. No thinker is run.
"""

from collections.abc import Iterator
from colorsys import hsv_to_rgb
from dataclasses import dataclass, fields, replace
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float, Float32
from torch import Tensor, nn
from torch.nn import functional as F

from mingle.checkpoints.load import open_model
from mingle.checkpoints.nano import NAME, trained
from mingle.checkpoints.nano.processor import IMAGE
from mingle.encoders.vision import VisionConfig, VisionEncoder
from mingle.processing.image import patchify
from mingle.processing.tokenizer import Tokenizer
from mingle.training.streams import Batch, Draw, numbered
from mingle.training.task import Outcome, Task
from mingle.worlds.films import sample_film
from mingle.worlds.places import (
    EVENTS,
    GROUNDS,
    IGNORED,
    PLACE_COLOURS,
    PLACE_KINDS,
    Places,
    places_of_frames,
    places_of_scene,
)
from mingle.worlds.scenes import Drawing, draw, sample_scene
from mingle.worlds.split import Split

SIDE = 64  # pixels
ROWS = SIDE // IMAGE.factor
MOST = 5  # things in a picture
SHARES = (0.44, 0.22, 0.14, 0.11, 0.09)  # so that about as many things come alone as in company
EVENT_WORDS = {"stays": "", "appears": " appeared", "vanishes": " vanished"}
LUMINANCE = np.array((0.299, 0.587, 0.114), np.float32)  # of red, green, blue (ITU-R BT.601)
HELD_OUT = 512  # pictures, and as many pairs of frames


@dataclass(frozen=True, kw_only=True)
class EyesModel:
    """The tower, and whether it learns the words of nano's base (which must be here then)."""

    vision: VisionConfig
    words: bool


@dataclass(frozen=True, kw_only=True)
class EyesData:
    """`batch` pictures at a time; `films` is the share of them that are two frames of a film.

    In a share `tinted` of them all things have one hue, any or none, and no colour is asked, so
    that shapes are learned for themselves: a tower knew few kinds in colours new to them.
    """

    batch: int
    films: float
    tinted: float


@dataclass(frozen=True, kw_only=True)
class Seen:
    """A batch: patches of all its pictures, and the labels, pictures one after another."""

    patches: Float[Tensor, "patches patch_values"]
    labels: dict[str, Tensor]


class Eyes(nn.Module):
    """The tower with its heads, and the directions of the words that describe a place."""

    def __init__(self, config: EyesModel):
        super().__init__()
        self.tower = VisionEncoder(config.vision)
        dim = config.vision.out_dim
        self.scale = dim**0.5 / config.vision.out_length  # heads like values of unit size
        self.kind = nn.Linear(dim, len(PLACE_KINDS))
        self.colour = nn.Linear(dim, len(PLACE_COLOURS))
        self.event = nn.Linear(dim, len(EVENTS))
        self.centre = nn.Linear(dim, 2)
        self.background = nn.Linear(dim, len(GROUNDS))
        self.count = nn.Linear(dim, MOST + 1)

    def forward(self, patches: Float[Tensor, "patches patch_values"]) -> dict[str, Tensor]:
        """The tower's output and what every head says of it."""
        side = ROWS * IMAGE.merge
        grids = [(1, side, side)] * (len(patches) // side**2)
        embedded = self.tower(patches, grids)
        x = embedded * self.scale
        whole = x.unflatten(0, (-1, ROWS**2)).mean(1)
        said = {name: getattr(self, name)(x) for name in ("kind", "colour", "event", "centre")}
        said |= {name: getattr(self, name)(whole) for name in ("background", "count")}
        return said | {"embedded": embedded}


class EyesTask(Task):
    """Dense supervision of the vision tower."""

    Model, Data = EyesModel, EyesData

    def build(self, config: EyesModel) -> nn.Module:
        """A fresh tower; the words' embeddings are read from nano's base."""
        self.words = word_targets() if config.words else None
        return Eyes(config)

    def batches(self, data: EyesData, draw: Draw) -> Iterator[Batch]:
        """Pictures of 1 to 5 things (some all alike), and pairs of frames."""

        def make(rng: np.random.Generator) -> Seen:
            return sample_batch(rng, data.batch, "train", films=data.films, tinted=data.tinted)

        for position, seen in numbered(make, draw):
            yield Batch(data=seen, samples=data.batch, tokens=len(seen.patches), position=position)

    def losses(self, batch: Batch, generator: torch.Generator) -> Outcome:
        """Cross entropies in nats, `centre` in squared shares of a place, `words` as 1 - cosine."""
        seen: Seen = batch.data
        said, labels = self.model(seen.patches), seen.labels
        found = {
            name: F.cross_entropy(said[name], labels[name], ignore_index=IGNORED)
            for name in ("kind", "colour", "event", "background", "count")
        }
        there = labels["kind"] > 0
        found["centre"] = (said["centre"][there] - labels["centre"][there]).square().mean()
        if self.words is not None:
            wanted = self.here(self.words).of(labels)
            found["words"] = (1 - F.cosine_similarity(said["embedded"], wanted, dim=-1)).mean()
        return Outcome(losses=found, metrics=_shares(said, labels))

    @torch.no_grad()
    def evaluate(self, data: EyesData, folder: Path) -> dict[str, float]:
        """Shares of right answers of every head, on held-out pictures and on held-out films."""
        figures: dict[str, float] = {}
        for name, films in (("pictures", 0.0), ("films", 1.0)):
            rng = np.random.default_rng(0)
            seen = self.here(sample_batch(rng, HELD_OUT, "held_out", films=films, tinted=0.0))
            said = self.model(seen.patches)
            figures |= {f"{name}/{key}": v for key, v in _shares(said, seen.labels).items()}
            there = seen.labels["kind"] > 0
            off = (said["centre"][there] - seen.labels["centre"][there]).abs().mean()
            figures[f"{name}/centre off (pixels)"] = float(off) * IMAGE.factor
        return figures

    def export(self, folder: Path) -> None:
        """The tower as nano's part `vision`; the heads have done their work."""
        trained.write_part(folder, "vision", self.config.vision, self.model.tower.state_dict())


@dataclass(frozen=True, kw_only=True)
class WordTargets:
    """Unit directions: sums of the embeddings of the words for a place's contents."""

    kind: Float[Tensor, "kinds dim"]
    colour: Float[Tensor, "colours dim"]
    event: Float[Tensor, "events dim"]
    ground: Float[Tensor, "grounds dim"]

    def of(self, labels: dict[str, Tensor]) -> Float[Tensor, "places dim"]:
        """Colour, kind and event where there is a thing; the background's word elsewhere."""
        there = (labels["kind"] > 0)[:, None]
        thing = self.kind[labels["kind"]] + self.colour[labels["colour"].clamp(min=0)]
        thing = thing + self.event[labels["event"].clamp(min=0)]
        ground = self.ground[labels["background"]].repeat_interleave(ROWS**2, dim=0)
        return F.normalize(torch.where(there, thing, ground), dim=-1)


def word_targets() -> WordTargets:
    """From the embeddings of nano's base. Raises CheckpointError where it is not here."""
    folder = open_model(NAME)
    tokenizer: Tokenizer = folder.processor().tokenizer
    table = folder.load(("thinker",), dtype=torch.float32).thinker.embedding.weight.detach()

    def embed(word: str) -> Tensor:
        return table[tokenizer.encode(word)].mean(0) if word else torch.zeros(table.shape[1])

    def all_of(words: list[str]) -> Tensor:
        return torch.stack([embed(word) for word in words])

    return WordTargets(
        kind=all_of(["", *(f" {kind}" for kind in PLACE_KINDS[1:])]),
        colour=all_of(["", *(f" {colour}" for colour in PLACE_COLOURS[1:])]),
        event=all_of([EVENT_WORDS.get(event, f" {event}") for event in EVENTS]),
        ground=all_of([f" {ground}" for ground in GROUNDS]),
    )


def sample_batch(
    rng: np.random.Generator, size: int, split: Split, *, films: float, tinted: float
) -> Seen:
    """Pictures and pairs of frames of the split, cut into patches, with their labels."""
    pixels, labels = [], []
    for _ in range(size):
        drawings, places = (_frames if rng.random() < films else _still)(rng, split)
        if rng.random() < tinted:
            tint = _tint(rng)
            drawings = [_tinted(drawing, tint) for drawing in drawings]
            places = replace(places, colour=np.full_like(places.colour, IGNORED))
        pixels.append(np.stack([drawing.pixels for drawing in drawings]))
        labels.append(places)
    patches = np.concatenate([patchify(frames, IMAGE).values for frames in pixels])
    joined = {
        field.name: torch.from_numpy(
            np.concatenate([np.atleast_1d(getattr(places, field.name)) for places in labels])
        )
        for field in fields(Places)
    }
    return Seen(patches=torch.from_numpy(patches), labels=joined)


def _still(rng: np.random.Generator, split: Split) -> tuple[list[Drawing], Places]:
    things = 1 + int(rng.choice(MOST, p=SHARES))
    scene = sample_scene(rng, num_things=things, split=split, same_kind=bool(rng.random() < 0.15))
    return [draw(scene, SIDE)] * 2, places_of_scene(scene, ROWS)


def _frames(rng: np.random.Generator, split: Split) -> tuple[list[Drawing], Places]:
    film = sample_film(rng, split=split)
    first = 2 * int(rng.integers(film.num_frames // 2))
    drawings = [draw(film.scene(frame), SIDE) for frame in (first, first + 1)]
    return drawings, places_of_frames(film, first, ROWS)


def _tint(rng: np.random.Generator) -> Float32[np.ndarray, "3"]:
    """Red, green and blue of any hue, saturation and brightness."""
    pure = np.array(hsv_to_rgb(float(rng.random()), float(rng.random()), 1.0), np.float32)
    return pure * np.float32(rng.uniform(0.6, 1.6))


def _tinted(drawing: Drawing, tint: Float32[np.ndarray, "3"]) -> Drawing:
    """The same picture with its things' light and shade in one tint; the background is kept."""
    pixels, things = drawing.pixels.copy(), drawing.masks.any(0)
    light = pixels[things] @ LUMINANCE
    pixels[things] = (light[:, None] * tint).clip(0, 255).round().astype(np.uint8)
    return replace(drawing, pixels=pixels)


def _shares(said: dict[str, Tensor], labels: dict[str, Tensor]) -> dict[str, float]:
    """The share of right answers of every head where there is something to say.

    `kind` counts places with a thing; `empty` those without.
    """
    found: dict[str, float] = {}
    there = labels["kind"] > 0
    right = said["kind"].argmax(-1) == labels["kind"]
    found["right/kind"] = float(right[there].float().mean())
    found["right/empty"] = float(right[~there].float().mean())
    for name in ("colour", "event", "background", "count"):
        told = labels[name] != IGNORED
        right = said[name].argmax(-1) == labels[name]
        found[f"right/{name}"] = float(right[told].float().mean())
    return found
