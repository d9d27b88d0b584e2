"""Rotary position embedding: angles from positions, two channel pairings."""

from typing import NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor


class Rotation(NamedTuple):
    """Cosines and signed sines of the rotary channels, made once and used in every layer."""

    cos: Float[Tensor, "tokens 1 rotary_dim"]
    sin: Float[Tensor, "tokens 1 rotary_dim"]


def inverse_frequencies(rotary_dim: int, theta: float) -> Float[Tensor, " pairs"]:
    """theta^(-2f/rotary_dim) for f = 0..rotary_dim/2-1, in fp32 radians per position."""
    return 1.0 / theta ** (torch.arange(0, rotary_dim, 2, dtype=torch.float32) / rotary_dim)


def rotation(angles: Float[Tensor, "tokens pairs"], dtype: torch.dtype) -> Rotation:
    """The tables that `rotate` wants, in the dtype of the queries and keys they will turn."""
    cos, sin = angles.cos(), angles.sin()
    return Rotation(
        cos=torch.cat((cos, cos), dim=-1)[:, None].to(dtype),
        sin=torch.cat((-sin, sin), dim=-1)[:, None].to(dtype),
    )


def rotate(
    x: Float[Tensor, "tokens heads head_dim"], by: Rotation
) -> Float[Tensor, "tokens heads head_dim"]:
    """Rotate channel f with channel f + pairs (NeoX); channels past 2 * pairs pass through."""
    width = by.cos.shape[-1]
    turning, rest = x[..., :width], x[..., width:]
    turned = torch.addcmul(turning * by.cos, turning.roll(width // 2, dims=-1), by.sin)
    return torch.cat((turned, rest), dim=-1) if rest.shape[-1] else turned


def rotate_interleaved(
    x: Float[Tensor, "tokens heads head_dim"], angles: Float[Tensor, "tokens pairs"]
) -> Float[Tensor, "tokens heads head_dim"]:
    """Rotate channel 2f with channel 2f + 1 (GPT-J); channels past 2 * pairs pass through."""
    width = 2 * angles.shape[-1]
    cos, sin = angles.cos()[:, None].to(x.dtype), angles.sin()[:, None].to(x.dtype)
    even, odd, rest = x[..., 0:width:2], x[..., 1:width:2], x[..., width:]
    turned = torch.stack((even * cos - odd * sin, odd * cos + even * sin), dim=-1)
    return torch.cat((turned.flatten(-2), rest), dim=-1)
