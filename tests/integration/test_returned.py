"""Section 4: what a call returned, whatever the function says of it: awaitables, generators and iterators."""

from __future__ import annotations

import asyncio
import csv
import functools
import inspect
import operator
from collections.abc import AsyncIterator, Awaitable, Callable, Generator, Iterable, Iterator
from typing import Any, Optional

import pytest
from jd_core import distribute, per_worker
from jd_core.testing import functions

Parallel = Callable[..., Any]


async def doubled(number: int) -> int:
    """Awaits, once."""
    await asyncio.sleep(0)
    return 2 * number


def up_to(number: int) -> Iterator[int]:
    """Is a generator function."""
    yield from range(number)


async def up_to_later(number: int) -> AsyncIterator[int]:
    """Is an async generator."""
    for one in range(number):
        await asyncio.sleep(0)
        yield one


def kept(function: Callable[..., Any]) -> Callable[..., Any]:
    """Is a decorator that shows the function's name and hints."""

    @functools.wraps(function)
    def wrapper(*args: Any, **kwargs: Any) -> Any:
        return function(*args, **kwargs)

    return wrapper


def bare(function: Callable[..., Any]) -> Callable[..., Any]:
    """Is a decorator that hides it."""
    return lambda *args: function(*args)


class Wrapped:
    """Is an object that calls a function."""

    def __init__(self, function: Callable[..., Any]) -> None:
        self.function = function

    def __call__(self, number: int) -> Any:
        return self.function(number)

    def method(self, number: int) -> Any:
        """Calls it, too."""
        return self.function(number)


class Awaited:
    """Can be awaited, and is no coroutine."""

    def __init__(self, number: int) -> None:
        self.number = number

    def __await__(self) -> Generator[Any, None, int]:
        return doubled(self.number).__await__()


def awaited(number: int) -> Awaitable[int]:
    """Says what it returns."""
    return Awaited(number)


def falsely(number: int) -> int:
    """Says something else."""
    return doubled(number)  # type: ignore[return-value]


async def generator_later(number: int) -> Any:
    """Returns a generator, once it is awaited."""
    return up_to(number)


async def async_generator_later(number: int) -> Any:
    """Returns an async generator, once it is awaited."""
    return up_to_later(number)


WRAPS: list[Callable[..., Any]] = [kept, bare, Wrapped, functools.partial, lambda f: Wrapped(f).method]
NAMES = ["functools.wraps", "a lambda", "an object", "a partial", "a method"]
LISTED = [[], [0], [0, 1]]


@pytest.mark.parametrize("wrap", WRAPS, ids=NAMES)
def test_awaitables(parallel: Parallel, wrap: Any) -> None:
    """Section 4: what a wrapper of a coroutine function returns is awaited."""
    assert parallel(wrap(doubled))(range(5)) == [0, 2, 4, 6, 8]


@pytest.mark.parametrize("wrap", WRAPS, ids=NAMES)
@pytest.mark.parametrize("function", [up_to, up_to_later, generator_later, async_generator_later])
def test_generators(parallel: Parallel, wrap: Any, function: Any) -> None:
    """Section 4: what a generator yields that a wrapper returned, or an awaitable, becomes a list."""
    assert parallel(wrap(function))(range(3)) == LISTED


def test_awaitables_of_other_types(parallel: Parallel) -> None:
    """Section 4: an object with ``__await__`` is awaited; so is what a function returns only sometimes, or by mistake."""
    assert parallel(awaited)([1, 2]) == [2, 4]
    assert parallel(lambda number: Awaited(number))([1, 2]) == [2, 4]
    assert parallel(lambda number: doubled(number) if number % 3 == 2 else number)(range(9)) == [0, 1, 4, 3, 4, 10, 6, 7, 16]
    assert parallel(kept(falsely))([1, 2]) == [2, 4]


def hinted(make: Callable[[int], Any], hint: Any) -> Callable[[int], Any]:
    """Returns a function with this return hint."""

    def function(number: int) -> Any:
        return make(number)

    function.__annotations__["return"] = hint
    return function


