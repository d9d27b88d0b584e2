"""Task `brush`: the painter on pictures of the world: from words, by edits, by segmentation.

Flow matching of latents (Lipman et al. 2023) with noise levels drawn logit-normally (Esser et al.
2024); the states of one layer are drawn to a detector's features (REPA, Yu et al. 2024). Thinker,
autoencoder and detector are frozen.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Bool, Float, Int, UInt8
from torch import Tensor, nn
from torch.nn import functional as F

from mingle.checkpoints.nano.trained import write_part
from mingle.nn.detector import Detector, DetectorConfig
from mingle.nn.flow import interpolate
from mingle.painter.config import PainterConfig
from mingle.painter.denoise import Aim, denoise, noise
from mingle.painter.masks import read_mask
from mingle.painter.model import Painter
from mingle.painter.schedule import noise_levels
from mingle.training import losses
from mingle.training.captions import Rows
from mingle.training.chance import normal, uniform
from mingle.training.streams import Batch, Draw, numbered
from mingle.training.task import Outcome, Task
from mingle.training.tasks.brush_lessons import (
    KINDS,
    LOOKS,
    LessonBook,
    LessonData,
    Lessons,
    taught,
)
from mingle.training.tasks.image_vae import as_levels, save_grid
from mingle.worlds.edits import PAINTS
from mingle.worlds.lessons import Lesson
from mingle.worlds.places import IGNORED

EVALUATED, SHOWN = 48, 16  # held-out lessons of each kind, and how many of them are pictured
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


RIM, NOTHING = 0.4, 0.15  # shares of edits of which less is kept than may be, and nothing at all
HINTS_PER_TOKEN = 4  # a token of 16 x 16 pixels is told what 2 x 2 squares of 8 x 8 show


class BrushTask(Task):
    """Flow matching (`flow`), the hint (`hint`); from words what stands where (`layout`), and what
    an edit keeps (`keep`).
    """

    Model, Data = BrushConfig, LessonData

    def build(self, config: BrushConfig) -> nn.Module:
        """Painter, detector and hint, freshly initialised; recipes start the frozen ones."""
        self.book = LessonBook(config.painter, config.thinker)
        return Brush(config)

    def batches(self, data: LessonData, draw: Draw) -> Iterator[Batch]:
        """Batches of a kind by chance, of texts of like length from one shard."""
        kinds = taught(data)
        weights = np.array([data.shares[kind] for kind in kinds])

        def make(rng: np.random.Generator) -> Lessons:
            kind = kinds[rng.choice(len(kinds), p=weights / weights.sum())]
            shard = int(rng.integers(data.shards[kind]))
            return self.book.draw(rng, kind, shard, "train", data)[1]

        for position, lessons in numbered(make, draw):
            yield Batch(
                data=(lessons, data),
                samples=data.batch,
                tokens=sum(lessons.lengths),
                position=position,
            )

    def losses(self, batch: Batch, generator: torch.Generator) -> Outcome:
        """`flow`: squared error of the velocity; `hint`: 1 - cosine; `layout`: nats a place;
        `keep`: nats a latent.
        """
        lessons, data = batch.data
        tokens = self._condition(lessons)
        found = {"layout": self._layout(self._told(tokens), lessons)}
        if self.config.painter.condition.keeps:
            found["keep"] = self._keep(tokens, lessons)
        if data.paints:
            found["flow"], found["hint"] = self._painted(lessons, tokens, data, generator)
        return Outcome(losses=found)

    @torch.no_grad()
    def evaluate(self, data: LessonData, folder: Path) -> dict[str, float]:
        """Losses on held-out lessons of each kind, at fixed noise; a grid of what is painted.

        `told`: of how many pictures the condition tells every place right. `ciou`: of masks read
        from what is painted, summed intersections over summed unions.
        """
        figures, painted = {}, []
        data = replace(data, batch=EVALUATED, settled=False)
        for kind in taught(data):
            rng = np.random.default_rng((11, KINDS.index(kind)))
            drawn, lessons = self.book.draw(rng, kind, 0, "held_out", data)
            lessons = self.here(lessons)
            tokens = self._condition(lessons)
            told = self._told(tokens)
            figures[f"layout_{kind}"] = float(self._layout(told, lessons))
            figures[f"told_{kind}"] = float(_all_right(told, lessons.places).float().mean())
            if lessons.kept is not None:
                figures[f"keep_{kind}"] = float(self._keep(tokens, lessons))
            if not data.paints:
                continue
            generator = torch.Generator(self.device).manual_seed(1)
            flows = [self._painted(lessons, tokens, data, generator)[0] for _ in range(4)]
            figures[f"flow_{kind}"] = float(torch.stack(flows).mean())
            pictures = self._paint(lessons, tokens)
            if drawn[0].paint is not None:
                assert lessons.before is not None
                painter = self.model.painter
                unedited = as_levels(painter.decode(painter.encode(lessons.before)))
                figures[f"ciou_{kind}"] = overlap(drawn, as_levels(pictures), unedited)
            painted += list(torch.stack((lessons.pixels, pictures), dim=1)[:SHOWN])
            folder.mkdir(parents=True, exist_ok=True)
            texts = "".join(f"{one.text}\n" for one in drawn[:SHOWN])
            (folder / f"{kind}.txt").write_text(texts, encoding="utf-8")
        if painted:
            save_grid(folder / "painted.png", torch.stack(painted))
        return figures

    def export(self, folder: Path) -> None:
        """The painter as nano keeps its parts: `painter.json`, and its tensors in fp16."""
        write_part(folder, "painter", self.config.painter, self.model.painter.state_dict())

    def _condition(self, lessons: Lessons) -> Sequence[Rows]:
        seen = None if lessons.seen is None else list(lessons.seen)
        return self.model.painter.condition(lessons.rows, lessons.glyphs, seen)

    def _painted(
        self,
        lessons: Lessons,
        tokens: Sequence[Rows],
        data: LessonData,
        generator: torch.Generator,
    ) -> tuple[Tensor, Tensor]:
        """`flow` and `hint`."""
        painter, draws = self.model.painter, data.draws
        with torch.no_grad():
            target = painter.encode(lessons.pixels).repeat_interleave(draws, 0)
            before = None
            if lessons.before is not None:
                before = painter.encode(lessons.before)[:, :, None].repeat_interleave(draws, 0)
            features = F.avg_pool2d(self.model.detector(lessons.pixels).features, 2)
            features = features.repeat_interleave(draws, 0)
        count = len(target)
        counted = torch.ones_like(target[:, 0], dtype=torch.bool)
        if before is not None and lessons.kept is not None:
            kept = _some_of(lessons.kept.repeat_interleave(draws, 0), generator)
            target, counted = torch.where(kept[:, None], before[:, :, 0], target), ~kept
        heard = uniform((count,), generator) >= data.condition_drop
        lengths = [len(row) for row in tokens for _ in range(draws)]
        told = torch.cat([row for row in tokens for _ in range(draws)])
        hears = heard.repeat_interleave(
            torch.tensor(lengths).to(heard.device), output_size=len(told)
        )
        asked = painter.finish(told * hears[:, None]).split(lengths)
        level = normal((count,), generator) * data.time_spread + data.time_mean
        time = level.sigmoid()
        start = normal(target.shape, generator)
        layer = painter.transformer.layers[self.config.hint_layer]
        with _heard(layer) as states:
            velocity = painter.velocity(interpolate(start, target, time), time, asked, before)
        flow = losses.flow_matching_where(counted, velocity, start, target)
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

    def _keep(self, tokens: Sequence[Rows], lessons: Lessons) -> Float[Tensor, ""]:
        """Cross-entropy of which latents an edit keeps, in nats; 0 where nothing is edited."""
        said = self.model.painter.keep_logits(tokens)
        if lessons.kept is None:
            return said.sum() * 0
        return F.binary_cross_entropy_with_logits(said, lessons.kept.float())

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

    def _paint(
        self, lessons: Lessons, tokens: Sequence[Rows]
    ) -> Float[Tensor, "batch 3 height width"]:
        """What the painter makes of the lessons' words, and of the pictures before an edit."""
        painter = self.model.painter
        rows, columns = (
            side // painter.config.autoencoder.factor for side in lessons.pixels.shape[2:]
        )
        channels = painter.config.transformer.latent_channels
        before = None if lessons.before is None else painter.encode(lessons.before)[:, :, None]
        levels = noise_levels(
            painter.config.schedule, steps=PREVIEW_STEPS, num_tokens=rows * columns
        )
        kept = None if before is None else painter.kept(tokens)
        aim = Aim(conditions=tokens, guidance=PREVIEW_GUIDANCE, references=before, kept=kept)
        start = noise(range(len(tokens)), (channels, rows, columns)).to(self.device)
        return painter.decode(denoise(painter, start, aim, levels=levels))


