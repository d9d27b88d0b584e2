"""Packing: nothing lost, nothing split, little waste, exact resume."""

from itertools import count, islice

import numpy as np

from mingle.training.packing import pack

LENGTHS = np.random.default_rng(0).integers(10, 200, 5000)


def packs(position=None, budget=512, window=64):
    return pack(
        lambda first: ((i, i) for i in count(first)),
        list,
        length=lambda sample: int(LENGTHS[sample]),
        budget=budget,
        window=window,
        position=position,
    )


def test_every_sample_comes_once_and_rows_keep_to_the_budget():
    rows = list(islice(packs(), 300))
    seen = [sample for row in rows for sample in row.samples]
    assert len(set(seen)) == len(seen)
    assert all(row.tokens == sum(int(LENGTHS[s]) for s in row.samples) <= 512 for row in rows)
    held = rows[-1].position["held"]
    assert sorted(seen + held) == list(range(rows[-1].position["next"]))


def test_waste_is_below_three_percent():
    rows = list(islice(packs(), 300))
    assert 1 - sum(row.tokens for row in rows) / (512 * len(rows)) < 0.03


def test_no_sample_waits_longer_than_the_window_allows():
    for row in islice(packs(window=16), 200):
        assert row.position["next"] - min(row.samples) <= 16 * 8


def test_stream_goes_on_from_any_position_as_if_never_stopped():
    rows = list(islice(packs(), 40))
    resumed = islice(packs(rows[16].position), 23)
    assert [row.samples for row in resumed] == [row.samples for row in rows[17:]]


def test_sample_longer_than_the_budget_has_a_row_of_its_own():
    row = next(packs(budget=5))
    assert len(row.samples) == 1
    assert row.tokens == LENGTHS[row.samples[0]]
