"""The thinker's hidden states -> condition tokens of the diffusion transformer."""

import math
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
    is all that matters here. (docs/adr/0012)
    """

    mean: Tensor
    variance: Tensor
    rows: Tensor

    def __init__(self, dim: int):
        super().__init__()
        self.register_buffer("mean", torch.zeros(dim))
        self.register_buffer("variance", torch.ones(dim))
        self.register_buffer("rows", torch.zeros(()))

    def forward(self, x: Float[Tensor, "rows dim"]) -> Float[Tensor, "rows dim"]:
        if self.training:
            self._follow(x.detach())
        return (x - self.mean) * self.variance.clamp(min=1e-6).rsqrt()

    def _follow(self, x: Float[Tensor, "rows dim"]) -> None:
        self.rows.add_(len(x)).clamp_(max=REMEMBERED)
        share = len(x) / self.rows
        variance, mean = torch.var_mean(x, dim=0, correction=0)
        between = share * (1 - share) * (mean - self.mean).square()
        self.variance.lerp_(variance, share).add_(between)
        self.mean.lerp_(mean, share)


class Connector(nn.Module):
    """Projection, a bidirectional decoder, projection, unit length.

    Queries that stand in the thinker's prompt arrive as the hidden rows themselves. Queries that
    stand here are put behind the hidden rows of the prompt, and their rows are the output. Without
    queries every row of the prompt comes out.

    With places, their rows come first. Letters that are to be drawn are laid along the columns, two
    a place, centred: each place is told what would stand there, were it in the line of the text.
    And each is told what the eyes make of it in the picture to edit, if there is one.
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
        self.letters = nn.Linear(2 * dim, dim, bias=False) if config.places else nn.Identity()
        self.seen = (
            nn.Sequential(
                Standardise(config.sight_dim), nn.Linear(config.sight_dim, dim, bias=False)
            )
            if config.sight_dim
            else nn.Identity()
        )
        self.decoder = Decoder(config.connector)
        self.proj_out = nn.Linear(dim, config.dim)

    def forward(
        self,
        hidden: Sequence[Float[Tensor, "_ thinker_dim"]],
        letters: Sequence[Float[Tensor, "_ dim"]] | None = None,
        seen: Sequence[Float[Tensor, "places sight_dim"] | None] | None = None,
    ) -> list[Float[Tensor, "_ condition_dim"]]:
        sizes = [len(item) for item in hidden]
        states = self.proj_in(self.standardise(torch.cat(tuple(hidden)))).split(sizes)
        words = [torch.cat((item, *self.queries)) for item in states]
        told = self._told(len(words), letters, seen)
        rows = [
            torch.cat((item, *(places + what for places in self.places)))
            for item, what in zip(words, told, strict=True)
        ]
        lengths = tuple(len(row) for row in rows)
        x = torch.cat(rows)
        x = self.decoder(x, positions_of(lengths, x.device), Packed(lengths))
        x = F.normalize(self.proj_out(x), dim=-1)
        return [
            torch.cat((row[len(row) - self.num_places :], row[: len(item)][-self.num_queries :]))
            for row, item in zip(x.split(lengths), words, strict=True)  # -0: all
        ]

    def _told(
        self, count: int, letters: Sequence[Tensor] | None, seen: Sequence[Tensor | None] | None
    ) -> Sequence[Tensor | float]:
        """What letters and eyes add to the places of each picture."""
        assert seen is None or len(seen) == count, (len(seen), count)
        spelt = [0.0] * count if letters is None else [self._spelt(line) for line in letters]
        sights = {number: rows for number, rows in enumerate(seen or ()) if rows is not None}
        if sights:
            looked = self.seen(torch.stack(tuple(sights.values())).flatten(0, 1))
            sights = dict(zip(sights, looked.unflatten(0, (len(sights), -1)), strict=True))
        return [line + sights.get(number, 0.0) for number, line in enumerate(spelt)]

    def _spelt(self, letters: Float[Tensor, "_ dim"]) -> Tensor | float:
        """What letters add to the places, equal in all lines; no more than a line has room for."""
        if not len(letters):
            return 0.0
        side = math.isqrt(self.num_places)
        before = (2 * side - len(letters)) // 2
        after = 2 * side - len(letters) - before
        pairs = F.pad(letters, (0, 0, before, after)).reshape(side, -1)
        return self.letters(pairs).repeat(side, 1)


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
