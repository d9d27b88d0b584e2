"""The thinker: a mixture-of-experts language model over packed sequences of any modality."""

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn
from torch.nn import functional as F

from mingle.messages import Modality
from mingle.nn.attention import Attend
from mingle.nn.layers import RMSNorm, SwiGLU
from mingle.nn.moe import Experts, Routing
from mingle.nn.rope import Rotation, inverse_frequencies, rotation
from mingle.nn.transformer import SelfAttention
from mingle.thinker.config import SparseConfig, ThinkerConfig
from mingle.thinker.router import ByRouter, build_routers, by_router, route


class Thinker(nn.Module):
    """Embeddings in, final hidden states and one Routing for each expert layer out."""

    def __init__(self, config: ThinkerConfig):
        super().__init__()
        self.config = config
        self.embedding = nn.Embedding(config.vocab_size, config.dim)
        self.layers = nn.ModuleList(ThinkerLayer(config, i) for i in range(config.num_layers))
        self.norm = RMSNorm(config.dim, config.norm_eps)
        self.head = None if config.tied_embeddings else _head(config)

    def forward(
        self,
        hidden: Float[Tensor, "tokens dim"],
        positions: Int[Tensor, "3 tokens"],
        modality: Int[Tensor, " tokens"],
        attend: Attend,
    ) -> tuple[Float[Tensor, "tokens dim"], tuple[Routing, ...]]:
        """Positions of a continued sequence are the caller's: nothing is remembered here."""
        turn = self.rotation(positions, hidden.dtype)
        sparse = self.config.sparse
        tokens = by_router(modality, (Modality.TEXT,) if sparse is None else sparse.routers)
        routings: tuple[Routing, ...] = ()
        for layer in self.layers:
            hidden, routing = layer(hidden, turn, tokens, attend)
            routings += routing
        return self.norm(hidden), routings

    def embed_tokens(self, ids: Int[Tensor, " tokens"]) -> Float[Tensor, "tokens dim"]:
        """The embedding of each token id."""
        return self.embedding(ids)

    def logits(self, hidden: Float[Tensor, "tokens dim"]) -> Float[Tensor, "tokens vocab"]:
        """Scores of the next token, from final hidden states."""
        if self.head is not None:
            return self.head(hidden)
        return F.linear(hidden, self.embedding.weight[: self.config.output_size])

    def rotation(self, positions: Int[Tensor, "3 tokens"], dtype: torch.dtype) -> Rotation:
        """The rotary tables of these positions: each channel pair turns by its own axis."""
        rope = self.config.rope
        frequencies = inverse_frequencies(rope.rotary_dim, rope.theta).to(positions.device)
        axes = torch.tensor(rope.axis_of_pair, device=positions.device)
        return rotation(positions[axes].T * frequencies, dtype)


class ThinkerLayer(nn.Module):
    """x += attention(norm(x)); x += feed_forward(norm(x))."""

    def __init__(self, config: ThinkerConfig, index: int):
        super().__init__()
        self.attention_norm = RMSNorm(config.dim, config.norm_eps)
        self.attention = SelfAttention(config.attention, index)
        self.feed_forward_norm = RMSNorm(config.dim, config.norm_eps)
        sparse = config.sparse
        if sparse is not None and index in sparse.layers:
            self.feed_forward = SparseFeedForward(sparse, config.dim)
        else:
            self.feed_forward = DenseFeedForward(config.dim, config.dense_dim)

    def forward(
        self,
        x: Float[Tensor, "tokens dim"],
        turn: Rotation,
        tokens: ByRouter,
        attend: Attend,
    ) -> tuple[Float[Tensor, "tokens dim"], tuple[Routing, ...]]:
        x = x + self.attention(self.attention_norm(x), turn, attend)
        mixed, routing = self.feed_forward(self.feed_forward_norm(x), tokens)
        return x + mixed, routing


class DenseFeedForward(nn.Module):
    """Only the gated feed-forward that all tokens share; nothing is routed."""

    def __init__(self, dim: int, inner_dim: int):
        super().__init__()
        self.shared = SwiGLU(dim, inner_dim)

    def forward(
        self, x: Float[Tensor, "tokens dim"], tokens: ByRouter
    ) -> tuple[Float[Tensor, "tokens dim"], tuple[Routing, ...]]:
        return self.shared(x), ()


class SparseFeedForward(nn.Module):
    """A few routed experts for each token, and one that all tokens share."""

    def __init__(self, config: SparseConfig, dim: int):
        super().__init__()
        self.routers = build_routers(config, dim)
        self.experts = Experts(config.num_experts, dim, config.expert_dim)
        self.shared = SwiGLU(dim, config.shared_dim)

    def forward(
        self, x: Float[Tensor, "tokens dim"], tokens: ByRouter
    ) -> tuple[Float[Tensor, "tokens dim"], tuple[Routing, ...]]:
        routing = route(self.routers, x, tokens)
        routed = self.experts(x, routing.expert_ids, routing.weights)
        return routed + self.shared(x), (routing,)


def _head(config: ThinkerConfig) -> nn.Linear:
    return nn.Linear(config.dim, config.output_size, bias=False)
