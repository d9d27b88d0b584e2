"""The convolutional stem of a vision tower."""

import numpy as np
import pytest
import torch

from mingle.encoders.grids import in_blocks, out_of_blocks
from mingle.encoders.stem import Stem, StemConfig
from mingle.nn.cells import Cells
from mingle.processing.image import ImageSettings, patchify

SETTINGS = ImageSettings(
    patch_size=8,
    merge=2,
    temporal_patch=2,
    min_pixels=1,
    max_pixels=10**6,
    max_aspect=10.0,
    mean=(0.5, 0.5, 0.5),
    std=(0.5, 0.5, 0.5),
)


@pytest.fixture
def stem():
    torch.manual_seed(0)
    config = StemConfig(dim=16, dilations=(1, 2))
    return Stem(config, patch_side=8, patch_frames=2, merge=2, out_dim=12)


def test_patches_go_out_of_blocks_as_they_went_in():
    grid = torch.randn(4, 6, 5)
    assert torch.equal(out_of_blocks(in_blocks(grid, 2), (4, 6), 2), grid)


def test_the_convolutions_see_each_frame_as_the_picture_it_is(stem, monkeypatch):
    frames = np.random.default_rng(0).integers(0, 256, (2, 32, 48, 3), dtype=np.uint8)
    patches = patchify(frames, SETTINGS)
    seen = []
    look = Cells.features
    monkeypatch.setattr(Cells, "features", lambda self, x: seen.append(x) or look(self, x))
    stem(torch.from_numpy(patches.values), [patches.grid])
    expected = torch.from_numpy(frames).permute(0, 3, 1, 2) / 127.5 - 1
    assert torch.allclose(torch.cat(seen), expected, atol=1e-6)


def test_a_still_picture_is_seen_once_and_as_a_film_would_be(stem, monkeypatch):
    first, other = torch.rand(3, 16, 16), torch.rand(3, 16, 16)
    frames = torch.stack((torch.stack((first, other)), torch.stack((first, first))))
    looked = []
    look = Cells.features
    monkeypatch.setattr(Cells, "features", lambda self, x: looked.append(len(x)) or look(self, x))
    features = stem._features(frames)
    assert looked == [2, 1]
    for found, pictures in zip(features, frames, strict=True):
        assert torch.allclose(found, look(stem.cells, pictures), atol=1e-6)


def test_pictures_of_several_sizes_are_seen_as_each_alone(stem):
    grids = [(1, 4, 6), (2, 2, 2), (1, 2, 2)]
    counts = [time * height * width for time, height, width in grids]
    patches = torch.randn(sum(counts), 3 * 2 * 8 * 8)
    together = stem(patches, grids)
    alone = [stem(part, [grid]) for part, grid in zip(patches.split(counts), grids, strict=True)]
    assert torch.allclose(together, torch.cat(alone), atol=1e-5)
