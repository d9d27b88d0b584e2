"""What passes as equal to a stored tensor, and what is said about it."""

import math

import pytest
import torch

from mingle.errors import InputError
from mingle.evaluation.parity.check import EXACT, Tolerance, compare, compare_facts, read_tolerance


@pytest.mark.parametrize(
    ("stated", "expected"),
    [
        ("exact", EXACT),
        ({"exact": True}, EXACT),
        ("atol 2e-4 rtol 1e-4", Tolerance(atol=2e-4, rtol=1e-4)),
        ("atol 0.5", Tolerance(atol=0.5)),
        ({"rtol": 1e-3, "atol": 1e-4}, Tolerance(atol=1e-4, rtol=1e-3)),
    ],
)
def test_every_way_of_stating_a_tolerance_is_read(stated, expected):
    assert read_tolerance(stated) == expected


def test_a_tolerance_without_numbers_is_refused():
    with pytest.raises(InputError, match="about right"):
        read_tolerance("about right")


def test_the_bound_shown_is_that_of_the_greatest_difference_when_all_pass():
    check = compare("x", [1.0, 100.5], [1.0, 100.0], Tolerance(atol=0.1, rtol=0.01))
    assert check.passed
    assert check.max_abs_diff == pytest.approx(0.5)
    assert check.tolerance == pytest.approx(1.1)


def test_a_small_number_may_fail_while_a_greater_difference_passes():
    check = compare("x", [1.2, 100.5], [1.0, 100.0], Tolerance(atol=0.1, rtol=0.01))
    assert not check.passed
    assert check.max_abs_diff > check.tolerance == pytest.approx(0.11)


@pytest.mark.parametrize("ours", [[math.nan, 1.0], [math.inf, 1.0], [1.0], [[1.0, 1.0]]])
def test_nan_infinity_and_other_shapes_fail(ours):
    check = compare("x", ours, [1.0, 1.0], Tolerance(atol=1e9))
    assert not check.passed
    assert check.max_abs_diff == math.inf


def test_exact_integers_fail_by_one():
    assert compare("ids", torch.tensor([3, 4]), torch.tensor([3, 4])).passed
    assert not compare("ids", torch.tensor([3, 5]), torch.tensor([3, 4])).passed


def test_facts_that_differ_are_told():
    assert compare_facts("text", "a", "a").passed
    assert "'b', stored 'a'" in compare_facts("text", "b", "a").name
