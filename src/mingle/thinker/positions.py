"""Where each token stands on three axes: time, height, width."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Int64
from torch import Tensor

from mingle.messages import Span
from mingle.thinker.config import Axes

FRAME_STRIDE = 2.0  # video_rope: a step of time counts double (SPEC_PERCEPTION 3)
TOKENS_PER_SECOND = 2.0  # 3d: a second of film is two positions long


@dataclass(frozen=True, kw_only=True)
class Positions:
    """Positions of a prompt's tokens, and the one at which its continuation goes on."""

    ids: Int64[Tensor, "3 tokens"]
    next_position: int


def position_ids(
    num_tokens: int,
    spans: Sequence[Span],
    seconds_per_step: Sequence[float | None] | None = None,
    *,
    axes: Axes,
) -> Positions:
    """Number text one by one on all axes, and a picture's tokens by time, row and column.

    `spans` are in token order; those without a grid (sound) are numbered like text.
    `seconds_per_step`, one for each span with a grid, spaces the time steps of films that keep
    several steps in one span (None: one apart). A picture advances the text behind it by one
    position in "video_rope", and by its longest side in "3d". (SPEC_PERCEPTION 3)
    """
    blocks = [span for span in spans if span.grid is not None]
    steps = seconds_per_step or [None] * len(blocks)
    place = _video_rope if axes == "video_rope" else _rope_3d
    pieces, end, start = [], 0, torch.zeros(())  # fp32 like the official code: it rounds alike
    for span, step in zip(blocks, steps, strict=True):
        num_text = span.start - end
        pieces.append((torch.arange(num_text) + start).expand(3, -1))
        block, start = place(span, step, num_text, start)
        pieces.append(block)
        end = span.start + span.length
    pieces.append((torch.arange(num_tokens - end) + start).expand(3, -1))
    ids = torch.cat(pieces, dim=1).long()  # towards zero
    return Positions(ids=ids, next_position=int(start) + num_tokens - end)


def _video_rope(
    span: Span, step: float | None, num_text: int, start: Tensor
) -> tuple[Tensor, Tensor]:
    """Rows and columns around the time of their step; then only time counts."""
    time, row, column = _grid(span)
    top, left = row.max() // 2, column.max() // 2
    time = time * FRAME_STRIDE if step is None else time * torch.tensor(step) * FRAME_STRIDE
    time = time + num_text + start
    block = torch.stack((time, time + row - top, time + column - left))
    return block, time.max() + 1


def _rope_3d(span: Span, step: float | None, num_text: int, start: Tensor) -> tuple[Tensor, Tensor]:
    """Time, row and column each from the same origin; then the longest counts."""
    time, row, column = _grid(span)
    if step is not None:
        time = (time * torch.tensor(step) * TOKENS_PER_SECOND).trunc()
    block = torch.stack((time, row, column)) + num_text + start
    return block, block.max() + 1


def _grid(span: Span) -> tuple[Tensor, Tensor, Tensor]:
    """Time, row and column of each token of a span, as floats, column fastest."""
    assert span.grid is not None
    axes = torch.meshgrid(*(torch.arange(size).float() for size in span.grid), indexing="ij")
    time, row, column = (axis.flatten() for axis in axes)
    return time, row, column
