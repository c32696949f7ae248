"""The io backend: which threads there are, how many, and what they see."""

import asyncio
import concurrent.futures
import contextvars
import itertools
import sqlite3
import threading
import time

import pytest
from jd_core.backend import Chunk, Work
from jd_core.backend.cpus import usable_cpus
from jd_core.errors import BackendError
from jd_core.inprocess.call_queue import CallQueue
from jd_core.inprocess.threads import ThreadWorkers
from jd_core.worker import inside_worker, state

WAIT = 30.0  # seconds after which an event that should have come has not

variable = contextvars.ContextVar("variable", default="unset")


@pytest.mark.parametrize("size", [1, 3, 40])
def test_workers_calls_run_at_once(io, size):
    """Section 1: ``workers`` calls run at once, neither fewer nor more, however the calls are cut into chunks."""
    barrier = threading.Barrier(5)
    lock = threading.Lock()
    running = peak = 0

    def call(number):
        nonlocal running, peak
        with lock:
            running += 1
            peak = max(peak, running)
        barrier.wait(WAIT)  # passes only when five wait
        with lock:
            running -= 1
        barrier.wait(WAIT)
        return number

    outcome = io.run(call, range(40), size=size, workers=5)
    assert outcome == {number: number for number in range(40)}
    assert peak == 5


def test_threads_for_calls_that_are_left(threads):
    """Section 1: where the first thread has made all calls before a second one has started, there is no second one."""
    work = Work(function=abs, constants={}, name="f", workers=8)
    queue = CallQueue(work, iter([Chunk(0, ([-1, -2, -3],))]), lambda: None)
    workers = ThreadWorkers(queue, work, abs, None, prefix="just-distribute-io-test", release=lambda: None)
    made = threading.Event()
    start = workers._start

    def start_and_wait():
        start()
        assert made.wait(WAIT)

    workers._start = start_and_wait
    next_chunk = queue.next_chunk

    def noticed(previous):
        found = next_chunk(previous)
        if previous is not None:
            made.set()
        return found

    queue.next_chunk = noticed
    workers.admit(queue.pull())
    assert len(threads()) == 1
    (result,) = queue.collect()
    assert result.values == [1, 2, 3]
    workers.stop()
    workers.join()


def test_hundreds_at_once(io, threads):
    """Section 6: ``workers`` may be hundreds."""
    barrier = threading.Barrier(400)
    outcome = io.run(lambda number: barrier.wait(WAIT), range(1200), size=50, workers=400)
    assert sorted(outcome.values()) == sorted(3 * list(range(400)))  # all of them wait, three times
    assert outcome.failures == {}
    assert threads() == []


def test_no_future_per_call(io, monkeypatch):
    """Threads take calls from one shared source; nothing is made per element but its result."""
    makers = []
    init = concurrent.futures.Future.__init__
    monkeypatch.setattr(
        concurrent.futures.Future, "__init__", lambda self: (makers.append(threading.current_thread().name), init(self))[1]
    )
    concurrent.futures.Future()
    assert len(io.run(abs, range(1000), size=100, workers=4)) == 1000
    ours = [name for name in makers if name == threading.current_thread().name or name.startswith("just-distribute-io")]
    assert len(ours) == 1  # the one that was made here


def test_threads_are_named_daemons_and_end_with_the_run(io, threads):
    """Section 6, promise 8: the run's threads are its own; the normal end leaves none."""
    seen = {}

    def call(number):
        seen[threading.current_thread().name] = threading.current_thread().daemon

    io.run(call, range(100), size=7, workers=3)
    assert all(name.startswith("just-distribute-io-") for name in seen)
    assert all(seen.values())
    assert threads() == []


def test_no_more_threads_than_calls(io, threads):
    """Section 6: threads are started where there are calls for them, not ``workers`` of them in any case."""
    most = 0

    def call(number):
        nonlocal most
        most = max(most, len(threads()))

    io.run(call, range(3), workers=50)
    io.run(call, range(3), size=3, workers=50)
    assert 1 <= most <= 3


def test_without_chunks_no_thread_is_started(io, threads_started_here):
    """Contract 5: empty input starts nothing."""
    assert io.run(print, []) == {}
    assert threads_started_here == []
    assert io.run(abs, [-1]) == {0: 1}
    assert len(threads_started_here) == 1


def test_calls_see_the_callers_context(io):
    """Section 6: contextvars of the caller are visible; what a call sets is not seen by the caller."""
    variable.set("caller")

    def call(number):
        seen = variable.get(), inside_worker.get()
        variable.set("call")
        return seen[1] and seen[0] in ("caller", "call")

    assert all(io.run(call, range(20)).values())
    assert variable.get() == "caller"
    assert not inside_worker.get()


def test_calls_see_the_context_of_a_caller_on_a_loop(io):
    """Section 6: with ``f.aio`` they are those of the awaiting task; other tasks go on meanwhile."""
    ticked = threading.Event()

    async def tick():
        ticked.set()

    async def main():
        variable.set("caller")
        asyncio.get_running_loop().call_soon(lambda: asyncio.ensure_future(tick()))
        return await io.arun(lambda number: (ticked.wait(WAIT), variable.get(), inside_worker.get()), range(5))

    assert set(asyncio.run(main()).values()) == {(True, "caller", True)}