@pytest.mark.parametrize(
    "hint",
    [
        Iterator[int],
        Iterable[int],
        Generator[int, None, None],
        Optional[Iterator[int]],  # noqa: UP045 - it is what is tried
        Iterator,
        map,
        "Iterator[int]",
        "Iterator[NoSuchName]",
        "abc.Iterator[int]",
    ],
    ids=str,
)
def test_iterators_that_the_hint_names(parallel: Parallel, hint: Any) -> None:
    """Section 4: where the return hint names an iterator, its elements become a list, as type checkers infer."""
    assert parallel(hinted(lambda number: map(int, range(number)), hint))(range(3)) == LISTED


def test_iterators_that_no_hint_names(parallel: Parallel, apart: bool) -> None:
    """Section 4: an iterator that nobody names is a value like any other, as is a list where an iterator is named."""
    assert parallel(hinted(lambda number: [number], Iterator[int]))([1, 2]) == [[1], [2]]
    assert parallel(hinted(lambda number: None, Iterator[int]))([1]) == [None]
    if not apart:
        (reader,) = parallel(lambda number: csv.reader([str(number)]))([1])
        assert list(reader) == [["1"]]


def test_batches_whose_results_turn_out_lazy(parallel: Parallel) -> None:
    """Section 4: they are joined all the same."""

    def squares(numbers: list[int]) -> Iterator[int]:
        return map(operator.neg, numbers)

    @bare
    async def later(numbers: list[int]) -> list[int]:
        return numbers

    assert parallel(squares, batch_size=2)([1, 2, 3]) == [-1, -2, -3]
    assert parallel(later)([[1, 2], [3]]) == [[1, 2], [3]]


def test_failures_of_what_turns_out_lazy(parallel: Parallel) -> None:
    """Section 5: an exception of an awaitable or a generator is the call's."""

    async def fail(number: int) -> int:
        raise ZeroDivisionError(number)

    def fail_late(number: int) -> Iterator[int]:
        yield 1
        raise ZeroDivisionError(number)

    for function in (bare(fail), bare(fail_late)):
        results = parallel(function, return_exceptions=True)([1, 2])
        assert [str(result) for result in results] == ["1", "2"]
        assert all(type(result) is ZeroDivisionError for result in results)


def test_with_a_constant_per_worker(parallel: Parallel) -> None:
    """Section 4: so it is where each worker makes a constant for itself."""

    async def added(number: int, *, to: list[int]) -> int:
        return number + len(to)

    assert parallel(lambda number, to: added(number, to=to))([1, 2], to=per_worker(lambda: [1])) == [2, 3]
    assert parallel(added)([1, 2], to=per_worker(lambda: [1])) == [2, 3]


@pytest.mark.parametrize("function", [bare(doubled), bare(up_to_later), bare(generator_later)], ids=["one", "two", "three"])
def test_every_way_to_call(parallel: Parallel, function: Any) -> None:
    """Section 4: streams, callers on an event loop and calls inside a worker treat results alike."""
    calls = parallel(function)
    expected = calls([1, 2])
    assert list(calls.stream([1, 2])) == expected
    assert [result for _, result in sorted(calls.as_completed([1, 2]))] == expected

    async def main() -> Any:
        return await calls.aio([1, 2]), [result async for result in calls.astream([1, 2])]

    assert asyncio.run(main()) == (expected, expected)

    def nested(number: int) -> Any:
        return distribute(function, job="io")([number])[0]

    def nested_on_loop(number: int) -> Any:
        async def inner() -> Any:
            return (await distribute(function, job="io").aio([number]))[0]

        return asyncio.run(inner())

    assert parallel(nested)([1, 2]) == expected
    assert parallel(nested_on_loop)([1, 2]) == expected


def test_calls_that_were_never_begun_are_closed(parallel: Parallel) -> None:
    """Section 5: a run that is given up leaves no coroutine that was never awaited; the test would fail by its warning."""
    for _ in range(3):
        with parallel(bare(doubled), chunksize=1).stream(range(100)) as results:
            assert next(results) == 0
    assert inspect.iscoroutinefunction(doubled)
    assert parallel(functions.same)([1]) == [1]
