"""Constants that every worker makes for itself: `jd_core.per_worker`."""

from __future__ import annotations

import asyncio
import functools
import os
import sys
from collections import Counter
from collections.abc import Callable
from typing import Any, Self

import psutil
import pytest
from jd_core import distribute, per_worker
from jd_core.testing import functions, wait_until
from jd_core.testing.functions import count

Parallel = Callable[..., Any]
CheckClosed = Callable[[str], None]


class Client:
    """What does not travel, and leaves a file whenever it is opened and closed. Subclasses say how that is done."""

    def __init__(self, folder: str) -> None:
        self.folder = folder
        self.open = False
        self.anchor = functions.Unsendable()

    def begin(self) -> Self:
        """Opens it."""
        functions.record(self.folder, "opened")
        functions.record(self.folder, f"by{os.getpid()}")
        self.open = True
        return self

    def end(self) -> None:
        """Closes it."""
        functions.record(self.folder, "closed")
        self.open = False


class With(Client):
    """A context manager."""

    def __enter__(self) -> Self:
        return self.begin()

    def __exit__(self, *error: object) -> None:
        self.end()


class AsyncWith(Client):
    """An asynchronous context manager."""

    async def __aenter__(self) -> Self:
        return self.begin()

    async def __aexit__(self, *error: object) -> None:
        self.end()


class Close(Client):
    """Open from the start, with a ``close``."""

    def __init__(self, folder: str) -> None:
        super().__init__(folder)
        self.begin()

    def close(self) -> None:
        self.end()


class AsyncClose(Client):
    """Open from the start, with a coroutine ``aclose``."""

    def __init__(self, folder: str) -> None:
        super().__init__(folder)
        self.begin()

    async def aclose(self) -> None:
        await asyncio.sleep(0)
        self.end()


class Session(AsyncWith):
    """As a session of aiohttp: it is made on a running loop, used there, and refuses ``with``."""

    def __init__(self, folder: str) -> None:
        super().__init__(folder)
        self.loop = asyncio.get_running_loop()

    def __enter__(self) -> Self:
        raise TypeError("use async with")

    def __exit__(self, *error: object) -> None:
        raise TypeError("use async with")

    async def __aexit__(self, *error: object) -> None:
        assert self.loop is asyncio.get_running_loop()
        self.end()


def ask(value: int, *, client: Client) -> int:
    """Uses a client."""
    assert client.open
    return value


async def ask_later(value: int, *, client: Client) -> int:
    """Uses a client, awaiting."""
    await asyncio.sleep(0)
    assert client.open
    return value


@pytest.fixture
def check_closed(job: str) -> CheckClosed:
    """Waits until as many have been closed as were opened. Not for ray, whose workers keep them for some seconds."""

    def check(folder: str) -> None:
        if job != "ray":
            wait_until(lambda: count(folder, "closed") == count(folder, "opened") > 0)

    return check


def check_one_each(job: str, folder: str) -> None:
    """Fails if a worker has made more than one."""
    by_process = Counter(name.partition("-")[0] for name in os.listdir(folder) if name.startswith("by"))
    assert by_process
    if job in ("compute", "ray"):
        assert set(by_process.values()) == {1}
    if job != "ray":  # where a third process may go on with a run
        assert by_process.total() <= 2


@pytest.mark.parametrize("function", [ask, ask_later], ids=["plain", "coroutine"])
@pytest.mark.parametrize("kind", [With, AsyncWith, Close, AsyncClose], ids=["with", "async with", "close", "aclose"])
def test_one_per_worker(
    parallel: Parallel,
    job: str,
    folder: str,
    function: Callable[..., Any],
    kind: type[Client],
    check_closed: CheckClosed,
) -> None:
    """Each worker makes its own, at most once a run, and closes it at the end of the run."""
    asked = parallel(function, chunksize=2)
    assert asked(range(20), client=per_worker(lambda: kind(folder))) == list(range(20))
    check_one_each(job, folder)
    check_closed(folder)


def use_an_actor() -> int:
    """Has calls use an actor of Ray's that each worker keeps; returns its process."""
    ray = sys.modules["ray"]

    class Actor:
        def process(self) -> int:
            return os.getpid()

    def use(_: int, *, client: Any) -> int:
        import ray

        process: int = ray.get(client["actor"].process.remote())
        return process

    actor = ray.remote(Actor).options(num_cpus=0).remote()
    kept = per_worker(lambda: {"actor": actor})
    (process,) = set(distribute(use, job="ray", workers=2)(range(4), client=kept))
    return process


