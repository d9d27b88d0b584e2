"""The chat benchmark's arithmetic, on made-up runs."""

import pytest
import torch

from mingle.evaluation.bench.chat import Clock, Run, compare, figures, same_tokens, summary
from mingle.evaluation.bench.machine import describe_machine, spread


def made(first: float, following: float, tokens: tuple[int, ...] = (1, 2, 3)) -> Run:
    return Run(
        first_wall_s=first,
        first_cpu_s=first / 2,
        next_wall_s=following,
        next_cpu_s=following / 4,
        tokens=list(tokens),
    )


OURS = [made(1.0, 0.1), made(1.0, 0.2), made(2.0, 0.1)]
THEIRS = [made(2.0, 0.1), made(1.0, 0.4), made(1.0, 0.3)]


def test_the_ratio_is_the_median_of_the_rounds_not_of_the_times():
    ratio = compare(OURS, THEIRS)
    assert ratio["decode"] == 2.0  # of 1, 2 and 3
    assert ratio["prefill"] == 1.0  # of 2, 1 and 0.5


def test_speeds_come_from_median_times():
    assert figures(OURS, prompt_tokens=50)["prefill_tokens_per_s"] == 50.0
    assert figures(OURS, prompt_tokens=50)["decode_tokens_per_s"] == 10.0


def test_a_round_that_wrote_something_else_is_noticed():
    assert same_tokens(OURS, THEIRS)
    assert not same_tokens(OURS, [*THEIRS[:2], made(1.0, 1.0, (1, 2, 4))])


def test_spread_ranks():
    assert spread([0.3, 0.1, 0.2]) == {"median": 0.2, "p95": 0.3, "best": 0.1}


def test_the_clock_leaves_the_first_token_out_of_the_pace(monkeypatch: pytest.MonkeyPatch):
    ticks = iter([(0.0, 0.0), (3.0, 1.0), (4.0, 1.5), (5.0, 2.0)])
    monkeypatch.setattr(Clock, "_now", staticmethod(lambda: next(ticks)))
    clock = Clock()
    for token in (7, 8, 9):
        clock.note(token)
    run = clock.run()
    assert (run.first_wall_s, run.next_wall_s, run.next_cpu_s) == (3.0, 1.0, 0.5)
    assert run.tokens == [7, 8, 9]


def test_the_summary_says_when_tokens_differ():
    result = {
        "prompt_tokens": 5,
        "new_tokens": 3,
        "rounds": 3,
        "machine": {"threads": 1},
        "mingle": figures(OURS, 5),
        "transformers": figures(THEIRS, 5),
        "ratio": compare(OURS, THEIRS),
        "same_tokens": False,
        "bound": {"weights_read_gb_per_s": 12.0},
    }
    assert "same tokens: NO" in summary(result)


def test_the_machine_is_named_with_every_figure():
    machine = describe_machine()
    assert machine["torch"] == torch.__version__
    assert machine["threads"] == torch.get_num_threads()
