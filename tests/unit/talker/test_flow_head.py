"""The flow head and what is around it: guidance, schedules, noise."""

from dataclasses import replace

import pytest
import torch
from miniature.speech import TINY_BLOCKS, TINY_TALKER, drawn

from mingle.nn.flow import guide, integrate, interpolate, sway, velocity_target
from mingle.talker.flow_head import FlowHead, FlowOptions, draw_noise, time_grid

CONFIG = TINY_TALKER.flow


def given(seed=0, batch=1):
    generator = torch.Generator().manual_seed(seed)
    condition = torch.randn(batch, CONFIG.condition_dim, generator=generator)
    history = torch.randn(batch, CONFIG.history, CONFIG.latent_dim, generator=generator)
    return condition, history, draw_noise(CONFIG, 5, generator, condition)


@torch.no_grad()
def test_both_branches_in_one_batch_equal_two_evaluations():
    head = drawn(FlowHead(CONFIG))
    condition, history, noise = given()
    options = FlowOptions(steps=5, guidance=1.5)
    times = sway(time_grid(5))

    def velocity(x, step):
        time = times[step].expand(1)
        free = head(x, time, torch.zeros_like(condition), history)
        return guide(head(x, time, condition, history), free, 1.5)

    expected = integrate(velocity, noise.start, times)
    found = head.solve(condition, history, noise, options)
    torch.testing.assert_close(found, expected, atol=1e-4, rtol=1e-4)  # fp32, guided twice


@torch.no_grad()
def test_noise_counts_only_above_temperature_zero():
    head = drawn(FlowHead(CONFIG))
    condition, history, noise = given()
    louder = replace(noise, kicks=noise.kicks * 3)
    cold, warm = FlowOptions(steps=5), FlowOptions(steps=5, temperature=1.0)
    assert torch.equal(
        head.solve(condition, history, noise, cold), head.solve(condition, history, louder, cold)
    )
    assert not torch.equal(
        head.solve(condition, history, noise, warm), head.solve(condition, history, louder, warm)
    )


@pytest.mark.parametrize("steps", range(1, 20))
def test_every_schedule_goes_from_noise_to_data(steps):
    grid = sway(time_grid(steps))
    assert grid.shape == (steps + 1,)
    assert float(grid[0]) == 0
    assert float(grid[-1]) == pytest.approx(1, abs=1e-6)
    assert bool((grid.diff() > 0).all())


def test_the_straight_path_has_the_target_as_its_velocity():
    noise, data = torch.randn(3, 4, 2), torch.randn(3, 4, 2)
    early, late = torch.full((3,), 0.25), torch.full((3,), 0.75)
    moved = interpolate(noise, data, late) - interpolate(noise, data, early)
    torch.testing.assert_close(moved / 0.5, velocity_target(noise, data), atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("changes", [{"qk_norm": True}, {"rotary_heads": 1}])
def test_switches_of_the_blocks_change_what_is_computed(changes):
    condition, history, noise = given()
    plain = drawn(FlowHead(CONFIG))
    other = FlowHead(replace(CONFIG, blocks=replace(TINY_BLOCKS, **changes)))
    other.load_state_dict(plain.state_dict(), strict=False)
    time = torch.tensor([0.3])
    difference = plain(noise.start, time, condition, history) - other(
        noise.start, time, condition, history
    )
    assert difference.abs().max() > 1e-3


def test_one_seed_is_one_noise():
    first, second = (given(seed=7)[2] for _ in range(2))
    assert torch.equal(first.start, second.start)
    assert torch.equal(first.kicks, second.kicks)
    assert not torch.equal(first.start, given(seed=8)[2].start)
