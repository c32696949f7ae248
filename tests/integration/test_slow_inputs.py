"""Section 3, promise 13: results never wait for input, and input may depend on results."""

from __future__ import annotations

import asyncio
import itertools
import queue
import sqlite3
import threading
from collections.abc import AsyncIterator, Callable, Iterable, Iterator
from contextlib import aclosing, closing
from typing import Any

import pytest
from jd_core import BatchingError
from jd_core._execution import run
from jd_core.testing import functions, wait_until

Parallel = Callable[..., Any]


def batch_of_one(values: list[int]) -> int:
    """Stands for a user's function of batches."""
    return values[0]


def stream(function: Any, values: Iterable[Any]) -> Iterator[Any]:
    """Returns results in order."""
    return iter(function.stream(values))


def as_completed(function: Any, values: Iterable[Any]) -> Iterator[Any]:
    """Returns results as calls finish."""
    return (result for _, result in function.as_completed(values))


def astream(function: Any, values: Iterable[Any]) -> Iterator[Any]:
    """Iterates over an asynchronous stream from outside its loop."""
    with asyncio.Runner() as runner:

        async def following(results: AsyncIterator[Any]) -> Any:
            return await anext(results, None)

        results = function.astream(values)
        try:
            while (result := runner.run(following(results))) is not None:
                yield result
        finally:
            runner.run(results.aclose())


def fill(seen: list[Any], results: Iterator[Any]) -> None:
    """Adds results to a list, one by one: what came before an error is seen."""
    for result in results:
        seen.append(result)


@pytest.fixture(params=[stream, as_completed, astream])
def way(request: pytest.FixtureRequest) -> Any:
    """Each way to get results while the run goes on."""
    return request.param


@pytest.mark.parametrize(("function", "options"), [(functions.same, {}), (batch_of_one, {"batch_size": 1})])
def test_a_source_may_depend_on_its_results(parallel: Parallel, way: Any, function: Any, options: dict[str, Any]) -> None:
    """Promise 13: a crawl, whose queue gets its next items from the results, ends."""
    todo: queue.Queue[int | None] = queue.Queue()
    todo.put(1)
    found = []
    for value in way(parallel(function, **options), iter(todo.get, None)):
        found.append(value)
        if value < 40:
            for following in (2 * value, 2 * value + 1):
                todo.put(following)
        elif len(found) == 79:
            todo.put(None)
    assert sorted(found) == list(range(1, 80))


