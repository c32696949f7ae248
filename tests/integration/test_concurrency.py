"""Promise 10 and section 5: calls from many threads, within workers, and mixed jobs."""

from __future__ import annotations

import asyncio
import concurrent.futures
import contextvars
import threading
import time
from collections.abc import Callable
from typing import Any

import pytest
from jd_core import distribute
from jd_core.testing import functions
from jd_core.testing.harness import best_of_three

Parallel = Callable[..., Any]

THREADS = 8


@distribute("io", workers=3)
def shifted(value: int, *, by: int) -> int:
    """Stands for a distributed function that another one calls."""
    return value + by


@distribute("web", workers=3)
async def shifted_coroutine(value: int, *, by: int) -> int:
    """As `shifted`."""
    await asyncio.sleep(0)
    return value + by


def row(value: int) -> list[int]:
    """A distributed call within a worker."""
    return shifted(range(4), by=10 * value)


async def row_coroutine(value: int) -> list[int]:
    """Awaits a distributed call within a worker."""
    return await shifted_coroutine.aio(range(4), by=10 * value)


def row_of_coroutines(value: int) -> list[int]:
    """A distributed call of a coroutine function within a worker."""
    return shifted_coroutine(range(4), by=10 * value)


ROWS = [[10 * value + number for number in range(4)] for value in range(6)]


def test_eight_threads(parallel: Parallel) -> None:
    """Promise 10: calls from 8 threads at once, of one function, have their own results."""
    function = parallel(functions.add)
    together = threading.Barrier(THREADS)

    def run(number: int) -> Any:
        together.wait()
        return function(range(50), [number] * 50, plus=number)

    with concurrent.futures.ThreadPoolExecutor(THREADS) as threads:
        results = list(threads.map(run, range(THREADS)))
    assert results == [[value + 2 * number for value in range(50)] for number in range(THREADS)]


def test_eight_threads_with_failures(parallel: Parallel) -> None:
    """Promise 10: failures of one thread's call are that thread's alone."""
    function = parallel(functions.raise_at)
    together = threading.Barrier(THREADS)

    def run(number: int) -> Any:
        together.wait()
        try:
            return function(range(20), at=(7,) if number % 2 else (), error=LookupError)
        except LookupError as error:
            return error

    with concurrent.futures.ThreadPoolExecutor(THREADS) as threads:
        results = list(threads.map(run, range(THREADS)))
    for number, result in enumerate(results):
        assert isinstance(result, LookupError) if number % 2 else result == list(range(20))


@pytest.mark.parametrize("function", [row, row_of_coroutines, row_coroutine], ids=["plain", "coroutines", "awaited"])
def test_nested(parallel: Parallel, function: Callable[..., Any]) -> None:
    """Section 5: a distributed call inside a worker runs its calls there, with the same results."""
    assert parallel(function)(range(6)) == ROWS


def test_nested_calls_start_no_workers(parallel: Parallel) -> None:
    """Section 5: a distributed call inside a worker runs in that worker's own thread, one call after the other."""

    def where(value: int) -> list[Any]:
        outer = functions.thread_and_process(value)
        return [outer == inner for inner in distribute(functions.thread_and_process, job="compute")(range(5))]

    assert parallel(where)(range(3)) == [[True] * 5] * 3


def test_nested_streams(parallel: Parallel) -> None:
    """Section 5: streams inside a worker work, too."""

    def first_two(value: int) -> list[int]:
        with shifted.stream(iter(range(100)), by=value) as results:
            return [next(results), next(results)]

    assert parallel(first_two)(range(3)) == [[0, 1], [1, 2], [2, 3]]


def test_nested_failures(parallel: Parallel) -> None:
    """Section 5: a failure inside a nested call has a note of each level."""

    def outer(value: int) -> list[int]:
        return distribute(functions.raise_at, job="compute")(range(value), at=(2,), error=LookupError)

    with pytest.raises(LookupError) as caught:
        parallel(outer, chunksize=1, workers=1)([1, 4])
    assert caught.value.__notes__ == [
        "distribute: raise_at(): call 2 of 4 failed: value=2",
        "distribute: test_nested_failures.<locals>.outer(): call 1 of 2 failed: value=4",
    ]


def test_calls_in_threads_of_a_worker(parallel: Parallel) -> None:
    """Section 5: calls that start threads of their own are left to it."""

    def function(value: int) -> int:
        results: list[int] = []
        threads = [threading.Thread(target=results.append, args=(value,)) for _ in range(3)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        return sum(results)

    assert parallel(function)(range(5)) == [0, 3, 6, 9, 12]


def test_calls_that_use_asyncio_run(parallel: Parallel) -> None:
    """Section 5: a plain function may run an event loop of its own."""
    assert parallel(lambda value: asyncio.run(functions.awaited(value)))(range(5)) == list(range(5))


def test_the_callers_context_is_unchanged(parallel: Parallel) -> None:
    """Section 5: a context variable that calls set is not changed for the caller."""
    variable = contextvars.ContextVar("variable", default="caller")

    def function(value: int, *, name: str = "variable") -> int:
        return value

    token = variable.set("mine")
    assert parallel(function)(range(3)) == [0, 1, 2]
    assert variable.get() == "mine"
    variable.reset(token)


def test_all_workers_are_used(parallel: Parallel, folder: str) -> None:
    """Section 1: ``workers`` calls run at once."""
    assert parallel(functions.meet, workers=2)(range(2), folder=folder, calls=2) == [0, 1]


def test_all_workers_are_used_by_coroutines(parallel: Parallel, folder: str) -> None:
    """Section 1: ``workers`` coroutines run at once."""
    assert parallel(functions.meet_coroutine, workers=2)(range(2), folder=folder, calls=2) == [0, 1]


def test_never_more_than_workers(parallel: Parallel, folder: str) -> None:
    """Section 1: and never more."""

    def running(value: int, *, folder: str) -> int:
        functions.record(folder)
        try:
            return functions.count(folder) - functions.count(folder, "end")
        finally:
            functions.record(folder, "end")

    assert max(parallel(running, workers=2, chunksize=1)(range(40), folder=folder)) <= 2


def long_then_meeting(value: int, *, folder: str) -> int:
    """Takes long at 0; at 1 and 2, returns once both have started."""
    if value == 0:
        time.sleep(0.5)
    elif value in (1, 2):
        functions.meet(value, folder=folder, calls=2)
    return value


def test_calls_behind_a_long_one_go_to_others(parallel: Parallel, folder: str) -> None:
    """Section 6: where calls turn out to be longer than those before them, what a worker has not begun is for all again."""
    run = parallel(long_then_meeting)
    run(range(10, 1000), folder=folder)  # so that these are expected to be short, and go together
    assert run(range(40), folder=folder) == list(range(40))


@best_of_three
@pytest.mark.parametrize("job", ["compute", "io", "web"])
@pytest.mark.parametrize("function", ["call", "returned"])
def test_the_first_coroutine_of_a_worker(job: str, function: str, run_script: Callable[..., Any]) -> None:
    """Section 5: importing asyncio and making an event loop takes longer than this call may; it is not the call's time."""
    done = run_script("first_coroutine.py", job, function)
    assert (done.stdout, done.stderr) == ("[0, 1, 2]\n", "")
