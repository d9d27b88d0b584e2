"""Packed sequences in one call are what they are one by one."""

import pytest
import torch

from mingle.nn.attention import Mask, Packed, filled_up


@pytest.mark.parametrize("lengths", [(5, 3, 9), (1, 1, 2), (4, 4)])
@pytest.mark.parametrize("kv_heads", [1, 4])
def test_filled_up_sequences_attend_as_if_alone(lengths: tuple[int, ...], kv_heads: int):
    draw = torch.Generator().manual_seed(0)
    inputs = [
        torch.randn(sum(lengths), heads, 8, generator=draw) for heads in (4, kv_heads, kv_heads)
    ]
    found = []
    for compute in (
        lambda *qkv: Packed(lengths)(0, *qkv, Mask(causal=False)),
        lambda *qkv: filled_up(lengths, *qkv),
    ):
        leaves = [tensor.clone().requires_grad_() for tensor in inputs]
        out = compute(*leaves)
        out.square().sum().backward()
        found.append([out, *(leaf.grad for leaf in leaves)])
    for alone, filled in zip(*found, strict=True):
        torch.testing.assert_close(filled, alone, atol=1e-5, rtol=1e-5)
