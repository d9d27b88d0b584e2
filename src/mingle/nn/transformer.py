"""A dense pre-norm decoder of the Qwen2 / Llama kind, over packed sequences.

It is the talker's language model, the audio VAE's backbones and the painter's connector; its
attention is the thinker's too.
"""

from dataclasses import dataclass

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn
from torch.nn import functional as F

from mingle.nn.attention import Attend, Mask
from mingle.nn.layers import RMSNorm, SwiGLU
from mingle.nn.rope import Rotation, inverse_frequencies, rotate, rotation


@dataclass(frozen=True, kw_only=True)
class DecoderConfig:
    """Sizes and switches of one decoder; `windows` has one entry a layer, None for no window."""

    num_layers: int
    dim: int
    num_heads: int
    num_kv_heads: int
    head_dim: int
    inner_dim: int
    norm_eps: float
    rope_theta: float
    qkv_bias: bool
    causal: bool
    windows: tuple[int | None, ...]

    def attention(self, layer: int) -> "AttentionConfig":
        """What one layer's attention needs to know."""
        return AttentionConfig(
            dim=self.dim,
            num_heads=self.num_heads,
            num_kv_heads=self.num_kv_heads,
            head_dim=self.head_dim,
            qkv_bias=self.qkv_bias,
            qk_norm_eps=None,
            mask=Mask(causal=self.causal, window=self.windows[layer]),
        )


@dataclass(frozen=True, kw_only=True)
class AttentionConfig:
    """Sizes and switches of one attention layer; without `qk_norm_eps` q and k are not normed."""

    dim: int
    num_heads: int
    num_kv_heads: int
    head_dim: int
    qkv_bias: bool
    qk_norm_eps: float | None
    mask: Mask


class Decoder(nn.Module):
    """Embeddings in, final-norm hidden states out; the embedding table is the owner's."""

    def __init__(self, config: DecoderConfig):
        super().__init__()
        self.config = config
        self.layers = nn.ModuleList(DecoderLayer(config, i) for i in range(config.num_layers))
        self.norm = RMSNorm(config.dim, config.norm_eps)

    def forward(
        self,
        x: Float[Tensor, "tokens dim"],
        positions: Int[Tensor, " tokens"],
        attend: Attend,
    ) -> Float[Tensor, "tokens dim"]:
        config = self.config
        frequencies = inverse_frequencies(config.head_dim, config.rope_theta).to(x.device)
        turn = rotation(positions[:, None] * frequencies, x.dtype)
        for layer in self.layers:
            x = layer(x, turn, attend)
        return self.norm(x)


class DecoderLayer(nn.Module):
    """x += attention(norm(x)); x += feed_forward(norm(x))."""

    def __init__(self, config: DecoderConfig, index: int):
        super().__init__()
        self.attention_norm = RMSNorm(config.dim, config.norm_eps)
        self.attention = SelfAttention(config.attention(index), index)
        self.feed_forward_norm = RMSNorm(config.dim, config.norm_eps)
        self.feed_forward = SwiGLU(config.dim, config.inner_dim)

    def forward(
        self, x: Float[Tensor, "tokens dim"], turn: Rotation, attend: Attend
    ) -> Float[Tensor, "tokens dim"]:
        x = x + self.attention(self.attention_norm(x), turn, attend)
        return x + self.feed_forward(self.feed_forward_norm(x))


class SelfAttention(nn.Module):
    """Grouped-query attention with rotary positions; q, k and v are one matrix."""

    def __init__(self, config: AttentionConfig, index: int):
        super().__init__()
        self.index = index
        self.mask = config.mask
        self.head_dim = config.head_dim
        self.num_heads, self.num_kv_heads = config.num_heads, config.num_kv_heads
        width = config.num_heads * config.head_dim
        kv_width = config.num_kv_heads * config.head_dim
        self.qkv = nn.Linear(config.dim, width + 2 * kv_width, bias=config.qkv_bias)
        self.norm = nn.Identity() if config.qk_norm_eps is None else QueryKeyNorm(config)
        self.out = nn.Linear(width, config.dim, bias=False)

    def forward(
        self, x: Float[Tensor, "tokens dim"], turn: Rotation, attend: Attend
    ) -> Float[Tensor, "tokens dim"]:
        heads = self.qkv(x).unflatten(-1, (-1, self.head_dim))  # tokens heads+2*kv_heads head_dim
        qk, v = heads.split((self.num_heads + self.num_kv_heads, self.num_kv_heads), dim=1)
        q, k = rotate(self.norm(qk), turn).split((self.num_heads, self.num_kv_heads), dim=1)
        return self.out(attend(self.index, q, k, v, self.mask).flatten(1))


class QueryKeyNorm(nn.Module):
    """Root-mean-square norm of each head; queries share one scale, keys another."""

    def __init__(self, config: AttentionConfig):
        super().__init__()
        self.num_heads, self.num_kv_heads = config.num_heads, config.num_kv_heads
        self.eps = config.qk_norm_eps
        self.query = nn.Parameter(torch.ones(config.head_dim))
        self.key = nn.Parameter(torch.ones(config.head_dim))

    def forward(
        self, heads: Float[Tensor, "tokens heads head_dim"]
    ) -> Float[Tensor, "tokens heads head_dim"]:
        scales = self.query.expand(self.num_heads, -1), self.key.expand(self.num_kv_heads, -1)
        normed = F.rms_norm(heads.float(), self.query.shape, eps=self.eps).to(heads.dtype)
        return normed * torch.cat(scales)


def positions_of(lengths: tuple[int, ...], device: torch.device) -> Int[Tensor, " tokens"]:
    """0, 1, 2, ... for each of the packed sequences."""
    return torch.cat([torch.arange(length) for length in lengths]).to(device)
