"""The silence gate: pauses pass only when speech follows, and the end keeps a short tail."""

from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor


@dataclass(frozen=True, kw_only=True)
class SilenceGate:
    """How silence is told. A frame whose mean absolute sample is at most `threshold` is silent."""

    sample_rate_hz: int
    threshold: float = 1e-3
    frame_s: float = 0.1
    tail_s: float = 0.3

    @property
    def frame(self) -> int:
        """Samples of one frame."""
        return int(self.sample_rate_hz * self.frame_s)

    @property
    def tail(self) -> int:
        """Samples of silence that may end the sound."""
        return int(self.sample_rate_hz * self.tail_s)

    def __call__(
        self, wave: Float[Tensor, " new"], held: Float[Tensor, " held"] | None, *, last: bool
    ) -> tuple[Float[Tensor, " passed"], Float[Tensor, " kept"]]:
        """Pass what is known to be heard, hold the rest; start with None. Nothing heard is lost.

        The last call passes the tail, too; after it, what is held is empty.
        """
        known = wave if held is None else torch.cat((held, wave))
        end = self.end_of_speech(known)
        if last:
            return known[: end + self.tail], known[:0]
        return known[:end], known[end:]

    def end_of_speech(self, wave: Float[Tensor, " samples"]) -> int:
        """Samples up to the end of the last whole frame that is not silent."""
        whole = wave.shape[0] // self.frame * self.frame
        levels = wave[:whole].unflatten(0, (-1, self.frame)).abs().mean(-1)
        loud = (levels > self.threshold).nonzero().flatten()
        return 0 if loud.numel() == 0 else int(loud[-1] + 1) * self.frame
