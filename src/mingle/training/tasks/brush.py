"""Task `brush`: the painter on pictures of the world: from words, by edits, by segmentation.

Flow matching of latents (Lipman et al. 2023) with noise levels drawn logit-normally (Esser et al.
2024); the states of one layer are drawn to a detector's features (REPA, Yu et al. 2024). Thinker,
autoencoder and detector are frozen.
"""

import math
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache, partial
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn
from torch.nn import functional as F

from mingle.checkpoints.load import open_model
from mingle.checkpoints.nano.trained import write_part
from mingle.encoders.vision import VisionEncoder
from mingle.model import look_at
from mingle.nn.detector import Detector, DetectorConfig
from mingle.nn.flow import interpolate
from mingle.painter.config import PainterConfig
from mingle.painter.denoise import Aim, denoise, noise
from mingle.painter.glyphs import glyph_text
from mingle.painter.model import Painter
from mingle.painter.schedule import noise_levels
from mingle.processing.image import ImageSettings, prepare_picture
from mingle.training import losses
from mingle.training.captions import Library, Rows, open_reader
from mingle.training.streams import Batch, Draw, numbered
from mingle.training.task import Outcome, Task
from mingle.training.tasks.image_vae import as_tensor, save_grid
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
KINDS: tuple[Kind, ...] = ("single", "several", "words", "edit", "segment", "mask")
EVALUATED = 16  # held-out lessons of each kind
PREVIEW_STEPS, PREVIEW_GUIDANCE = 12, 2.0


@dataclass(frozen=True, kw_only=True)
class BrushConfig:
    """The painter, whose words a thinker reads, and the detector whose features are a hint.

    `hint_layer`: the layer of the transformer whose states are drawn to them.
    """

    painter: PainterConfig
    thinker: str
    detector: DetectorConfig
    hint_layer: int


@dataclass(frozen=True, kw_only=True)
class LessonData:
    """Batches of lessons of one kind each.

    `shares` are the kinds' relative frequencies, `shards` how many shards of plans each kind has.
    What the thinker reads is kept in `cache`. `condition_drop`: the share of pictures without
    their condition. Noise levels: sigmoid of a normal number of this mean and spread (level 0 is
    noise, 1 the picture). Without `paints` only `layout` is learned, from words, at a small part of
    the cost.
    """

    side: int
    batch: int
    shares: dict[str, float]
    shards: dict[str, int]
    cache: Path
    condition_drop: float
    time_mean: float
    time_spread: float
    paints: bool


@dataclass(frozen=True, kw_only=True)
class Lessons:
    """Lessons of one kind, ready for the model. `places`: see `LOOKS`.

    `before` is what is edited, `seen` what the eyes make of it.
    """

    pixels: Float[Tensor, "batch 3 height width"]
    before: Float[Tensor, "batch 3 height width"] | None
    seen: Sequence[Rows] | None
    rows: Sequence[Rows]
    glyphs: Sequence[str]
    places: Int[Tensor, "batch looks places"]


class Brush(nn.Module):
    """The painter, and beside it what only training needs."""

    def __init__(self, config: BrushConfig):
        super().__init__()
        dim, features = config.painter.transformer.dim, config.detector.dim
        self.painter = Painter(config.painter)
        self.detector = Detector(config.detector)
        self.hint = nn.Sequential(
            nn.Linear(dim, dim), nn.SiLU(), nn.Linear(dim, features * HINTS_PER_TOKEN)
        )
        self.layout = nn.Linear(config.painter.condition.dim, sum(LOOKS))
        open_gates(self.painter.transformer)


LOOKS = tuple(
    map(len, (PLACE_KINDS, PLACE_COLOURS, PLACE_LETTERS, PLACE_LETTERS, GROUNDS, PLACE_PAINTS))
)
"""What a place of a picture shows: kind, colour, left and right letter, background, paint; so many
of each."""
HINTS_PER_TOKEN = 4  # a token of 16 x 16 pixels is told what 2 x 2 squares of 8 x 8 show


