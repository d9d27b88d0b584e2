"""Task `detector`: which things a world picture shows, and where: each cell is told its answer."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor, nn
from torch.nn import functional as F

from mingle.checkpoints.nano.trained import write_part
from mingle.nn.cells import CELL
from mingle.nn.detector import Detector, DetectorConfig, Maps, find, names_of
from mingle.training.chance import normal, uniform
from mingle.training.streams import Batch, Draw, numbered
from mingle.training.task import Outcome, Task
from mingle.training.tasks.image_vae import as_tensor
from mingle.worlds.edits import sample_edit
from mingle.worlds.pictures import sample_lettered_scene
from mingle.worlds.scenes import Drawing, Scene, draw, sample_scene
from mingle.worlds.split import Split
from mingle.worlds.sprites import COLOURS, KINDS

COVERED = 0.35  # the share of a cell from which on it shows a thing
CENTRE_WIDTH = 0.7  # cells; how far a centre shines
COLOUR_NAMES = (None, *COLOURS)


@dataclass(frozen=True, kw_only=True)
class ThingsData:
    """Batches of pictures of 1 to `most` things, `side` pixels square, with noise up to `noise`."""

    side: int
    batch: int
    most: int
    splits: tuple[Split, ...]
    noise: float


@dataclass(frozen=True, kw_only=True)
class Answers:
    """What each cell of a batch shows. Colours count where there is a thing."""

    kinds: Int[Tensor, "batch rows columns"]
    colours: Int[Tensor, "batch rows columns"]
    centres: Float[Tensor, "batch rows columns"]


class DetectorTask(Task):
    """Cross-entropy of kinds and colours in every cell, and of centres."""

    Model, Data = DetectorConfig, ThingsData

    def build(self, config: DetectorConfig) -> nn.Module:
        """The detector, freshly initialised."""
        assert config.num_kinds == len(KINDS) + 1
        assert config.num_colours == len(COLOUR_NAMES)
        return Detector(config).to(memory_format=torch.channels_last)  # pyright: ignore

    def batches(self, data: ThingsData, draw: Draw) -> Iterator[Batch]:
        """Scenes, some with words in them, some edited."""

        def make(rng: np.random.Generator) -> tuple[Tensor, Answers]:
            split = data.splits[rng.integers(len(data.splits))]
            return shown([sample_things(rng, data.most, split) for _ in range(data.batch)], data)

        for position, item in numbered(make, draw):
            yield Batch(
                data=(*item, data), samples=data.batch, tokens=item[1].kinds.numel(),
                position=position,
            )  # fmt: skip

    def losses(self, batch: Batch, generator: torch.Generator) -> Outcome:
        """`kinds`, `colours` in nats a cell; `centres` in nats, each centre counting 1."""
        pixels, answers, data = batch.data
        level = data.noise * uniform((len(pixels), 1, 1, 1), generator)
        pixels = pixels + level * normal(pixels.shape, generator)
        maps: Maps = self.model(pixels)
        things = answers.kinds > 0
        colours = F.cross_entropy(maps.colours, answers.colours, reduction="none")
        centres = F.binary_cross_entropy_with_logits(
            maps.centres, answers.centres, reduction="none"
        )
        peaks = (answers.centres > 0.99).sum().clamp(min=1)
        return Outcome(
            losses={
                "kinds": F.cross_entropy(maps.kinds, answers.kinds),
                "colours": (colours * things).sum() / things.sum().clamp(min=1),
                "centres": centres.sum() / peaks,
            }
        )

    @torch.no_grad()
    def evaluate(self, data: ThingsData, folder: Path) -> dict[str, float]:
        """The share of fresh pictures whose things, colours and number are all found."""
        figures = {}
        for count in (1, 2, 3):
            rng = np.random.default_rng((7, count))
            split = data.splits[0]
            scenes = [sample_scene(rng, num_things=count, split=split) for _ in range(128)]
            pixels, _ = self.here(shown(scenes, data))
            found = find(self.model(pixels))
            right = [names_of(f) == names(s) for f, s in zip(found, scenes, strict=True)]
            kinds = [
                [k for k, _ in names_of(f)] == [k for k, _ in names(s)]
                for f, s in zip(found, scenes, strict=True)
            ]
            figures |= {f"all_{count}": float(np.mean(right)), f"kinds_{count}": np.mean(kinds)}
        return {name: float(value) for name, value in figures.items()}

    def export(self, folder: Path) -> None:
        """The detector as nano's judge of pictures is stored."""
        write_part(folder, "judge", self.config, self.model.state_dict())


def sample_things(rng: np.random.Generator, most: int, split: Split) -> Scene:
    """A scene: of several things (70 %), equal ones (10 %), with words (10 %), edited (10 %)."""
    kind, count = rng.random(), int(rng.integers(1, most + 1))
    if kind < 0.1:
        return sample_lettered_scene(rng, split=split)
    if kind < 0.2:
        return sample_edit(rng, side=16, split=split).target
    return sample_scene(rng, num_things=count, split=split, same_kind=kind < 0.3)


def names(scene: Scene) -> list[tuple[int, int]]:
    """Kinds and colours of a scene as the detector numbers them, sorted."""
    return sorted(_numbers(scene))


def shown(scenes: list[Scene], data: ThingsData) -> tuple[Tensor, Answers]:
    """The scenes drawn, and what their cells show."""
    drawings = [draw(scene, data.side) for scene in scenes]
    pixels = as_tensor(np.stack([drawing.pixels for drawing in drawings]))
    maps = [_answers(s, d) for s, d in zip(scenes, drawings, strict=True)]
    kinds, colours, centres = (torch.from_numpy(np.stack(one)) for one in zip(*maps, strict=True))
    return pixels, Answers(kinds=kinds, colours=colours, centres=centres)


def _numbers(scene: Scene) -> list[tuple[int, int]]:
    return [(KINDS.index(t.kind) + 1, COLOUR_NAMES.index(t.colour)) for t in scene.things]


def _answers(scene: Scene, drawing: Drawing) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    cells = drawing.pixels.shape[0] // CELL
    kinds, colours = np.zeros((2, cells, cells), np.int64)
    centres = np.zeros((cells, cells), np.float32)
    most = np.full((cells, cells), COVERED)
    places = np.arange(cells) + 0.5
    numbers = _numbers(scene)
    for thing, mask, (kind, colour) in zip(scene.things, drawing.masks, numbers, strict=True):
        covered = mask.reshape(cells, CELL, cells, CELL).mean((1, 3))
        here = covered >= most
        kinds[here], colours[here] = kind, colour
        most = np.maximum(most, covered)
        x, y = (np.floor(place * cells) + 0.5 for place in (thing.x, thing.y))
        squares = (places[None] - x) ** 2 + (places[:, None] - y) ** 2
        centres = np.maximum(centres, np.exp(-squares / (2 * CENTRE_WIDTH**2)))
    return kinds, colours, centres.astype(np.float32)
