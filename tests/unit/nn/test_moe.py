"""Experts: choosing them against a slow straightforward way, and computing them three ways."""

import pytest
import torch
from torch.nn import functional as F

from mingle.nn import moe
from mingle.nn.moe import Choice, Experts, choose_experts


def slow_choice(scores, bias, choice):
    """One token, in plain Python: the chosen experts and their weights, by expert."""
    ranks = [s + b for s, b in zip(scores, bias, strict=True)]
    size = len(ranks) // choice.num_groups
    groups = [range(g * size, (g + 1) * size) for g in range(choice.num_groups)]
    best = sorted(groups, key=lambda g: sum(sorted((ranks[e] for e in g), reverse=True)[:2]))
    open_to = [e for group in best[-choice.top_groups :] for e in group]
    chosen = sorted(open_to, key=lambda e: ranks[e])[-choice.top_k :]
    total = sum(scores[e] for e in chosen) if choice.top_k > 1 else 1.0
    return {e: scores[e] / total * choice.scale for e in chosen}


@pytest.mark.parametrize(
    "choice",
    [
        Choice(top_k=4, num_groups=4, top_groups=2, scale=2.5),
        Choice(top_k=3, num_groups=1, top_groups=1, scale=1.0),
        Choice(top_k=1, num_groups=8, top_groups=3, scale=2.5),
        Choice(top_k=2, num_groups=16, top_groups=2, scale=1.0),
    ],
)
def test_choice_equals_the_slow_one(choice):
    draw = torch.Generator().manual_seed(1)
    logits, bias = torch.randn(50, 16, generator=draw), torch.randn(16, generator=draw)
    ids, weights = choose_experts(logits, bias, choice)
    for token in range(50):
        expected = slow_choice(logits[token].sigmoid().tolist(), bias.tolist(), choice)
        found = dict(zip(ids[token].tolist(), weights[token].tolist(), strict=True))
        assert found == pytest.approx(expected, abs=1e-5)


def test_bias_moves_the_choice_but_not_the_weights():
    logits, choice = torch.zeros(1, 4), Choice(top_k=2, num_groups=1, top_groups=1, scale=3.0)
    bias = torch.tensor([0.0, 5.0, 0.0, 9.0])
    ids, weights = choose_experts(logits, bias, choice)
    assert set(ids[0].tolist()) == {1, 3}
    assert weights[0].tolist() == pytest.approx([1.5, 1.5])


def routed(num_tokens, *, experts=6, top_k=3, seed=0):
    draw = torch.Generator().manual_seed(seed)
    ids = torch.stack([torch.randperm(experts, generator=draw)[:top_k] for _ in range(num_tokens)])
    return torch.randn(num_tokens, 8, generator=draw), ids, torch.rand(ids.shape, generator=draw)


@pytest.mark.parametrize("num_tokens", [1, 2, 17])
def test_experts_sum_what_each_chosen_one_computes(num_tokens):
    experts = Experts(6, 8, 5)
    x, ids, weights = routed(num_tokens)
    expected = torch.zeros(num_tokens, 8)
    for token in range(num_tokens):
        for e, weight in zip(ids[token], weights[token], strict=True):
            gate, up = (experts.gate_up[e] @ x[token]).chunk(2)
            expected[token] += weight * (experts.down[e] @ (F.silu(gate) * up))
    torch.testing.assert_close(experts(x, ids, weights), expected, atol=1e-6, rtol=1e-5)


def test_back_ends_agree_when_some_experts_have_no_rows():
    experts, counts = Experts(6, 16, 8), torch.tensor([0, 3, 0, 5, 1, 0])
    rows = torch.randn(9, 16, generator=torch.Generator().manual_seed(2))
    loop = moe.expert_by_expert(rows, experts.gate_up, experts.down, counts)
    grouped = moe.grouped(rows, experts.gate_up, experts.down, counts)
    single = moe.one_by_one(rows, experts.gate_up, experts.down, [1] * 3 + [3] * 5 + [4])
    torch.testing.assert_close(grouped, loop, atol=1e-6, rtol=1e-5)
    torch.testing.assert_close(single, loop, atol=1e-6, rtol=1e-5)


def test_experts_that_no_token_chose_are_not_touched():
    experts = Experts(6, 8, 5)
    with torch.no_grad():
        experts.gate_up[4:] = torch.nan
    x, ids, weights = routed(9, experts=4)
    assert experts(x, ids, weights).isfinite().all()


def test_gradients_of_a_step_reach_the_used_experts_only():
    experts = Experts(6, 8, 5)
    x, ids, weights = routed(9, experts=4)
    experts(x, ids, weights).square().sum().backward()
    used = torch.zeros(6, dtype=torch.bool).index_fill(0, ids.unique(), True)
    assert torch.equal(experts.gate_up.grad.flatten(1).any(1), used)
    assert torch.equal(experts.down.grad.flatten(1).any(1), used)


def test_an_expert_of_zeros_is_passed_over_until_it_learns():
    experts, x = Experts(4, 8, 16), torch.ones(1, 8)
    ids, weights = torch.tensor([[0, 2]]), torch.tensor([[1.0, 1.5]])
    with torch.no_grad():
        experts.down[:3] = 0
        experts.gate_up[0] = torch.nan  # read nowhere
        assert experts(x, ids, weights).tolist() == [[0.0] * 8]
        experts.gate_up[0] = 0.1
        experts.down[2] = 1.0
        both = experts(x.expand(2, -1), ids.expand(2, -1), weights.expand(2, -1))
        torch.testing.assert_close(experts(x, ids, weights), both[:1])
    assert experts(x, torch.tensor([[0, 1]]), weights).requires_grad
