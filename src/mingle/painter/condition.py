"""The thinker's hidden states -> condition tokens of the diffusion transformer."""

from collections.abc import Sequence

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional as F

from mingle.nn.attention import Packed
from mingle.nn.transformer import Decoder, positions_of
from mingle.painter.config import ConditionConfig

REMEMBERED = 60_000  # rows; fp16 can write it


class Standardise(nn.Module):
    """Every number of a row less its mean, over its spread: averages over the rows of training.

    States of a thinker point one way (nano's of two captions: cosine 0.98); what makes them differ
    is all that matters here. Without this, a painter learns to ignore its words.
    """

    mean: Tensor
    square: Tensor
    rows: Tensor

    def __init__(self, dim: int):
        super().__init__()
        self.register_buffer("mean", torch.zeros(dim))
        self.register_buffer("square", torch.ones(dim))
        self.register_buffer("rows", torch.zeros(()))

    def forward(self, x: Float[Tensor, "rows dim"]) -> Float[Tensor, "rows dim"]:
        if self.training:
            self._follow(x.detach())
        return (x - self.mean) * (self.square - self.mean**2).clamp(min=1e-6).rsqrt()

    def _follow(self, x: Float[Tensor, "rows dim"]) -> None:
        self.rows.add_(len(x)).clamp_(max=REMEMBERED)
        share = len(x) / self.rows
        self.mean.lerp_(x.mean(0), share)
        self.square.lerp_(x.square().mean(0), share)


class Connector(nn.Module):
    """Projection, a bidirectional decoder, projection, unit length.

    Queries that stand in the thinker's prompt arrive as the hidden rows themselves. Queries that
    stand here are put behind the hidden rows of the prompt, and their rows are the output. Without
    queries every row of the prompt comes out.

    With places, their rows come first; rows of text to be drawn stand before them in the input.
    """

    def __init__(self, config: ConditionConfig):
        super().__init__()
        dim = config.connector.dim
        self.num_queries = config.num_queries
        width = config.thinker_dim
        self.standardise = Standardise(width) if config.standardised else nn.Identity()
        self.proj_in = nn.Linear(width, dim)
        own = [torch.randn(config.num_queries, dim) * dim**-0.5]
        self.queries = nn.ParameterList(own if config.query_place == "connector" else ())
        self.num_places = config.places
        places = [torch.randn(config.places, dim)] if config.places else []
        self.places = nn.ParameterList(places)
        self.decoder = Decoder(config.connector)
        self.proj_out = nn.Linear(dim, config.dim)

    def forward(
        self,
        hidden: Sequence[Float[Tensor, "_ thinker_dim"]],
        glyphs: Sequence[Float[Tensor, "_ dim"]] | None = None,
    ) -> list[Float[Tensor, "_ condition_dim"]]:
        sizes = [len(item) for item in hidden]
        states = self.proj_in(self.standardise(torch.cat(tuple(hidden)))).split(sizes)
        words = [torch.cat((item, *self.queries)) for item in states]
        read = [()] * len(words) if glyphs is None else [(item,) for item in glyphs]
        rows = [
            torch.cat((item, *more, *self.places)) for item, more in zip(words, read, strict=True)
        ]
        lengths = tuple(len(row) for row in rows)
        x = torch.cat(rows)
        x = self.decoder(x, positions_of(lengths).to(x.device), Packed(lengths))
        answers = [
            torch.cat((row[len(row) - self.num_places :], row[: len(item)][-self.num_queries :]))
            for row, item in zip(x.split(lengths), words, strict=True)  # -0: all
        ]
        return [F.normalize(self.proj_out(item), dim=-1) for item in answers]


class Finish(nn.Module):
    """Condition tokens as the transformer takes them: brought to a length, then a small network.

    Rows of zeros (padding of glyph text, the negative) stay zeros until the network.
    """

    def __init__(self, config: ConditionConfig):
        super().__init__()
        self.scale = config.scale
        inner, out = config.mlp_dim, config.token_dim
        self.network = (
            nn.Identity()
            if inner is None
            else nn.Sequential(
                nn.Linear(config.dim, inner),
                nn.LayerNorm(inner),
                nn.ReLU(),
                nn.Linear(inner, out),
                nn.LayerNorm(out),
            )
        )

    def forward(self, tokens: Float[Tensor, "tokens dim"]) -> Float[Tensor, "tokens out"]:
        if self.scale is not None:
            tokens = F.normalize(tokens, dim=-1) * self.scale
        return self.network(tokens)
