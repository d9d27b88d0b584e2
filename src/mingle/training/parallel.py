"""One model over several processes, from outside: FSDP2 for dense parts, expert parallelism.

The ranks form a grid (data, experts): experts are split over the second axis and tokens travel to
them (all-to-all); everything is sharded over all ranks, or copied to all. Gradients are sums over
ranks: the loop gives each rank its share of the global mean.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, cast

import torch
import torch.distributed as dist
from jaxtyping import Float, Int
from torch import Tensor, nn
from torch.distributed.device_mesh import DeviceMesh, init_device_mesh
from torch.distributed.fsdp import FSDPModule, fully_shard
from torch.distributed.tensor import DTensor, Shard, distribute_tensor
from torch.utils import _pytree as pytree

from mingle.errors import ConfigError
from mingle.nn.moe import Experts, Routing, through_experts
from mingle.training import ranks
from mingle.training.names import modules_matching
from mingle.training.recipe import Parallel
from mingle.training.task import Outcome


class Layout:
    """How a model lies on the ranks of this run."""

    def __init__(self, grid: DeviceMesh | None):
        self.grid = grid

    def sum_gradients(self, parameters: Sequence[nn.Parameter]) -> None:
        """Sum the gradients that no back end sums: of parameters that ranks hold copies of."""
        if self.grid is None:
            return
        for parameter in parameters:
            if not isinstance(parameter, DTensor):
                _sum(parameter, None)
            elif parameter.device_mesh.mesh_dim_names == ("experts",):
                _sum(parameter, self.grid["data"].get_group())


def split(whole: nn.Module, model: nn.Module, config: Parallel, device: str) -> Layout:
    """Split `model` over the ranks; `whole` is the module whose forward is one training pass.

    Raises ConfigError where ranks, experts and the recipe do not fit together.
    """
    if ranks.size() == 1:
        return Layout(None)
    if ranks.size() % config.expert_ranks:
        raise ConfigError(
            f"parallel.expert_ranks is {config.expert_ranks}, but {ranks.size()} processes run; "
            f"it must divide them"
        )
    shape = (ranks.size() // config.expert_ranks, config.expert_ranks)
    grid = init_device_mesh(device, shape, mesh_dim_names=("data", "experts"))
    experts = [module for module in model.modules() if isinstance(module, Experts)]
    if config.expert_ranks > 1:
        if not experts:
            raise ConfigError("parallel.expert_ranks: the model has no experts; set it to 1")
        for module in experts:
            _split_experts(module, grid)
    if config.shard:
        _shard(whole, model, config, grid, experts)
    return Layout(grid)


@dataclass(frozen=True, kw_only=True)
class Traffic:
    """How the rows of one expert layer travel: numbers of rows for each rank, sent and received.

    `expert_of_row` is the local expert of each received row.
    """

    group: dist.ProcessGroup
    sent: list[int]
    received: list[int]
    expert_of_row: Int[Tensor, " rows"]


class _AllToAll(torch.autograd.Function):
    """Rows to the ranks that need them; gradients take the way back."""

    @staticmethod
    def forward(ctx: Any, rows: Tensor, sent: list[int], received: list[int], group: Any) -> Tensor:
        ctx.way_back = (received, sent, group)
        arrived = rows.new_empty(sum(received), rows.shape[1])
        dist.all_to_all_single(arrived, rows.contiguous(), received, sent, group=group)
        return arrived

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> Any:
        sent, received, group = ctx.way_back
        return _AllToAll.apply(gradients[0], sent, received, group), None, None, None


def gradient_norm(parameters: Sequence[nn.Parameter]) -> float:
    """The norm of the whole gradient, however it is split."""
    gradients = [p.grad for p in parameters if p.grad is not None]
    if ranks.size() == 1:
        return float(nn.utils.get_total_norm(gradients)) if gradients else 0.0
    total = 0.0
    for gradient in gradients:
        local = gradient.to_local() if isinstance(gradient, DTensor) else gradient
        shards = gradient.device_mesh.size() if isinstance(gradient, DTensor) else 1
        copies = ranks.size() / shards
        total += float(local.double().square().sum()) / copies
    return ranks.add_up({"squares": total})["squares"] ** 0.5


def _split_experts(module: Experts, grid: DeviceMesh) -> None:
    """Give each rank of the experts axis its share, and send tokens there."""
    mesh = grid["experts"]
    count = module.gate_up.shape[0]
    if count % mesh.size():
        raise ConfigError(
            f"parallel.expert_ranks is {mesh.size()}, but a layer has {count} experts; "
            f"it must divide them"
        )
    for name, parameter in list(module.named_parameters(recurse=False)):
        split = distribute_tensor(parameter.detach(), mesh, [Shard(0)])
        setattr(module, name, nn.Parameter(split, requires_grad=parameter.requires_grad))
    group = mesh.get_group()

    def forward(
        x: Float[Tensor, "tokens dim"],
        expert_ids: Int[Tensor, "tokens top_k"],
        weights: Float[Tensor, "tokens top_k"],
    ) -> Float[Tensor, "tokens dim"]:
        return _travelling(module, group, x, expert_ids, weights)

    module.forward = forward


def _travelling(
    module: Experts,
    group: dist.ProcessGroup,
    x: Float[Tensor, "tokens dim"],
    expert_ids: Int[Tensor, "tokens top_k"],
    weights: Float[Tensor, "tokens top_k"],
) -> Float[Tensor, "tokens dim"]:
    """What `Experts.forward` computes, with each expert's rows computed where it lives."""
    gate_up, down = _local(module.gate_up), _local(module.down)
    top_k = expert_ids.shape[1]
    order = expert_ids.flatten().argsort(stable=True)
    traffic = _plan(expert_ids.flatten(), gate_up.shape[0], group)
    rows = x[order // top_k]
    rows = cast(Tensor, _AllToAll.apply(rows, traffic.sent, traffic.received, group))
    by_expert = traffic.expert_of_row.argsort(stable=True)
    counts = traffic.expert_of_row.bincount(minlength=gate_up.shape[0])
    if len(rows):
        rows = through_experts(rows[by_expert], gate_up, down, counts)[by_expert.argsort()]
    else:  # no work here, but the gradients of idle experts are zeros, not missing
        rows = rows + 0 * (gate_up.sum() + down.sum())
    rows = cast(Tensor, _AllToAll.apply(rows, traffic.received, traffic.sent, group))
    rows = rows[order.argsort()]
    mixed = torch.bmm(weights.float()[:, None], rows.float().unflatten(0, (-1, top_k)))
    return mixed[:, 0].to(x.dtype)


def _plan(expert_ids: Int[Tensor, " rows"], local: int, group: dist.ProcessGroup) -> Traffic:
    """Tell every rank how many rows come for each of its experts."""
    size = dist.get_world_size(group)
    counts = expert_ids.bincount(minlength=size * local)
    coming = torch.empty_like(counts)
    dist.all_to_all_single(coming, counts, group=group)
    expert = torch.arange(local, device=counts.device).repeat(size)
    return Traffic(
        group=group,
        sent=counts.unflatten(0, (size, local)).sum(1).tolist(),
        received=coming.unflatten(0, (size, local)).sum(1).tolist(),
        expert_of_row=expert.repeat_interleave(coming),
    )


def _shard(
    whole: nn.Module,
    model: nn.Module,
    config: Parallel,
    grid: DeviceMesh,
    experts: Sequence[Experts],
) -> None:
    """FSDP2: each chosen module, then the rest with `whole`."""
    for kind in (Routing, Outcome):  # so that hooks find the tensors that layers return in it
        if kind not in pytree.SUPPORTED_NODES:
            pytree.register_dataclass(kind)
    everyone = grid._flatten("ranks")
    elsewhere: set[nn.Parameter] = set()
    if config.expert_ranks > 1:
        elsewhere = {p for module in experts for p in module.parameters()}
        if grid["data"].size() > 1:
            for module in experts:
                fully_shard(module, mesh=grid["data"], shard_placement_fn=lambda _: Shard(1))
    for module in modules_matching(model, config.units, "parallel.units").values():
        fully_shard(module, mesh=everyone, ignored_params=elsewhere)
    fully_shard(whole, mesh=everyone, ignored_params=elsewhere)
    for module in whole.modules():
        if isinstance(module, FSDPModule):
            module.set_gradient_divide_factor(1.0)
            module.set_force_sum_reduction_for_comms(True)
            module.set_reduce_scatter_unused_params(True)  # a rank may have no picture at all


def _local(parameter: Tensor) -> Tensor:
    return parameter.to_local() if isinstance(parameter, DTensor) else parameter


def _sum(parameter: nn.Parameter, group: dist.ProcessGroup | None) -> None:
    if parameter.grad is None:  # not reached here, but perhaps on another rank
        parameter.grad = torch.zeros_like(parameter)
    dist.all_reduce(_local(parameter.grad), group=group)
