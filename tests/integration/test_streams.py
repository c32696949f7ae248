"""Section 1: .stream, .as_completed, .aio and .astream."""

from __future__ import annotations

import asyncio
import gc
import itertools
import threading
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from jd_core import BatchingError, SignatureError, distribute
from jd_core.testing import functions, wait_until

Parallel = Callable[..., Any]
Check = Callable[[], int]


def fails_at_three(value: int) -> int:
    """Stands for a user's function."""
    if value == 3:
        raise LookupError("three")
    return value


def batch_total(values: list[int]) -> list[int]:
    """Stands for a user's function of batches, whose results a plain call joins."""
    return [sum(values)]


def first_is_held(value: int, *, folder: str) -> int:
    """Stands for a user's function of which one call is slow."""
    functions.record(folder)
    if value == 0:
        functions.hold(folder)
    functions.record(folder, "end")
    return value


# .stream


def test_stream_is_in_order(parallel: Parallel) -> None:
    """Section 1: .stream gives one result per call, in input order."""
    assert list(parallel(functions.add).stream(range(50), range(50), plus=1)) == [2 * n + 1 for n in range(50)]


def test_stream_is_never_joined(parallel: Parallel) -> None:
    """Section 1: .stream gives one result per call, also where a plain call would join."""
    assert list(parallel(batch_total, batch_size=5).stream(range(10))) == [[10], [35]]


def test_stream_checks_at_once_and_starts_late(parallel: Parallel, folder: str) -> None:
    """Section 1: arguments are checked when .stream is called; calls start when it is first asked."""
    with pytest.raises(SignatureError):
        parallel(functions.recorded).stream(3, folder=folder)
    with pytest.raises(BatchingError):
        parallel(functions.add).stream([1], [2, 3])
    stream = parallel(functions.recorded).stream(range(3), folder=folder)
    assert functions.count(folder) == 0
    assert list(stream) == [0, 1, 2]
    assert functions.count(folder) == 3


def test_stream_of_an_endless_input(parallel: Parallel) -> None:
    """Section 1: an endless input can be streamed, and closing it cancels the rest."""
    with parallel(functions.same).stream(itertools.count()) as results:
        assert list(itertools.islice(results, 100)) == list(range(100))
    with pytest.raises(StopIteration):
        next(results)


def test_closing_a_stream_cancels(parallel: Parallel, folder: str, check_nothing_starts: Check) -> None:
    """Section 1: closing a stream cancels what has not started; nothing further of it runs."""
    stream = parallel(functions.held_from, chunksize=1).stream(itertools.count(), folder=folder, start=5)
    assert [next(stream) for _ in range(5)] == list(range(5))
    stream.close()
    assert check_nothing_starts() <= 5 + 2 * 2


def test_dropping_a_stream_cancels(parallel: Parallel, folder: str, check_nothing_starts: Check) -> None:
    """Section 1: a stream that is dropped is closed."""
    stream = parallel(functions.held_from, chunksize=1).stream(itertools.count(), folder=folder, start=1)
    next(stream)
    del stream
    gc.collect()
    assert check_nothing_starts() <= 1 + 2 * 2


@pytest.mark.parametrize("method", ["stream", "as_completed"])
def test_a_stream_in_a_cycle_is_collected(parallel: Parallel, folder: str, method: str, check_nothing_starts: Check) -> None:
    """Section 1: garbage collection cancels a stream that nothing but itself refers to."""
    stream = getattr(parallel(functions.held_from, chunksize=1), method)(itertools.count(), folder=folder, start=1)
    next(stream)
    stream.itself = stream
    del stream
    gc.collect()
    assert check_nothing_starts() <= 1 + 2 * 2


def test_stream_gives_results_before_the_failure(parallel: Parallel) -> None:
    """Sections 1 and 5: results before a failed call come, then its exception."""
    stream = parallel(fails_at_three, workers=1).stream(range(10))
    assert [next(stream) for _ in range(3)] == [0, 1, 2]
    with pytest.raises(LookupError, match="three"):
        next(stream)
    with pytest.raises(StopIteration):
        next(stream)


