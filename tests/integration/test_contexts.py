"""Each call runs in a copy of the caller's context: it sees the caller's values, and what it sets is gone with it."""

from __future__ import annotations

import asyncio
import contextlib
import sys
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from jd_core import distribute, per_worker
from jd_core.testing import functions

Parallel = Callable[..., Any]

#: Ways to call that lead to the list of all results.
WAYS: dict[str, Callable[[Any, range], list[Any]]] = {
    "call": lambda function, numbers: list(function(numbers)),
    "stream": lambda function, numbers: list(function.stream(numbers)),
    "as_completed": lambda function, numbers: [result for _, result in sorted(function.as_completed(numbers))],
    "aio": lambda function, numbers: asyncio.run(_awaited(function, numbers)),
    "astream": lambda function, numbers: asyncio.run(_streamed(function, numbers)),
}


FUNCTIONS = (functions.change_context, functions.change_context_coroutine, functions.change_context_at_once)


async def _awaited(function: Any, numbers: range) -> list[Any]:
    return list(await function.aio(numbers))


async def _streamed(function: Any, numbers: range) -> list[Any]:
    return [result async for result in function.astream(numbers)]


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("function", FUNCTIONS, ids=lambda function: str(function.__name__))
def test_nothing_leaks_from_call_to_call(parallel: Parallel, way: str, function: Callable[..., Any], apart: bool) -> None:
    """What a call sets is not there in the next call of the same worker; under jobs with processes, of the next chunk."""
    functions.variable.set("caller")
    results = WAYS[way](parallel(function, workers=1, chunksize=1 if apart else 5), range(12))
    assert results == ["unset" if apart else "caller"] * 12
    assert functions.variable.get() == "caller"


@pytest.mark.parametrize("job", ["io", "web"])
def test_an_async_generator_has_a_context_of_its_own(job: str) -> None:
    """The calls of async generators, too."""
    functions.variable.set("caller")
    assert distribute(functions.change_context_generator, job=job, workers=1)(range(5)) == [["caller"]] * 5


class Uncomparable:
    """As an array: its truth is not defined."""

    def __eq__(self, other: object) -> bool:
        raise ValueError("not to be compared")

    __hash__ = None  # type: ignore[assignment]


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("job", ["io", "web"])
def test_values_that_cannot_be_compared(job: str, way: str) -> None:
    """Whatever a call sets, be it in the place of another such value."""
    kept = Uncomparable()
    functions.variable.set(kept)  # type: ignore[arg-type]

    async def call(number: int) -> bool:
        found: object = functions.variable.get()
        functions.variable.set(Uncomparable())  # type: ignore[arg-type]
        await asyncio.sleep(0)
        return found is kept

    assert WAYS[way](distribute(call, job=job, workers=2), range(9)) == [True] * 9


def test_a_failed_call_leaves_nothing(parallel: Parallel, apart: bool) -> None:
    """Neither does one that fails."""

    def call(number: int) -> str:
        seen = functions.change_context(number)
        if number % 2:
            raise LookupError(seen)
        return seen

    functions.variable.set("caller")
    results = parallel(call, workers=1, chunksize=1, return_exceptions=True)(range(6))
    assert {str(result.args[0] if isinstance(result, LookupError) else result) for result in results} == {
        "unset" if apart else "caller"
    }


def test_calls_inside_a_call_leave_nothing(parallel: Parallel) -> None:
    """Calls that are made inside a worker run there, in place; the call around them keeps its own values."""

    def outer(number: int) -> str:
        functions.variable.set("outer")
        distribute(functions.change_context, job="io")(range(3))
        return functions.variable.get()

    assert parallel(outer)(range(3)) == ["outer"] * 3


@contextlib.contextmanager
def session() -> Iterator[str]:
    """Sets a variable and sets it back, which fails in another context."""
    token = functions.variable.set("session")
    yield "session"
    functions.variable.reset(token)


class AsyncSession:
    """The same for coroutines."""

    async def __aenter__(self) -> str:
        self.token = functions.variable.set("session")
        return "session"

    async def __aexit__(self, *error: object) -> None:
        functions.variable.reset(self.token)


def use(number: int, *, client: str) -> str:
    """Returns the client."""
    return client


async def use_later(number: int, *, client: str) -> str:
    """Returns the client."""
    return client


@pytest.mark.parametrize("function", [use, use_later], ids=["plain", "coroutine"])
@pytest.mark.parametrize("kind", [session, AsyncSession], ids=["with", "async with"])
def test_an_object_per_worker_is_opened_and_closed_in_one_context(
    parallel: Parallel, function: Callable[..., Any], kind: Callable[[], Any], caplog: pytest.LogCaptureFixture
) -> None:
    """A context manager that sets a variable while it is open finds it when it is closed."""
    assert parallel(function)(range(6), client=per_worker(kind)) == ["session"] * 6
    # On a slow machine Ray has no free CPU for a while, and says so.
    assert [record for record in caplog.records if record.name != "just_distribute.ray"] == []


@pytest.mark.skipif(sys.version_info < (3, 12), reason="tasks that start at once came with Python 3.12")
def test_each_call_under_web_has_a_task_of_its_own() -> None:
    """`asyncio.current_task()` as a key, as SQLAlchemy's scoped sessions use it, tells calls apart."""
    tasks = set()

    async def call(number: int) -> None:
        tasks.add(asyncio.current_task())
        await asyncio.sleep(0)

    distribute(call, job="web", workers=2)(range(20))
    assert len(tasks) == 20
