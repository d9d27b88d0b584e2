"""Batches on another device: every tensor in them, and nothing else, moves."""

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from mingle.training.task import moved


@dataclass(frozen=True, kw_only=True)
class Inner:
    ids: Tensor
    name: str
    pixels: np.ndarray


@dataclass(frozen=True, kw_only=True)
class Outer:
    parts: tuple[Inner, ...]
    by_name: dict[str, list[Tensor]]
    kind: type


def test_every_tensor_moves_and_the_rest_stays():
    inner = Inner(ids=torch.arange(3), name="a", pixels=np.zeros(2))
    outer = Outer(parts=(inner,), by_name={"b": [torch.ones(2, 2)]}, kind=Inner)
    there, number = moved((outer, 7), torch.device("meta"))
    [part], [tensor] = there.parts, there.by_name["b"]
    assert (part.ids.device.type, tensor.device.type) == ("meta", "meta")
    assert (part.ids.shape, tensor.shape) == ((3,), (2, 2))
    assert (part.name, part.pixels is inner.pixels, there.kind, number) == ("a", True, Inner, 7)
    assert inner.ids.device.type == "cpu"
