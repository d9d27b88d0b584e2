"""Dual-balanced routing: an auxiliary loss and a bias step that spread tokens over experts.

Both act for each modality on its own, and both are made from the `Routing` values of the forward
pass: nothing is counted in modules, so activations may be recomputed and passes repeated.
"""

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

import torch
from jaxtyping import Bool, Float, Int, Shaped
from torch import Tensor, nn

from mingle.errors import ConfigError
from mingle.messages import Modality
from mingle.nn.moe import Routing
from mingle.training import ranks

KINDS = len(Modality)


@dataclass(frozen=True, kw_only=True)
class Balance:
    """How strongly routing is balanced.

    `sequence` and `batch` are coefficients of the auxiliary loss for each modality's name: balance
    within every sequence, and over the whole global batch. `bias_step` is added to (or taken from)
    an expert's selection bias after each optimizer step; None leaves the biases alone. `experts`
    names, by modality, those among which its tokens are spread, where these are not all: routing,
    biases and figures of the others are left alone (an empty list: the modality is not balanced).
    """

    sequence: dict[str, float] = field(default_factory=dict)
    batch: dict[str, float] = field(default_factory=dict)
    bias_step: float | None = 0.001  # the released code's step
    experts: dict[str, tuple[int, ...]] = field(default_factory=dict)

    def among(self, like: Shaped[Tensor, "*_ experts"]) -> Bool[Tensor, "modalities experts"]:
        """Which experts each modality's tokens are spread over; on the device of `like`."""
        num_experts = like.shape[-1]
        mask = torch.ones(KINDS, num_experts, dtype=torch.bool)
        for kind in Modality:
            if (chosen := self.experts.get(kind.name.lower())) is not None:
                mask[kind] = torch.isin(torch.arange(num_experts), torch.tensor(chosen).long())
        return mask.to(like.device)


class Balancer:
    """Balances one stage's training: a loss for each batch, a bias step after each step."""

    def __init__(self, model: nn.Module, balance: Balance):
        self.balance = balance
        self.routers = routers_of(model)
        if not self.routers:
            raise ConfigError("balance: the model has no routers to balance; leave it out")
        self.held: Int[Tensor, "layers modalities experts"] | None = None
        self.last: Int[Tensor, "layers modalities experts"] | None = None

    def loss(self, routings: Sequence[Routing], lengths: Sequence[int]) -> Float[Tensor, ""]:
        """The auxiliary loss of one batch; its loads are counted for the step, over all ranks."""
        own = loads(routings)
        everyone = ranks.all_reduced({"loads": own.clone()})["loads"]
        so_far = everyone if self.held is None else self.held + everyone
        self.held = so_far
        return auxiliary_loss(routings, lengths, self.balance, so_far - own)

    def forget(self) -> None:
        """Count from zero again, without a bias step."""
        self.held = None

    def step(self) -> None:
        """Move the biases by the loads counted since the last step."""
        if self.held is not None and self.balance.bias_step is not None:
            among = self.balance.among(self.held)
            move_biases(self.routers, self.held, self.balance.bias_step, among)
        self.last, self.held = self.held, None

    def figures(self) -> dict[str, float]:
        """The violations of the last step, by layer and modality; empty before any step."""
        if self.last is None:
            return {}
        return violations(self.last, self.balance.among(self.last))


def loads(routings: Sequence[Routing]) -> Int[Tensor, "layers modalities experts"]:
    """How many tokens of each modality each expert of each layer got."""
    return torch.stack([_load(routing) for routing in routings])


def auxiliary_loss(
    routings: Sequence[Routing],
    lengths: Sequence[int],
    balance: Balance,
    earlier: Int[Tensor, "layers modalities experts"] | None = None,
) -> Float[Tensor, ""]:
    """The balancing loss, summed over layers; 1 for each unit of coefficient is perfect balance.

    For a group of tokens it is E * sum_e share_e * score_e, with share_e the share of choices that
    fell on expert e and score_e its mean normalised score, over the E experts of its modality.
    Groups are the tokens of one modality in one sequence (weighed by their number), or in the
    global batch: `earlier` are the loads of this step that were counted before (other
    micro-batches, other ranks).
    """
    total = routings[0].logits.new_zeros(())
    segments = torch.repeat_interleave(
        torch.arange(len(lengths)), torch.tensor(lengths), output_size=sum(lengths)
    ).to(routings[0].logits.device)
    for layer, routing in enumerate(routings):
        among = balance.among(routing.logits)
        scores = routing.logits.sigmoid() * among[routing.modality]
        scores = scores / scores.sum(-1, keepdim=True).clamp(min=1e-20)
        if balance.sequence:
            weights = _coefficients(balance.sequence, scores)
            total = total + _within_sequences(routing, scores, segments, weights * among.sum(-1))
        if balance.batch:
            weights = _coefficients(balance.batch, scores)
            load = _load(routing) + (0 if earlier is None else earlier[layer])
            total = total + _over_batch(routing, scores, load, weights * among.sum(-1))
    return total


