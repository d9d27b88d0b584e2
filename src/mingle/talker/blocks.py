"""The small bidirectional transformer that the flow head and the patch encoder are made of."""

from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional as F

from mingle.nn.attention import Attend, Mask
from mingle.nn.layers import RMSNorm
from mingle.nn.rope import inverse_frequencies, rotate_interleaved
from mingle.nn.transformer import positions_of

ROPE_THETA = 10000.0
NORM_EPS = 1e-6
EVERYONE = Mask(causal=False)


@dataclass(frozen=True, kw_only=True)
class BlocksConfig:
    """`rotary_heads`: only so many heads, the first ones, know positions (all of them if None)."""

    depth: int
    dim: int
    num_heads: int
    inner_dim: int
    qk_norm: bool
    rotary_heads: int | None

    @property
    def head_dim(self) -> int:
        """Channels of one head."""
        return self.dim // self.num_heads


class Blocks(nn.Module):
    """Pre-norm blocks over packed sequences; positions count from 0 in each of them."""

    def __init__(self, config: BlocksConfig):
        super().__init__()
        self.config = config
        self.layers = nn.ModuleList(Block(config, i) for i in range(config.depth))

    def forward(
        self, x: Float[Tensor, "tokens dim"], lengths: tuple[int, ...], attend: Attend
    ) -> Float[Tensor, "tokens dim"]:
        frequencies = inverse_frequencies(self.config.head_dim, ROPE_THETA).to(x.device)
        angles = positions_of(lengths, x.device)[:, None] * frequencies
        for layer in self.layers:
            x = layer(x, angles, attend)
        return x


class Block(nn.Module):
    """x += attention(norm(x)); x += feed_forward(norm(x))."""

    def __init__(self, config: BlocksConfig, index: int):
        super().__init__()
        self.attention_norm = RMSNorm(config.dim, NORM_EPS)
        self.attention = BlockAttention(config, index)
        self.feed_forward_norm = RMSNorm(config.dim, NORM_EPS)
        self.widen = nn.Linear(config.dim, config.inner_dim)
        self.narrow = nn.Linear(config.inner_dim, config.dim)

    def forward(
        self, x: Float[Tensor, "tokens dim"], angles: Float[Tensor, "tokens pairs"], attend: Attend
    ) -> Float[Tensor, "tokens dim"]:
        x = x + self.attention(self.attention_norm(x), angles, attend)
        wide = F.gelu(self.widen(self.feed_forward_norm(x)), approximate="tanh")
        return x + self.narrow(wide)


class BlockAttention(nn.Module):
    """Everyone sees everyone; q, k and v are one matrix, all with biases."""

    def __init__(self, config: BlocksConfig, index: int):
        super().__init__()
        self.index = index
        self.num_heads = config.num_heads
        self.rotary_heads = config.num_heads
        if config.rotary_heads is not None:
            self.rotary_heads = config.rotary_heads
        self.qkv = nn.Linear(config.dim, 3 * config.dim)
        self.out = nn.Linear(config.dim, config.dim)
        self.query_norm: nn.Module = nn.Identity()
        self.key_norm: nn.Module = nn.Identity()
        if config.qk_norm:
            self.query_norm = RMSNorm(config.head_dim, NORM_EPS)
            self.key_norm = RMSNorm(config.head_dim, NORM_EPS)

    def forward(
        self, x: Float[Tensor, "tokens dim"], angles: Float[Tensor, "tokens pairs"], attend: Attend
    ) -> Float[Tensor, "tokens dim"]:
        q, k, v = self.qkv(x).unflatten(-1, (3, self.num_heads, -1)).unbind(1)
        q, k = self._rotate(self.query_norm(q), angles), self._rotate(self.key_norm(k), angles)
        return self.out(attend(self.index, q, k, v, EVERYONE).flatten(1))

    def _rotate(
        self, x: Float[Tensor, "tokens heads head_dim"], angles: Float[Tensor, "tokens pairs"]
    ) -> Float[Tensor, "tokens heads head_dim"]:
        first, rest = x.tensor_split((self.rotary_heads,), dim=1)
        return torch.cat((rotate_interleaved(first, angles), rest), dim=1)
