"""Films whose frames tell their own number, so that a test knows which frame it was given."""

from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np

BITS = 16
STRIPE = 8  # pixels


def numbered_frame(number: int, height: int = 32) -> np.ndarray:
    """One frame, 128 pixels wide: each bit of the number is a black or white stripe."""
    bits = [(number >> bit) & 1 for bit in range(BITS)]
    row = np.repeat(np.array(bits, dtype=np.uint8) * 255, STRIPE)
    return np.repeat(np.broadcast_to(row, (height, row.size))[..., None], 3, axis=2).copy()


def number_of(frame: np.ndarray) -> int:
    """Read the number back from a frame of any size, compressed or not."""
    middle = frame[frame.shape[0] // 2, :, 1].astype(float)
    centres = ((np.arange(BITS) + 0.5) * middle.size / BITS).astype(int)
    return int(sum(1 << bit for bit, at in enumerate(centres) if middle[at] > 127))


def write_film(
    file: Path | Any,
    count: int,
    *,
    rate: Fraction | int = 25,
    codec: str = "libx264",
    container: str | None = None,
    times: Sequence[int] = (),
    **options: str,
) -> None:
    """Write frames 0, 1, ... at a steady rate, or at `times` in units of 1 / rate.

    `options` go to the encoder, but for `movflags`, which goes to the container.
    """
    flags = {key: options.pop(key) for key in ("movflags",) if key in options}
    with av.open(file, "w", format=container, options=flags) as out:
        stream = out.add_stream(codec, rate=rate)
        frame = numbered_frame(0)
        stream.width, stream.height = frame.shape[1], frame.shape[0]
        stream.pix_fmt = "yuv420p"
        stream.options = options
        stream.codec_context.time_base = 1 / Fraction(rate)
        for number in range(count):
            picture = av.VideoFrame.from_ndarray(numbered_frame(number), format="rgb24")
            picture.pts = times[number] if times else number
            picture.time_base = 1 / Fraction(rate)
            out.mux(stream.encode(picture))
        out.mux(stream.encode())