def test_stream_results_come_early(parallel: Parallel, folder: str) -> None:
    """Section 1: the first result is there while later calls still run."""
    stream = parallel(functions.held_at, chunksize=1).stream([0, 1], folder=folder, at=1)
    assert next(stream) == 0
    Path(folder, functions.GO).touch()
    assert list(stream) == [1]


def test_stream_with_exceptions(parallel: Parallel) -> None:
    """Sections 1 and 5: with return_exceptions, exceptions are in the stream at their place."""
    results = list(parallel(fails_at_three, return_exceptions=True).stream(range(5)))
    assert [type(result) for result in results] == [int, int, int, LookupError, int]


def test_a_stream_that_is_never_asked_warns(parallel: Parallel) -> None:
    """Section 1: a stream that nobody iterates has made no call, and says so."""
    with pytest.warns(RuntimeWarning, match=r"fails_at_three\(\) was never iterated"):
        parallel(fails_at_three).stream(range(3))  # dropped at once


@pytest.mark.parametrize("method", ["as_completed", "astream"])
def test_other_streams_that_are_never_asked_warn(parallel: Parallel, method: str) -> None:
    """Section 1: so do .as_completed and .astream."""
    with pytest.warns(RuntimeWarning, match=r"fails_at_three\(\) was never iterated"):
        getattr(parallel(fails_at_three), method)(range(3))


def test_an_ordered_stream_holds_back_at_most_its_buffer(parallel: Parallel, folder: str) -> None:
    """Section 1: while one call is slow, an ordered stream buffers at most ``buffersize`` finished results."""
    stream = parallel(first_is_held, buffersize=6, chunksize=1).stream(itertools.count(), folder=folder)
    results: list[int] = []
    thread = threading.Thread(target=lambda: results.extend(itertools.islice(stream, 10)))
    thread.start()
    # The slow call is among them: it may have been handed out long before it leaves its file.
    wait_until(lambda: functions.count(folder, "end") >= 5 and functions.count(folder) >= 6)
    asyncio.run(asyncio.sleep(0.1))  # time in which more would start
    assert functions.count(folder) == 6
    assert results == []
    Path(folder, functions.GO).touch()
    thread.join()
    assert results == list(range(10))
    stream.close()


def doubled(values: list[int]) -> list[int]:
    """Stands for a user's function of batches, whose results a plain call joins."""
    return [2 * value for value in values]


@pytest.mark.parametrize(
    ("function", "values", "options"),
    [
        (functions.same, range(20), {}),
        (functions.same, [], {}),
        (functions.awaited, "abcde", {}),
        (functions.counted, range(4), {}),
        (functions.counted_async, range(4), {}),
        (doubled, range(10), {"batch_size": 3}),
        (doubled, [[1, 2], [3]], {}),
        (doubled, range(10), {"autobatch": False, "return_exceptions": True}),
        (fails_at_three, range(6), {"return_exceptions": True}),
        (functions.same, range(20), {"aggregate": sum, "chunksize": 3}),
        (functions.same, range(20), {"workers": 1, "buffersize": 1}),
    ],
)
def test_a_stream_is_the_list(
    parallel: Parallel, function: Callable[..., Any], values: Any, options: dict[str, Any]
) -> None:
    """List(f.stream(...)) == f.options(aggregate="list")(...), always; .astream and .as_completed too."""
    distributed = parallel(function, **options)
    whole = [repr(result) for result in distributed.options(aggregate="list")(list(values))]
    assert [repr(result) for result in distributed.stream(list(values))] == whole
    assert [repr(result) for result in asyncio.run(_gathered(distributed.astream(iter(values))))] == whole
    assert [repr(result) for _, result in sorted(distributed.as_completed(list(values)), key=lambda pair: pair[0])] == whole


