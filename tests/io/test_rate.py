"""The io backend: ``max_per_second``."""

import time

import pytest
from jd_core.inprocess.rate_limit import LATENESS_SECONDS, Rate
from jd_core.testing.harness import best_of_three

WAIT = 30.0  # seconds after which an event that should have come has not


@pytest.mark.parametrize("workers", [1, 8])
@best_of_three
def test_calls_start_at_the_rate(io, workers):
    """Section 6: the rate holds over all workers of the run, from its first call on."""
    starts = []
    options = {"max_per_second": Rate(200)}
    io.run(lambda number: starts.append(time.monotonic()), range(80), size=5, workers=workers, options=options)
    assert 79 / 200 - LATENESS_SECONDS - 0.005 <= max(starts) - min(starts) <= 79 / 200 * 1.5


def test_closing_does_not_wait_for_the_rate(io, threads):
    """Contract 4: workers that wait for their turn are woken."""
    results = io.start(lambda number: number, range(100), workers=8, options={"max_per_second": Rate(0.01)})
    next(results)
    waiting = threads()  # at least one: how many more were started by now is the machine's affair
    began = time.monotonic()
    results.close()
    for thread in waiting:
        thread.join(WAIT)
    assert time.monotonic() - began < WAIT / 2
    assert waiting


def test_a_failure_stops_waiting_calls(io):
    """Promise 5: calls that wait for their turn are pending, and do not start."""
    started = []

    def call(number):
        started.append(number)
        raise ValueError(number)

    outcome = io.run(call, range(100), workers=8, options={"max_per_second": Rate(0.01)})
    assert started == [0]
    assert list(outcome.failures) == [0]


@best_of_three
def test_timeouts_do_not_count_the_wait(io):
    """Section 5: ``timeout`` is for the call, not for its turn."""
    outcome = io.run(lambda number: number, range(8), workers=8, timeout=0.1, options={"max_per_second": Rate(20)})
    assert outcome.failures == {}
