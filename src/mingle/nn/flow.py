"""Flow matching: straight paths from noise (time 0) to data (time 1), and the way along them."""

import math
from collections.abc import Callable

import torch
from jaxtyping import Float
from torch import Tensor


def interpolate(
    noise: Float[Tensor, "*shape"], data: Float[Tensor, "*shape"], time: Float[Tensor, "*times"]
) -> Float[Tensor, "*shape"]:
    """The point of the straight path at `time`, which is broadcast from its leading axes."""
    time = time.reshape(*time.shape, *(1,) * (data.dim() - time.dim()))
    return (1 - time) * noise + time * data


def velocity_target(
    noise: Float[Tensor, "*shape"], data: Float[Tensor, "*shape"]
) -> Float[Tensor, "*shape"]:
    """What the network learns to predict on that path: the same at every time."""
    return data - noise


def guide(
    conditional: Float[Tensor, "*shape"], free: Float[Tensor, "*shape"], strength: float
) -> Float[Tensor, "*shape"]:
    """Push away from the unconditional velocity; strength g is a textbook guidance of g + 1."""
    return conditional + strength * (conditional - free)


def sway(times: Float[Tensor, " points"]) -> Float[Tensor, " points"]:
    """Bend a time grid towards the noisy end: 1 - cos(pi t / 2), sway coefficient -1 (F5-TTS)."""
    return 1 - torch.cos(math.pi / 2 * times)


def integrate(
    velocity: Callable[[Tensor, int], Tensor],
    start: Float[Tensor, "*shape"],
    times: Float[Tensor, " points"],
    kicks: Float[Tensor, " steps *shape"] | None = None,
) -> Float[Tensor, "*shape"]:
    """Euler's method along `times`; `velocity(x, step)` is asked at times[step].

    `kicks` are random numbers, scaled by the root of the step's length and added after every step,
    the last one included.
    """
    x = start
    for step in range(times.shape[0] - 1):
        length = times[step + 1] - times[step]
        x = x + velocity(x, step) * length
        if kicks is not None:
            x = x + kicks[step] * length.sqrt()
    return x