def test_two_streams_at_once(parallel: Parallel) -> None:
    """Section 1: streams are independent of each other."""
    function = parallel(functions.same)
    with function.stream(range(20)) as first, function.stream(range(100, 120)) as second:
        assert list(zip(first, second, strict=True)) == list(zip(range(20), range(100, 120), strict=True))


# .as_completed


def test_as_completed(parallel: Parallel) -> None:
    """Section 1: .as_completed gives (index, result) for every call."""
    pairs = list(parallel(functions.same).as_completed(["a", "b", "c", "d", "e"]))
    assert sorted(pairs) == list(enumerate("abcde"))


def test_as_completed_does_not_wait_for_slow_calls(parallel: Parallel, folder: str) -> None:
    """Section 1: .as_completed gives what is finished while an earlier call still runs."""
    pairs = parallel(functions.held_at, chunksize=1).as_completed([0, 1, 2], folder=folder, at=0)
    assert sorted([next(pairs), next(pairs)]) == [(1, 1), (2, 2)]
    Path(folder, functions.GO).touch()
    assert list(pairs) == [(0, 0)]


def test_closing_as_completed_cancels(parallel: Parallel, folder: str, check_nothing_starts: Check) -> None:
    """Section 1: closing it cancels the rest."""
    with parallel(functions.held_from, chunksize=1).as_completed(itertools.count(), folder=folder, start=1) as pairs:
        assert next(pairs) == (0, 0)
    assert check_nothing_starts() <= 1 + 2 * 2


# .aio


def test_aio(parallel: Parallel) -> None:
    """Section 1: awaiting .aio gives what the call gives: joined, aggregated, or a list."""

    async def run() -> list[Any]:
        return [
            await parallel(functions.add).aio(range(20), range(20), plus=1),
            await parallel(batch_total, batch_size=5).aio(range(10)),
            await parallel(functions.same, aggregate=sum).aio(range(10)),
            await parallel(functions.awaited).aio(range(5)),
            await parallel(functions.same).aio([]),
        ]

    assert asyncio.run(run()) == [[2 * n + 1 for n in range(20)], [10, 35], 45, list(range(5)), []]


def test_aio_lets_the_loop_go_on(parallel: Parallel, folder: str) -> None:
    """Section 1: the event loop runs while .aio waits: it is what lets the calls go on."""

    async def let_go() -> None:
        while functions.count(folder) < 2:
            await asyncio.sleep(0.002)
        Path(folder, functions.GO).touch()

    async def run() -> Any:
        results, _ = await asyncio.gather(parallel(functions.held).aio([1, 2], folder=folder), let_go())
        return results

    assert asyncio.run(run()) == [1, 2]


def test_coroutines_of_web_need_no_thread(folder: str) -> None:
    """.aio of a coroutine function under web runs on the caller's loop and adds no thread at all."""
    web = distribute(functions.meet_coroutine, job="web", workers=20)
    seen: list[set[threading.Thread]] = []

    async def watched(value: int) -> int:
        seen.append(set(threading.enumerate()))
        return value

    async def run() -> None:
        before = set(threading.enumerate())
        assert await distribute(watched, job="web").aio(range(50)) == list(range(50))
        assert await distribute(watched, job="web").aio(Numbers(50)) == list(range(50))
        assert await web.aio(range(20), folder=folder, calls=20) == list(range(20))
        # Of the threads that others left behind some may have ended meanwhile.
        assert set(threading.enumerate()) <= before
        assert all(threads <= before for threads in seen)

    asyncio.run(run())
    assert len(seen) == 100


class Numbers:
    """An async iterable."""

    def __init__(self, count: int) -> None:
        self._count = count

    async def __aiter__(self) -> AsyncIterator[int]:
        for number in range(self._count):
            yield number


def test_aio_at_once(parallel: Parallel) -> None:
    """Section 1: several .aio on one loop do not mix."""

    async def run() -> Any:
        function = parallel(functions.same)
        return await asyncio.gather(*(function.aio(range(n, n + 30)) for n in range(0, 300, 100)))

    assert asyncio.run(run()) == [list(range(n, n + 30)) for n in range(0, 300, 100)]