def test_the_arrival_of_input_is_told(parallel: Parallel, way: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Promise 13: a run that waits for input, or for its consumer, is told, and does not look for it again and again."""
    monkeypatch.setattr(run, "UNTOLD_SECONDS", 3600.0)
    todo: queue.Queue[int | None] = queue.Queue()
    todo.put(0)
    found = []
    for value in way(parallel(functions.same), iter(todo.get, None)):
        found.append(value)
        todo.put(value + 1 if value < 30 else None)
    assert found == list(range(31))
    assert sorted(way(parallel(functions.same, buffersize=1), iter(range(30)))) == list(range(30))


def test_a_source_that_is_fast_and_then_waits(parallel: Parallel, way: Any) -> None:
    """Promise 13: what a source yielded before it waits is run, wherever in a chunk the wait begins."""
    seen: list[int] = []
    wait = threading.Event()

    def source() -> Iterator[int]:
        for value in range(1, 300):
            if value % 100 == 37:
                assert wait.wait(30)
                wait.clear()
            yield value

    for value in way(parallel(functions.same), source()):
        seen.append(value)
        if len(seen) % 100 == 36:
            wait.set()
    assert sorted(seen) == list(range(1, 300))


class Paged:
    """An iterable that knows its length and reads a page at a time."""

    def __init__(self, results: list[int]) -> None:
        self._results = results

    def __len__(self) -> int:
        return 3

    def __iter__(self) -> Iterator[int]:
        for value in range(1, 4):
            wait_until(lambda count=value: len(self._results) == count - 1)  # type: ignore[misc]
            yield value


def test_known_lengths_wait_no_more_than_others(parallel: Parallel, way: Any) -> None:
    """Promise 13: a source that tells its length may depend on its results, too."""
    seen: list[int] = []
    for value in way(parallel(functions.same), Paged(seen)):
        seen.append(value)
    assert sorted(seen) == [1, 2, 3]


def test_a_length_that_lies_in_a_stream(parallel: Parallel, way: Any) -> None:
    """Section 3: a length that turns out wrong is an error, never a shorter result."""

    class Lying(Paged):
        def __len__(self) -> int:
            return 5

    seen: list[int] = []
    with pytest.raises(BatchingError, match=r"value .*len\(\) is 5, but it has only 3"):
        fill(seen, way(parallel(functions.same), Lying(seen)))
    assert sorted(seen) == [1, 2, 3]


def test_arguments_that_share_an_iterator(parallel: Parallel) -> None:
    """Section 3: one thread reads all arguments, so those of itertools.tee can be passed together."""
    left, right = itertools.tee(value for value in range(500))
    assert list(parallel(functions.add).stream(left, right)) == [2 * value for value in range(500)]


def test_an_error_of_the_source_comes_after_the_results_before_it(parallel: Parallel, way: Any) -> None:
    """Section 5: a stream has the results of all calls before the error, and then raises it as it is."""
    error = LookupError("no page 57")

    def source() -> Iterator[int]:
        yield from range(1, 58)
        raise error

    seen: list[int] = []
    with pytest.raises(LookupError) as caught:
        fill(seen, way(parallel(functions.same), source()))
    assert caught.value is error
    assert sorted(seen) == list(range(1, 58))


def test_an_error_of_known_length_input_comes_after_results(parallel: Parallel) -> None:
    """Section 5: so it does where two arguments turn out unequal."""
    results = parallel(functions.add).stream(range(100, 110), (value for value in range(7)))
    seen: list[int] = []
    with pytest.raises(BatchingError, match="unequal length"):
        seen.extend(results)
    assert seen == list(range(100, 100 + 2 * len(seen), 2))


@pytest.mark.parametrize(("function", "given"), [(functions.same, 0), (functions.same, 1), (batch_of_one, 0)])
def test_closing_while_the_source_blocks(parallel: Parallel, function: Any, given: int) -> None:
    """Section 5: a stream is closed at once from any thread, also while its source blocks; the source is read no further."""
    source: queue.Queue[int] = queue.Queue()
    for value in range(given):
        source.put(value)
    results = parallel(function).stream(iter(source.get, None))
    assert [next(results) for _ in range(given)] == list(range(given))
    closer = threading.Timer(0.05, results.close)
    closer.start()
    assert list(results) == []
    closer.join()
    for value in range(9):
        source.put(value)
    wait_until(lambda: not [one for one in threading.enumerate() if one.name.startswith("just-distribute-input")])
    assert source.qsize() >= 8


def test_closing_from_another_thread_cancels_the_run(
    parallel: Parallel, folder: str, check_nothing_starts: Callable[[], int]
) -> None:
    """Section 5: closing a stream from another thread ends the loop over it and cancels the run."""
    results = parallel(functions.held_from, chunksize=1).stream(itertools.count(), folder=folder, start=2)
    assert [next(results) for _ in range(2)] == [0, 1]
    closer = threading.Timer(0.05, results.close)
    closer.start()
    assert list(results) == []
    closer.join()
    assert check_nothing_starts() <= 2 + 2 * 2


def test_closing_from_the_run_itself(parallel: Parallel) -> None:
    """Section 5: what the run calls, such as progress, may close its stream."""
    results: Any = parallel(functions.same, progress=lambda done, total: results.close()).stream(range(1000))
    assert len(list(results)) < 1000


@pytest.mark.parametrize("function", [functions.same, batch_of_one])
def test_closing_from_another_task(parallel: Parallel, function: Any) -> None:
    """Section 5: an asynchronous stream ends where another task closes it, also if not even its first element is there."""

    async def run() -> list[Any]:
        never: queue.Queue[int] = queue.Queue()
        results = parallel(function).astream(iter(never.get, None))

        async def close() -> None:
            await asyncio.sleep(0.05)
            await results.aclose()

        found, _ = await asyncio.gather(taken(results), close())
        never.put(1)
        return found

    assert asyncio.run(run()) == []


async def taken(results: AsyncIterator[Any]) -> list[Any]:
    """Returns all results."""
    return [result async for result in results]


def test_the_loop_is_free_while_a_source_blocks(parallel: Parallel) -> None:
    """Section 3: .aio and .astream let their loop go on while a source blocks: what it waits for comes from the loop."""

    async def run() -> list[Any]:
        source: queue.Queue[int | None] = queue.Queue()

        async def fill() -> None:
            for value in (1, 2, None):
                await asyncio.sleep(0.01)
                source.put(value)

        same = parallel(functions.same)
        results, _ = await asyncio.gather(same.aio(iter(source.get, None)), fill())
        streamed, _ = await asyncio.gather(taken(same.astream(iter(source.get, None))), fill())
        return [results, streamed]

    assert asyncio.run(run()) == [[1, 2], [1, 2]]


def test_no_more_is_read_ahead_than_the_buffer(parallel: Parallel) -> None:
    """Promise 9: a thread reads no further ahead than is asked for."""
    read = 0

    def source() -> Iterator[int]:
        nonlocal read
        for value in itertools.count():
            read += 1
            yield value

    with closing(parallel(functions.same, buffersize=5).stream(source())) as results:
        for taken_ in range(50):
            assert next(results) == taken_
            assert read <= taken_ + 5


def test_cursors(parallel: Parallel) -> None:
    """Section 3: a plain call reads where it is made, as cursors want it; other ways say what to do."""
    with closing(sqlite3.connect(":memory:")) as connection:
        connection.execute("create table pages (number)")
        connection.executemany("insert into pages values (?)", [(value,) for value in range(5)])
        same = parallel(functions.same)
        query = "select number from pages"
        assert same(connection.execute(query)) == [(value,) for value in range(5)]
        for read in (lambda rows: list(same.stream(rows)), lambda rows: asyncio.run(same.aio(rows))):
            with pytest.raises(BatchingError, match=r"value got an .* Cursor .*fetchall.*check_same_thread") as caught:
                read(connection.execute(query))
            assert isinstance(caught.value.__cause__, sqlite3.ProgrammingError)


def test_cancelled_again_and_again(parallel: Parallel, folder: str) -> None:
    """Promise 21: a task that is cancelled at every turn of its loop ends with the run, and leaves no task behind."""

    async def run() -> None:
        async def consume() -> None:
            async with aclosing(parallel(functions.held, chunksize=1).astream(itertools.count(), folder=folder)) as results:
                await anext(results)

        for awaited in (consume(), parallel(functions.held, chunksize=1).aio(range(100), folder=folder)):
            before = functions.count(folder)
            task = asyncio.ensure_future(awaited)
            while functions.count(folder) == before:
                await asyncio.sleep(0.002)
            most = 0
            while not task.done():
                task.cancel()
                await asyncio.sleep(0)
                most = max(most, len(asyncio.all_tasks()))
            assert task.cancelled()
            assert most <= 8
        assert asyncio.all_tasks() == {asyncio.current_task()}

    asyncio.run(run())
