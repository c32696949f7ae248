"""`jd_core.inprocess.rate_limit`: the rate, computed; no time passes here."""

import itertools
import pickle

import pytest
from hypothesis import given
from hypothesis import strategies as st
from jd_core import Rate
from jd_core.inprocess.rate_limit import LATENESS_SECONDS


class Clock:
    """Time that passes when it is told to."""

    def __init__(self):
        self.now = 100.0

    def __call__(self):
        return self.now


def rate_of(per_second):
    """Returns a rate, and the clock that it goes by."""
    rate, clock = Rate(per_second), Clock()
    rate._clock = clock
    return rate, clock


def test_starts_are_spaced_evenly():
    """Section 6: the first call starts at once, the next one after an interval."""
    rate, clock = rate_of(10)
    rate.delay()
    clock.now += LATENESS_SECONDS
    starts = []
    while len(starts) < 4:
        if delay := rate.delay():
            clock.now += delay
        else:
            starts.append(clock.now)
    assert [round(later - start, 6) for start, later in itertools.pairwise(starts)] == [0.1, 0.1, 0.1]


def test_lateness_is_made_up_for_within_bounds():
    """Section 6: bursts are bounded: after a pause, only `LATENESS_SECONDS`' worth of calls starts at once."""
    rate, clock = rate_of(1000)
    rate.delay()
    clock.now += 60.0
    at_once = 0
    while rate.delay() == 0.0:
        at_once += 1
    assert abs(at_once - 1000 * LATENESS_SECONDS) <= 1


@given(
    per_second=st.floats(0.1, 1e5),
    pauses=st.lists(st.one_of(st.just(0.0), st.floats(0.0, 0.1), st.floats(0.0, 30.0)), min_size=1, max_size=60),
)
def test_no_window_holds_more_than_the_rate(per_second, pauses):
    """Section 6: in any T seconds at most ``1 + rate * (T + LATENESS_SECONDS)`` calls start."""
    rate, clock = rate_of(per_second)
    starts = []
    for pause in pauses:
        clock.now += pause
        while delay := rate.delay():
            clock.now += delay
        starts.append(clock.now)
    for first, start in enumerate(starts):
        for last in range(first, len(starts)):
            window = starts[last] - start
            assert last - first + 1 <= 1 + per_second * (window + LATENESS_SECONDS) + 1e-6 * per_second + 1e-6


def test_asking_reserves_nothing():
    """A call that asked and gave up, since its run was cancelled, takes no other call's turn."""
    rate, clock = rate_of(0.01)
    rate.delay()
    assert all(rate.delay() > 90.0 for _ in range(5))
    clock.now += 100.0
    assert rate.delay() == 0.0


@pytest.mark.parametrize("value", [0, -1, float("nan"), True, "fast", None])
def test_what_is_no_rate(value):
    """Section 1: what is not allowed is an error that names the option, the value and what is allowed."""
    with pytest.raises((TypeError, ValueError), match=r"Rate.per_second=.* must be"):
        Rate(value)


def test_a_pickled_rate_is_one_of_its_own():
    """A function that is sent by value to a process takes its rate along."""
    assert repr(pickle.loads(pickle.dumps(Rate(5)))) == "Rate(5)"
