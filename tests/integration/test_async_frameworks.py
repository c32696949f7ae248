"""Section 5: callers on anyio, on trio, and in programs that gevent has patched; streams that nobody closes."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import subprocess
import sys
import threading
import time
from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest
from jd_core import BackendError
from jd_core.testing import functions

anyio = pytest.importorskip("anyio")
trio = pytest.importorskip("trio")

Parallel = Callable[..., Any]


async def sleep_and_return(value: int) -> int:
    """Stands for a user's coroutine function."""
    await asyncio.sleep(0.001)
    return value


def wait_and_return(value: int) -> int:
    """Stands for a user's plain function."""
    time.sleep(0.001)
    return value


async def nothing_is_left(complaints: list[Any]) -> None:
    """Fails if a task is left, after a moment, or the loop complained of any."""
    async with asyncio.timeout(60):
        while len(asyncio.all_tasks()) > 1:
            await asyncio.sleep(0.005)
    gc.collect()
    await asyncio.sleep(0)
    assert complaints == []


def run_on_loop(main: Callable[[], Any]) -> None:
    """Runs a coroutine function on a loop that must not complain, nor keep tasks."""
    complaints: list[Any] = []

    async def watched() -> None:
        asyncio.get_running_loop().set_exception_handler(lambda _, context: complaints.append(context))
        await main()
        await nothing_is_left(complaints)

    asyncio.run(watched())
    assert complaints == []


@pytest.fixture(params=[wait_and_return, sleep_and_return])
def function(request: pytest.FixtureRequest, parallel: Parallel) -> Any:
    """A function of each kind, distributed for the job."""
    return parallel(request.param, chunksize=1)


@pytest.mark.parametrize("way", ["aio", "astream"])
def test_five_scopes_of_anyio(function: Any, way: str) -> None:
    """Promise 21: scopes that end one after the other, each cancelling at every turn of the loop, leave nothing."""

    async def main() -> None:
        tasks = len(asyncio.all_tasks())
        began = threading.Event()

        def source() -> Any:
            for value in range(100_000):
                if value == 20:
                    began.set()
                yield value

        async def cancel(scopes: list[Any]) -> None:
            await anyio.to_thread.run_sync(began.wait)
            for scope in scopes:
                scope.cancel()
                assert len(asyncio.all_tasks()) <= tasks + 6
                await anyio.lowlevel.checkpoint()

        async with anyio.create_task_group() as group:
            with contextlib.ExitStack() as stack:
                scopes = [stack.enter_context(anyio.CancelScope()) for _ in range(5)]
                group.start_soon(cancel, scopes[::-1])
                if way == "aio":
                    await function.aio(source())
                else:
                    async for _ in function.astream(source()):
                        pass
        assert any(scope.cancelled_caught for scope in scopes)

    run_on_loop(main)
    assert function([7]) == [7]


def test_task_groups_of_anyio(function: Any) -> None:
    """Runs in a task group end with the first that fails, and one within another's scope has its own results."""

    async def main() -> None:
        found: list[list[int]] = []

        async def keep(values: range) -> None:
            found.append(await function.aio(values))

        async with anyio.create_task_group() as group:
            for start in range(3):
                group.start_soon(keep, range(start, start + 5))
        assert sorted(found) == [[*range(start, start + 5)] for start in range(3)]

        async def fail() -> None:
            async with anyio.create_task_group() as group:
                group.start_soon(function.aio, range(100_000))
                group.start_soon(function.aio, 3)

        with pytest.raises(ExceptionGroup) as caught:
            await fail()
        assert len(caught.value.exceptions) == 1

    run_on_loop(main)


def test_a_stream_dropped_in_a_cycle(function: Any) -> None:
    """A stream that garbage collection finds, as exceptions and their frames leave them, is closed once, and in order."""

    async def main() -> None:
        async def leave() -> None:
            results = function.astream(iter(range(100_000)))
            cycle: list[Any] = [results]
            cycle.append(cycle)
            async for _ in results:
                return

        await asyncio.gather(leave(), leave())
        gc.collect()

    run_on_loop(main)


def test_a_stream_that_outlives_its_loop(function: Any) -> None:
    """A stream that is open where its loop ends is closed with it, and so are those that it is made of."""
    kept: list[AsyncIterator[int]] = []
    complaints: list[Any] = []

    async def main() -> None:
        asyncio.get_running_loop().set_exception_handler(lambda _, context: complaints.append(context))
        for values in (range(100_000), iter(range(100_000))):
            results = aiter(function.astream(values))
            kept.append(results)
            assert await anext(results) == 0

    asyncio.run(main())
    assert complaints == []


@pytest.mark.parametrize("way", ["aio", "astream", "astream of a generator"])
def test_trio(parallel: Parallel, way: str) -> None:
    """Under trio ``aio`` and ``astream`` say at once that they need asyncio, and what to do; that works."""
    function = parallel(functions.same)

    async def call() -> None:
        if way == "aio":
            await function.aio(range(3))
        else:
            await anext(aiter(function.astream(range(3) if way == "astream" else iter(range(3)))))

    async def main() -> list[int]:
        with pytest.raises(BackendError, match=r"same\(\).*need asyncio.*trio\.to_thread\.run_sync"):
            await call()
        found: list[int] = await trio.to_thread.run_sync(function, range(3))
        assert await anyio.to_thread.run_sync(function, range(3)) == found
        return found

    assert trio.run(main) == [0, 1, 2]


GEVENT = """
from gevent import monkey
monkey.patch_all()
import asyncio, gevent, time
from jd_core import BackendError, distribute

def double(value):
    time.sleep(0.001)
    return 2 * value

async def double_later(value):
    await asyncio.sleep(0.001)
    return 2 * value

ticks = []
def tick():
    while True:
        ticks.append(1)
        gevent.sleep(0.001)

gevent.spawn(tick)
expected = [2 * value for value in range(50)]
for function, job in FUNCTIONS:
    f = distribute(globals()[function], job=job, workers=3)
    ticks.clear()
    assert f(range(50)) == list(f.stream(range(50))) == list(f.stream(iter(range(50)))) == expected
    assert len(ticks) > 5, "other greenlets do not run"
    running = [gevent.spawn(f, range(50)) for _ in range(3)]
    gevent.joinall(running)
    assert [each.value for each in running] == [expected] * 3
try:
    distribute(double_later, job="io", workers=3)(range(50))
except BackendError as error:
    print(error)
"""


@pytest.mark.process
@pytest.mark.parametrize(
    "functions",
    [[("double", "io")], [("double_later", "web")], [("double", "web"), ("double_later", "web"), ("double", "io")]],
    ids=["io", "web", "web and io"],
)
def test_gevent(functions: list[tuple[str, str]]) -> None:
    """In a program that gevent has patched, io and web are right, beside other greenlets; what cannot be, says so."""
    pytest.importorskip("gevent")
    for _, job in functions:
        pytest.importorskip(f"jd_{job}")
    pytest.importorskip("jd_io")
    program = f"FUNCTIONS = {functions!r}\n{GEVENT}"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=120, check=False)
    assert done.stderr == ""
    assert "use job='web'" in done.stdout
    assert done.stdout.count("\n") == 1
