"""Masks in COCO's words and as polygons, against pycocotools and a polygon filler."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mingle.painter.outlines import bounding_box, overlay, polygons, run_lengths

masks = st.builds(
    lambda height, width, share, seed: np.random.default_rng(seed).random((height, width)) < share,
    st.integers(1, 40),
    st.integers(1, 40),
    st.floats(0, 1),
    st.integers(0, 2**32 - 1),
)


@given(masks)
@settings(max_examples=60, deadline=None)
def test_run_lengths_are_those_of_coco(mask):
    coco = pytest.importorskip("pycocotools.mask")
    theirs = coco.encode(np.asfortranarray(mask.astype(np.uint8)))
    ours = run_lengths(mask)
    assert ours == {"size": theirs["size"], "counts": theirs["counts"].decode()}


def test_long_runs_are_those_of_coco():
    coco = pytest.importorskip("pycocotools.mask")
    mask = np.zeros((900, 1200), bool)
    mask[100:800, 300:1100] = True
    theirs = coco.encode(np.asfortranarray(mask.astype(np.uint8)))
    assert run_lengths(mask)["counts"] == theirs["counts"].decode()


@given(masks)
@settings(max_examples=60, deadline=None)
def test_even_odd_filling_of_the_polygons_gives_the_mask_back(mask):
    filled = np.zeros(mask.shape, int)
    for ring in polygons(mask):
        points = list(zip(ring[::2], ring[1::2], strict=True))
        for (x, y0), (x1, y1) in zip(points, points[1:] + points[:1], strict=True):
            if x == x1:  # a vertical edge turns over everything to its right
                filled[min(y0, y1) : max(y0, y1), x:] += 1
    np.testing.assert_array_equal(filled % 2 == 1, mask)


def test_a_hole_runs_the_other_way():
    mask = np.ones((5, 6), bool)
    mask[2, 2:4] = False
    areas = []
    for ring in polygons(mask):
        x, y = np.array(ring[::2]), np.array(ring[1::2])
        areas.append(int((x * np.roll(y, -1) - y * np.roll(x, -1)).sum()) / 2)
    assert sorted(areas) == [-2, 30]


def test_box_of_a_mask_and_of_nothing():
    mask = np.zeros((8, 9), bool)
    assert bounding_box(mask) == [0, 0, 0, 0]
    mask[2:5, 3:9] = True
    assert bounding_box(mask) == [3, 2, 6, 3]


def test_overlay_leaves_the_rest_alone_and_draws_the_edge():
    picture = np.full((7, 7, 3), 100, np.uint8)
    mask = np.zeros((7, 7), bool)
    mask[1:6, 1:6] = True
    laid = overlay(picture, mask, (200, 0, 0))
    assert (laid[~mask] == 100).all()
    assert laid[1, 1].tolist() == [200, 0, 0]
    assert laid[3, 3].tolist() == [150, 50, 50]