def overlap(
    drawn: Sequence[Lesson],
    pictures: UInt8[np.ndarray, "batch height width 3"],
    unedited: UInt8[np.ndarray, "batch height width 3"],
) -> float:
    """cIoU of the masks: what is white in a picture of a mask, or what paint covers.

    `unedited` are the pictures before, after the autoencoder.
    """
    both = either = 0
    for lesson, picture, source in zip(drawn, pictures, unedited, strict=True):
        if lesson.paint in PAINTS:
            found = read_mask(source, picture, PAINTS[lesson.paint]).pixels
        else:
            found = picture.mean(-1) > 127
        assert lesson.changed is not None
        both += int((found & lesson.changed).sum())
        either += int((found | lesson.changed).sum())
    return both / max(either, 1)


def _all_right(
    told: Sequence[Float[Tensor, "batch places _"]], places: Int[Tensor, "batch looks places"]
) -> Bool[Tensor, " batch"]:
    """Of which pictures every look of every place is told right."""
    found = torch.stack([look.argmax(-1) for look in told], dim=1)
    return ((found == places) | (places == IGNORED)).flatten(1).all(1)


def _some_of(
    kept: Bool[Tensor, "batch rows columns"], generator: torch.Generator
) -> Bool[Tensor, "batch rows columns"]:
    """All that may be kept, less by a rim, or nothing: a painter has to do what is left to it."""
    rim = F.max_pool2d((~kept).float(), 3, 1, 1) > 0
    chance = uniform((len(kept), 1, 1), generator)
    return kept & ~(rim & (chance < RIM)) & (chance >= NOTHING)


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
