"""The web backend with plain functions: in threads, ``workers`` at once; and which event loop is used."""

import asyncio
import concurrent.futures
import contextvars
import os
import subprocess
import sys
import textwrap
import threading
import time
import types

import pytest
from jd_core.backend import Work
from jd_core.backend.bridge import wait_until_done
from jd_core.errors import CallTimeoutError
from jd_core.testing.harness import best_of_three
from jd_core.worker import inside_worker
from jd_web.loop import LoopThread, loop_name
from jd_web.threads import AwaitingCall

WAIT = 30.0  # seconds after which an event that should have come has not

variable = contextvars.ContextVar("variable", default="unset")


def test_workers_calls_run_at_once(web, way, threads):
    """Section 6: plain functions run in threads, ``workers`` at once, never one after the other; none is left."""
    barrier = threading.Barrier(6)

    def call(number):
        barrier.wait(WAIT)  # passes only when six wait
        return number

    outcome = web.run_either(way, call, range(30), size=4, workers=6)
    assert outcome == {number: number for number in range(30)}
    assert threads() == []


def test_the_loop_goes_on_while_they_run(web):
    """Section 6: on the caller's loop, a plain function does not stop the other tasks."""
    release = threading.Event()

    async def main():
        task = asyncio.create_task(web.arun(lambda number: release.wait(WAIT), range(3), workers=3))
        await asyncio.sleep(0.01)
        release.set()
        return await task

    assert asyncio.run(main()) == {0: True, 1: True, 2: True}


def test_calls_see_the_callers_context(web, way):
    """Contextvars of the caller are visible."""
    variable.set("caller")
    outcome = web.run_either(way, lambda number: (variable.get(), inside_worker.get()), range(5))
    assert set(outcome.values()) == {("caller", True)}


def test_what_they_return_is_awaited(web, way):
    """Section 6: a lambda or a decorator around a coroutine function; all at once, on the run's loop."""
    barrier = asyncio.Barrier(5)

    async def fetch(number):
        async with asyncio.timeout(WAIT):
            await barrier.wait()
        return number, variable.get(), asyncio.get_running_loop()

    variable.set("caller")
    outcome = web.run_either(way, lambda number: fetch(number), range(20), size=3, workers=5)
    assert [value[:2] for _, value in sorted(outcome.items())] == [(number, "caller") for number in range(20)]
    assert len({value[2] for value in outcome.values()}) == 1


def test_a_coroutine_that_is_not_seen_as_one_fails_like_one(web, way):
    """Section 5: what it raises is the call's failure."""

    async def fetch(number):
        raise ValueError(number)

    outcome = web.run_either(way, lambda number: fetch(number), range(3), stop_at_failure=False)
    assert {index: error.args for index, error in outcome.failures.items()} == {0: (0,), 1: (1,), 2: (2,)}


def test_closing_cancels_what_is_awaited_and_waits_for_it(web):
    """Contract 4: what can be cancelled is cancelled, also behind a plain function, and has ended when the run has."""
    started, ended = threading.Event(), []

    async def fetch(number):
        started.set()
        try:
            await asyncio.sleep(WAIT)
        finally:
            await asyncio.sleep(0.1)
            ended.append(number)

    results = web.start(lambda number: number and fetch(number), range(2), size=2, workers=1)
    next(results)
    assert started.wait(WAIT)
    results.close()
    assert ended == [1]


@pytest.mark.parametrize("times", [1, 3])
def test_cancelling_the_caller_waits_for_what_is_awaited(web, times):
    """Section 6: structured, also for lambdas and decorators around coroutine functions."""
    started, ended = [], []

    async def fetch(number):
        started.append(number)
        try:
            await asyncio.sleep(WAIT)
        finally:
            await asyncio.sleep(0.1)
            ended.append(number)

    async def main():
        task = asyncio.create_task(web.arun(lambda number: fetch(number), range(100), workers=3))
        async with asyncio.timeout(WAIT):
            while len(started) < 3:
                await asyncio.sleep(0.001)
        for _ in range(times):
            task.cancel()
            await asyncio.sleep(0)
        with pytest.raises(asyncio.CancelledError):
            await task
        return len(asyncio.all_tasks())

    assert asyncio.run(main()) == 1
    assert sorted(started) == sorted(ended)


@pytest.mark.parametrize("raised", [SystemExit, KeyboardInterrupt, asyncio.CancelledError])
def test_odd_exceptions_of_what_is_awaited(web, way, raised):
    """Section 5: they are the call's failure, and end neither the loop nor the caller."""

    async def fetch(number):
        if number == 1:
            raise raised
        return number

    outcome = web.run_either(way, lambda number: fetch(number), range(3), stop_at_failure=False)
    assert outcome == {0: 0, 1: None, 2: 2}
    expected = concurrent.futures.CancelledError if raised is asyncio.CancelledError else raised
    assert isinstance(outcome.failures[1], expected)


def test_cancelling_the_caller_does_not_wait_for_threads(web, threads):
    """Section 5: a thread cannot be ended: it is left behind; what is awaited is cancelled."""
    release, started = threading.Event(), threading.Barrier(3)

    async def fetch():
        await asyncio.sleep(WAIT)

    def call(number):
        started.wait(WAIT)
        return fetch() if number else release.wait(WAIT)

    async def main():
        task = asyncio.create_task(web.arun(call, range(2), workers=2))
        await asyncio.to_thread(started.wait, WAIT)
        began = time.monotonic()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        return time.monotonic() - began

    assert asyncio.run(main()) < WAIT / 2
    release.set()
    for thread in threads():
        thread.join(WAIT)
    assert threads() == []


