"""Text, image and audio routers: each token is scored by the one of its own modality only."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn
from torch.nn import functional as F

from mingle.messages import Modality
from mingle.nn.moe import Routing, choose_experts
from mingle.thinker.config import SparseConfig

Scored = tuple[
    Float[Tensor, "tokens experts"], Int[Tensor, "tokens top_k"], Float[Tensor, "tokens top_k"]
]
"""Raw scores, chosen experts, and the weights of those."""


@dataclass(frozen=True, kw_only=True)
class ByRouter:
    """The tokens of a forward pass sorted by router, once for all layers.

    `rows` has the tokens of each router that has any. `whole` names the router when it is only
    one: then nothing needs to be gathered.
    """

    modality: Int[Tensor, " tokens"]
    rows: tuple[tuple[Modality, Int[Tensor, " _"]], ...]
    whole: Modality | None


def by_router(modality: Int[Tensor, " tokens"], routers: Sequence[Modality]) -> ByRouter:
    """Sort tokens by router; a modality without one uses that of text."""
    if len(routers) == 1:
        return ByRouter(modality=modality, rows=(), whole=Modality.TEXT)
    present = {Modality(value) for value in modality.unique().tolist()}
    used = {kind if kind in routers else Modality.TEXT for kind in present}
    if len(used) == 1:
        return ByRouter(modality=modality, rows=(), whole=used.pop())
    rest = [kind for kind in Modality if kind not in routers]
    rows = []
    for router in sorted(used):
        served = [router, *rest] if router == Modality.TEXT else [router]
        mine = torch.isin(modality, torch.tensor(served, device=modality.device))
        rows.append((router, mine.nonzero()[:, 0]))
    return ByRouter(modality=modality, rows=tuple(rows), whole=None)


class Router(nn.Module):
    """Scores, and their bias for selection. The bias is no parameter: balancing moves it."""

    selection_bias: Tensor

    def __init__(self, config: SparseConfig, dim: int):
        super().__init__()
        self.choice = config.choice
        self.weight = nn.Parameter(torch.empty(config.num_experts, dim))
        nn.init.uniform_(self.weight, -(dim**-0.5), dim**-0.5)  # as nn.Linear does
        self.register_buffer("selection_bias", torch.zeros(config.num_experts))

    def forward(self, x: Float[Tensor, "tokens dim"]) -> Scored:
        """Score and choose, in fp32: near ties must not depend on the model's dtype."""
        logits = F.linear(x.float(), self.weight.float())
        return logits, *choose_experts(logits, self.selection_bias, self.choice)


def build_routers(config: SparseConfig, dim: int) -> nn.ModuleDict:
    """One router for each modality of the config, under the modality's name."""
    return nn.ModuleDict({_name(kind): Router(config, dim) for kind in config.routers})


def route(routers: nn.ModuleDict, x: Float[Tensor, "tokens dim"], tokens: ByRouter) -> Routing:
    """Score each token by its own router; tokens keep their order."""
    if tokens.whole is not None:
        scored = routers[_name(tokens.whole)](x)
    else:
        parts = [routers[_name(kind)](x[rows]) for kind, rows in tokens.rows]
        back = torch.cat([rows for _, rows in tokens.rows]).argsort()
        scored = [torch.cat(column)[back] for column in zip(*parts, strict=True)]
    logits, expert_ids, weights = scored
    return Routing(logits=logits, expert_ids=expert_ids, weights=weights, modality=tokens.modality)


def _name(router: Modality) -> str:
    return router.name.lower()
