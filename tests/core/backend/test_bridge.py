"""Iterating over a blocking run from an event loop."""

from __future__ import annotations

import asyncio
import contextlib
import contextvars
import itertools
import threading
from collections.abc import Callable, Generator, Iterator
from typing import Any

import pytest
from jd_core.backend import Chunk, ChunkResult, Work
from jd_core.backend.bridge import iterate_in_thread
from jd_core.testing import chunks_of, wait_until

Run = Callable[[Work, Iterator[Chunk | None]], Generator[ChunkResult, None, None]]

WORK = Work(function=abs, constants={}, workers=2, name="of-this-module")

variable: contextvars.ContextVar[str] = contextvars.ContextVar("variable", default="unset")


def echo(work: Work, chunks: Iterator[Chunk | None]) -> Generator[ChunkResult, None, None]:
    """A run that gives each chunk back."""
    for chunk in chunks:
        assert chunk is not None
        yield ChunkResult(chunk, list(chunk.columns[0]))


def threads() -> list[str]:
    """Returns the names of the threads that iterate for these tests; others come and go as they like."""
    return [one.name for one in threading.enumerate() if one.name.endswith(f"-{WORK.name}")]


async def gathered(run: Run, chunks: Iterator[Chunk | None]) -> list[Any]:
    """Iterates to the end."""
    found: list[Any] = []
    async with contextlib.aclosing(iterate_in_thread(run, WORK, chunks)) as results:
        async for result in results:
            found += result.values
    return found


def test_everything_comes_in_order() -> None:
    """Section 1: what the run yields, in its order."""
    assert asyncio.run(gathered(echo, chunks_of(range(100), sizes=(3,)))) == list(range(100))


def test_nothing() -> None:
    """Section 3: a run without results ends."""
    assert asyncio.run(gathered(echo, iter(()))) == []


def test_errors_come_through() -> None:
    """Section 5: an error of the run is raised as it is, after the results before it."""
    error = ZeroDivisionError()

    def broken(work: Work, chunks: Iterator[Chunk | None]) -> Generator[ChunkResult, None, None]:
        yield from itertools.islice(echo(work, chunks), 2)
        raise error

    with pytest.raises(ZeroDivisionError) as caught:
        asyncio.run(gathered(broken, chunks_of(range(10))))
    assert caught.value is error


def test_the_context_is_the_callers() -> None:
    """Section 6: the caller's context variables are visible to the run."""
    seen: list[str] = []

    def run(work: Work, chunks: Iterator[Chunk | None]) -> Generator[ChunkResult, None, None]:
        seen.append(variable.get())
        yield from echo(work, chunks)

    token = variable.set("mine")
    asyncio.run(gathered(run, chunks_of(range(2))))
    variable.reset(token)
    assert seen == ["mine"]


def test_a_slow_consumer_holds_the_run_back() -> None:
    """Section 3: results that nobody took do not pile up."""
    given = 0

    def counted(work: Work, chunks: Iterator[Chunk | None]) -> Generator[ChunkResult, None, None]:
        nonlocal given
        for result in echo(work, chunks):
            given += 1
            yield result

    async def run() -> None:
        results = iterate_in_thread(counted, WORK, chunks_of(range(100)))
        for taken in range(1, 20):
            await anext(results)
            await asyncio.sleep(0.001)
            assert given <= taken + 3
        await results.aclose()

    asyncio.run(run())
    assert given < 30


@pytest.mark.parametrize("how", ["close", "cancel"])
def test_ending_early_ends_the_run_and_its_thread(how: str) -> None:
    """Section 1: closing, or cancelling who waits, tells the run by ``cancelled``, closes it, and waits for its thread."""
    closed = threading.Event()
    waiting = threading.Event()

    def endless(work: Work, chunks: Iterator[Chunk | None]) -> Generator[ChunkResult, None, None]:
        assert work.cancelled is not None
        try:
            yield ChunkResult(Chunk(0, ([1],)), [1])
            waiting.set()
            wait_until(work.cancelled)
        finally:
            closed.set()

    async def run() -> None:
        results = iterate_in_thread(endless, WORK, iter(()))
        await anext(results)
        if how == "close":
            await results.aclose()
            return
        task = asyncio.ensure_future(anext(results))
        while not waiting.is_set():
            await asyncio.sleep(0.001)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        await results.aclose()

    asyncio.run(run())
    assert closed.is_set()
    assert threads() == []


def test_a_closed_loop_ends_the_run_and_its_thread() -> None:
    """Section 1: a run whose caller's loop was closed, without a word to it, ends all the same."""
    closed = threading.Event()

    def endless(work: Work, chunks: Iterator[Chunk | None]) -> Generator[ChunkResult, None, None]:
        try:
            for index in itertools.count():
                yield ChunkResult(Chunk(index, ([1],)), [1])
        finally:
            closed.set()

    results = iterate_in_thread(endless, WORK, iter(()))
    loop = asyncio.new_event_loop()
    loop.run_until_complete(anext(results))
    assert len(threads()) == 1
    loop.close()
    wait_until(closed.is_set)
    wait_until(lambda: threads() == [])


def test_nothing_starts_before_it_is_asked() -> None:
    """Section 1: no thread is started until the first result is asked for."""

    async def run() -> None:
        results = iterate_in_thread(echo, WORK, chunks_of(range(3)))
        assert threads() == []
        await results.aclose()
        assert threads() == []

    asyncio.run(run())
