"""Sampling against plain reference computations on small vocabularies."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from mingle.engine.sampling import Sampler, candidates, choose_all, penalise
from mingle.errors import InputError
from mingle.messages import SamplingOptions

sampling = st.builds(
    SamplingOptions,
    temperature=st.floats(0.05, 3),
    top_k=st.integers(0, 12),
    top_p=st.floats(0, 1),
    min_p=st.floats(0, 1),
    repetition_penalty=st.floats(0.5, 2),
    seed=st.integers(0, 2**63),
)


def rows(number: int, vocab: int = 300, seed: int = 0) -> torch.Tensor:
    return 3 * torch.randn(number, vocab, generator=torch.Generator().manual_seed(seed))


def draw(options: SamplingOptions, logits: torch.Tensor, times: int = 20) -> list[int]:
    sampler = Sampler(options, vocab_size=len(logits))
    return [sampler.choose(logits).token for _ in range(times)]


def allowed_by_definition(logits: torch.Tensor, options: SamplingOptions) -> set[int]:
    """top-k, then the smallest set of at least top-p of what is left, then min-p; in float64."""
    weights = (logits.double() / options.temperature).softmax(-1)
    order = weights.argsort(descending=True)[: options.top_k or None].tolist()
    whole = weights[order].sum().item() if options.top_k else 1.0
    kept, total = [], 0.0
    for token in order:
        if kept and total >= options.top_p * whole:
            break
        kept.append(token)
        total += weights[token].item()
    least = options.min_p * weights[order[0]].item()
    return {token for token in kept if weights[token].item() >= least}


@settings(max_examples=200, deadline=None)
@given(sampling, st.integers(0, 10**6))
def test_candidates_are_those_of_the_definition(options, seed):
    logits = rows(1, seed=seed)[0]
    weights, tokens = candidates(logits, options)
    kept = set(range(len(logits)) if tokens is None else tokens.tolist())
    expected = allowed_by_definition(logits, options)
    odd = kept ^ expected  # fp32 sums may put a token on the other side of a border
    lost = (logits.double() / options.temperature).softmax(-1)[list(odd)].sum()
    assert len(odd) <= 1 or lost < 1e-6
    assert (weights > 0).all() or tokens is None


@settings(max_examples=50, deadline=None)
@given(st.lists(sampling, min_size=2, max_size=5), st.integers(0, 10**6))
def test_a_row_does_not_depend_on_its_batch_mates(many, seed):
    logits = rows(len(many), seed=seed)
    samplers = [Sampler(options, vocab_size=300) for options in many]
    together = [[c.token for c in choose_all(logits, samplers)] for _ in range(4)]
    for row, options in enumerate(many):
        assert [step[row] for step in together] == draw(options, logits[row], times=4)


def test_the_same_seed_draws_the_same_and_another_one_differently():
    logits = rows(1)[0]
    options = SamplingOptions(temperature=1.0, seed=3)
    assert draw(options, logits) == draw(options, logits)
    assert draw(options, logits) != draw(SamplingOptions(temperature=1.0, seed=4), logits)


def test_without_a_seed_two_requests_differ():
    options = SamplingOptions(temperature=2.0)
    assert draw(options, rows(1)[0]) != draw(options, rows(1)[0])


def test_draws_follow_the_probabilities():
    logits = torch.tensor([0.5, 0.3, 0.2]).log()
    options = SamplingOptions(temperature=1.0, seed=0)
    counts = torch.bincount(torch.tensor(draw(options, logits, 4000)), minlength=3) / 4000
    assert counts.tolist() == pytest.approx([0.5, 0.3, 0.2], abs=0.03)  # 3.8 sigma


def test_a_nucleus_wider_than_the_first_look_is_drawn_from_whole():
    options = SamplingOptions(temperature=1.0, top_p=0.99, seed=0)
    weights, _ = candidates(torch.zeros(5000), options)
    assert len(weights) == 4950


def test_temperature_zero_takes_the_likeliest():
    assert draw(SamplingOptions(), rows(1)[0], 3) == [int(rows(1)[0].argmax())] * 3


@pytest.mark.parametrize(
    "narrow", [{"top_k": 1}, {"top_p": 0.0}, {"min_p": 1.0}, {"temperature": 1e-30}]
)
def test_the_narrowest_options_are_greedy(narrow):
    options = SamplingOptions(**({"temperature": 1.0} | narrow))
    assert draw(options, rows(1)[0], 3) == [int(rows(1)[0].argmax())] * 3


def test_the_penalty_counts_prompt_and_chosen_tokens_and_respects_the_sign():
    seen = torch.tensor([True, True, False])
    penalised = penalise(torch.tensor([2.0, -2.0, 2.0]), seen, 2.0)
    assert penalised.tolist() == [1.0, -4.0, 2.0]
    sampler = Sampler(SamplingOptions(repetition_penalty=2.0), vocab_size=3)
    sampler.see(torch.tensor([0]))
    logits = torch.tensor([1.0, 0.9, 0.8])
    assert [sampler.choose(logits).token for _ in range(3)] == [1, 2, 0]


def test_the_penalty_spares_the_token_that_ends_an_answer():
    sampler = Sampler(SamplingOptions(repetition_penalty=2.0), vocab_size=3, ends=(0,))
    sampler.see(torch.tensor([0, 1]))
    assert [sampler.choose(torch.tensor([1.0, 1.5, 0.8])).token for _ in range(2)] == [0, 0]


def test_logprobs_are_the_models_own():
    logits = rows(1)[0]
    options = SamplingOptions(temperature=0.3, top_k=5, seed=1, logprobs=3)
    choice = Sampler(options, vocab_size=300).choose(logits)
    expected = logits.log_softmax(-1)
    assert choice.logprob == pytest.approx(expected[choice.token].item())
    best = expected.topk(3)
    assert [token for token, _ in choice.alternatives] == best.indices.tolist()


@pytest.mark.parametrize(
    ("bad", "value"),
    [("temperature", -1.0), ("top_p", 1.5), ("min_p", -0.1), ("top_k", -1), ("logprobs", 101)],
)
def test_options_outside_their_range_are_refused_by_name(bad, value):
    with pytest.raises(InputError, match=f"{bad} is {value}"):
        Sampler(SamplingOptions(**{bad: value}), vocab_size=3)


def test_nan_temperature_is_refused():
    with pytest.raises(InputError, match="temperature is nan"):
        Sampler(SamplingOptions(temperature=float("nan")), vocab_size=3)
