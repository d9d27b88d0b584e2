"""The thinker: however tokens are cut, packed or interleaved, the numbers stay the same."""

import random

import pytest
import torch
from miniature.tiny import TINY_THINKER, random_thinker_config, tiny_thinker

from mingle.messages import ROUTED, Modality
from mingle.nn.attention import Cached, Packed
from mingle.nn.cache import KVCache
from mingle.thinker.router import by_router

SEEDS = range(12)
CLOSE = {"atol": 2e-5, "rtol": 1e-4}  # fp32; sums in another order


class Sequence:
    """Random embeddings, positions and modalities of one sequence."""

    def __init__(self, seed, length, dim):
        draw = torch.Generator().manual_seed(seed)
        self.hidden = torch.randn(length, dim, generator=draw)
        self.positions = torch.randint(0, 40, (3, length), generator=draw)
        self.modality = torch.randint(0, len(ROUTED), (length,), generator=draw)
        self.length = length

    def inputs(self, start=0, end=None):
        return (
            self.hidden[start:end],
            self.positions[:, start:end],
            self.modality[start:end],
        )


def packed(parts):
    hidden, positions, modality = zip(*parts, strict=True)
    return torch.cat(hidden), torch.cat(positions, dim=1), torch.cat(modality)


def alone(thinker, sequence):
    return thinker(*sequence.inputs(), Packed([sequence.length]))


def lengths_for(seed, count):
    return [random.Random(seed + i).randint(1, 12) for i in range(count)]


@pytest.mark.parametrize("seed", SEEDS)
def test_reading_in_chunks_equals_reading_at_once(seed):
    config = random_thinker_config(seed)
    thinker, pick = tiny_thinker(seed, config), random.Random(seed)
    sequence = Sequence(seed, 20, config.dim)
    cache, outputs, at = KVCache(config.num_layers), [], 0
    while at < sequence.length:
        end = min(sequence.length, at + pick.choice((1, 1, 2, 5, 9)))
        attend = Cached([cache], [end - at])
        outputs.append(thinker(*sequence.inputs(at, end), attend)[0])
        attend.commit()
        at = end
    torch.testing.assert_close(torch.cat(outputs), alone(thinker, sequence)[0], **CLOSE)


@pytest.mark.parametrize("seed", SEEDS)
def test_a_packed_batch_equals_single_runs(seed):
    config = random_thinker_config(seed)
    thinker, lengths = tiny_thinker(seed, config), lengths_for(seed, 4)
    batch = [Sequence(seed + i, length, config.dim) for i, length in enumerate(lengths)]
    together, routings = thinker(*packed([s.inputs() for s in batch]), Packed(lengths))
    singles = [alone(thinker, sequence) for sequence in batch]
    torch.testing.assert_close(together, torch.cat([hidden for hidden, _ in singles]), **CLOSE)
    for layer, routing in enumerate(routings):
        apart = torch.cat([each[layer].expert_ids.sort(-1).values for _, each in singles])
        assert torch.equal(routing.expert_ids.sort(-1).values, apart)


@pytest.mark.parametrize("seed", SEEDS)
def test_interleaved_requests_do_not_touch_each_other(seed):
    config = random_thinker_config(seed)
    thinker, pick = tiny_thinker(seed, config), random.Random(seed)
    requests = [Sequence(seed + i, 11, config.dim) for i in range(3)]
    caches = [KVCache(config.num_layers) for _ in requests]
    outputs = [[] for _ in requests]
    while any(cache.length < 11 for cache in caches):
        waiting = [i for i, cache in enumerate(caches) if cache.length < 11]
        going = pick.sample(waiting, pick.randint(1, len(waiting)))
        spans = {
            i: (caches[i].length, min(11, caches[i].length + pick.randint(1, 4))) for i in going
        }
        counts = [end - start for start, end in spans.values()]
        attend = Cached([caches[i] for i in spans], counts)
        parts = [requests[i].inputs(*span) for i, span in spans.items()]
        hidden, _ = thinker(*packed(parts), attend)
        attend.commit()
        for i, piece in zip(spans, hidden.split(counts), strict=True):
            outputs[i].append(piece)
    for sequence, pieces in zip(requests, outputs, strict=True):
        torch.testing.assert_close(torch.cat(pieces), alone(thinker, sequence)[0], **CLOSE)