def test_input_is_read_in_the_callers_thread(io):
    """Section 3: any iterator will do, also one that is bound to its thread, as a database cursor."""
    connection = sqlite3.connect(":memory:")
    rows = connection.execute("with recursive n(i) as (select 0 union all select i + 1 from n limit 200) select i from n")
    assert io.run(lambda row: row[0] + 1, rows, workers=8) == {index: index + 1 for index in range(200)}
    connection.close()


def test_read_ahead_is_bounded(io):
    """Promise 9, line 2 of the backend contract: an endless input is read at most two chunks per worker ahead."""
    release = threading.Event()
    read = 0

    def numbers():
        nonlocal read
        for number in itertools.count():
            read = number + 1
            yield number

    def call(number):
        if number:
            assert release.wait(WAIT)

    results = io.start(call, numbers(), workers=3)
    next(results)
    assert read <= 1 + 2 * 3
    release.set()
    results.close()


def test_async_functions_keep_one_loop_per_thread(io):
    """Section 4: an ``async def`` works under every job; the thread's loop stays until it ends."""
    barrier = threading.Barrier(2)
    loops = {}

    async def call(number):
        loops.setdefault(threading.get_ident(), set()).add(asyncio.get_running_loop())
        if number < 2:
            barrier.wait(WAIT)
        await asyncio.sleep(0)
        return number

    assert io.run(call, range(20), workers=2) == {number: number for number in range(20)}
    assert len(loops) == 2
    assert all(len(of_thread) == 1 and of_thread.pop().is_closed() for of_thread in loops.values())


def test_generator_functions_give_lists(io):
    """Section 4: a generator function's result is the list of what it yielded."""

    def call(number):
        yield number
        yield number + 1

    assert io.run(call, range(3)) == {0: [0, 1], 1: [1, 2], 2: [2, 3]}


def test_several_columns_and_constants(io):
    """Section 1: positional arguments go in lockstep, constants to every call."""
    outcome = io.run(lambda a, b, *, c: (a, b, c), range(5), "abcde", size=2, constants={"c": 1})
    assert outcome == {index: (index, "abcde"[index], 1) for index in range(5)}


def test_eight_callers_at_once(io):
    """Promise 10: an instance serves many runs at once, each with all its results."""
    barrier = threading.Barrier(8)
    outcomes = {}

    def caller(number):
        barrier.wait(WAIT)
        outcomes[number] = io.run(lambda x: x * number, range(500), size=9, workers=4)

    callers = [threading.Thread(target=caller, args=(number,)) for number in range(8)]
    for one in callers:
        one.start()
    for one in callers:
        one.join()
    assert outcomes == {number: {index: index * number for index in range(500)} for number in range(8)}


def test_nothing_now_is_asked_again(io):
    """Contract 2: None means "nothing now"; the chunks that come later run, without a busy loop until then."""
    asked = 0

    def chunks():
        nonlocal asked
        for attempt in range(6):
            asked = attempt
            yield None
        yield Chunk(0, ([1, 2],))
        yield None
        yield Chunk(2, ([3],))

    work = Work(function=lambda x: -x, constants={}, workers=2, name="f")
    given = [result.values for result in io.backend.run(work, chunks())]
    assert sorted(itertools.chain.from_iterable(given)) == [-3, -2, -1]
    assert asked == 5


def test_too_many_threads_for_the_system(io, monkeypatch, threads):
    """Section 5: where the system starts no further thread, that is one clear error, and those started end."""
    start = threading.Thread.start
    release = threading.Event()

    def limited(thread):
        if len(threads()) == 3:
            release.set()
            raise RuntimeError("can't start new thread")
        start(thread)

    monkeypatch.setattr(threading.Thread, "start", limited)
    with pytest.raises(BackendError, match=r"f\(\): after 3 threads .* use fewer than workers=9"):
        io.run(lambda number: release.wait(WAIT), range(20), workers=9)
    for thread in threads():
        thread.join(WAIT)
    assert threads() == []


def test_threads_that_are_there_make_all_calls_at_the_end_of_the_interpreter(io, monkeypatch, threads):
    """Section 5: a stream that is read on in ``atexit`` has its results. Python 3.12 and later start no thread there."""
    start = threading.Thread.start

    def limited(thread):
        if len(threads()) == 2:
            raise RuntimeError("can't create new thread at interpreter shutdown")
        start(thread)

    monkeypatch.setattr(threading.Thread, "start", limited)
    monkeypatch.setattr(state, "is_ending", lambda: True)
    outcome = io.run(lambda number: (time.sleep(0.01), number)[1], range(20), workers=9)
    assert outcome.ordered() == [*range(20)]


def test_default_workers(io):
    """Section 1: as many as `concurrent.futures.ThreadPoolExecutor` has, counting the CPUs that are usable."""
    assert io.backend.default_workers({}) == min(32, usable_cpus() + 4)
