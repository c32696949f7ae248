"""The io backend: slow calls, failures, timeouts, and every way in which a run ends early."""

import os
import signal
import subprocess
import sys
import textwrap
import threading
import time

import pytest
from jd_core.errors import CallTimeoutError
from jd_core.testing.harness import best_of_three

WAIT = 30.0  # seconds after which an event that should have come has not


def test_a_slow_call_holds_no_other_back(io):
    """Section 6: calls are taken one by one from one source, so those behind a slow one run, in the same chunk too."""
    last_ran = threading.Event()

    def call(number):
        if number == 0:
            return last_ran.wait(WAIT)
        if number == 9:
            last_ran.set()
        return True

    assert all(io.run(call, range(10), size=10, workers=2).values())


def test_finished_calls_are_given_before_the_slow_one_of_their_chunk(io):
    """Section 1: `as_completed` and `stream` get results as calls finish: parts of a chunk, each call exactly once."""
    release = threading.Event()

    def call(number):
        return release.wait(WAIT) if number == 3 else number

    results = io.start(call, range(8), size=8, workers=2)
    given = {}
    while len(given) < 7:
        result = next(results)
        given.update(enumerate(result.values, result.offset))
    assert 3 not in given
    release.set()
    rest = list(results)
    assert [(result.offset, result.values) for result in rest] == [(3, [True])]


def test_first_failure_stops_what_has_not_started(io):
    """Section 5, promise 5: after a failure nothing further starts, in the same chunk or a later one."""
    started = []

    def call(number):
        started.append(number)
        if number == 3:
            raise ValueError(number)
        return number

    outcome = io.run(call, range(1000), size=100, workers=1)
    assert started == [0, 1, 2, 3]
    assert {**outcome, 3: "failed"} == {0: 0, 1: 1, 2: 2, 3: "failed"}
    assert isinstance(outcome.failures[3], ValueError)


def test_without_stop_at_failure_every_call_runs(io):
    """Section 5: with ``return_exceptions`` every call runs; each failure stands at its place."""

    def call(number):
        if number % 3 == 0:
            raise ValueError(number)
        return number

    outcome = io.run(call, range(50), size=7, stop_at_failure=False)
    assert {index: error.args for index, error in outcome.failures.items()} == {i: (i,) for i in range(0, 50, 3)}
    assert len(outcome) == 50


@pytest.mark.parametrize("raised", [SystemExit, KeyboardInterrupt, GeneratorExit, StopIteration])
def test_odd_exceptions_are_the_calls_failure(io, raised):
    """Section 5: they end neither the worker nor the caller; StopIteration becomes a RuntimeError and shortens nothing."""

    def call(number):
        if number == 1:
            raise raised
        return number

    outcome = io.run(call, range(3), size=3, workers=1, stop_at_failure=False)
    assert outcome == {0: 0, 1: None, 2: 2}
    assert isinstance(outcome.failures[1], RuntimeError if raised is StopIteration else raised)


@best_of_three
def test_a_call_over_its_time_is_reported_and_left_behind(io, threads):
    """Section 5: a thread cannot be killed: its call is reported at once, another thread goes on, late results drop."""
    release = threading.Event()
    others = threads()

    def call(number):
        return release.wait(WAIT) if number == 2 else number

    outcome = io.run(call, range(6), size=3, workers=1, timeout=0.05, stop_at_failure=False)
    assert outcome == {0: 0, 1: 1, 2: None, 3: 3, 4: 4, 5: 5}
    assert isinstance(outcome.failures[2], CallTimeoutError)
    assert "f()" in str(outcome.failures[2])
    assert "timeout=0.05" in str(outcome.failures[2])
    (left_behind,) = set(threads()) - set(others)
    release.set()
    left_behind.join(WAIT)
    assert outcome[2] is None


@best_of_three
def test_a_late_call_is_over_its_time_even_if_nobody_looked(io):
    """Section 5: the timeout does not depend on when the consumer of a stream comes back."""
    ended = threading.Event()

    def call(number):
        if number:
            ended.wait(0.1)
            ended.set()

    results = io.start(call, range(2), size=2, workers=1, timeout=0.05, stop_at_failure=False)
    first = next(results)
    assert ended.wait(WAIT)
    (failure,) = [failure for result in (first, *results) for failure in result.failures]
    assert failure.index == 1
    assert isinstance(failure.exception, CallTimeoutError)


def test_closing_starts_nothing_further_and_does_not_wait_for_calls(io, threads):
    """Section 1, line 4 of the backend contract: closing a stream cancels the rest."""
    release, blocked = threading.Event(), threading.Barrier(3)
    started = []

    def call(number):
        started.append(number)
        if number:
            blocked.wait(WAIT)
            release.wait(WAIT)

    results = io.start(call, range(100), size=100, workers=2)  # all that is read is open to both threads
    next(results)
    blocked.wait(WAIT)
    began = time.monotonic()
    results.close()
    assert time.monotonic() - began < WAIT / 2
    release.set()
    for thread in threads():
        thread.join(WAIT)
    assert sorted(started) == [0, 1, 2]


def test_an_error_in_the_input_is_raised_as_it_is(io, threads):
    """Section 5: after the run was cancelled."""
    mine = ValueError("mine")

    def numbers():
        yield from range(5)
        raise mine

    with pytest.raises(ValueError, match="mine") as caught:
        io.run(lambda number: number, numbers())
    assert caught.value is mine
    for thread in threads():  # one may have been in a call
        thread.join(WAIT)
    assert threads() == []


def test_cancelled_ends_the_run(io):
    """Contract 4: ``work.cancelled()`` turning true ends the run as closing it does."""
    cancelled, release = threading.Event(), threading.Event()

    def call(number):
        cancelled.set()
        release.wait(WAIT)

    began = time.monotonic()
    outcome = io.run(call, range(10), workers=2, cancelled=cancelled.is_set)
    release.set()
    assert time.monotonic() - began < WAIT / 2
    assert outcome == {}


@pytest.mark.skipif(not hasattr(signal, "pthread_kill"), reason="needs signals to threads")
def test_ctrl_c_ends_the_wait_at_once(io):
    """Section 5, promise 7: one is enough, while every call still runs; the next run works."""
    main, release = threading.get_ident(), threading.Event()

    def call(number):
        signal.pthread_kill(main, signal.SIGINT)
        release.wait(WAIT)

    began = time.monotonic()
    with pytest.raises(KeyboardInterrupt):
        io.run(call, range(1))
    assert time.monotonic() - began < WAIT / 2
    release.set()
    assert io.run(abs, [-1]) == {0: 1}


def test_a_blocked_call_does_not_hold_up_the_interpreters_exit(tmp_path):
    """Promise 7: threads that were left behind end with the process, silently."""
    script = tmp_path / "script.py"
    script.write_text(
        textwrap.dedent(
            """
            import threading
            from jd_core.backend import Chunk, Work
            from jd_io.backend import IoBackend

            work = Work(function=lambda number: number and threading.Event().wait(), constants={}, workers=2, name="f")
            print(next(IoBackend().run(work, iter([Chunk(0, ([0],)), Chunk(1, ([1],))]))).values)
            """
        )
    )
    done = subprocess.run(
        [sys.executable, str(script)], capture_output=True, text=True, timeout=50, env=dict(os.environ), check=False
    )
    assert (done.stdout, done.stderr, done.returncode) == ("[0]\n", "", 0)
