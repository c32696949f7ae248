"""The web backend with coroutines: which loop, how many at once, and what they see; by `run` and by `arun`."""

import asyncio
import contextvars
import itertools
import os
import subprocess
import sys
import textwrap
import threading

import pytest
from jd_core import distribute, per_worker
from jd_core.backend import Chunk, Work
from jd_core.worker import inside_worker
from jd_web.loop import running_loop

WAIT = 30.0  # seconds after which an event that should have come has not

variable = contextvars.ContextVar("variable", default="unset")


@pytest.mark.parametrize("size", [1, 3, 40])
def test_workers_calls_run_at_once(web, way, size):
    """Section 6: exactly ``workers`` consumers, however the calls are cut into chunks."""
    barrier = asyncio.Barrier(5)
    running = peak = 0

    async def call(number):
        nonlocal running, peak
        running += 1
        peak = max(peak, running)
        async with asyncio.timeout(WAIT):
            await barrier.wait()  # passes only when five wait
        running -= 1
        async with asyncio.timeout(WAIT):
            await barrier.wait()
        return number

    outcome = web.run_either(way, call, range(40), size=size, workers=5)
    assert outcome == {number: number for number in range(40)}
    assert peak == 5


def test_a_thousand_at_once(web, way):
    """Section 6: thousands at once."""
    barrier = asyncio.Barrier(1000)

    async def call(number):
        async with asyncio.timeout(WAIT):
            await barrier.wait()

    assert web.run_either(way, call, range(2000), size=50, workers=1000).failures == {}


def test_no_more_tasks_than_calls(web, way):
    """Section 6: no task per call, and no consumer without a call."""
    most = 0
    with running_loop() as loop:
        others = asyncio.all_tasks(loop)  # what other tests have left there

    async def call(number):
        nonlocal most
        most = max(most, len(asyncio.all_tasks() - others))
        await asyncio.sleep(0)

    other = 1 if way == "arun" else 0  # the caller's own
    web.run_either(way, call, range(3), workers=50)
    web.run_either(way, call, range(3), size=3, workers=50)
    assert most - other <= 3
    most = 0
    web.run_either(way, call, range(500), size=100, workers=7)
    assert most - other in (7, 8)  # from Python 3.12 on, a call that ends starts its worker's next one


def test_runs_share_the_processes_loop(web):
    """Section 6: one loop in a thread of its own, the same for every run, so that what is bound to it stays valid."""
    seen = set()

    async def call(number):
        seen.add((asyncio.get_running_loop(), threading.current_thread()))

    web.run(call, range(5))
    web.run(call, range(5))
    ((loop, thread),) = seen
    assert loop.is_running()
    assert thread.daemon
    assert thread.name == "just-distribute-web-loop"
    assert thread is not threading.current_thread()


def test_arun_is_on_the_callers_loop_without_a_thread(web, threads_started_here):
    """Section 6: ``f.aio`` runs on the caller's loop."""
    seen = set()

    async def call(number):
        seen.add(asyncio.get_running_loop())
        return number

    async def main():
        outcome = await web.arun(call, range(20), size=3)
        return outcome, seen == {asyncio.get_running_loop()}

    assert asyncio.run(main()) == ({number: number for number in range(20)}, True)
    assert threads_started_here == []


def test_run_works_inside_a_running_loop(web):
    """Promise 10: as in a notebook."""

    async def call(number):
        await asyncio.sleep(0)
        return number

    async def main():
        return web.run(call, range(20))

    assert asyncio.run(main()) == {number: number for number in range(20)}