@pytest.mark.ray
@pytest.mark.usefixtures("ray_cluster")
def test_ray_workers_close_it_some_seconds_after_the_run(folder: str) -> None:
    """Nothing tells them that a run has ended: they keep it for a next piece, then close it. An actor in it ends, too."""
    process = use_an_actor()
    for function, kind in ((ask, With), (ask_later, AsyncWith), (ask, AsyncClose)):
        asked: Any = distribute(function, job="ray", workers=2)
        assert asked(range(4), client=per_worker(functools.partial(kind, folder))) == list(range(4))
    wait_until(lambda: count(folder, "closed") == count(folder, "opened") > 0)
    wait_until(lambda: not psutil.pid_exists(process))


def test_what_belongs_to_a_loop(parallel: Parallel, job: str, folder: str, check_closed: CheckClosed) -> None:
    """For coroutine functions it is made, entered, used and left on the event loop that they run on, under every job."""

    async def function(value: int, *, session: Session) -> int:
        assert session.loop is asyncio.get_running_loop()
        return await ask_later(value, client=session)

    assert parallel(function, chunksize=2)(range(20), session=per_worker(lambda: Session(folder))) == list(range(20))
    check_one_each(job, folder)
    check_closed(folder)


@pytest.mark.parametrize("function", [ask, ask_later], ids=["plain", "coroutine"])
def test_a_factory_that_awaits(
    parallel: Parallel, folder: str, function: Callable[..., Any], check_closed: CheckClosed
) -> None:
    """A coroutine function may make it: `connect` of many a database."""

    async def connect() -> Client:
        await asyncio.sleep(0)
        return AsyncWith(folder)

    assert parallel(function, chunksize=2)(range(6), client=per_worker(connect)) == list(range(6))
    check_closed(folder)


def test_what_was_made_before_a_factory_failed(parallel: Parallel, folder: str, check_closed: CheckClosed) -> None:
    """Every call tries again, and what one has made in vain is closed."""

    def function(value: int, *, client: Client, other: int) -> int:
        raise AssertionError("there is nothing to call it with")

    constants = {"client": per_worker(lambda: With(folder)), "other": per_worker(lambda: 1 // 0)}
    results = parallel(function, return_exceptions=True)(range(4), **constants)
    assert [type(result) for result in results] == [ZeroDivisionError] * 4
    assert count(folder, "opened") == 4
    check_closed(folder)


def test_an_error_in_the_factory_is_the_calls(parallel: Parallel) -> None:
    """What makes the object raises: the error is that of the call that needed it."""
    with pytest.raises(ZeroDivisionError) as caught:
        parallel(ask)(range(3), client=per_worker(lambda: 1 // 0))
    assert any("failed: value=" in note for note in caught.value.__notes__)


def test_failures_close_it_too(parallel: Parallel, folder: str, check_closed: CheckClosed) -> None:
    """A run that ends by a failure closes what it made."""

    def function(value: int, *, client: Client) -> int:
        raise LookupError

    with pytest.raises(LookupError):
        # In one chunk: a worker that is at a second one when the run ends is killed if it takes long to stop.
        parallel(function, workers=1, chunksize=3)(range(3), client=per_worker(lambda: With(folder)))
    check_closed(folder)


def test_beside_other_constants(parallel: Parallel, folder: str) -> None:
    """Other constants are passed as they are."""

    def function(value: int, *, client: Client, by: int) -> int:
        return ask(value, client=client) * by

    assert parallel(function)(range(5), client=per_worker(lambda: With(folder)), by=3) == [0, 3, 6, 9, 12]


def test_what_cannot_be_called() -> None:
    """The object itself, instead of what makes it, is refused."""
    with pytest.raises(TypeError, match="per_worker"):
        per_worker(With("somewhere"))  # type: ignore[arg-type]


def defaulted(x: int, kind: Any = per_worker(lambda: "made")) -> tuple[int, Any]:  # noqa: B008 - that is what is tested
    """Returns what it got."""
    return x, kind


def named(x: int, *, kind: Any) -> tuple[int, Any]:
    """Returns what it got."""
    return x, kind


@pytest.mark.parametrize("function", [defaulted, functools.partial(named, kind=per_worker(lambda: "made"))])
def test_a_default_is_made_per_worker(parallel: Parallel, function: Callable[..., Any]) -> None:
    """Section 6: calls get the object, not the mark that stands for it, also where it is a default or a partial's."""
    assert parallel(function)([1, 2]) == [(1, "made"), (2, "made")]
    assert parallel(function)([1, 2], kind="passed") == [(1, "passed"), (2, "passed")]
