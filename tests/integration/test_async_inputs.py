"""Section 1: async iterables as input of .aio and .astream, on every backend."""

from __future__ import annotations

import asyncio
import contextlib
import functools
import itertools
from collections.abc import AsyncIterator, Callable, Iterable
from pathlib import Path
from typing import Any

import pytest
from jd_core import BatchingError, SignatureError
from jd_core.testing import functions

Parallel = Callable[..., Any]


class Source:
    """An async iterable that says what was done to it.

    Attributes:
        read: how many elements it gave.
        closed: whether it was closed, or came to its end.
        opened: how often it was iterated.
    """

    def __init__(self, values: Iterable[Any], error: BaseException | None = None, *, suspends: bool = False) -> None:
        self.read = 0
        self.closed = False
        self.opened = 0
        self._values = values
        self._error = error
        self._suspends = suspends

    async def __aiter__(self) -> AsyncIterator[Any]:
        self.opened += 1
        try:
            for value in self._values:
                if self._suspends:
                    await asyncio.sleep(0)
                self.read += 1
                yield value
            if self._error is not None:
                raise self._error
        finally:
            await asyncio.sleep(0)  # closing may take its time
            self.closed = True


def fails_at_three(value: int) -> int:
    """Stands for a user's function."""
    if value == 3:
        raise LookupError("three")
    return value


def sums(values: list[int]) -> list[int]:
    """Stands for a user's function of batches, whose results are joined."""
    return [sum(values)]


def sums_of_both(left: list[int], right: tuple[int, ...]) -> list[int]:
    """Stands for a user's function of two batches."""
    return [sum(left) + sum(right)]


def nested(values: list[int]) -> list[int]:
    """Awaits, in a worker, a distributed call whose input is an async iterable."""
    from jd_core import distribute

    async def source() -> AsyncIterator[int]:
        for value in values:
            await asyncio.sleep(0)
            yield value

    async def run() -> list[int]:
        doubled: list[int] = await distribute(functions.add, job="io").aio(source(), values)
        return doubled

    return asyncio.run(run())


async def taken(results: AsyncIterator[Any], count: int | None = None) -> list[Any]:
    """Returns the first results of an async iterator, or all."""
    found: list[Any] = []
    async for result in results:
        found.append(result)
        if len(found) == count:
            break
    return found


@pytest.mark.parametrize("suspends", [False, True], ids=["at hand", "one by one"])
def test_async_iterables(parallel: Parallel, suspends: bool) -> None:
    """Section 1: an async iterable gives the elements of calls, alone and among other iterables, in order."""
    source = functools.partial(Source, suspends=suspends)

    async def run() -> list[Any]:
        add, same = parallel(functions.add), parallel(functions.same)
        return [
            await same.aio(source(range(300))),
            await parallel(functions.awaited).aio(source("abc")),
            await add.aio(source(range(300)), range(300), plus=1),
            await add.aio(iter(range(50)), source(range(50))),
            await add.aio(source(range(50)), source(range(50)), plus=1),
            await taken(add.astream(range(50), source(range(50)))),
            await same.aio(source([])),
            await taken(same.astream(source([]))),
        ]

    twice = [2 * n for n in range(50)]
    assert asyncio.run(run()) == [
        list(range(300)),
        ["a", "b", "c"],
        [2 * n + 1 for n in range(300)],
        twice,
        [n + 1 for n in twice],
        twice,
        [],
        [],
    ]


def test_batches_of_async_iterables(parallel: Parallel) -> None:
    """Sections 2 and 3: batches are cut from async iterables too, and joined; those that give batches are not cut."""

    async def run() -> list[Any]:
        one, both = parallel(sums, batch_size=4), parallel(sums_of_both, batch_size=4)
        return [
            await one.aio(Source(range(10))),
            await taken(one.astream(Source(range(10), suspends=True))),
            await one.aio(Source([[1, 2], [3]])),
            await one.aio(Source([])),
            await both.aio(Source(range(10)), Source(range(10), suspends=True)),
            await both.aio(range(10), Source(range(10))),
            await parallel(sums).aio(Source(range(10))),
        ]

    cut = [6, 22, 17]
    doubled = [2 * n for n in cut]
    assert asyncio.run(run()) == [cut, [[n] for n in cut], [[3], [3]], [], doubled, doubled, [45]]