def test_what_comes_while_the_run_ends_is_cancelled_before_the_loop_is_closed():
    """A thread that is just handing an awaitable over neither waits for ever nor finds the loop closed."""
    loop = asyncio.new_event_loop()
    hand_over, going_on = loop.call_soon_threadsafe, threading.Event()
    handing_over = threading.Event()

    def slowly(*arguments):
        handing_over.set()
        going_on.wait(WAIT)
        return hand_over(*arguments)

    loop.call_soon_threadsafe = slowly
    awaiting = AwaitingCall(Work(lambda number: asyncio.sleep(number), {}, workers=1, name="f"), loop)

    async def end_all():
        await wait_until_done(*awaiting.cancel())

    def end():
        awaiting.stop()
        loop.run_until_complete(end_all())
        loop.close()

    with concurrent.futures.ThreadPoolExecutor(2) as threads:
        call = threads.submit(awaiting.call, 1)
        assert handing_over.wait(WAIT)
        ending = threads.submit(end)
        concurrent.futures.wait([ending], 0.2)  # long enough for it to be wrong
        going_on.set()
        assert isinstance(call.exception(WAIT), concurrent.futures.CancelledError)
        ending.result(WAIT)


def test_generator_functions_give_lists(web, way):
    """Section 4: a generator function's result is the list of what it yielded."""

    def call(number):
        yield number
        yield number + 1

    assert web.run_either(way, call, range(3)) == {0: [0, 1], 1: [1, 2], 2: [2, 3]}


@best_of_three
def test_a_call_over_its_time_is_reported_and_left_behind(web, way):
    """Section 5: as with threads."""
    release = threading.Event()

    def call(number):
        return release.wait(WAIT) if number == 2 else number

    outcome = web.run_either(way, call, range(4), workers=1, timeout=0.05, stop_at_failure=False)
    assert outcome == {0: 0, 1: 1, 2: None, 3: 3}
    assert isinstance(outcome.failures[2], CallTimeoutError)
    release.set()


def test_an_input_error_is_raised_as_it_is(web, way):
    """Section 5: after the run was cancelled."""
    mine = ValueError("mine")

    def numbers():
        yield 1
        raise mine

    with pytest.raises(ValueError, match="mine") as caught:
        web.run_either(way, abs, numbers())
    assert caught.value is mine


def test_a_blocked_call_does_not_hold_up_the_interpreters_exit(tmp_path):
    """Promise 7: threads that were left behind end with the process, silently."""
    script = tmp_path / "script.py"
    script.write_text(
        textwrap.dedent(
            """
            import threading
            from jd_core.backend import Chunk, Work
            from jd_web.backend import WebBackend

            work = Work(function=lambda number: number and threading.Event().wait(), constants={}, workers=2, name="f")
            print(next(WebBackend().run(work, iter([Chunk(0, ([0],)), Chunk(1, ([1],))]))).values)
            """
        )
    )
    done = subprocess.run(
        [sys.executable, str(script)], capture_output=True, text=True, timeout=50, env=dict(os.environ), check=False
    )
    assert (done.stdout, done.stderr, done.returncode) == ("[0]\n", "", 0)


def test_uvloop_is_used_where_it_is_installed(monkeypatch):
    """Section 6: the extra."""
    made = asyncio.new_event_loop()
    monkeypatch.setitem(sys.modules, "uvloop", types.SimpleNamespace(new_event_loop=lambda: made))
    thread = LoopThread()
    assert thread.loop is made
    thread.close()
    thread._thread.join(WAIT)
    assert made.is_closed()


def test_asyncio_is_used_where_uvloop_is_not_installed(monkeypatch):
    """Section 6: uvloop is an extra."""
    monkeypatch.setitem(sys.modules, "uvloop", None)
    thread = LoopThread()
    assert type(thread.loop).__module__.startswith("asyncio.")
    thread.close()


def test_asyncio_is_used_where_uvloop_cannot_be_imported(monkeypatch, tmp_path):
    """Section 6: in a thread that goes on when the main thread has ended, concurrent.futures refuses uvloop's import."""
    (tmp_path / "uvloop.py").write_text('raise RuntimeError("can\'t register atexit after shutdown")')
    monkeypatch.delitem(sys.modules, "uvloop", raising=False)
    monkeypatch.syspath_prepend(tmp_path)
    thread = LoopThread()
    assert type(thread.loop).__module__.startswith("asyncio.")
    thread.close()


@pytest.mark.parametrize("missing", [(0,), (1,), (2,), (0, 1, 2)])
def test_asyncio_is_used_where_a_standard_file_is_closed(tmp_path, missing):
    """Uvloop ends the process when it closes a descriptor below 3, as it has them then: in a daemon, or under `>&-`."""
    result = tmp_path / "result"
    program = """
        import os, sys, types
        for file in map(int, sys.argv[2:]):
            os.close(file)
        sys.modules["uvloop"] = types.SimpleNamespace(new_event_loop=os.abort)
        from jd_core import distribute
        async def double(number): return 2 * number
        results = distribute(double, job="web", workers=2)(range(3))
        open(sys.argv[1], "w").write(repr(results))
    """
    arguments = [str(result), *map(str, missing)]
    done = subprocess.run([sys.executable, "-c", textwrap.dedent(program), *arguments], timeout=50, check=False)
    assert (done.returncode, result.read_text()) == (0, "[0, 2, 4]")


def test_doctor_tells_the_loop(web):
    """``just-distribute doctor`` says what runs are on."""
    assert web.backend.doctor() == [("event loop", loop_name())]
