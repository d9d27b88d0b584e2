"""The judge of painted pictures: a detector that was trained with another seed than any painter's.

It lies in nano's folder (`judges/`). It saw both splits of the world, so that unseen combinations
are no harder for it than others.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch

from mingle import typed
from mingle.checkpoints import nano
from mingle.checkpoints.load import read_json
from mingle.checkpoints.nano import trained
from mingle.checkpoints.streaming import build_on_meta
from mingle.nn.detector import Detector, DetectorConfig, find
from mingle.worlds.sprites import COLOURS, KINDS

if TYPE_CHECKING:
    import PIL.Image

SIDE = 64  # pixels; what the judge was trained on
AT_ONCE = 32
NATURAL = None
LOOKS = (NATURAL, *COLOURS)


@dataclass(frozen=True, kw_only=True)
class Seen:
    """One thing that the judge sees; its centre is a share of the picture's width and height."""

    kind: str
    colour: str | None
    x: float
    y: float


class Judge:
    """Says which things of the picture world a picture shows."""

    def __init__(self, detector: Detector):
        self.detector = detector.eval()

    @torch.no_grad()
    def look(self, pictures: "Sequence[PIL.Image.Image]") -> list[list[Seen]]:
        """The things in each picture, which is looked at in 64 x 64 pixels."""
        shown = [np.asarray(p.convert("RGB").resize((SIDE, SIDE)), np.float32) for p in pictures]
        seen: list[list[Seen]] = []
        for start in range(0, len(shown), AT_ONCE):
            pixels = torch.from_numpy(np.stack(shown[start : start + AT_ONCE]))
            maps = self.detector(pixels.permute(0, 3, 1, 2) / 127.5 - 1)
            seen += [
                [Seen(kind=KINDS[f.kind - 1], colour=LOOKS[f.colour], x=f.x, y=f.y) for f in found]
                for found in find(maps)
            ]
        return seen


def open_judge() -> Judge:
    """The judge that comes with nano. Raises CheckpointError when its files are missing."""
    folder = nano.locate() / "judges"
    config = typed.read(DetectorConfig, read_json(folder / "judge.json"), "judge.json of nano")
    detector = build_on_meta(lambda: Detector(config))
    assert isinstance(detector, Detector)
    trained.fill(
        detector,
        trained.read_tensors(folder, "judge"),
        f"{folder}/judge.safetensors",
        dtype=None,
        device=torch.device("cpu"),
    )
    return Judge(detector)
