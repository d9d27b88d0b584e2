"""The scheduler alone: no model, no clock; whole runs are played with made-up requests."""

from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mingle.engine.scheduler import Limits, Scheduler, Work, even_shares
from mingle.errors import CapacityError, ConfigError, InputError


def small(**changes) -> Limits:
    sizes = {"max_batch_tokens": 8, "max_requests": 4, "max_cache_tokens": 100, "max_waiting": 50}
    return Limits(**(sizes | changes))


def run_to_end(scheduler: Scheduler) -> list[tuple[int, str]]:
    ended = []
    while scheduler.waiting or scheduler.running:
        scheduler.admit()
        ended += scheduler.advance(scheduler.plan())
    return ended


def test_a_prompt_is_read_in_chunks_and_only_the_last_one_samples():
    scheduler = Scheduler(small(max_batch_tokens=4))
    scheduler.submit(1, prompt_tokens=10, max_new_tokens=2)
    scheduler.admit()
    works = []
    while scheduler.running:
        works += (plan := scheduler.plan())
        scheduler.advance(plan)
    assert [(w.start, w.length, w.sample) for w in works] == [
        (0, 4, False),
        (4, 4, False),
        (8, 2, True),
        (10, 1, True),
    ]


def test_decoding_goes_on_while_a_long_prompt_is_read():
    scheduler = Scheduler(small())
    scheduler.submit(1, prompt_tokens=1, max_new_tokens=10)
    scheduler.admit()
    scheduler.advance(scheduler.plan())
    scheduler.submit(2, prompt_tokens=40, max_new_tokens=1)
    scheduler.admit()
    assert [(w.request, w.length) for w in scheduler.plan()] == [(1, 1), (2, 7)]


def test_a_short_prompt_is_not_held_up_by_a_long_one():
    scheduler = Scheduler(small())
    scheduler.submit(1, prompt_tokens=80, max_new_tokens=1)
    scheduler.submit(2, prompt_tokens=3, max_new_tokens=1)
    scheduler.admit()
    assert scheduler.advance(scheduler.plan()) == ((2, "length"),)


def test_a_large_request_is_not_overtaken_by_small_ones():
    scheduler = Scheduler(small(max_cache_tokens=20))
    scheduler.submit(1, prompt_tokens=10, max_new_tokens=5)
    scheduler.submit(2, prompt_tokens=15, max_new_tokens=5)
    scheduler.submit(3, prompt_tokens=1, max_new_tokens=1)
    assert scheduler.admit() == (1,)
    assert [number for number, _ in run_to_end(scheduler)] == [1, 2, 3]


def test_reused_tokens_are_not_computed():
    scheduler = Scheduler(small())
    scheduler.submit(1, prompt_tokens=10, max_new_tokens=1)
    scheduler.admit()
    scheduler.reuse(1, 7)
    assert scheduler.plan() == (Work(request=1, start=7, length=3, sample=True),)


def test_a_request_for_no_tokens_reads_its_prompt_and_ends():
    scheduler = Scheduler(small())
    scheduler.submit(1, prompt_tokens=10, max_new_tokens=0)
    assert run_to_end(scheduler) == [(1, "length")]


def test_a_stopped_request_ends_with_stop_even_on_its_last_token():
    scheduler = Scheduler(small())
    scheduler.submit(1, prompt_tokens=2, max_new_tokens=1)
    scheduler.admit()
    assert scheduler.advance(scheduler.plan(), stopped=[1]) == ((1, "stop"),)


def test_a_request_ended_during_a_step_is_passed_over():
    scheduler = Scheduler(small())
    scheduler.submit(1, prompt_tokens=2, max_new_tokens=1)
    scheduler.admit()
    plan = scheduler.plan()
    assert scheduler.end(1)
    assert not scheduler.end(1)
    assert scheduler.advance(plan) == ()


def test_what_can_never_fit_is_refused_with_both_numbers():
    scheduler = Scheduler(small(max_cache_tokens=20))
    with pytest.raises(InputError, match=r"15 prompt tokens .* need 21, the cache holds 20"):
        scheduler.submit(1, prompt_tokens=15, max_new_tokens=6)


def test_a_full_queue_is_refused():
    scheduler = Scheduler(small(max_waiting=1))
    scheduler.submit(1, prompt_tokens=1, max_new_tokens=1)
    with pytest.raises(CapacityError, match="1 requests wait already"):
        scheduler.submit(2, prompt_tokens=1, max_new_tokens=1)


def test_limits_that_would_starve_a_request_are_refused():
    with pytest.raises(ConfigError, match="each running request needs one token a step"):
        small(max_batch_tokens=3)
    with pytest.raises(ConfigError, match="at least 1"):
        small(max_waiting=0)


@given(st.integers(0, 50), st.lists(st.integers(1, 30), max_size=8))
def test_even_shares_give_all_that_is_wanted_or_all_there_is(budget, wants):
    shares = even_shares(budget, wants)
    assert sum(shares) == min(budget, sum(wants))
    assert all(share <= want for share, want in zip(shares, wants, strict=True))
    hungry = [share for share, want in zip(shares, wants, strict=True) if share < want]
    assert all(share + 1 >= max(shares) for share in hungry)  # who lacks has as much as anyone


sizes = st.tuples(st.integers(1, 30), st.integers(0, 12))
actions = st.lists(st.one_of(st.just("step"), st.tuples(st.just("cancel"), st.integers(1, 20))))


@given(
    requests=st.lists(sizes, min_size=1, max_size=20),
    actions=actions,
    max_requests=st.integers(1, 5),
    spare=st.integers(0, 10),
    reuse=st.integers(0, 40),
)
def test_limits_hold_nobody_starves_and_every_request_ends_once(
    requests, actions, max_requests, spare, reuse
):
    limits = small(
        max_batch_tokens=max_requests + spare, max_requests=max_requests, max_cache_tokens=60
    )
    scheduler = Scheduler(limits)
    arrivals = list(enumerate(requests, start=1))
    ends: Counter[int] = Counter()
    admitted: list[int] = []
    cached: dict[int, int] = {}
    for action in [*actions, *["step"] * 2000]:
        if arrivals:
            number, (prompt, new) = arrivals.pop(0)
            scheduler.submit(number, prompt_tokens=prompt, max_new_tokens=new)
        if action != "step":
            ends[action[1]] += scheduler.end(action[1])
            continue
        for number in scheduler.admit():
            admitted.append(number)
            cached[number] = min(reuse, requests[number - 1][0] - 1)
            scheduler.reuse(number, cached[number])
        plan = scheduler.plan()
        assert sum(work.length for work in plan) <= limits.max_batch_tokens
        assert scheduler.reserved_tokens <= limits.max_cache_tokens
        assert {work.request for work in plan} == set(scheduler.running)  # everyone moves
        for work in plan:
            assert work.length >= 1
            assert work.start == cached[work.request]  # nothing twice, nothing left out
            cached[work.request] += work.length
            assert cached[work.request] <= sum(requests[work.request - 1])
        ends.update(number for number, _ in scheduler.advance(plan))
        if not (arrivals or scheduler.waiting or scheduler.running):
            break
    assert not scheduler.waiting
    assert not scheduler.running
    assert admitted == sorted(admitted)
    assert ends == Counter(range(1, len(requests) + 1))
