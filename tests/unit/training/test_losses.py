"""Each loss: its value where it is known, its gradient against finite differences."""

import math

import pytest
import torch
from torch import nn
from torch.func import functional_call

from mingle.training import losses


def double(*shape: int) -> torch.Tensor:
    return torch.randn(*shape, dtype=torch.float64, requires_grad=True)


@pytest.fixture(autouse=True)
def _seed():
    torch.manual_seed(0)


def test_next_token_ignores_what_nobody_predicts():
    logits = torch.zeros(3, 4)
    targets = torch.tensor([1, losses.IGNORED, 2])
    assert float(losses.next_token(logits, targets)) == pytest.approx(math.log(4))
    assert float(losses.next_token(logits, torch.full((3,), losses.IGNORED))) == 0.0


def test_next_token_gradient():
    # the loss is computed in fp32 at least, so the check's steps are large
    targets = torch.tensor([1, losses.IGNORED, 0])
    logits = double(3, 4)
    assert torch.autograd.gradcheck(
        lambda x: losses.next_token(x, targets), (logits,), eps=1e-2, atol=1e-3
    )


def test_flow_matching_is_zero_for_the_true_velocity():
    noise, data = torch.randn(2, 3), torch.randn(2, 3)
    assert float(losses.flow_matching(data - noise, noise, data)) == 0.0


def test_flow_matching_gradient():
    noise, data = double(2, 3).detach(), double(2, 3).detach()
    assert torch.autograd.gradcheck(
        lambda x: losses.flow_matching(x, noise, data), (double(2, 3),), eps=1e-2, atol=1e-3
    )


def test_stop_gradient():
    last = torch.tensor([False, False, True])
    assert torch.autograd.gradcheck(
        lambda x: losses.stop(x, last), (double(3, 2),), eps=1e-2, atol=1e-3
    )


def test_spectral_is_zero_for_equal_waves_and_grows_with_pitch_error():
    time = torch.arange(2048) / 16000
    wave = torch.sin(2 * math.pi * 440 * time)[None]
    other = torch.sin(2 * math.pi * 660 * time)[None]
    same = losses.spectral(wave, wave, (256, 512), 1e-4)
    assert float(same) == 0.0
    assert losses.spectral(other, wave, (256, 512), 1e-4) > 1.0


def test_spectral_gradient():
    real = double(2, 64).detach()
    assert torch.autograd.gradcheck(
        lambda x: losses.spectral(x, real, (16, 32), 1e-2), (double(2, 64),)
    )


def test_kl_is_zero_for_the_standard_normal_and_its_gradient():
    assert float(losses.kl(torch.zeros(4), torch.ones(4))) == 0.0
    mean, spread = double(3), double(3)
    assert torch.autograd.gradcheck(lambda m, s: losses.kl(m, s.exp()), (mean, spread))


def test_pixels_gradient():
    real = double(1, 3, 2, 2).detach()
    assert torch.autograd.gradcheck(lambda x: losses.pixels(x, real), (double(1, 3, 2, 2),))


def test_adversarial_gradients():
    real, fake = double(4, 2), double(4, 2)
    assert torch.autograd.gradcheck(lambda x: losses.fooled([x, 2 * x]), (fake,))
    assert torch.autograd.gradcheck(lambda r, f: losses.judged([r], [f]), (real, fake))


def test_one_backward_pass_serves_generator_and_judge():
    generator, judge = nn.Linear(2, 2), nn.Linear(2, 1)
    made = generator(torch.randn(4, 2))
    frozen = {name: p.detach() for name, p in judge.named_parameters()}
    for_generator = losses.fooled([functional_call(judge, frozen, made)])
    for_judge = losses.judged([judge(torch.randn(4, 2))], [judge(made.detach())])
    alone = torch.autograd.grad(for_generator, list(generator.parameters()), retain_graph=True)
    (for_generator + for_judge).backward()
    assert all(torch.equal(p.grad, g) for p, g in zip(generator.parameters(), alone, strict=True))
    assert judge.weight.grad is not None


def test_only_latents_that_count_are_compared_and_pictures_weigh_the_same():
    noise, data = torch.zeros(2, 3, 2, 2), torch.ones(2, 3, 2, 2)
    predicted = data.clone()
    predicted[0, :, 0, 0] = 3.0  # an error of 4 in one of the one that counts
    predicted[0, :, 1, 1] = 100.0  # does not count
    predicted[1, :, 0] = 2.0  # an error of 1 in two of the four that count
    counted = torch.ones(2, 2, 2, dtype=torch.bool)
    counted[0] = torch.tensor([[True, False], [False, False]])
    found = losses.flow_matching_where(counted, predicted, noise, data)
    assert found.item() == pytest.approx((4.0 + 0.5) / 2)
    everything = losses.flow_matching_where(torch.ones_like(counted), predicted, noise, data)
    torch.testing.assert_close(everything, losses.flow_matching(predicted, noise, data))
    assert losses.flow_matching_where(~torch.ones_like(counted), predicted, noise, data) == 0