def test_aio_failure(parallel: Parallel) -> None:
    """Sections 1 and 5: .aio raises the first failure, with its note and the results that there were."""
    with pytest.raises(LookupError, match="three") as caught:
        asyncio.run(parallel(fails_at_three, chunksize=1).aio(range(5)))
    assert any("call 3 of 5 failed: value=3" in note for note in caught.value.__notes__)
    partial = caught.value.partial  # type: ignore[attr-defined]
    assert partial.items() <= {0: 0, 1: 1, 2: 2, 4: 4}.items()


@pytest.mark.parametrize("function", [functions.held, functions.held_coroutine], ids=["plain", "coroutine"])
def test_cancelling_aio(parallel: Parallel, folder: str, function: Callable[..., Any]) -> None:
    """Section 1: cancelling the task that awaits .aio cancels the run: what has not started never does."""

    async def run() -> None:
        task = asyncio.create_task(parallel(function, chunksize=1).aio(range(100), folder=folder))
        while functions.count(folder) < 2:
            await asyncio.sleep(0.002)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    asyncio.run(run())
    started = functions.count(folder)
    Path(folder, functions.GO).touch()
    assert parallel(functions.same)(range(10)) == list(range(10))
    assert functions.count(folder) == started
    assert started <= 4


def test_aio_with_a_timeout_of_the_caller(parallel: Parallel, folder: str) -> None:
    """Section 1: asyncio.timeout around .aio works as around anything else."""

    async def run() -> None:
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.2):
                await parallel(functions.held).aio([1], folder=folder)

    asyncio.run(run())


def test_aio_argument_errors(parallel: Parallel, no_run: None) -> None:
    """Section 3: .aio and .astream refuse wrong arguments as a call does."""

    async def run() -> None:
        with pytest.raises(SignatureError):
            await parallel(functions.same).aio()
        with pytest.raises(BatchingError):
            await parallel(functions.add).aio([1], [2, 3])
        with pytest.raises(SignatureError):
            await anext(parallel(functions.same).astream(3))

    asyncio.run(run())


# .astream


def test_astream(parallel: Parallel) -> None:
    """Section 1: .astream is .stream for async for."""

    async def run() -> list[int]:
        return [result async for result in parallel(functions.add).astream(range(30), range(30))]

    assert asyncio.run(run()) == [2 * n for n in range(30)]
    assert asyncio.run(_gathered(parallel(functions.same).astream([]))) == []


async def _gathered(results: AsyncIterator[Any]) -> list[Any]:
    return [result async for result in results]


def test_astream_checks_at_once(parallel: Parallel, no_run: None) -> None:
    """Section 1: .astream checks its arguments when it is called, as .stream does."""
    with pytest.raises(SignatureError):
        parallel(functions.same).astream(3)
    with pytest.raises(BatchingError):
        parallel(functions.add).astream([1], [2, 3])


def test_astreams_at_once(parallel: Parallel) -> None:
    """Section 1: two .astream of one function, of which one fails, run side by side on one loop."""

    async def failing(function: Any) -> None:
        with pytest.raises(LookupError, match="three"):
            await _gathered(function.astream(itertools.count()))

    async def run() -> Any:
        function = parallel(fails_at_three)
        return await asyncio.gather(_gathered(function.astream(range(100, 150))), failing(function))

    assert asyncio.run(run())[0] == list(range(100, 150))