def test_nothing_is_read_before_it_is_asked(parallel: Parallel) -> None:
    """Section 1: a stream's arguments are checked at once; its async iterables are opened when it is first asked."""

    async def run() -> tuple[int, int]:
        source = Source(range(5))
        results = parallel(functions.same).astream(source)
        await asyncio.sleep(0.01)
        before = source.opened
        assert await taken(results) == list(range(5))
        return before, source.opened

    assert asyncio.run(run()) == (0, 1)


@pytest.mark.parametrize("options", [{"buffersize": 4}, {"chunksize": 1}], ids=["buffersize", "default"])
def test_reading_is_bounded(parallel: Parallel, options: dict[str, int]) -> None:
    """Promise 9: of an endless async iterable at most ``buffersize`` elements are read ahead; 4 chunks per worker else."""
    most = options.get("buffersize", 4 * 2)

    async def run() -> None:
        source = Source(itertools.count())
        async with parallel(functions.same, **options).astream(source) as results:
            for index in range(30):
                assert await anext(results) == index
                await asyncio.sleep(0)
                assert source.read <= index + 1 + most
        assert source.closed

    asyncio.run(run())


def test_a_slow_source_holds_no_result_back(parallel: Parallel) -> None:
    """Section 1: results come while the source has nothing: here its next element depends on the result before."""

    async def run() -> list[int]:
        given: asyncio.Queue[int] = asyncio.Queue()

        async def source() -> AsyncIterator[int]:
            yield 0
            while (last := await given.get()) < 5:
                yield last + 1

        found: list[int] = []
        async for result in parallel(functions.same).astream(source()):
            found.append(result)
            given.put_nowait(result)
        return found

    assert asyncio.run(run()) == list(range(6))


@pytest.mark.parametrize("lengths", [(3, 5), (5, 3)])
@pytest.mark.parametrize("other", [list, iter, Source])
def test_unequal_lengths(parallel: Parallel, other: Callable[[range], Any], lengths: tuple[int, int]) -> None:
    """Section 3: that an async iterable is shorter or longer than another argument is an error where it shows."""

    async def run(*arguments: Any) -> None:
        with pytest.raises(BatchingError, match=r"(left|right) has 3\b.*equally long"):
            await parallel(functions.add).aio(*arguments)

    left, right = map(range, lengths)
    sources = Source(left), Source(right)
    asyncio.run(run(sources[0], other(right)))
    asyncio.run(run(other(left), sources[1]))
    assert all(source.closed for source in sources)


def test_elements_and_batches_need_lengths(parallel: Parallel, no_run: None) -> None:
    """Section 3: where elements and batches are mixed, an async iterable is refused, as an iterator is."""

    def mixed(number: int, values: list[int]) -> int:
        return number

    with pytest.raises(BatchingError, match="number has none: pass a list"):
        asyncio.run(parallel(mixed).aio(Source([1, 2]), [1, 2, 3, 4]))


@pytest.mark.parametrize("error", [ZeroDivisionError("source"), KeyboardInterrupt()], ids=["exception", "interrupt"])
@pytest.mark.parametrize("position", [0, 7])
def test_errors_of_the_source(parallel: Parallel, error: BaseException, position: int) -> None:
    """Section 5: an error in an async iterable is raised as it is, after the run was cancelled."""

    async def run(function: Callable[..., Any]) -> None:
        source = Source(range(position), error)
        with pytest.raises(type(error)) as caught:
            await function(source)
        assert caught.value is error
        assert source.closed

    same = parallel(functions.same)
    asyncio.run(run(same.aio))
    asyncio.run(run(lambda source: taken(same.astream(source))))
    asyncio.run(run(parallel(sums, batch_size=3).aio))
    assert same(range(5)) == list(range(5))


