"""``Rate("auto")``: the rate that it finds on services of several kinds; time passes only when it is told to."""

import heapq
import itertools
import pickle
import random
from collections import deque

import pytest
from jd_core import Rate
from jd_core.inprocess.congestion import START_PER_SECOND

SECONDS = 30
SETTLED = 5  # seconds after which the rate is found
WORKERS = 64


class RefusedError(Exception):
    """A service's answer."""

    def __init__(self, retry_after=None):
        super().__init__("too many requests")
        self.status = 429
        if retry_after is not None:
            self.retry_after = retry_after


class Fixed:
    """Counts by the second."""

    def __init__(self):
        self.second, self.taken = -1, 0

    def wait(self, now, per_second):
        """Returns None if a call is taken, else the seconds after which it would be."""
        if int(now) != self.second:
            self.second, self.taken = int(now), 0
        self.taken += 1
        return None if self.taken <= per_second else self.second + 1 - now


class Sliding:
    """Counts over the last second."""

    def __init__(self):
        self.taken = deque()

    def wait(self, now, per_second):
        while self.taken and self.taken[0] <= now - 1.0:
            self.taken.popleft()
        if len(self.taken) < per_second:
            self.taken.append(now)
            return None
        return self.taken[0] + 1.0 - now


class Bucket:
    """Fills evenly, and holds a fifth of a second's calls."""

    def __init__(self):
        self.tokens, self.filled = 4.0, 0.0

    def wait(self, now, per_second):
        self.tokens = min(0.2 * per_second, self.tokens + (now - self.filled) * per_second)
        self.filled = now
        if self.tokens < 1.0:
            return (1.0 - self.tokens) / per_second
        self.tokens -= 1.0
        return None


class Flood:
    """What the calls of one function do to a service, in simulated time."""

    def __init__(self, rate, service, allowed, latency, hint):
        rate._clock = lambda: self.now
        self.now, self.starts, self.successes, self.refusals = 0.0, [], [], 0
        self._order, self._events = itertools.count(), []
        jitter, free = random.Random(1), WORKERS
        self._at(0.0, None)
        while self.now < SECONDS:
            self.now, _, ended = heapq.heappop(self._events)
            if ended is not None:
                rate.hear(*ended)
                free += 1
                self.refusals += ended[1] is not None
                self.successes += [] if ended[1] else [self.now]
            elif not free:
                self._at(0.001, None)
            elif delay := rate.delay():
                self._at(delay, None)
            else:
                free -= 1
                self.starts.append(self.now)
                wait = service.wait(self.now, allowed(self.now))
                error = None if wait is None else RefusedError(hint(wait))
                self._at(latency * jitter.uniform(0.8, 1.2), (self.now, error))
                self._at(0.0, None)

    def _at(self, delay, ended):
        heapq.heappush(self._events, (self.now + delay, next(self._order), ended))

    def worst_second(self, begin, end):
        """Returns the most starts in any second between two moments."""
        most, window = 0, deque()
        for start in self.starts:
            if begin <= start < end:
                window.append(start)
                while window[0] <= start - 1.0:
                    window.popleft()
                most = max(most, len(window))
        return most

    def taken(self, begin, end):
        """Returns how many calls succeeded between two moments."""
        return sum(begin <= moment < end for moment in self.successes)


HINTS = {"none": lambda wait: None, "exact": lambda wait: wait, "whole seconds": lambda wait: max(1, round(wait))}


@pytest.mark.parametrize("hint", HINTS)
@pytest.mark.parametrize("latency", [0.005, 0.1])
@pytest.mark.parametrize("service", [Fixed, Sliding, Bucket])
@pytest.mark.parametrize("per_second", [20, 50, 200])
def test_the_rate_of_a_service_is_found(per_second, service, latency, hint):
    """Section 6: never half as much again as is allowed, few refusals, most of what is allowed."""
    flood = Flood(Rate("auto"), service(), lambda now: per_second, latency, HINTS[hint])
    assert flood.worst_second(SETTLED, SECONDS) <= 1.5 * per_second
    assert flood.refusals <= 0.2 * len(flood.successes)
    assert flood.taken(SETTLED, SECONDS) >= 0.75 * per_second * (SECONDS - SETTLED)


@pytest.mark.parametrize("hint", HINTS)
@pytest.mark.parametrize("service", [Fixed, Sliding, Bucket])
@pytest.mark.parametrize("per_second", [20, 50, 200])
def test_a_service_that_halves_its_limit(per_second, service, hint):
    """Section 6: the rate follows."""
    half = SECONDS / 2
    flood = Flood(Rate("auto"), service(), lambda now: per_second / (1 + (now >= half)), 0.02, HINTS[hint])
    assert flood.worst_second(half + SETTLED, SECONDS) <= 1.5 * per_second / 2
    assert flood.refusals <= 0.2 * len(flood.successes)
    allowed = per_second * (half - SETTLED) + per_second / 2 * half
    # A service that asks to wait for whole seconds has that time for itself, several times while it halves.
    assert flood.taken(SETTLED, SECONDS) >= (0.7 if hint == "whole seconds" else 0.75) * allowed


