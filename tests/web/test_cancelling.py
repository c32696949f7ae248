"""The web backend with coroutines: failures, timeouts, the rate, and every way in which a run ends early."""

import asyncio
import os
import signal
import subprocess
import sys
import textwrap
import threading
import time
from contextlib import aclosing

import jd_web.backend
import pytest
from jd_core import distribute
from jd_core.errors import CallTimeoutError
from jd_core.inprocess.rate_limit import LATENESS_SECONDS, Rate
from jd_core.testing.harness import best_of_three
from jd_web.backend import CLEANUP_SECONDS

WAIT = 30.0  # seconds after which an event that should have come has not


class Calls:
    """Coroutines that wait for ever, and what became of them: cancelled ones take a few ticks to clean up."""

    def __init__(self):
        self.started, self.ended = [], []

    async def __call__(self, number):
        self.started.append(number)
        try:
            await asyncio.sleep(WAIT)
        finally:
            await asyncio.sleep(0.01)
            self.ended.append(number)


def test_a_slow_call_holds_no_other_back(web, way):
    """Section 6: calls are taken one by one from one source, so those behind a slow one run, in the same chunk too."""
    last_ran = asyncio.Event()

    async def call(number):
        if number == 0:
            async with asyncio.timeout(WAIT):
                await last_ran.wait()
        if number == 9:
            last_ran.set()

    assert web.run_either(way, call, range(10), size=10, workers=2).failures == {}


def test_finished_calls_are_given_before_the_slow_one_of_their_chunk(web):
    """Section 1: `as_completed` and `stream` get results as calls finish: parts of a chunk, each call exactly once."""
    release = []

    async def call(number):
        if number == 3:
            release.append((asyncio.get_running_loop(), future := asyncio.get_running_loop().create_future()))
            await future
        return number

    results = web.start(call, range(8), size=8, workers=2)
    given = {}
    while len(given) < 7:
        result = next(results)
        given.update(enumerate(result.values, result.offset))
    assert 3 not in given
    ((loop, future),) = release
    loop.call_soon_threadsafe(future.set_result, None)
    assert [(result.offset, result.values) for result in results] == [(3, [3])]


def test_a_failure_cancels_the_others_and_waits_for_them(web, way):
    """Sections 5 and 6: structured: what runs is cancelled and has ended when the run has; nothing further starts."""
    calls = Calls()

    async def call(number):
        if number < 3:
            await calls(number)
        raise ValueError(number)

    outcome = web.run_either(way, call, range(1000), size=10, workers=4)
    assert calls.started == [0, 1, 2]
    assert sorted(calls.ended) == [0, 1, 2]
    assert list(outcome) == [3]
    assert isinstance(outcome.failures[3], ValueError)


def test_without_stop_at_failure_every_call_runs(web, way):
    """Section 5: with ``return_exceptions`` every call runs; each failure stands at its place."""

    async def call(number):
        if number % 3 == 0:
            raise ValueError(number)
        return number

    outcome = web.run_either(way, call, range(50), size=7, stop_at_failure=False)
    assert {index: error.args for index, error in outcome.failures.items()} == {i: (i,) for i in range(0, 50, 3)}
    assert len(outcome) == 50


@pytest.mark.parametrize("raised", [SystemExit, KeyboardInterrupt, GeneratorExit, asyncio.CancelledError])
def test_odd_exceptions_are_the_calls_failure(web, way, raised):
    """Section 5: they end neither the worker, nor the loop, nor the caller."""

    async def call(number):
        if number == 1:
            raise raised
        return number

    outcome = web.run_either(way, call, range(3), size=3, workers=1, stop_at_failure=False)
    assert outcome == {0: 0, 1: None, 2: 2}
    assert isinstance(outcome.failures[1], raised)


def test_a_call_that_cancels_its_own_task(web):
    """Section 5: it is that call's failure; the task is not the call's, and goes on to the next."""

    async def call(number):
        if number == 1:
            asyncio.current_task().cancel()
        await asyncio.sleep(0)
        return number

    outcome = web.run(call, range(3), size=3, workers=1, stop_at_failure=False)
    assert outcome == {0: 0, 1: None, 2: 2}
    assert isinstance(outcome.failures[1], asyncio.CancelledError)


def test_a_task_that_exits_or_a_stopped_loop_ends_no_other_run(web):
    """Section 5: a user's own task that raises SystemExit goes through the loop; both live on."""

    async def leave():
        raise SystemExit(3)

    async def call(number):
        if number == 0:
            asyncio.get_running_loop().stop()
        if number == 1:
            await asyncio.create_task(leave())
        return asyncio.get_running_loop()

    first = web.run(call, range(3), stop_at_failure=False)
    assert isinstance(first.failures[1], SystemExit)
    assert web.run(call, [2])[0] is first[0] is first[2]


