"""Dual-balanced routing: the loss, the bias step, the figures."""

import pytest
import torch
from torch import nn

from mingle.messages import ROUTED, Modality
from mingle.nn.moe import Choice, Routing
from mingle.thinker.config import SparseConfig
from mingle.thinker.router import build_routers, by_router, route
from mingle.training.balance import (
    Balance,
    auxiliary_loss,
    loads,
    move_biases,
    routers_of,
    violations,
)

EVERY = {"text": 1.0, "image": 1.0, "audio": 1.0}


def config(**changes: object) -> SparseConfig:
    values = {
        "layers": (0,),
        "num_experts": 4,
        "expert_dim": 4,
        "shared_dim": 4,
        "choice": Choice(top_k=2, num_groups=1, top_groups=1, scale=1.0),
        "routers": ROUTED,
    }
    return SparseConfig(**{**values, **changes})


def routing(logits: torch.Tensor, modality: list[int]) -> Routing:
    expert_ids = logits.topk(2).indices
    return Routing(
        logits=logits,
        expert_ids=expert_ids,
        weights=torch.ones_like(expert_ids, dtype=torch.float32),
        modality=torch.tensor(modality),
    )


def test_loads_count_each_modality_apart():
    logits = torch.tensor([[9.0, 8, 0, 0], [9, 8, 0, 0], [0, 0, 9, 8]])
    counted = loads([routing(logits, [0, 0, 1])])
    assert counted.tolist() == [[[2, 2, 0, 0], [0, 0, 1, 1], [0, 0, 0, 0], [0, 0, 0, 0]]]


def test_even_routing_costs_exactly_the_coefficient_of_each_modality():
    logits = torch.zeros(6, 4)
    ids = torch.tensor([[0, 1], [2, 3]] * 3)
    even = Routing(
        logits=logits,
        expert_ids=ids,
        weights=torch.ones(6, 2),
        modality=torch.tensor([0, 0, 1, 1, 2, 2]),
    )
    for balance in (Balance(sequence=EVERY), Balance(batch=EVERY)):
        assert float(auxiliary_loss([even], [6], balance)) == pytest.approx(3.0)


def test_all_tokens_on_the_same_experts_cost_more_and_the_gradient_spreads_them():
    logits = torch.tensor([[3.0, 3.0, 0.0, 0.0]] * 4).requires_grad_()
    loss = auxiliary_loss([routing(logits, [0] * 4)], [4], Balance(batch={"text": 1.0}))
    loss.backward()
    assert loss > 1.3
    assert (logits.grad[:, :2] > 0).all()
    assert (logits.grad[:, 2:] < 0).all()


def test_sequence_loss_sees_imbalance_that_the_batch_evens_out():
    logits = torch.tensor([[3.0, 3, 0, 0], [3, 3, 0, 0], [0, 0, 3, 3], [0, 0, 3, 3]])
    one = routing(logits, [0] * 4)
    within = auxiliary_loss([one], [2, 2], Balance(sequence={"text": 1.0}))
    over = auxiliary_loss([one], [2, 2], Balance(batch={"text": 1.0}))
    assert float(over) == pytest.approx(1.0)
    assert float(within) > 1.3


def test_batch_loss_with_earlier_loads_equals_loss_of_the_whole_batch():
    torch.manual_seed(0)
    logits = torch.randn(8, 4)
    whole = auxiliary_loss([routing(logits, [0] * 8)], [8], Balance(batch={"text": 1.0}))
    halves = [routing(logits[:4], [0] * 4), routing(logits[4:], [0] * 4)]
    counted = [loads([half]) for half in halves]
    parts = [
        auxiliary_loss([half], [4], Balance(batch={"text": 1.0}), counted[1 - i])
        for i, half in enumerate(halves)
    ]
    assert float(sum(parts) / 2) == pytest.approx(float(whole), abs=1e-6)


@pytest.mark.parametrize("kind", ["sequence", "batch"])
def test_gradient_equals_finite_differences(kind):
    torch.manual_seed(1)
    logits = torch.randn(5, 4, dtype=torch.float64, requires_grad=True)
    fixed = routing(logits.detach(), [0, 0, 1, 2, 0])

    def loss(values: torch.Tensor) -> torch.Tensor:
        one = Routing(
            logits=values,
            expert_ids=fixed.expert_ids,
            weights=fixed.weights,
            modality=fixed.modality,
        )
        return auxiliary_loss([one], [3, 2], Balance(**{kind: EVERY}))

    assert torch.autograd.gradcheck(loss, (logits,))


def test_bias_moves_against_the_load_of_its_own_modality_only():
    routers = build_routers(config(), 8)
    counted = torch.tensor([[[4, 0, 0, 0], [0, 0, 1, 3], [0, 0, 0, 0], [0, 0, 0, 0]]])
    move_biases([routers], counted, 0.1)
    tenth = pytest.approx([-0.1, 0.1, 0.1, 0.1])
    assert routers["text"].selection_bias.tolist() == tenth
    assert routers["image"].selection_bias.tolist() == pytest.approx([0.1, 0.1, 0.0, -0.1])
    assert routers["audio"].selection_bias.tolist() == [0.0] * 4


def test_modality_without_router_counts_for_the_text_router():
    routers = build_routers(config(routers=(Modality.TEXT,)), 8)
    move_biases(
        [routers], torch.tensor([[[2, 1, 0, 0], [0, 0, 2, 0], [0, 0, 0, 0], [0, 0, 1, 0]]]), 0.1
    )
    assert routers["text"].selection_bias.tolist() == pytest.approx([-0.1, 0.1, -0.1, 0.1])


def test_bias_alone_evens_out_a_skewed_router():
    torch.manual_seed(0)
    routers = build_routers(config(num_experts=8), 16)
    x = torch.randn(512, 16) + 1.5  # a common direction makes some experts win always
    modality = torch.arange(512) % 3
    first = last = None
    for _ in range(300):
        one = route(routers, x, by_router(modality, ROUTED))
        last = violations(loads([one]))
        first = first or last
        move_biases([routers], loads([one]), 0.01)
    for kind in ("text", "image", "audio"):
        assert first[f"max_violation/{kind}/0"] > 1.0
        assert last[f"max_violation/{kind}/0"] < 0.25


def test_figures_of_known_loads():
    counted = torch.tensor([[[2, 2, 0, 0], [1, 1, 1, 1], [0, 0, 0, 0], [0, 0, 0, 0]]])
    found = violations(counted)
    assert found["max_violation/text/0"] == 1.0
    assert found["mean_violation/text/0"] == 1.0
    assert found["dead/text/0"] == 0.5
    assert found["entropy/text/0"] == pytest.approx(0.5)
    assert found["entropy/image/0"] == pytest.approx(1.0)
    assert found["overlap/text-image/0"] == pytest.approx(0.5)
    assert not any("audio" in name for name in found)


def test_routers_are_found_in_layer_order():
    model = nn.Sequential(nn.Linear(2, 2), build_routers(config(), 8), build_routers(config(), 8))
    assert routers_of(model) == [model[1], model[2]]
