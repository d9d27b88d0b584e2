"""Cubic resizing: what OpenCV computes, from stored outputs of OpenCV 5.0."""

import numpy as np
import pytest

from mingle.processing.resize import resize_cubic

# cv2.resize(.., interpolation=cv2.INTER_CUBIC), OpenCV 5.0.0, of the 5 x 4 picture below
PICTURE = np.array(
    [[0, 255, 0, 128], [255, 0, 64, 32], [10, 200, 30, 40], [90, 80, 70, 60], [1, 2, 3, 255]],
    dtype=np.uint8,
)
LARGER = np.array(
    [
        [0, 27, 195, 255, 150, 3, 17, 111, 151],
        [183, 162, 124, 81, 52, 41, 47, 66, 75],
        [235, 188, 96, 25, 31, 60, 49, 29, 19],
        [0, 40, 147, 200, 132, 38, 15, 36, 41],
        [61, 78, 113, 128, 106, 69, 47, 37, 30],
        [64, 57, 43, 34, 29, 42, 84, 130, 155],
        [0, 0, 0, 0, 0, 0, 100, 231, 255],
    ],
    dtype=np.uint8,
)
SMALLER = np.array(
    [
        [196, 27, 53],
        [74, 47, 100],
    ],
    dtype=np.uint8,
)


@pytest.mark.parametrize("expected", [LARGER, SMALLER])
def test_it_equals_opencv(expected):
    found = resize_cubic(np.repeat(PICTURE[..., None], 3, axis=2), *expected.shape)
    assert np.array_equal(found, np.repeat(expected[..., None], 3, axis=2))


def test_a_right_size_changes_nothing():
    frame = np.random.default_rng(0).integers(0, 256, (6, 7, 3), dtype=np.uint8)
    assert resize_cubic(frame, 6, 7) is frame


def test_an_even_surface_stays_even():
    frame = np.full((9, 5, 3), 77, dtype=np.uint8)
    assert (resize_cubic(frame, 33, 4) == 77).all()