@pytest.mark.parametrize("function", [fails_at_three, functions.same], ids=["failure", "success"])
def test_the_source_is_closed_at_the_end(parallel: Parallel, function: Callable[..., Any]) -> None:
    """Section 1: the source is closed when .aio returns, also where a call failed and the source has no end."""

    async def run() -> None:
        fails = function is fails_at_three
        source = Source(itertools.count() if fails else range(9))
        with pytest.raises(LookupError, match="three") if fails else contextlib.nullcontext():
            await parallel(function).aio(source)
        assert source.closed

    asyncio.run(run())


@pytest.mark.parametrize("given", [0, 2])
def test_cancelling_while_the_source_has_nothing(parallel: Parallel, given: int) -> None:
    """Section 1: cancelling who awaits ends the run and closes the source, also while it has given nothing yet."""

    async def run() -> None:
        waiting, closed = asyncio.Event(), asyncio.Event()

        async def source() -> AsyncIterator[int]:
            try:
                for value in range(given):
                    yield value
                waiting.set()
                await asyncio.Event().wait()
            finally:
                closed.set()

        task = asyncio.create_task(parallel(functions.same).aio(source()))
        await waiting.wait()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert closed.is_set()
        assert asyncio.all_tasks() == {asyncio.current_task()}

    asyncio.run(run())


@pytest.mark.parametrize("how", ["close", "drop"])
def test_abandoning_a_stream_closes_the_source(
    parallel: Parallel, how: str, folder: str, check_nothing_starts: Callable[[], int]
) -> None:
    """Section 1: a stream that is closed or dropped cancels the rest and closes its source."""

    async def run() -> int:
        source = Source(itertools.count())
        results = parallel(functions.held_from, chunksize=1).astream(source, folder=folder, start=3)
        assert await taken(results, 3) == [0, 1, 2]
        if how == "close":
            await results.aclose()
            assert source.closed
        del results
        while not source.closed:
            await asyncio.sleep(0.001)
        return source.read

    read = asyncio.run(run())
    assert check_nothing_starts() <= 3 + 2 * 2
    assert read <= 3 + 4 * 2


def test_two_runs_on_one_loop(parallel: Parallel) -> None:
    """Section 1: runs with async iterables side by side do not mix."""

    async def run() -> Any:
        same = parallel(functions.same)
        starts = range(0, 300, 100)
        return await asyncio.gather(*(same.aio(Source(range(n, n + 40), suspends=True)) for n in starts))

    assert asyncio.run(run()) == [list(range(n, n + 40)) for n in range(0, 300, 100)]


def test_in_a_worker(parallel: Parallel) -> None:
    """Section 5: a call inside a worker reads async iterables, too."""
    assert parallel(nested)([[1, 2, 3], [4]]) == [[2, 4, 6], [8]]


@pytest.mark.parametrize("method", ["__call__", "stream", "as_completed"])
def test_only_on_a_loop(parallel: Parallel, no_run: None, method: str) -> None:
    """Section 3: the synchronous methods refuse an async iterable before anything starts, and name the ones that read it."""
    source = Source([1])
    with pytest.raises(SignatureError, match=r"\(Source\) for value, which only same\.aio\(\.\.\.\) and same\.astream"):
        getattr(parallel(functions.same), method)(source)
    assert not source.opened


def test_retries_and_exceptions(parallel: Parallel) -> None:
    """Section 5: failed calls are retried or kept, whatever their input came from."""

    async def run() -> Any:
        return await parallel(fails_at_three, retries=1, return_exceptions=True).aio(Source(range(6)))

    assert [type(result) for result in asyncio.run(run())] == [int, int, int, LookupError, int, int]


def test_results_come_while_the_source_is_read(parallel: Parallel, folder: str) -> None:
    """Section 1: calls start as soon as their elements are there: the source waits for the first call to have started."""

    async def run() -> Any:
        async def source() -> AsyncIterator[int]:
            yield 0
            while not functions.count(folder):
                await asyncio.sleep(0.002)
            Path(folder, functions.GO).touch()
            yield 1

        return await parallel(functions.held).aio(source(), folder=folder)

    assert asyncio.run(run()) == [0, 1]
