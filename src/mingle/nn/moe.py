"""Mixture of experts: choosing experts for each token, and computing the chosen ones grouped."""

from dataclasses import dataclass

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn
from torch.nn import functional as F


@dataclass(frozen=True, kw_only=True)
class Routing:
    """How one expert layer routed its tokens; `weights` multiply the chosen experts' outputs."""

    logits: Float[Tensor, "tokens experts"]
    expert_ids: Int[Tensor, "tokens top_k"]
    weights: Float[Tensor, "tokens top_k"]
    modality: Int[Tensor, " tokens"]


@dataclass(frozen=True, kw_only=True)
class Choice:
    """How experts are chosen: `top_k` of those in the `top_groups` best of `num_groups` groups.

    Groups are contiguous and of equal size. The chosen weights sum to `scale`.
    """

    top_k: int
    num_groups: int
    top_groups: int
    scale: float


def choose_experts(
    logits: Float[Tensor, "tokens experts"], bias: Float[Tensor, " experts"], choice: Choice
) -> tuple[Int[Tensor, "tokens top_k"], Float[Tensor, "tokens top_k"]]:
    """Pick experts by sigmoid score plus bias; weigh them by score alone, in no order.

    A group counts as much as its two best experts together. (SPEC_PERCEPTION 1, routing)
    """
    scores = logits.sigmoid()
    ranks = scores + bias
    if choice.top_groups < choice.num_groups:
        groups = ranks.unflatten(-1, (choice.num_groups, -1))
        standing = groups.topk(min(2, groups.shape[-1]), dim=-1).values.sum(-1)
        best = standing.topk(choice.top_groups, dim=-1, sorted=False).indices
        out = torch.ones_like(standing, dtype=torch.bool).scatter(-1, best, False)
        ranks = groups.masked_fill(out[..., None], -torch.inf).flatten(-2)
    expert_ids = ranks.topk(choice.top_k, dim=-1, sorted=False).indices
    weights = scores.gather(-1, expert_ids)
    if choice.top_k > 1:  # a single expert keeps its own score, as in the official code
        weights = weights / (weights.sum(-1, keepdim=True) + 1e-20)
    return expert_ids, weights * choice.scale


class Experts(nn.Module):
    """Gated feed-forwards of equal size without biases, stacked; each token uses a few of them."""

    def __init__(self, num_experts: int, dim: int, inner_dim: int):
        super().__init__()
        self.gate_up = nn.Parameter(torch.empty(num_experts, 2 * inner_dim, dim))
        self.down = nn.Parameter(torch.empty(num_experts, dim, inner_dim))
        for weight in (self.gate_up, self.down):  # as nn.Linear does
            nn.init.uniform_(weight, -(weight.shape[-1] ** -0.5), weight.shape[-1] ** -0.5)
        self._silent: dict[int, bool] = {}  # what `is_silent` found, of the weights `_known`
        self._known: tuple[int, int] | None = None

    def forward(
        self,
        x: Float[Tensor, "tokens dim"],
        expert_ids: Int[Tensor, "tokens top_k"],
        weights: Float[Tensor, "tokens top_k"],
    ) -> Float[Tensor, "tokens dim"]:
        """Sum each token's chosen experts by its weights, in fp32, cast back at the end."""
        num_tokens, top_k = expert_ids.shape
        if num_tokens == 1:
            if not torch.is_grad_enabled() and all(map(self.is_silent, expert_ids[0].tolist())):
                return torch.zeros_like(x)
            rows = one_by_one(x.expand(top_k, -1), self.gate_up, self.down, expert_ids[0].tolist())
        else:
            order = expert_ids.flatten().argsort(stable=True)
            counts = expert_ids.flatten().bincount(minlength=self.gate_up.shape[0])
            rows = through_experts(x[order // top_k], self.gate_up, self.down, counts)
            rows = rows[order.argsort()]
        mixed = torch.bmm(weights.float()[:, None], rows.float().unflatten(0, (-1, top_k)))
        return mixed[:, 0].to(x.dtype)

    def is_silent(self, expert: int) -> bool:
        """Whether an expert adds nothing because its last matrix is zero, as a new one's is.

        Looked up once for each expert, and again when the weights have changed.
        """
        changes = 0 if self.down.is_inference() else self.down._version
        known = (self.down.data_ptr(), changes)
        if known != self._known:
            self._silent, self._known = {}, known
        if expert not in self._silent:
            self._silent[expert] = not self.down[expert].any()
        return self._silent[expert]


def one_by_one(
    rows: Float[Tensor, "rows dim"],
    gate_up: Float[Tensor, "experts twice_inner dim"],
    down: Float[Tensor, "experts dim inner"],
    expert_ids: list[int],
) -> Float[Tensor, "rows dim"]:
    """Row i through expert `expert_ids[i]`: products of a matrix with one row, no weight copied."""
    pairs = list(zip(rows.split(1), expert_ids, strict=True))
    gate, up = torch.cat([F.linear(row, gate_up[e]) for row, e in pairs]).chunk(2, dim=-1)
    inner = F.silu(gate) * up
    inner_pairs = zip(inner.split(1), expert_ids, strict=True)
    return torch.cat([F.linear(row, down[e]) for row, e in inner_pairs])


def through_experts(
    rows: Float[Tensor, "rows dim"],
    gate_up: Float[Tensor, "experts twice_inner dim"],
    down: Float[Tensor, "experts dim inner"],
    counts: Int[Tensor, " experts"],
) -> Float[Tensor, "rows dim"]:
    """Rows sorted by expert, `counts` of them for each, the faster way on the device they are on.

    Grouped products want rows of whole 16 bytes.
    """
    sizes = (side * rows.element_size() for side in (gate_up.shape[2], down.shape[2]))
    fast = rows.is_cuda and all(size % 16 == 0 for size in sizes)
    return (grouped if fast else expert_by_expert)(rows, gate_up, down, counts)


def expert_by_expert(
    rows: Float[Tensor, "rows dim"],
    gate_up: Float[Tensor, "experts twice_inner dim"],
    down: Float[Tensor, "experts dim inner"],
    counts: Int[Tensor, " experts"],
) -> Float[Tensor, "rows dim"]:
    """Rows sorted by expert, `counts` of them for each; only experts that have rows are touched."""
    used = [(e, count) for e, count in enumerate(counts.tolist()) if count]
    gate_ups, downs = gate_up.unbind(0), down.unbind(0)  # one gradient for the stack, not one each
    outputs = []
    for (expert, _), group in zip(used, rows.split([count for _, count in used]), strict=True):
        gate, up = F.linear(group, gate_ups[expert]).chunk(2, dim=-1)
        outputs.append(F.linear(F.silu(gate) * up, downs[expert]))
    return torch.cat(outputs)


def grouped(
    rows: Float[Tensor, "rows dim"],
    gate_up: Float[Tensor, "experts twice_inner dim"],
    down: Float[Tensor, "experts dim inner"],
    counts: Int[Tensor, " experts"],
) -> Float[Tensor, "rows dim"]:
    """The same as `expert_by_expert` in two grouped products: no wait for the counts to arrive."""
    ends = counts.cumsum(0, dtype=torch.int32)
    both = F.grouped_mm(rows, gate_up.transpose(1, 2), offs=ends)
    gate, up = both.chunk(2, dim=-1)
    return F.grouped_mm(F.silu(gate) * up, down.transpose(1, 2), offs=ends)
