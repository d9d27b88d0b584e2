"""The talker's benchmark: both ways speak the same, and every figure is there."""

import torch
from miniature.speech import TINY_SPEECH, tiny_speech

from mingle.evaluation.bench import Options
from mingle.evaluation.bench.talker import (
    as_released,
    measure_config,
    released_size,
    summary,
)
from mingle.talker.flow_head import FlowOptions, draw_noise


@torch.no_grad()
def test_both_ways_draw_the_same_patch():
    model = tiny_speech()
    peer = as_released(model)
    generator = torch.Generator().manual_seed(0)
    condition, history = torch.randn(1, 16, generator=generator), torch.randn(1, 8, 6)
    noise = draw_noise(TINY_SPEECH.talker.flow, 2, generator, condition)
    options = FlowOptions(steps=2)
    ours, theirs = (
        one.talker.flow_head.solve(condition, history, noise, options) for one in (model, peer)
    )
    torch.testing.assert_close(ours, theirs, atol=1e-4, rtol=1e-4)
    assert peer.vae.decoder.head.weight is not None
    assert peer.talker.lm.norm.weight.data_ptr() == model.talker.lm.norm.weight.data_ptr()


def test_a_measurement_tells_ratios_and_bounds():
    result = measure_config(TINY_SPEECH, Options(rounds=2, threads=None))
    assert result["patch_s"] == 0.08
    for name in ("mingle", "as_released"):
        assert result[name]["patch_s"]["median"] > 0
    assert set(result["ratio"]) == {"patch", "patch_cpu", "first_sample"}
    assert result["bound"]["memory_gb_per_s"] > 0.1
    assert "real-time factor" in "\n".join(summary(result))


def test_the_released_size_is_what_it_says():
    config = released_size()
    assert config.sample_rate_hz == 44100
    assert config.patch_samples / config.sample_rate_hz == 0.32