def test_an_interactive_loop():
    """Section 6, promise 10: in a running event loop, as in a notebook, plain calls and ``await`` both work."""
    typed = """
        from jd_core import distribute
        async def double(number): return await asyncio.sleep(0.001, 2 * number)

        double = distribute(double, job="web", workers=3)
        asyncio.get_running_loop().is_running(), double(range(3))
        await double.aio(range(4))
        [result async for result in double.astream(range(5))], list(double.stream(range(2)))
        distribute(abs, job="web")([-1, -2]), await distribute(abs, job="web").aio([-3])
        """
    done = subprocess.run(
        [sys.executable, "-m", "asyncio"],
        input=textwrap.dedent(typed),
        capture_output=True,
        text=True,
        timeout=50,
        env={**os.environ, "PYTHONUNBUFFERED": "1"},
        check=True,
    )
    for printed in ("(True, [0, 2, 4])", "[0, 2, 4, 6]", "([0, 2, 4, 6, 8], [0, 2])", "([1, 2], [3])"):
        assert printed in done.stdout, done.stderr
    assert "Error" not in done.stderr


def test_run_inside_a_call_on_the_processes_loop(web):
    """Promise 10: nested, where a plain call blocks the loop that it would need: no deadlock."""

    async def inner(number):
        await asyncio.sleep(0)
        return number

    async def outer(number):
        return sum(web.run(inner, range(number)).values())

    assert web.run(outer, range(4)) == {0: 0, 1: 0, 2: 1, 3: 3}


def test_awaiting_inside_a_call(web, way):
    """Promise 10: a nested ``await f.aio(...)`` is on the call's own loop, where other calls go on meanwhile."""
    barrier = asyncio.Barrier(3)

    async def inner(number, *, loop):
        assert asyncio.get_running_loop() is loop
        if number == 1:
            async with asyncio.timeout(WAIT):
                await barrier.wait()  # for the other two outer calls
        if number == 3:
            raise ValueError(number)
        return number

    async def outer(number):
        nested = distribute(inner, job="web", workers=5)
        first = await nested.aio(range(number), loop=asyncio.get_running_loop())
        second = [result async for result in nested.astream([5, 6], loop=asyncio.get_running_loop())]
        third = await nested.options(return_exceptions=True).aio([2, 3, 4], loop=asyncio.get_running_loop())
        return first, second, [str(result) for result in third]

    expected = [0, 1], [5, 6], ["2", "3", "4"]
    assert web.run_either(way, outer, [2, 2, 2], workers=3) == dict.fromkeys(range(3), expected)


def test_a_client_inside_a_call(web):
    """Section 6: a nested run makes its client on the loop that it shares with the call, and closes it there."""
    events = []

    class Client:
        async def __aenter__(self):
            events.append(asyncio.get_running_loop())
            return self

        async def __aexit__(self, *error):
            events.append(asyncio.get_running_loop())

    async def inner(number, *, client):
        events.append(asyncio.get_running_loop())
        return number

    async def outer(number):
        events.append(asyncio.get_running_loop())
        return await distribute(inner, job="web").aio(range(number), client=per_worker(Client))

    assert web.run(outer, [3]) == {0: [0, 1, 2]}
    assert len(events) == 6
    assert len(set(events)) == 1


def test_cancelling_inside_a_call(web):
    """Section 6: structured through the levels: what a nested run awaits is cancelled, and has ended."""
    started, ended = asyncio.Event(), []

    async def inner(number):
        started.set()
        try:
            await asyncio.sleep(WAIT)
        finally:
            await asyncio.sleep(0.01)
            ended.append(number)

    async def outer(number):
        return await distribute(inner, job="web", return_exceptions=True).aio([1, 2])

    async def main():
        task = asyncio.create_task(web.arun(outer, [0]))
        async with asyncio.timeout(WAIT):
            await started.wait()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        return len(asyncio.all_tasks())

    assert asyncio.run(main()) == 1
    assert ended == [1]


def test_without_chunks_nothing_is_started(web, way, threads_started_here):
    """Contract 5: empty input starts nothing."""

    async def call(number):
        return number

    assert web.run_either(way, call, []) == {}
    assert threads_started_here == []


def test_calls_see_the_callers_context(web, way):
    """Contextvars of the caller are visible; what a call sets is not seen by the caller."""
    variable.set("caller")

    async def call(number):
        seen = variable.get(), inside_worker.get()
        variable.set("call")
        return seen[1] and seen[0] in ("caller", "call")

    assert all(web.run_either(way, call, range(20)).values())
    assert variable.get() == "caller"
    assert not inside_worker.get()