class BrushTask(Task):
    """Flow matching (`flow`), the hint (`hint`), and what stands where, from words (`layout`)."""

    Model, Data = BrushConfig, LessonData

    def build(self, config: BrushConfig) -> nn.Module:
        """Painter, detector and hint, freshly initialised; recipes start the frozen ones."""
        self.libraries: dict[tuple[str, Split], Library] = {}
        self.plans = cache(_plans)  # some take longer to draw up than a step of training
        self._tower: tuple[VisionEncoder, ImageSettings] | None = None
        return Brush(config)

    def batches(self, data: LessonData, draw: Draw) -> Iterator[Batch]:
        """Batches of a kind by chance, of texts of like length from one shard."""
        kinds = _taught(data)
        weights = np.array([data.shares[kind] for kind in kinds])

        def make(rng: np.random.Generator) -> Lessons:
            kind = kinds[rng.choice(len(kinds), p=weights / weights.sum())]
            shard = int(rng.integers(data.shards[kind]))
            return self._lessons(rng, kind, shard, "train", data)[1]

        for position, lessons in numbered(make, draw):
            words = sum(len(rows) for rows in lessons.rows)
            yield Batch(
                data=(lessons, data), samples=data.batch, tokens=words, position=position
            )  # fmt: skip

    def losses(self, batch: Batch, generator: torch.Generator) -> Outcome:
        """`flow`: squared error of the velocity; `hint`: 1 - cosine; `layout`: nats a place."""
        lessons, data = batch.data
        tokens = self.model.painter.condition(lessons.rows, lessons.glyphs, lessons.seen)
        found = {"layout": self._layout(self._told(tokens), lessons)}
        if data.paints:
            found["flow"], found["hint"] = self._painted(lessons, tokens, data, generator)
        return Outcome(losses=found)

    @torch.no_grad()
    def evaluate(self, data: LessonData, folder: Path) -> dict[str, float]:
        """Losses on held-out lessons of each kind, at fixed noise; a grid of what is painted.

        `told`: of how many pictures the condition tells every place right.
        """
        figures, painted = {}, []
        for kind in _taught(data):
            rng = np.random.default_rng((11, KINDS.index(kind)))
            drawn, lessons = self._lessons(rng, kind, 0, "held_out", data)
            tokens = self.model.painter.condition(lessons.rows, lessons.glyphs, lessons.seen)
            told = self._told(tokens)
            figures[f"layout_{kind}"] = float(self._layout(told, lessons))
            figures[f"told_{kind}"] = float(_all_right(told, lessons.places).float().mean())
            if not data.paints:
                continue
            generator = torch.Generator().manual_seed(1)
            flows = [self._painted(lessons, tokens, data, generator)[0] for _ in range(4)]
            figures[f"flow_{kind}"] = float(torch.stack(flows).mean())
            painted += self._preview(lessons, tokens, drawn, folder / f"{kind}.txt")
        if painted:
            save_grid(folder / "painted.png", torch.stack(painted))
        return figures

    def export(self, folder: Path) -> None:
        """The painter as nano keeps its parts: `painter.json`, and its tensors in fp16."""
        write_part(folder, "painter", self.config.painter, self.model.painter.state_dict())

    def _lessons(
        self, rng: np.random.Generator, kind: Kind, shard: int, split: Split, data: LessonData
    ) -> tuple[list[Lesson], Lessons]:
        """Lessons of like length: a run of a shard's plans in the order of their lengths."""
        plans = self.plans(kind, split, shard)
        library = self._library(kind, split, data)
        rows = [library.rows(shard, plan.text) for plan in plans]
        lengths = np.array([len(row) for row in rows]) + rng.random(len(rows))
        start = int(rng.integers(len(plans) - data.batch + 1))
        chosen = np.argsort(lengths)[start : start + data.batch]
        drawn = [draw_plan(rng, plans[i], data.side) for i in chosen]
        before = [one.before for one in drawn if one.before is not None]
        condition = self.config.painter.condition
        side = math.isqrt(condition.places)
        read_glyphs = self.config.painter.glyph is not None
        return drawn, Lessons(
            pixels=as_tensor(np.stack([one.pixels for one in drawn])),
            before=as_tensor(np.stack(before)) if before else None,
            seen=self._seen(before) if before and condition.sight_dim else None,
            rows=[rows[i] for i in chosen],
            glyphs=[glyph_text(one.text) if read_glyphs else "" for one in drawn],
            places=torch.from_numpy(np.stack([_labels(one, side) for one in drawn])),
        )

    @torch.no_grad()
    def _seen(self, pictures: Sequence[np.ndarray]) -> list[Rows]:
        """What the thinker's eyes make of each picture; they are frozen, no part of the run."""
        tower, settings = self._eyes()
        return look_at(tower, [prepare_picture(one, settings) for one in pictures])

    def _eyes(self) -> tuple[VisionEncoder, ImageSettings]:
        if self._tower is None:
            folder = open_model(self.config.thinker)
            tower = folder.load_modules(("vision",), dtype=torch.float32)[0]["vision"]
            assert isinstance(tower, VisionEncoder)
            self._tower = tower, folder.processor().image
        return self._tower

    def _library(self, kind: Kind, split: Split, data: LessonData) -> Library:
        key = (kind, split)
        if key not in self.libraries:
            skip = self.config.painter.condition.skip_rows
            self.libraries[key] = Library(
                data.cache.expanduser() / f"{kind}-{split}",
                partial(open_reader, self.config.thinker, skip),
                lambda shard: [plan.text for plan in self.plans(kind, split, shard)],
            )
        return self.libraries[key]

    def _painted(
        self,
        lessons: Lessons,
        tokens: Sequence[Rows],
        data: LessonData,
        generator: torch.Generator,
    ) -> tuple[Tensor, Tensor]:
        """`flow` and `hint`."""
        painter, count = self.model.painter, len(lessons.pixels)
        with torch.no_grad():
            target = painter.encode(lessons.pixels)
            before = None if lessons.before is None else painter.encode(lessons.before)[:, :, None]
            features = F.avg_pool2d(self.model.detector(lessons.pixels).features, 2)
        kept = torch.rand(count, generator=generator) >= data.condition_drop
        asked = [painter.finish(row * keep) for row, keep in zip(tokens, kept, strict=True)]
        level = torch.randn(count, generator=generator) * data.time_spread + data.time_mean
        time = level.sigmoid()
        start = torch.randn(target.shape, generator=generator)
        layer = painter.transformer.layers[self.config.hint_layer]
        with _heard(layer) as states:
            velocity = painter.velocity(interpolate(start, target, time), time, asked, before)
        flow = losses.flow_matching(velocity, start, target)
        return flow, self._hint(states[0], features)

    def _told(self, tokens: Sequence[Rows]) -> Sequence[Float[Tensor, "batch places _"]]:
        """What the condition says of each place, for every look."""
        places = self.config.painter.condition.places
        scale = self.config.painter.condition.dim**0.5  # the tokens have unit length
        told = self.model.layout(torch.stack([row[:places] for row in tokens]) * scale)
        return told.split(LOOKS, -1)

    def _layout(
        self, told: Sequence[Float[Tensor, "batch places _"]], lessons: Lessons
    ) -> Float[Tensor, ""]:
        """Cross-entropy of what each place of the picture shows, in nats."""
        wrong = [
            F.cross_entropy(look.mT, labels, ignore_index=IGNORED, reduction="sum")
            for look, labels in zip(told, lessons.places.unbind(1), strict=True)
        ]
        return torch.stack(wrong).sum() / lessons.places[:, 0].numel()

    def _hint(
        self,
        states: Float[Tensor, "batch tokens dim"],
        features: Float[Tensor, "batch features rows columns"],
    ) -> Float[Tensor, ""]:
        """1 - cosine between what a picture's token foretells and its 2 x 2 squares' features."""
        wanted = F.pixel_unshuffle(features, 2).flatten(2).transpose(1, 2)
        wanted = wanted.unflatten(-1, (-1, HINTS_PER_TOKEN))
        foretold = self.model.hint(states[:, : wanted.shape[1]])
        foretold = foretold.unflatten(-1, (-1, HINTS_PER_TOKEN))
        return 1 - F.cosine_similarity(foretold, wanted, dim=2).mean()

    def _preview(
        self, lessons: Lessons, tokens: Sequence[Rows], drawn: Sequence[Lesson], listing: Path
    ) -> list[Tensor]:
        """Pairs (what the lesson shows, what is painted), of a few lessons; the texts in a file."""
        painter, shown = self.model.painter, slice(EVALUATED)
        target = painter.encode(lessons.pixels[shown])
        before = None if lessons.before is None else painter.encode(lessons.before[shown])
        levels = noise_levels(
            self.config.painter.schedule, steps=PREVIEW_STEPS, num_tokens=target[0, 0].numel()
        )
        aim = Aim(
            conditions=tokens[shown],
            guidance=PREVIEW_GUIDANCE,
            references=None if before is None else before[:, :, None],
        )
        latents = denoise(painter, noise(range(len(target)), target.shape[1:]), aim, levels=levels)
        listing.parent.mkdir(parents=True, exist_ok=True)
        listing.write_text("".join(f"{one.text}\n" for one in drawn[shown]), encoding="utf-8")
        pictures = painter.decode(latents)
        return list(torch.stack((lessons.pixels[shown], pictures), dim=1))


