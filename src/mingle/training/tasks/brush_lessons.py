"""What the task `brush` learns from: lessons of one kind, and all that the model needs of them."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache, partial
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Bool, Float, Int, UInt8
from torch import Tensor
from torch.nn import functional as F

from mingle.checkpoints.load import open_model
from mingle.encoders.vision import VisionEncoder
from mingle.errors import ConfigError
from mingle.model import look_at
from mingle.painter.config import PainterConfig
from mingle.painter.glyphs import glyph_text
from mingle.processing.image import ImageSettings, prepare_picture
from mingle.training.captions import Library, Rows, open_reader
from mingle.training.tasks.image_vae import as_tensor
from mingle.worlds.lessons import Kind, Lesson, Plan, draw_plan, is_ground_told, sample_plan
from mingle.worlds.places import (
    GROUNDS,
    IGNORED,
    PLACE_COLOURS,
    PLACE_KINDS,
    PLACE_LETTERS,
    PLACE_PAINTS,
    covered_places,
    letters_in_places,
    painted_places,
)
from mingle.worlds.split import Split

SHARD = 256  # plans whose texts are read and kept together
REACH = 4  # pixels: so far a change is seen in the latents beside it
KINDS: tuple[Kind, ...] = ("single", "several", "words", "edit", "segment", "mask")
LOOKS = tuple(
    map(len, (PLACE_KINDS, PLACE_COLOURS, PLACE_LETTERS, PLACE_LETTERS, GROUNDS, PLACE_PAINTS))
)
"""What a place of a picture shows: kind, colour, left and right letter, background, paint; so many
of each."""


@dataclass(frozen=True, kw_only=True)
class LessonData:
    """Batches of lessons of one kind each.

    `shares` are the kinds' relative frequencies, `shards` how many shards of plans each kind has.
    What the thinker reads is kept in `cache`. `condition_drop`: the share of pictures without
    their condition. Noise levels: sigmoid of a normal number of this mean and spread (level 0 is
    noise, 1 the picture); each picture is noised `draws` times. Without `paints` only what the
    condition says is learned, at a small part of the cost. `settled`: see `lessons.draw_plan`.
    """

    side: int
    batch: int
    shares: dict[str, float]
    shards: dict[str, int]
    cache: Path
    condition_drop: float
    time_mean: float
    time_spread: float
    draws: int
    paints: bool
    settled: bool

    def __post_init__(self) -> None:
        for name in ("batch", "draws"):
            if (found := getattr(self, name)) < 1:
                raise ConfigError(f"data.{name} is {found}; expected 1 or more")
        if self.batch > SHARD:
            raise ConfigError(
                f"data.batch is {self.batch}; expected {SHARD} or fewer, as many as a shard has"
            )


@dataclass(frozen=True, kw_only=True)
class Lessons:
    """Lessons of one kind, ready for the model. `places`: see `LOOKS`.

    `before` is what is edited, `seen` what the eyes make of it, `kept` which of its latents stay.
    What the thinker makes of the texts, `told`, is one tensor, `lengths` long: many small ones
    would take a worker longer to hand over than to make.
    """

    pixels: Float[Tensor, "batch 3 height width"]
    before: Float[Tensor, "batch 3 height width"] | None
    seen: Float[Tensor, "batch eye_places sight_dim"] | None
    kept: Bool[Tensor, "batch rows columns"] | None
    told: Float[Tensor, "words thinker_dim"]
    lengths: Sequence[int]
    glyphs: Sequence[str]
    places: Int[Tensor, "batch looks places"]

    @property
    def rows(self) -> Sequence[Rows]:
        """What the thinker makes of each text."""
        return self.told.split(list(self.lengths))


class LessonBook:
    """Draws lessons; what thinker and eyes make of them comes from `thinker`, which is frozen."""

    def __init__(self, painter: PainterConfig, thinker: str):
        self.painter, self.thinker = painter, thinker
        self.plans = cache(_plans)  # some take longer to draw up than a step of training
        self._libraries: dict[tuple[Kind, Split], Library] = {}
        self._tower: tuple[VisionEncoder, ImageSettings] | None = None

    def draw(
        self, rng: np.random.Generator, kind: Kind, shard: int, split: Split, data: LessonData
    ) -> tuple[list[Lesson], Lessons]:
        """Lessons of like length: a run of a shard's plans in the order of their lengths."""
        plans = self.plans(kind, split, shard)
        library = self._library(kind, split, data)
        rows = [library.rows(shard, plan.text) for plan in plans]
        lengths = np.array([len(row) for row in rows]) + rng.random(len(rows))
        chosen = _neighbours(rng, lengths, data.batch)
        drawn = [draw_plan(rng, plans[i], data.side, settled=data.settled) for i in chosen]
        before = [one.before for one in drawn if one.before is not None]
        condition = self.painter.condition
        side = math.isqrt(condition.places)
        read_glyphs = self.painter.glyph is not None
        pixels = np.stack([one.pixels for one in drawn])
        factor = self.painter.autoencoder.factor
        return drawn, Lessons(
            pixels=as_tensor(pixels),
            before=as_tensor(np.stack(before)) if before else None,
            seen=self._seen(before) if before and condition.sight_dim else None,
            kept=_kept(np.stack(before), pixels, factor) if before and condition.keeps else None,
            told=torch.cat([rows[i] for i in chosen]).float(),
            lengths=[len(rows[i]) for i in chosen],
            glyphs=[glyph_text(one.text) if read_glyphs else "" for one in drawn],
            places=torch.from_numpy(np.stack([_labels(one, side) for one in drawn])),
        )

    @torch.no_grad()
    def _seen(self, pictures: Sequence[np.ndarray]) -> Float[Tensor, "batch eye_places sight_dim"]:
        """What the thinker's eyes make of each picture; the tower is no part of the run."""
        tower, settings = self._eyes()
        return torch.stack(look_at(tower, [prepare_picture(one, settings) for one in pictures]))

    def _eyes(self) -> tuple[VisionEncoder, ImageSettings]:
        if self._tower is None:
            folder = open_model(self.thinker)
            tower = folder.load_modules(("vision",), dtype=torch.float32)[0]["vision"]
            assert isinstance(tower, VisionEncoder)
            self._tower = tower, folder.processor().image
        return self._tower

    def _library(self, kind: Kind, split: Split, data: LessonData) -> Library:
        key = (kind, split)
        if key not in self._libraries:
            skip = self.painter.condition.skip_rows
            self._libraries[key] = Library(
                data.cache.expanduser() / f"{kind}-{split}",
                partial(open_reader, self.thinker, skip),
                lambda shard: [plan.text for plan in self.plans(kind, split, shard)],
            )
        return self._libraries[key]


