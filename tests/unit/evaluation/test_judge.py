"""The judge that comes with nano knows the world's own pictures."""

import numpy as np
import PIL.Image
import pytest

from mingle.evaluation.judge import open_judge
from mingle.worlds import sprites
from mingle.worlds.scenes import draw, sample_scene


@pytest.mark.skipif(not sprites.FONT.exists(), reason="the emoji font is not installed")
def test_single_things_are_mostly_seen_for_what_they_are():
    rng = np.random.default_rng(5)
    scenes = [sample_scene(rng, num_things=1, split="held_out") for _ in range(24)]
    pictures = [PIL.Image.fromarray(draw(scene, 64).pixels) for scene in scenes]
    seen = open_judge().look(pictures)
    right = [
        len(found) == 1
        and found[0].kind == scene.things[0].kind
        and abs(found[0].x - scene.things[0].x) < 0.1
        for scene, found in zip(scenes, seen, strict=True)
    ]
    assert np.mean(right) > 0.7
