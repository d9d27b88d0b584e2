"""AAC as a stream of self-contained frames (ADTS), which libsndfile does not write; FFmpeg does."""

from typing import Any, cast

import numpy as np
from jaxtyping import Float32

from mingle.errors import missing_extra

BITS_PER_SECOND = 96_000  # one voice


class AacFile:
    """Mono samples in, frames out, into a binary file that is open for writing."""

    def __init__(self, target: Any, sample_rate_hz: int):
        try:
            import av
        except ImportError as error:
            raise missing_extra("media", "av") from error
        library = cast("Any", av)  # its types are only half known
        self._new_frame = library.AudioFrame.from_ndarray
        self._rate = sample_rate_hz
        self._out = library.open(target, "w", format="adts")
        self._stream = self._out.add_stream("aac", rate=sample_rate_hz, layout="mono")
        self._stream.bit_rate = BITS_PER_SECOND

    def write(self, samples: Float32[np.ndarray, " samples"]) -> None:
        """Append samples in [-1, 1]."""
        if len(samples) == 0:
            return
        frame = self._new_frame(
            np.ascontiguousarray(samples[None], np.float32), format="fltp", layout="mono"
        )
        frame.sample_rate = self._rate
        self._out.mux(self._stream.encode(frame))

    def close(self) -> None:
        """Write what is still held back."""
        self._out.mux(self._stream.encode())
        self._out.close()