class Starting(Fixed):
    """Refuses what comes while it starts, or the first calls but two."""

    def __init__(self, seconds, calls):
        super().__init__()
        self.seconds, self.calls, self.asked = seconds, calls, 0
        self.started = 0.0

    def wait(self, now, per_second):
        self.asked += 1
        if now < self.seconds or 2 < self.asked <= self.calls:
            self.started = now
            return 0.1
        return super().wait(now, per_second)


@pytest.mark.parametrize("hint", HINTS)
@pytest.mark.parametrize("per_second", [20, 200])
@pytest.mark.parametrize("service", [(0.2, 0), (2.0, 0), (0.0, 8)], ids=["for a moment", "for seconds", "after two calls"])
def test_a_service_that_starts(service, per_second, hint):
    """Section 6: what is refused before anything is known of the service's rate says nothing of it."""
    starting = Starting(*service)
    flood = Flood(Rate("auto"), starting, lambda now: per_second, 0.02, HINTS[hint])
    settled = starting.started + 1.0 + SETTLED  # the last one may have been asked to wait for a second
    assert flood.worst_second(settled, SECONDS) <= 1.5 * per_second
    assert flood.taken(settled, SECONDS) >= 0.75 * per_second * (SECONDS - settled)


@pytest.mark.parametrize("hint", HINTS)
def test_a_service_that_allows_more(hint):
    """A rate that is far too low is left ever faster."""
    flood = Flood(Rate("auto"), Bucket(), lambda now: 50 if now < 10 else 200, 0.02, HINTS[hint])
    assert flood.taken(25, SECONDS) >= 1.5 * flood.taken(10, 15)


class Faulty:
    """Refuses single calls, at any rate."""

    def __init__(self):
        self.asked = 0

    def wait(self, now, per_second):
        self.asked += 1
        return 1.0 if self.asked % 20 == 0 else None


def test_single_refusals_do_not_lower_the_rate():
    """Section 6: they are put down to the calls, and the rate grows as if there were none."""
    flood = Flood(Rate("auto", maximum=200), Faulty(), lambda now: 200, 0.02, HINTS["none"])
    assert flood.taken(SETTLED, SECONDS) >= 0.9 * 200 * (SECONDS - SETTLED)


def test_calls_that_the_rate_does_not_hold_up_teach_nothing():
    """A rate that is not used up stays: it would be far too high when there is more to do."""
    rate = Rate("auto")
    for _ in range(1000):
        rate._next = float("-inf")
        assert rate.delay() == 0.0
        rate.hear(0.0, None)
    assert rate.per_second == START_PER_SECOND


def heard(rate, error):
    """Returns the rate after a call that failed."""
    rate.hear(0.0, error)
    return rate.per_second


@pytest.mark.parametrize(
    ("slow_down_on", "error", "slower"),
    [
        ((), RefusedError(), True),
        ((), ValueError(), False),
        (ValueError, ValueError(), True),
        ((KeyError, ValueError), ValueError(), True),
        (lambda error: "busy" in str(error), RuntimeError("busy"), True),
        (lambda error: "busy" in str(error), RuntimeError("broken"), False),
    ],
)
def test_what_slows_down(slow_down_on, error, slower):
    """Section 6: a service's refusals, and what the user says."""
    assert (heard(Rate("auto", slow_down_on=slow_down_on), error) < START_PER_SECOND) == slower


def test_a_fixed_rate_hears_nothing():
    """Section 6: a number is what it is."""
    assert heard(Rate(5), RefusedError()) == 5


def test_bounds():
    """Section 6: the rate stays between its bounds."""
    rate = Rate("auto", minimum=4, maximum=12)
    for now in range(10, 100, 10):
        rate._clock = lambda now=now: now
        rate.hear(now, RefusedError())
    assert rate.per_second == 4
    for _ in range(2000):
        rate._next = float("inf")
        rate.delay()
        rate.hear(0.0, None)
    assert rate.per_second == 12


@pytest.mark.parametrize(
    ("arguments", "name"),
    [({"minimum": 0}, "minimum"), ({"minimum": 5, "maximum": 4}, "maximum"), ({"slow_down_on": 429}, "slow_down_on")],
)
def test_what_is_not_allowed(arguments, name):
    """Section 1: the error names the option, the value and what is allowed."""
    with pytest.raises((TypeError, ValueError), match=rf"Rate\.{name}=.* must be"):
        Rate("auto", **arguments)


def test_it_pickles():
    """A function that is sent to a process takes its rate along, as a new one."""
    rate = pickle.loads(pickle.dumps(Rate("auto", slow_down_on=ValueError, maximum=20)))
    assert repr(rate) == "Rate('auto')"
    assert heard(rate, ValueError()) < START_PER_SECOND