def taught(data: LessonData) -> list[Kind]:
    """The kinds that have a share."""
    return [kind for kind in KINDS if data.shares.get(kind)]


def _plans(kind: Kind, split: Split, shard: int) -> list[Plan]:
    """The plans of a shard; the same ones for every run."""
    seed = (20261125, KINDS.index(kind), shard, split == "held_out")
    rng = np.random.default_rng(seed)
    return [sample_plan(rng, kind, split=split) for _ in range(SHARD)]


def _neighbours(
    rng: np.random.Generator, lengths: Float[np.ndarray, " plans"], count: int
) -> Int[np.ndarray, " count"]:
    """So many plans that follow each other in length; the shortest and longest have their turn."""
    middle = int(rng.integers(len(lengths)))
    start = min(max(middle - count // 2, 0), len(lengths) - count)
    return np.argsort(lengths)[start : start + count]


def _kept(
    before: UInt8[np.ndarray, "batch height width 3"],
    after: UInt8[np.ndarray, "batch height width 3"],
    factor: int,
) -> Bool[Tensor, "batch rows columns"]:
    """The latents in and near whose square of pixels nothing changes."""
    changed = torch.from_numpy((before != after).any(-1)).float()
    near = F.max_pool2d(changed, factor + 2 * REACH, factor, REACH)
    return near == 0


def _labels(lesson: Lesson, side: int) -> np.ndarray:
    scene, known = lesson.target, lesson.before is not None or is_ground_told(lesson.text)
    looks = (
        *covered_places(scene, side),
        *letters_in_places(scene.lettering, side),
        np.full(side**2, GROUNDS.index(scene.background) if known else IGNORED),
        painted_places(lesson.changed, lesson.paint, side),
    )
    return np.stack(looks)
