"""`jd_core.inprocess.rate_limit`: the rate, computed; no time passes here."""

from hypothesis import given
from hypothesis import strategies as st
from jd_core.inprocess.rate_limit import LATENESS_SECONDS, Pacer


class Clock:
    """Time that passes when it is told to."""

    def __init__(self):
        self.now = 100.0

    def __call__(self):
        return self.now


def test_starts_are_spaced_evenly():
    """Section 6: workers that ask at the same moment get moments one interval apart, the first one at once."""
    pacer = Pacer(10, Clock())
    assert [round(pacer.delay(), 6) for _ in range(4)] == [0.0, 0.1, 0.2, 0.3]


def test_lateness_is_made_up_for_within_bounds():
    """Section 6: bursts are bounded: after a pause, only `LATENESS_SECONDS`' worth of calls starts at once."""
    clock = Clock()
    pacer = Pacer(1000, clock)
    pacer.delay()
    clock.now += 60.0
    at_once = 0
    while pacer.delay() == 0.0:
        at_once += 1
    assert abs(at_once - 1000 * LATENESS_SECONDS) <= 1


@given(
    rate=st.floats(0.1, 1e5),
    pauses=st.lists(st.one_of(st.just(0.0), st.floats(0.0, 0.1), st.floats(0.0, 30.0)), min_size=1, max_size=60),
)
def test_no_window_holds_more_than_the_rate(rate, pauses):
    """Section 6: in any T seconds at most ``1 + rate * (T + LATENESS_SECONDS)`` calls start."""
    clock = Clock()
    pacer = Pacer(rate, clock)
    starts = []
    for pause in pauses:
        clock.now += pause
        starts.append(clock.now + pacer.delay())
    for first, start in enumerate(starts):
        for last in range(first, len(starts)):
            window = starts[last] - start
            assert last - first + 1 <= 1 + rate * (window + LATENESS_SECONDS) + 1e-6 * rate + 1e-6
