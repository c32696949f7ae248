"""Reading async iterables for a run."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import logging
from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest
from jd_core._hints.signature import inspect_function
from jd_core._planning.async_input import AsyncInput, arrival, opened
from jd_core._planning.binding import bind
from jd_core._planning.columns import MISSING


async def numbers(stop: int | None = None) -> AsyncIterator[int]:
    """Gives numbers, all at hand."""
    for number in itertools.count() if stop is None else range(stop):
        yield number


async def until(condition: Callable[[], object]) -> None:
    """Lets the loop go on until something holds."""
    async with asyncio.timeout(30):
        while not condition():
            await asyncio.sleep(0)


def test_just_what_was_asked_for_is_read() -> None:
    """Promise 9: nothing is read before it is asked for, and no more than that; what is taken is not asked for again."""

    async def run() -> None:
        input_ = AsyncInput(numbers())
        await asyncio.sleep(0.01)
        assert input_.take(5) == []
        assert input_.ready(3) is None
        await until(lambda: input_.ready(3))
        await asyncio.sleep(0.01)
        assert input_.ready(2) == 2
        assert input_.take(9) == [0, 1, 2]
        await asyncio.sleep(0.01)
        assert input_.take(9) == []
        await input_.close()

    asyncio.run(run())


def test_the_end() -> None:
    """Section 3: what is there can be taken, fewer than asked for; then there are no more."""

    async def run() -> None:
        input_ = AsyncInput(numbers(3))
        input_.ready(5)
        await until(lambda: input_.is_over)
        assert input_.ready(5) == 3
        assert input_.take(2) == [0, 1]
        assert input_.ready(5) == 1
        assert input_.take(2) == [2]
        assert input_.ready(5) == 0
        await input_.close()

    asyncio.run(run())


def test_arrivals_are_told() -> None:
    """Section 1: who waits on the loop is told as soon as all that was asked for is there, and of the end."""

    async def run() -> None:
        input_ = AsyncInput(numbers(3))
        told = asyncio.Event()
        input_.call_on_arrival(told.set)
        for _ in range(2):
            assert input_.ready(2) is None
            async with asyncio.timeout(30):
                await told.wait()
            told.clear()
            assert input_.take(2)
        assert input_.ready(2) == 0
        await input_.close()

    asyncio.run(run())


def test_a_thread_waits_for_the_answer() -> None:
    """Section 1: a thread that asks finds at once what the source has at hand."""

    async def run() -> None:
        input_ = AsyncInput(numbers())

        def take() -> list[int]:
            found: list[int] = []
            while len(found) < 50:
                found += input_.take(input_.ready(5) or 0)
            return found

        assert await asyncio.to_thread(take) == list(range(50))
        await input_.close()

    asyncio.run(run())


@pytest.mark.parametrize("count", [0, 2])
def test_the_first_element(count: int) -> None:
    """Section 2: the first element, which decides about batches, is waited for and not taken."""

    async def run() -> None:
        input_ = AsyncInput(numbers(count))
        await arrival(input_)
        assert input_.first() == (0 if count else MISSING)
        input_.ready(5)
        await until(lambda: input_.is_over)
        assert input_.take(5) == list(range(count))
        await input_.close()

    asyncio.run(run())


def test_one_task_opens_and_closes() -> None:
    """Section 1: a source is closed in the task that read it, as cancel scopes and the like want it."""
    tasks: list[Any] = []

    async def source() -> AsyncIterator[int]:
        try:
            async with asyncio.timeout(30):
                tasks.append(asyncio.current_task())
                yield 1
        finally:
            tasks.append(asyncio.current_task())

    async def run() -> None:
        input_ = AsyncInput(source())
        input_.ready(1)
        await until(lambda: input_.first() == 1)
        await input_.close()

    asyncio.run(run())
    assert len(tasks) == 2
    assert tasks[0] is tasks[1]


def test_who_is_in_a_hurry_waits_for_the_closing() -> None:
    """Section 1: cancelling who closes a source does not interrupt its cleaning up, and is not forgotten."""
    closed: list[int] = []

    async def source() -> AsyncIterator[int]:
        try:
            yield 1
        finally:
            await asyncio.sleep(0.01)
            closed.append(1)

    async def run() -> None:
        input_ = AsyncInput(source())
        input_.ready(1)
        await until(lambda: input_.first() == 1)
        closing = asyncio.create_task(input_.close())
        for _ in range(2):
            await asyncio.sleep(0)
            closing.cancel()
        with pytest.raises(asyncio.CancelledError):
            await closing
        assert closed == [1]

    asyncio.run(run())


def test_a_source_that_cannot_be_cancelled_is_not_read_on() -> None:
    """Section 1: a source that goes on when it is cancelled gives one more element, which nobody sees."""
    given: list[int] = []
    asked = asyncio.Event()

    async def source() -> AsyncIterator[int]:
        for number in range(5):
            try:
                asked.set()
                await asyncio.Event().wait()
            except asyncio.CancelledError:
                given.append(number)
            yield number

    async def run() -> None:
        input_ = AsyncInput(source())
        input_.ready(5)
        await until(asked.is_set)
        await input_.close()

    asyncio.run(run())
    assert given == [0]


def test_an_error_while_closing_is_logged(caplog: pytest.LogCaptureFixture) -> None:
    """Section 5: what goes wrong while a source is closed concerns no call: it is logged, and hides no other error."""

    async def source() -> AsyncIterator[int]:
        try:
            yield 1
        finally:
            raise OSError("closing")

    def function(value: int) -> int:
        return value

    async def run() -> None:
        async with contextlib.AsyncExitStack() as stack:
            call = await opened(stack, bind(inspect_function(function), (source(),), {}, on_loop=True))
            input_ = call.distributed[0].value
            input_.ready(1)
            await until(lambda: input_.first() == 1)
            raise ZeroDivisionError

    with caplog.at_level(logging.ERROR, "just_distribute"), pytest.raises(ZeroDivisionError):
        asyncio.run(run())
    assert "closing an async iterable failed" in caplog.text