def _taught(data: LessonData) -> list[Kind]:
    return [kind for kind in KINDS if data.shares.get(kind)]


def _plans(kind: Kind, split: Split, shard: int) -> list[Plan]:
    """The plans of a shard; the same ones for every run."""
    seed = (20261125, KINDS.index(kind), shard, split == "held_out")
    rng = np.random.default_rng(seed)
    return [sample_plan(rng, kind, split=split) for _ in range(SHARD)]


def _labels(lesson: Lesson, side: int) -> np.ndarray:
    scene, known = lesson.target, lesson.before is not None or is_ground_told(lesson.text)
    looks = (
        *covered_places(scene, side),
        *letters_in_places(scene.lettering, side),
        np.full(side**2, GROUNDS.index(scene.background) if known else IGNORED),
        painted_places(lesson.changed, lesson.paint, side),
    )
    return np.stack(looks)


def _all_right(
    told: Sequence[Float[Tensor, "batch places _"]], places: Int[Tensor, "batch looks places"]
) -> Bool[Tensor, " batch"]:
    """Of which pictures every look of every place is told right."""
    found = torch.stack([look.argmax(-1) for look in told], dim=1)
    return ((found == places) | (places == IGNORED)).flatten(1).all(1)


@contextmanager
def _heard(layer: nn.Module) -> Iterator[list[Tensor]]:
    """Inside, the layer's outputs are collected."""
    outputs: list[Tensor] = []
    handle = layer.register_forward_hook(lambda _module, _inputs, out: outputs.append(out))  # pyright: ignore[reportArgumentType]
    try:
        yield outputs
    finally:
        handle.remove()


@torch.no_grad()
def open_gates(transformer: nn.Module) -> None:
    """Let every block pass its result on from the first step, and the output begin at zero."""
    for name, module in transformer.named_modules():
        if not isinstance(module, nn.Linear):
            continue
        if "adaLN_modulation" in name or name.endswith("linear"):  # ".linear": the last layer
            module.weight.zero_()
            module.bias.zero_()
        if name.endswith("adaLN_modulation.0"):
            for gate in module.bias.chunk(4)[1::2]:  # scale, gate, scale, gate
                gate.fill_(1.0)  # through tanh: 0.76