@torch.no_grad()
def move_biases(
    routers: Sequence[nn.ModuleDict],
    loads: Int[Tensor, "layers modalities experts"],
    step: float,
    among: Bool[Tensor, "modalities experts"] | None = None,
) -> None:
    """bias += step * sign(mean load - load), for each layer's routers, from a whole step's loads.

    `loads` are summed over micro-batches and ranks. A modality without a router of its own counts
    for the text router, which serves it. Only the biases of experts `among` which a router's
    modality is spread move, and only they count in the mean.
    """
    for layer, served in enumerate(routers):
        for name, load in _by_router(served, loads[layer]):
            mine = slice(None) if among is None else among[Modality[name.upper()]]
            count = load[mine].float()
            if len(count):
                bias = served.get_submodule(name).get_buffer("selection_bias")
                bias[mine] += step * (count.mean() - count).sign().to(bias)


def routers_of(model: nn.Module) -> list[nn.ModuleDict]:
    """Every layer's routers in order, found by their selection biases."""
    return [
        module
        for module in model.modules()
        if isinstance(module, nn.ModuleDict)
        and len(module)
        and all("selection_bias" in dict(router.named_buffers()) for router in module.values())
    ]


def violations(
    loads: Int[Tensor, "layers modalities experts"],
    among: Bool[Tensor, "modalities experts"] | None = None,
) -> dict[str, float]:
    """How unbalanced loads are, by layer and modality, under names like `max_violation/text/0`.

    `max_violation`: largest load over the mean, minus 1 (MaxVio). `mean_violation`: mean distance
    from the mean, over the mean. `entropy`: of the loads, over that of perfect balance. `dead`:
    share of experts without a token. `overlap/text-image`: common mass of two modalities' loads.
    Of each modality only the experts `among` which it is spread count (None: all).
    """
    found: dict[str, float] = {}
    for layer, by_kind in enumerate(loads.double()):
        shares: dict[str, Tensor] = {}
        for kind in Modality:
            load = by_kind[kind] if among is None else by_kind[kind] * among[kind]
            if not load.sum():
                continue
            name = kind.name.lower()
            shares[name] = load / load.sum()
            load = load if among is None else load[among[kind]]
            share, even = load / load.sum(), load / load.mean()
            found[f"max_violation/{name}/{layer}"] = float(even.max() - 1)
            found[f"mean_violation/{name}/{layer}"] = float((even - 1).abs().mean())
            entropy = -(share * share.clamp(min=1e-30).log()).sum() / math.log(len(share))
            found[f"entropy/{name}/{layer}"] = float(entropy)
            found[f"dead/{name}/{layer}"] = float((load == 0).double().mean())
        names = list(shares)
        for place, one in enumerate(names):
            for other in names[place + 1 :]:
                common = torch.minimum(shares[one], shares[other]).sum()
                found[f"overlap/{one}-{other}/{layer}"] = float(common)
    return found


def _load(routing: Routing) -> Int[Tensor, "modalities experts"]:
    experts = routing.logits.shape[-1]
    cells = routing.modality[:, None] * experts + routing.expert_ids
    return cells.flatten().bincount(minlength=KINDS * experts).unflatten(0, (KINDS, experts))


def _within_sequences(
    routing: Routing,
    scores: Float[Tensor, "tokens experts"],
    segments: Int[Tensor, " tokens"],
    weights: Float[Tensor, " modalities"],
) -> Float[Tensor, ""]:
    tokens, experts = scores.shape
    groups = segments * KINDS + routing.modality
    num_groups = int(segments.max() + 1) * KINDS if tokens else 0
    size = groups.bincount(minlength=num_groups).clamp(min=1).to(scores)
    cells = groups[:, None] * experts + routing.expert_ids
    chosen = cells.flatten().bincount(minlength=num_groups * experts).unflatten(0, (-1, experts))
    share = chosen / (size[:, None] * routing.expert_ids.shape[1])
    mean = scores.new_zeros(num_groups, experts).index_add(0, groups, scores) / size[:, None]
    each = (share * mean).sum(-1)
    counts = routing.modality.bincount(minlength=KINDS).clamp(min=1).to(scores)
    weight = weights.repeat(num_groups // KINDS) * groups.bincount(minlength=num_groups)
    return (each * weight / counts.repeat(num_groups // KINDS)).sum()


def _over_batch(
    routing: Routing,
    scores: Float[Tensor, "tokens experts"],
    load: Int[Tensor, "modalities experts"],
    weights: Float[Tensor, " modalities"],
) -> Float[Tensor, ""]:
    experts = scores.shape[-1]
    share = load / load.sum(-1, keepdim=True).clamp(min=1)
    counts = routing.modality.bincount(minlength=KINDS)
    total = scores.new_zeros(KINDS, experts).index_add(0, routing.modality, scores)
    each = (share * total / counts.clamp(min=1)[:, None]).sum(-1)
    return (weights * (counts > 0) * each).sum()


def _coefficients(by_name: Mapping[str, float], like: Tensor) -> Float[Tensor, " modalities"]:
    return like.new_tensor([by_name.get(kind.name.lower(), 0.0) for kind in Modality])


def _by_router(
    served: nn.ModuleDict, load: Int[Tensor, "modalities experts"]
) -> Iterator[tuple[str, Int[Tensor, " experts"]]]:
    text = Modality.TEXT.name.lower()
    for name in served:
        kinds = [k for k in Modality if k.name.lower() == name]
        if name == text:
            kinds += [k for k in Modality if k.name.lower() not in served]
        mine = load[[int(kind) for kind in kinds]].sum(0)
        if mine.sum():
            yield name, mine
