"""The thinker's hidden states -> condition tokens of the diffusion transformer."""

from collections.abc import Sequence

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional as F

from mingle.nn.attention import Packed
from mingle.nn.transformer import Decoder, positions_of
from mingle.painter.config import ConditionConfig


class Connector(nn.Module):
    """Projection, a bidirectional decoder, projection, unit length.

    Queries that stand in the thinker's prompt arrive as the hidden rows themselves. Queries that
    stand here are put behind the hidden rows of the prompt, and their rows are the output. Without
    queries every row of the prompt comes out.
    """

    def __init__(self, config: ConditionConfig):
        super().__init__()
        dim = config.connector.dim
        self.num_queries = config.num_queries
        self.proj_in = nn.Linear(config.thinker_dim, dim)
        own = [torch.randn(config.num_queries, dim) * dim**-0.5]
        self.queries = nn.ParameterList(own if config.query_place == "connector" else ())
        self.decoder = Decoder(config.connector)
        self.proj_out = nn.Linear(dim, config.dim)

    def forward(
        self, hidden: Sequence[Float[Tensor, "_ thinker_dim"]]
    ) -> list[Float[Tensor, "_ condition_dim"]]:
        rows = [torch.cat((self.proj_in(item), *self.queries)) for item in hidden]
        lengths = tuple(len(row) for row in rows)
        x = torch.cat(rows)
        x = self.decoder(x, positions_of(lengths).to(x.device), Packed(lengths))
        answers = [item[-self.num_queries :] for item in x.split(lengths)]  # -0: all of them
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
