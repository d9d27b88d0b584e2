"""Where speech pauses: cutting a long recording into pieces that a model can read."""

import math

import numpy as np
from jaxtyping import Float32, Float64

FRAME_S = 0.02  # loudness is looked at every 20 ms
PAUSE_S = 0.3  # a pause is quiet for about this long
QUIET_DB = -40.0  # below the loudest frame
SILENT_DB = -70.0  # below full scale: nothing at all
MARGIN_S = 0.2  # kept around speech, so that no consonant is lost


def speech_pieces(
    samples: Float32[np.ndarray, " samples"], sample_rate_hz: int, *, max_seconds: float
) -> list[tuple[int, int]]:
    """Cut at the quietest places; give (start, end) of each piece in samples, silence trimmed.

    Each piece is at most `max_seconds` long, and those in the middle at least half of it before
    they are trimmed. Pieces in which nothing is heard are left out.
    """
    frame = max(1, round(FRAME_S * sample_rate_hz))
    level = loudness(samples, frame)
    quiet = max(level.max(initial=-math.inf) + QUIET_DB, SILENT_DB)
    longest = max(2, math.floor(max_seconds * sample_rate_hz / frame))
    pieces: list[tuple[int, int]] = []
    for start, end in _cuts(level, longest):
        loud = np.flatnonzero(level[start:end] > quiet)
        if not loud.size:
            continue
        margin = round(MARGIN_S / FRAME_S)
        first = max(start, start + int(loud[0]) - margin)
        last = min(end, start + int(loud[-1]) + 1 + margin)
        pieces.append((first * frame, min(last * frame, len(samples))))
    return pieces


def loudness(
    samples: Float32[np.ndarray, " samples"], frame: int
) -> Float64[np.ndarray, " frames"]:
    """Root mean square of each frame in dB below full scale; the last frame may be short."""
    padded = np.pad(samples.astype(np.float64), (0, -len(samples) % frame))
    power = np.square(padded).reshape(-1, frame).mean(axis=1)
    return 10 * np.log10(np.maximum(power, 1e-12))


def _cuts(level: Float64[np.ndarray, " frames"], longest: int) -> list[tuple[int, int]]:
    """Ranges of at most `longest` frames that meet where it is quietest."""
    width = max(1, min(round(PAUSE_S / FRAME_S), longest // 2))
    smooth = np.convolve(level, np.ones(width) / width, mode="same")
    ranges: list[tuple[int, int]] = []
    start = 0
    while len(level) - start > longest:
        least = start + longest // 2
        window = smooth[least : start + longest]
        last_of_quietest = len(window) - 1 - int(window[::-1].argmin())
        end = max(start + 1, least + last_of_quietest)
        ranges.append((start, end))
        start = end
    return [*ranges, (start, len(level))]
