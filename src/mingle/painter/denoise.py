"""The denoise loop: noise in, picture latents out; a plain function that keeps nothing."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from mingle.painter.model import Painter, Tokens


class CancelledError(Exception):
    """Raised by an `on_step` callback to stop painting; the loop lets it pass."""


@dataclass(frozen=True, kw_only=True)
class Aim:
    """What is painted: condition tokens of each picture, and how strongly they are followed.

    `guidance` g adds g * (velocity with - without condition); 0 is off, 2 is what textbooks call 3.
    `references` are latents that the transformer sees beside the noise; of the first of them, those
    that are `kept` come out as they are.
    """

    conditions: Sequence[Tokens]
    guidance: float
    references: Float[Tensor, "batch channels frames rows columns"] | None = None
    kept: Bool[Tensor, "batch rows columns"] | None = None


@dataclass(frozen=True, kw_only=True)
class Step:
    """Where the loop stands. `estimate` is the finished picture as foreseen from here (latents)."""

    number: int
    total: int
    level: float
    latents: Float[Tensor, "batch channels rows columns"]
    estimate: Float[Tensor, "batch channels rows columns"]


OnStep = Callable[[Step], object]
"""Called after each step; raising cancels."""


def noise(
    seeds: Sequence[int], shape: tuple[int, int, int]
) -> Float[Tensor, "batch channels rows columns"]:
    """N(0, 1) in fp32 on the CPU, one generator for each picture: batch mates change nothing."""
    return torch.stack(
        [torch.randn(shape, generator=torch.Generator().manual_seed(seed)) for seed in seeds]
    )


@torch.no_grad()
def denoise(
    painter: Painter,
    latents: Float[Tensor, "batch channels rows columns"],
    aim: Aim,
    *,
    levels: Float[Tensor, " levels"],
    on_step: OnStep | None = None,
) -> Float[Tensor, "batch channels rows columns"]:
    """Follow the velocity from the first noise level to the last (Euler), from fp32 latents.

    Raises what `on_step` raises; it is called after every step, and nothing of the run is kept.
    """
    asked = [painter.finish(tokens) for tokens in aim.conditions]
    unasked = [painter.finish(torch.zeros_like(tokens)) for tokens in aim.conditions]
    dtype = asked[0].dtype
    references = None if aim.references is None else aim.references.to(dtype)
    for number, (level, following) in enumerate(pairwise(levels.tolist()), 1):
        t = torch.full((len(latents),), 1 - level, dtype=dtype, device=latents.device)
        noisy = latents.to(dtype)  # the state itself stays in fp32
        velocity = painter.velocity(noisy, t, asked, references).float()
        if aim.guidance > 0:
            plain = painter.velocity(noisy, t, unasked, references).float()
            velocity = velocity + aim.guidance * (velocity - plain)
        if aim.kept is not None and aim.references is not None:
            missing = aim.references[:, :, 0].float() - latents
            straight = missing / (level or 1.0)  # at level 0 nothing is missing any more
            velocity = torch.where(aim.kept[:, None], straight, velocity)
        estimate = latents + level * velocity
        latents = latents + (level - following) * velocity
        if on_step is not None:
            on_step(
                Step(
                    number=number,
                    total=len(levels) - 1,
                    level=level,
                    latents=latents,
                    estimate=estimate,
                )
            )
    return latents