@pytest.mark.parametrize("how", ["close", "leave", "drop"])
def test_ending_astream_cancels(parallel: Parallel, folder: str, how: str, check_nothing_starts: Check) -> None:
    """Section 1: closing .astream, leaving its ``async with`` block and dropping it cancel the rest of an endless input."""

    async def run() -> None:
        function = parallel(functions.held_from, chunksize=1)
        results: Any = function.astream(itertools.count(), folder=folder, start=5)
        if how == "leave":
            async with results:
                assert [await anext(results) for _ in range(5)] == list(range(5))
        else:
            assert [await anext(results) for _ in range(5)] == list(range(5))
        if how == "close":
            await results.aclose()
        del results
        gc.collect()
        await asyncio.sleep(0)
        await asyncio.gather(*asyncio.all_tasks() - {asyncio.current_task()})  # what closes one that was dropped
        assert await asyncio.to_thread(check_nothing_starts) <= 5 + 2 * 2

    asyncio.run(run())


# Within event loops.


def test_calls_within_a_running_loop(parallel: Parallel) -> None:
    """Promise 10: a plain call works where an event loop is running, as in a notebook."""

    async def run() -> list[Any]:
        return [parallel(functions.same)(range(5)), parallel(functions.awaited)(range(5))]

    assert asyncio.run(run()) == [list(range(5))] * 2


def test_streams_within_a_running_loop(parallel: Parallel) -> None:
    """Promise 10: and so does a stream."""

    async def run() -> list[Any]:
        return list(parallel(functions.awaited).stream(range(5)))

    assert asyncio.run(run()) == list(range(5))


def test_streams_across_threads(parallel: Parallel) -> None:
    """Section 1: a stream may be made in one thread and iterated in another."""
    stream = parallel(functions.same).stream(range(20))
    results: list[int] = []
    thread = threading.Thread(target=lambda: results.extend(stream))
    thread.start()
    thread.join()
    assert results == list(range(20))


@pytest.mark.parametrize("job", ["io", "web"])
@pytest.mark.parametrize("way", ["stream", "as_completed"])
def test_a_stream_that_one_of_its_calls_closes(job: str, way: str) -> None:
    """Section 5: from any thread or task: also from the one on whose event loop the run is to end."""
    loops: list[asyncio.AbstractEventLoop] = []
    streams: list[Any] = []

    async def call(number: int) -> int:
        loops.append(asyncio.get_running_loop())
        if streams and number == 2:
            streams[0].close()
        await asyncio.sleep(0)
        return number

    function = distribute(call, job=job, workers=2)
    streams.append(getattr(function, way)(range(100)))
    assert len(list(streams[0])) < 100
    streams.clear()
    assert function(range(3)) == [0, 1, 2]
    assert job == "io" or len(set(loops)) == 1  # it was not given up as one that is blocked


def test_which_thread_reads_the_input(parallel: Parallel) -> None:
    """Section 3: a plain call reads where it is made, where cursors belong; a stream in one other thread."""
    seen: set[int] = set()

    def values() -> Iterator[int]:
        for value in range(20):
            seen.add(threading.get_ident())
            yield value

    assert parallel(functions.same)(values()) == list(range(20))
    assert seen == {threading.get_ident()}
    seen.clear()
    assert list(parallel(functions.add).stream(values(), values())) == list(range(0, 40, 2))
    assert len(seen - {threading.get_ident()}) == len(seen) == 1


def test_no_thread_is_left(parallel: Parallel) -> None:
    """Promise 8: after calls, streams and cancelled ones there are as many threads as before."""

    def use() -> None:
        parallel(functions.same)(range(5))
        with parallel(functions.same).stream(itertools.count()) as results:
            next(results)
        asyncio.run(parallel(functions.same).aio(range(5)))

    use()
    before = threading.active_count()
    for _ in range(5):
        use()
    wait_until(lambda: threading.active_count() <= before)


def test_a_failure_has_what_was_held_back(parallel: Parallel) -> None:
    """Section 5: an ordered stream gives what comes before the failure, and the failure what was held back behind it."""
    given, stream = [], parallel(fails_at_three, chunksize=1).stream(range(40))
    with pytest.raises(LookupError, match="three") as caught:
        given.extend(stream)
    assert given == list(range(len(given)))
    assert len(given) <= 3
    assert all(caught.value.partial[index] == index for index in caught.value.partial)
    assert not set(caught.value.partial) & set(range(len(given)))
