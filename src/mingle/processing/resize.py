"""Cubic resizing of 8-bit frames without antialiasing, as the official video path does."""

import numpy as np
from jaxtyping import Float64, Int64, Shaped, UInt8

CUBIC_A = -0.75  # OpenCV's coefficient


def resize_cubic(
    frame: UInt8[np.ndarray, "height width channels"], height: int, width: int
) -> UInt8[np.ndarray, "new_height new_width channels"]:
    """Resize one frame; a size that is right already gives the frame itself.

    The exact interpolated value, rounded to nearest even: it equals cv2.resize INTER_CUBIC of
    OpenCV 5.0 but for about 1 value in 100,000, which float32 rounds to the other side of a tie.
    """
    if frame.shape[:2] == (height, width):
        return frame
    tall = _blend(frame, *_taps(frame.shape[0], height))
    columns = np.ascontiguousarray(tall.transpose(1, 0, 2))  # rows are quick to gather
    exact = _blend(columns, *_taps(frame.shape[1], width)).transpose(1, 0, 2)
    return np.clip(np.rint(exact), 0, 255).astype(np.uint8)


def _blend(
    lines: Shaped[np.ndarray, "lines others channels"],
    positions: Int64[np.ndarray, "4 target"],
    weights: Float64[np.ndarray, "4 target"],
) -> Float64[np.ndarray, "target others channels"]:
    """Each target line from four source lines."""
    blended = np.zeros((positions.shape[1], *lines.shape[1:]))
    for position, weight in zip(positions, weights, strict=True):
        blended += lines[position] * weight[:, None, None]
    return blended


def _taps(
    source: int, target: int
) -> tuple[Int64[np.ndarray, "4 target"], Float64[np.ndarray, "4 target"]]:
    """For each target sample four source positions (edges repeated) and their weights."""
    centre = (np.arange(target) + 0.5) * (source / target) - 0.5
    left = np.floor(centre).astype(np.int64)
    x = centre - left
    near, far = 1 - x, 1 + x
    weights = np.empty((4, target))
    weights[0] = ((CUBIC_A * far - 5 * CUBIC_A) * far + 8 * CUBIC_A) * far - 4 * CUBIC_A
    weights[1] = ((CUBIC_A + 2) * x - (CUBIC_A + 3)) * x * x + 1
    weights[2] = ((CUBIC_A + 2) * near - (CUBIC_A + 3)) * near * near + 1
    weights[3] = 1 - weights[:3].sum(axis=0)
    positions = np.clip(left + np.arange(-1, 3)[:, None], 0, source - 1)
    return positions, weights
