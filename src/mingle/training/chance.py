"""What a step of training leaves to chance: drawn from one generator, on the device it is on."""

from collections.abc import Sequence

import torch
from jaxtyping import Float
from torch import Tensor


def normal(shape: Sequence[int], generator: torch.Generator) -> Float[Tensor, "..."]:
    """Normal numbers of mean 0 and spread 1."""
    return torch.randn(tuple(shape), generator=generator, device=generator.device)


def uniform(shape: Sequence[int], generator: torch.Generator) -> Float[Tensor, "..."]:
    """Even numbers from 0 to 1."""
    return torch.rand(tuple(shape), generator=generator, device=generator.device)