def test_input_is_read_where_the_caller_is(web, way):
    """Section 3: an iterator bound to its thread will do, and a slow one does not stop the process's loop."""
    readers = set()

    def numbers():
        for number in range(50):
            readers.add(threading.current_thread())
            yield number

    async def call(number):
        return number

    assert len(web.run_either(way, call, numbers())) == 50
    assert readers == {threading.current_thread()}


def test_read_ahead_is_bounded(web):
    """Promise 9, line 2 of the backend contract: an endless input is read at most two chunks per worker ahead."""
    read = 0

    def numbers():
        nonlocal read
        for number in itertools.count():
            read = number + 1
            yield number

    async def call(number):
        if number:
            await asyncio.sleep(WAIT)

    results = web.start(call, numbers(), workers=3)
    next(results)
    assert read <= 1 + 2 * 3
    results.close()


def test_async_generators_give_lists(web, way):
    """Section 4: a generator function's result is the list of what it yielded."""

    async def call(number):
        yield number
        await asyncio.sleep(0)
        yield number + 1

    assert web.run_either(way, call, range(3)) == {0: [0, 1], 1: [1, 2], 2: [2, 3]}


def test_several_columns_and_constants(web, way):
    """Section 1: positional arguments go in lockstep, constants to every call."""

    async def call(a, b, *, c):
        return a, b, c

    outcome = web.run_either(way, call, range(5), "abcde", size=2, constants={"c": 1})
    assert outcome == {index: (index, "abcde"[index], 1) for index in range(5)}


def test_eight_callers_at_once(web):
    """Promise 10: an instance serves many runs at once, each with all its results."""
    barrier = threading.Barrier(8)
    outcomes = {}

    async def call(number, *, factor):
        if number % 7 == 0:
            await asyncio.sleep(0)
        return number * factor

    def caller(factor):
        barrier.wait(WAIT)
        outcomes[factor] = web.run(call, range(500), size=9, workers=4, constants={"factor": factor})

    callers = [threading.Thread(target=caller, args=(number,)) for number in range(8)]
    for one in callers:
        one.start()
    for one in callers:
        one.join()
    assert outcomes == {number: {index: index * number for index in range(500)} for number in range(8)}


def test_calls_that_never_wait_let_other_runs_go_on(web):
    """Section 6: the loop is shared; a run whose coroutines never wait does not keep it for itself."""

    async def call(number):
        return number

    endless = web.start(call, itertools.count(), size=100)
    next(endless)
    assert len(web.run(call, range(1000), size=10)) == 1000
    next(endless)
    endless.close()


def test_nothing_now_is_asked_again(web, way):
    """Contract 2: None means "nothing now"; the chunks that come later run."""

    def chunks():
        yield from [None] * 3
        yield Chunk(0, ([1, 2],))
        yield None
        yield Chunk(2, ([3],))

    async def call(number):
        return -number

    work = Work(function=call, constants={}, workers=2, name="f")

    async def main():
        return [result.values async for result in web.backend.arun(work, chunks())]

    given = asyncio.run(main()) if way == "arun" else [result.values for result in web.backend.run(work, chunks())]
    assert sorted(itertools.chain.from_iterable(given)) == [-3, -2, -1]


def test_eager_tasks_of_the_callers_loop(web):
    """Section 6: a loop whose tasks start eagerly (Python 3.12 on) gets no more consumers than workers either."""
    if not hasattr(asyncio, "eager_task_factory"):
        pytest.skip("Python has no eager tasks yet")
    running = peak = 0

    async def call(number):
        nonlocal running, peak
        running += 1
        peak = max(peak, running)
        await asyncio.sleep(0)
        running -= 1

    async def main():
        asyncio.get_running_loop().set_task_factory(asyncio.eager_task_factory)
        return await web.arun(call, range(3000), size=1000, workers=900)

    assert len(asyncio.run(main())) == 3000
    assert peak == 900


def test_default_workers(web):
    """Section 1: the connection limit of aiohttp's and httpx's clients."""
    assert web.backend.default_workers({}) == 100