def test_a_pass_that_is_not_committed_leaves_the_cache_as_it_was():
    thinker, sequence = tiny_thinker(), Sequence(5, 9, TINY_THINKER.dim)
    cache = KVCache(TINY_THINKER.num_layers)
    attend = Cached([cache], [6])
    thinker(*sequence.inputs(0, 6), attend)
    attend.commit()
    thinker(*Sequence(6, 3, TINY_THINKER.dim).inputs(), Cached([cache], [3]))  # cancelled
    rest, _ = thinker(*sequence.inputs(6, 9), Cached([cache], [3]))
    torch.testing.assert_close(rest, alone(thinker, sequence)[0][6:], **CLOSE)


def test_each_token_is_scored_by_its_own_router_only():
    thinker, sequence = tiny_thinker(), Sequence(1, 30, TINY_THINKER.dim)
    before, _ = alone(thinker, sequence)
    silent = Modality.IMAGE
    text = sequence.modality != silent
    for layer in TINY_THINKER.sparse.layers:
        thinker.layers[layer].feed_forward.routers[silent.name.lower()].weight.fill_(torch.nan)
    others = Packed([int(text.sum())])
    hidden, _ = thinker(
        sequence.hidden[text], sequence.positions[:, text], sequence.modality[text], others
    )
    assert hidden.isfinite().all()
    assert before.isfinite().all()
    assert alone(thinker, sequence)[0][~text].isnan().any()


def test_routing_says_which_modality_and_weighs_to_the_scale():
    sequence = Sequence(2, 10, TINY_THINKER.dim)
    _, routings = alone(tiny_thinker(), sequence)
    assert len(routings) == len(TINY_THINKER.sparse.layers)
    for routing in routings:
        assert torch.equal(routing.modality, sequence.modality)
        scale = torch.full((10,), TINY_THINKER.sparse.choice.scale)
        torch.testing.assert_close(routing.weights.sum(-1), scale)


def test_a_modality_without_a_router_uses_that_of_text():
    modality = torch.tensor([0, 1, 2, 1, 0])
    tokens = by_router(modality, (Modality.TEXT, Modality.AUDIO))
    assert {router: rows.tolist() for router, rows in tokens.rows} == {
        Modality.TEXT: [0, 1, 3, 4],
        Modality.AUDIO: [2],
    }
    assert by_router(modality, (Modality.TEXT,)).whole == Modality.TEXT
    assert by_router(torch.tensor([1, 1]), (Modality.TEXT, Modality.AUDIO)).whole == Modality.TEXT
    assert by_router(torch.tensor([2, 2]), (Modality.TEXT, Modality.AUDIO)).whole == Modality.AUDIO


def test_gradients_of_every_parameter_are_the_slopes():
    thinker = tiny_thinker(0).requires_grad_(True)
    sequence = Sequence(3, 64, TINY_THINKER.dim)
    sequence.hidden[:32] = thinker.embed_tokens(torch.arange(32)).detach()
    ids = torch.arange(32)
    target = torch.randn(64, TINY_THINKER.vocab_size, generator=torch.Generator().manual_seed(4))

    def loss():
        hidden = torch.cat((thinker.embed_tokens(ids), sequence.hidden[32:]))
        hidden, routings = thinker(hidden, *sequence.inputs()[1:], Packed([40, 24]))
        routes = [routing.expert_ids.sort(-1).values for routing in routings]
        return (thinker.logits(hidden).double() * target).sum(), torch.cat(routes)

    value, routes = loss()
    value.backward()
    for name, parameter in thinker.named_parameters():
        assert parameter.grad is not None, name
        size = parameter.grad.norm()
        assert size > 0, name
        slope, same = _slope(loss, parameter, parameter.grad / size, routes)
        assert same, f"{name}: the step changed the routing, choose a smaller one"
        # fp32: the loss is known to 1e-5, so a difference over 4e-3 to 3e-3
        assert slope == pytest.approx(float(size), rel=1e-2, abs=1e-2), name


@torch.no_grad()
def _slope(loss, parameter, direction, routes, step=2e-3):
    """Finite difference along a direction, and whether routing stayed as it was."""
    values, same = [], True
    for sign in (1, -1):
        parameter.add_(direction, alpha=sign * step)
        value, now = loss()
        parameter.add_(direction, alpha=-sign * step)
        values.append(float(value))
        same = same and torch.equal(now, routes)
    return (values[0] - values[1]) / (2 * step), same
