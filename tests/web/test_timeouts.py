"""The web backend: ``timeout`` is about the call, not about who else keeps the event loop busy."""

import asyncio
import threading
import time
from types import SimpleNamespace

import pytest
from jd_core import CallTimeoutError, distribute, per_worker
from jd_core.testing.harness import best_of_three

WAIT = 30.0  # seconds after which an event that should have come has not


async def nap(number):
    """Waits several times, which takes much less than the timeouts here."""
    for _ in range(4):
        await asyncio.sleep(0.002 + 0.001 * (number % 8))
    return number


def returned(number):
    """Returns what is awaited on the loop, from a thread."""
    return nap(number)


FUNCTIONS = pytest.mark.parametrize("function", [nap, returned], ids=["coroutine", "returned"])


@pytest.mark.slow
@best_of_three
@FUNCTIONS
@pytest.mark.parametrize("workers", [1, 7])
def test_a_consumer_that_blocks_the_loop(function, workers):
    """Whatever the consumer of a stream does between two results, no call runs out of time for it."""
    call = distribute(function, job="web", workers=workers, timeout=0.1, chunksize=1)

    async def main():
        results = []
        async for result in call.astream(range(8)):
            results.append(result)
            time.sleep(0.12)
        return results

    assert asyncio.run(main()) == list(range(8))


@pytest.mark.slow
@best_of_three
@FUNCTIONS
def test_a_task_of_the_caller_that_blocks_the_loop(function):
    """Nor do calls on the caller's loop for what else runs there."""
    call = distribute(function, job="web", workers=5, timeout=0.1)

    async def block():
        for _ in range(3):
            time.sleep(0.15)
            await asyncio.sleep(0.005)

    async def main():
        return (await asyncio.gather(call.aio(range(20)), block()))[0]

    assert asyncio.run(main()) == list(range(20))


@best_of_three
def test_a_call_that_blocks_the_loop():
    """Nor do the other calls, of this run or another one, for a call that blocks the loop."""

    async def call(number):
        if number == 0:
            time.sleep(0.25)
        return await nap(number)

    assert distribute(call, job="web", workers=5, timeout=0.1)(range(10)) == list(range(10))


@best_of_three
@pytest.mark.parametrize("busy", [False, True])
def test_a_call_that_takes_too_long_on_a_loop_that_is_blocked_now_and_then(busy):
    """A call that does take too long is cancelled all the same, and not before its time."""
    cancelled = []

    async def call(number):
        began = time.monotonic()
        try:
            await asyncio.sleep(WAIT)
        finally:
            cancelled.append(time.monotonic() - began)

    async def block(done):
        while not done.is_set():
            time.sleep(0.02 if busy else 0)
            await asyncio.sleep(0.002)

    async def main():
        done = asyncio.Event()
        blocking = asyncio.create_task(block(done))
        results = await distribute(call, job="web", timeout=0.1, return_exceptions=True).aio(range(3))
        done.set()
        await blocking
        return results

    began = time.monotonic()
    results = asyncio.run(main())
    assert all(isinstance(result, CallTimeoutError) for result in results)
    assert min(cancelled) >= 0.1
    assert time.monotonic() - began < WAIT / 2


@best_of_three
def test_prints_that_hold_up_the_loop_again_and_again(monkeypatch):
    """Nor for what is printed on the loop, be it ever so little at a time."""

    def printed(text):
        time.sleep(0.004)  # less than what the loop may be blocked for unnoticed

    monkeypatch.setattr("sys.stdout", SimpleNamespace(write=printed, flush=bool))

    async def call(number):
        for _ in range(4):
            await asyncio.sleep(0)
            if number:
                print(number, end="")
        return number

    function = distribute(call, job="web", workers=20, timeout=0.1)
    assert function(range(20)) == list(range(20))


@best_of_three
def test_what_a_plain_function_returns_is_cancelled_as_a_coroutine_is(web, way):
    """Section 5: where a call can be cancelled, it is; no thread is left behind."""
    cancelled = []

    async def hang(number):
        try:
            await asyncio.sleep(WAIT)
        finally:
            cancelled.append(number)

    outcome = web.run_either(way, lambda number: hang(number), range(2), timeout=0.1, stop_at_failure=False)
    assert [type(failure) for failure in outcome.failures.values()] == [CallTimeoutError] * 2
    assert sorted(cancelled) == [0, 1]


@best_of_three
def test_each_call_has_its_own_time(web, way):
    """Calls that start one after the other are given the same time each."""
    took = {}

    async def call(number):
        began = time.monotonic()
        try:
            await asyncio.sleep(WAIT if number % 2 else 0.03)
        finally:
            took[number] = time.monotonic() - began

    outcome = web.run_either(way, call, range(12), workers=3, timeout=0.1, stop_at_failure=False)
    assert sorted(outcome.failures) == [1, 3, 5, 7, 9, 11]
    assert all(0.1 <= seconds < 0.5 for number, seconds in took.items() if number % 2)


@best_of_three
def test_opening_a_client_has_the_same_time(web, way):
    """A client that is not there in time fails the calls that wait for it."""

    class Never:
        async def __aenter__(self):
            await asyncio.sleep(WAIT)

        async def __aexit__(self, *error):
            pass

    async def call(number, *, client):
        pytest.fail("there is no client")

    outcome = web.run_either(way, call, range(2), timeout=0.05, constants={"client": per_worker(Never)})
    assert isinstance(next(iter(outcome.failures.values())), CallTimeoutError)


def test_nothing_looks_when_nothing_runs(web):
    """After a run the loop is left alone: looking at the calls' time ends with the calls."""
    looks = []

    async def main():
        loop = asyncio.get_running_loop()
        call_later = loop.call_later

        def noted(delay, callback, *arguments):
            looks.append(callback)
            return call_later(delay, callback, *arguments)

        await web.arun(nap, range(3), timeout=0.1)
        await asyncio.sleep(0.05)
        loop.call_later = noted
        await asyncio.to_thread(threading.Event().wait, 0.05)

    asyncio.run(main())
    assert looks == []
