"""The painter's benchmark on a transformer of a few thousand parameters."""

from dataclasses import replace

import pytest
import torch

from mingle.evaluation.bench import Options
from mingle.evaluation.bench.painter import (
    RELEASED,
    Job,
    draw_inputs,
    measure_config,
    random_transformer,
    released_step,
    step,
    step_flops,
    summary,
)

SMALL = replace(RELEASED, dim=24, num_heads=2, token_dim=8, axes_dims=(4, 4, 4), latent_channels=4)
JOB = Job(side=4, words=32)


def test_both_ways_compute_the_same_step():
    transformer = random_transformer(SMALL, torch.float32)
    inputs = draw_inputs(SMALL, JOB)
    torch.testing.assert_close(
        step(transformer, *inputs), released_step(transformer, *inputs), atol=1e-5, rtol=1e-4
    )


def test_the_report_holds_times_ratios_and_the_bound():
    result = measure_config(SMALL, JOB, Options(rounds=2, threads=None))
    assert set(result["step_s"]) == {"mingle", "as_released_fp32", "as_released"}
    assert result["bound"]["share"] > 0
    fair = result["step_s"]["as_released_fp32"]["median"] / result["step_s"]["mingle"]["median"]
    assert result["ratio"]["as_released_fp32"] == pytest.approx(fair * 30 / 29, rel=0.05)
    assert len(summary(result)) == 6


def test_arithmetic_of_a_step_counts_weights_and_attention():
    weights = 4 * 24**2 + 3 * 24 * 64
    rows = (16 + 32, 16, 32)
    expected = 2 * sum(2 * n * weights + 4 * n * n * 24 for n in rows)
    assert step_flops(SMALL, JOB) == expected
