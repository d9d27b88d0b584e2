"""Noise levels of the denoise loop, and how they are shifted. (SPEC_GENERATION B3)"""

import math
from typing import Literal

import torch
from jaxtyping import Float, Float64
from torch import Tensor

from mingle.painter.config import ScheduleConfig

Spacing = Literal["useful", "reference"]


def noise_levels(
    config: ScheduleConfig, *, steps: int, num_tokens: int, spacing: Spacing = "useful"
) -> Float64[Tensor, " levels"]:
    """steps + 1 levels from 1 (noise) to 0 (picture); step i goes from level i to level i + 1.

    "useful": every step moves. "reference": the released pipeline's levels, whose last two are
    both 0, so that its last call of the transformer changes nothing.
    """
    even = (
        torch.linspace(1, 0, steps + 1, dtype=torch.float64)
        if spacing == "useful"
        else torch.cat((torch.linspace(1, 0, steps, dtype=torch.float64), torch.zeros(1)))
    )
    return shifted(even, shift_of(config, num_tokens))


def shifted(levels: Float[Tensor, " levels"], shift: float) -> Float[Tensor, " levels"]:
    """Levels pulled towards noise by a factor; 1 leaves them as they are."""
    return shift * levels / (1 + (shift - 1) * levels)


def shift_of(config: ScheduleConfig, num_tokens: int) -> float:
    """The factor by which levels are pulled towards noise, for a picture of so many tokens."""
    if not config.dynamic:
        return config.shift
    slope = (config.max_shift - config.base_shift) / (config.max_tokens - config.base_tokens)
    return math.exp(config.base_shift + slope * (num_tokens - config.base_tokens))