def test_a_call_over_its_time_is_cancelled(web, way):
    """Section 5: a CallTimeoutError; the others are not touched, and a TimeoutError of the user's stays what it is."""
    calls = Calls()
    mine = TimeoutError("mine")

    async def call(number):
        if number == 1:
            await calls(number)
        if number == 2:
            raise mine
        return number

    outcome = web.run_either(way, call, range(4), size=2, timeout=0.05, stop_at_failure=False)
    assert outcome == {0: 0, 1: None, 2: None, 3: 3}
    assert isinstance(outcome.failures[1], CallTimeoutError)
    assert "f()" in str(outcome.failures[1])
    assert "timeout=0.05" in str(outcome.failures[1])
    assert outcome.failures[2] is mine
    assert calls.ended == [1]


def test_closing_cancels_what_runs_and_waits_for_it(web):
    """Section 1, line 4 of the backend contract: closing a stream cancels the rest."""
    calls = Calls()

    async def call(number):
        if number:
            await calls(number)

    results = web.start(call, range(100), size=1, workers=2)
    next(results)
    results.close()
    assert set(calls.started) == set(calls.ended) <= {1, 2}


def test_leaving_arun_cancels_what_runs_and_waits_for_it(web):
    """Section 6: the same on the caller's loop, whose other tasks are left alone."""
    calls = Calls()

    async def call(number):
        if number:
            await calls(number)

    async def main():
        async with aclosing(web.astart(call, range(100), workers=3)) as results:
            async for _ in results:
                while len(calls.started) < 2:
                    await asyncio.sleep(0)
                break
        return len(asyncio.all_tasks())

    assert asyncio.run(main()) == 1
    assert sorted(calls.started) == sorted(calls.ended)


@pytest.mark.parametrize("times", [1, 3])
def test_cancelling_the_caller_cancels_what_runs(web, times):
    """Section 6: a cancelled ``await f.aio(...)`` returns only when what ran is done; being told again changes nothing."""
    calls = Calls()

    async def main():
        task = asyncio.create_task(web.arun(calls, range(100), workers=3))
        while len(calls.started) < 3:
            await asyncio.sleep(0)
        for _ in range(times):
            task.cancel()
            await asyncio.sleep(0)
        with pytest.raises(asyncio.CancelledError):
            await task
        return len(asyncio.all_tasks()), len(calls.ended)

    assert asyncio.run(main()) == (1, 3)


@pytest.mark.parametrize("plain", [False, True], ids=["coroutine", "awaitable of a plain function"])
def test_a_caller_that_is_cancelled_at_every_turn(web, plain):
    """Promise 21: anyio cancels at every turn of the loop; neither tasks nor time are spent on it, and nothing is left."""
    calls, most = Calls(), 0

    async def main():
        nonlocal most
        function = (lambda number: calls(number)) if plain else calls
        task = asyncio.create_task(web.arun(function, range(100), workers=3))
        while len(calls.started) < 3:
            await asyncio.sleep(0)
        before = len(asyncio.all_tasks())
        while not task.done():
            task.cancel()
            await asyncio.sleep(0)
            most = max(most, len(asyncio.all_tasks()) - before)
        return len(asyncio.all_tasks()), task.cancelled()

    assert asyncio.run(main()) == (1, True)
    assert sorted(calls.ended) == sorted(calls.started)
    assert most <= 1


@pytest.mark.parametrize("way", ["aio", "astream"])
def test_nested_timeouts_of_the_caller(way):
    """Two timeouts that expire one after the other end the wait as one does."""
    calls = Calls()
    function = distribute(calls, job="web", workers=3)

    async def wait():
        if way == "aio":
            await function.aio(range(100))
        else:
            async for _ in function.astream(range(100)):
                pass

    async def main():
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.055), asyncio.timeout(0.05):
                await wait()
        return len(asyncio.all_tasks())

    assert asyncio.run(main()) == 1
    assert sorted(calls.ended) == sorted(calls.started)


def test_a_loop_that_shuts_down_ends_the_run(web):
    """Section 6: who cancels all tasks of the caller's loop, as `asyncio.run` at its end, is obeyed."""
    started = []

    async def call(number):
        started.append(number)
        await asyncio.sleep(WAIT)

    async def main():
        results = web.astart(call, range(100), workers=3, stop_at_failure=False)
        waiting = asyncio.create_task(anext(results))
        while len(started) < 3:
            await asyncio.sleep(0)
        for task in asyncio.all_tasks() - {asyncio.current_task(), waiting}:
            task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await waiting

    asyncio.run(main())
    assert len(started) == 3


def test_an_error_in_the_input_is_raised_as_it_is(web, way):
    """Section 5: after the run was cancelled."""
    mine = ValueError("mine")
    calls = Calls()

    def numbers():
        yield from range(3)
        raise mine

    with pytest.raises(ValueError, match="mine") as caught:
        web.run_either(way, calls, numbers())
    assert caught.value is mine
    assert calls.started == calls.ended


def test_cancelled_ends_the_run(web):
    """Contract 4: ``work.cancelled()`` turning true ends the run as closing it does."""
    calls = Calls()
    assert web.run(calls, range(10), workers=2, cancelled=lambda: bool(calls.started)) == {}
    assert sorted(calls.started) == sorted(calls.ended) != []


@pytest.mark.skipif(not hasattr(signal, "pthread_kill"), reason="needs signals to threads")
def test_ctrl_c_ends_the_wait_and_the_calls(web):
    """Section 5, promise 7: one is enough; the next run works, on the same loop."""
    main, calls = threading.get_ident(), Calls()

    async def call(number):
        signal.pthread_kill(main, signal.SIGINT)
        await calls(number)

    with pytest.raises(KeyboardInterrupt):
        web.run(call, range(1))
    assert calls.ended == [0]
    assert web.run(loop_of, [0]) == web.run(loop_of, [0])


async def loop_of(number):
    """A call that gives the loop that it runs on."""
    return asyncio.get_running_loop()


@best_of_three
def test_a_call_that_takes_long_to_clean_up_does_so_behind(web, monkeypatch):
    """Promise 1: a fault is reported within five seconds; the loop, and what is bound to it, serves the runs to come."""
    assert CLEANUP_SECONDS < 5.0
    monkeypatch.setattr(jd_web.backend, "CLEANUP_SECONDS", 0.3)
    release, ended = threading.Event(), threading.Event()

    async def call(number):
        if number:
            raise ValueError(number)
        try:
            await asyncio.sleep(WAIT)
        finally:
            while not release.is_set():
                await asyncio.sleep(0.001)
            ended.set()

    before = web.run(loop_of, [0])
    outcome = web.run(call, range(2), workers=2)
    assert isinstance(outcome.failures[1], ValueError)
    assert not ended.is_set()
    assert web.run(loop_of, [0]) == before
    release.set()
    assert ended.wait(WAIT)


def test_a_call_that_blocks_the_loop_is_left_behind_with_it(web, monkeypatch):
    """Promise 1: such a call is a mistake, but neither closing hangs on it, nor the runs that come later."""
    monkeypatch.setattr(jd_web.backend, "CLEANUP_SECONDS", 0.1)
    blocked, release = threading.Event(), threading.Event()

    async def call(number):
        if number:
            blocked.set()
            release.wait(WAIT)
        return asyncio.get_running_loop()

    results = web.start(call, range(2), size=2, workers=1)
    loop = next(results).values[0]
    assert blocked.wait(WAIT)
    results.close()
    assert web.run(loop_of, [0])[0] is not loop
    release.set()


@best_of_three
def test_calls_start_at_the_rate(web, way):
    """Section 6: the rate holds over all workers of the run, from its first call on."""
    starts = []

    async def call(number):
        starts.append(time.monotonic())

    web.run_either(way, call, range(80), size=5, workers=8, options={"max_per_second": Rate(200)})
    assert 79 / 200 - LATENESS_SECONDS - 0.005 <= max(starts) - min(starts) <= 79 / 200 * 1.5


def test_closing_does_not_wait_for_the_rate(web):
    """Contract 4: calls that wait for their turn are pending, and do not start."""
    started = []

    async def call(number):
        started.append(number)

    results = web.start(call, range(100), workers=8, options={"max_per_second": Rate(0.01)})
    next(results)
    began = time.monotonic()
    results.close()
    assert time.monotonic() - began < WAIT / 2
    assert started == [0]


def run_script(tmp_path, text):
    """Runs a script with all warnings on: of resources left open, of coroutines never awaited."""
    script = tmp_path / "script.py"
    script.write_text(textwrap.dedent(text))
    return subprocess.run(
        [sys.executable, "-W", "default", str(script)],
        capture_output=True,
        text=True,
        timeout=50,
        env=dict(os.environ),
        check=False,
    )


def test_the_interpreter_ends_silently_with_calls_running(tmp_path):
    """Promise 7: neither tasks nor the loop complain at exit, nor hold it up."""
    done = run_script(
        tmp_path,
        """
        import asyncio
        from jd_core.backend import Chunk, Work
        from jd_web.backend import WebBackend

        async def call(number):
            await asyncio.sleep(number * 100)
            return number

        work = Work(function=call, constants={}, workers=2, name="f")
        results = WebBackend().run(work, iter([Chunk(0, ([0],)), Chunk(1, ([1],))]))
        print(next(results).values)
        """,
    )
    assert (done.stdout, done.stderr, done.returncode) == ("[0]\n", "", 0)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
def test_a_forked_child_makes_its_own_loop(tmp_path):
    """Section 6: the loop's thread does not come along when a process forks."""
    done = run_script(
        tmp_path,
        """
        import asyncio, os, warnings
        from jd_core.backend import Chunk, Work
        from jd_web.backend import WebBackend

        warnings.simplefilter("ignore")  # forking with threads: that is the point

        async def call(number):
            await asyncio.sleep(0)
            return number

        def run():
            work = Work(function=call, constants={}, workers=2, name="f")
            return [result.values for result in WebBackend().run(work, iter([Chunk(0, ([7],))]))]

        assert run() == [[7]]
        child = os.fork()
        if not child:
            os._exit(0 if run() == [[7]] else 1)
        print(os.waitpid(child, 0)[1], run())
        """,
    )
    assert (done.stdout, done.stderr) == ("0 [[7]]\n", "")
