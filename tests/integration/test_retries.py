"""Section 5: retries: further attempts, counted on disk, after exceptions, deaths and timeouts."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import os
import socket
import threading
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest
from jd_core import CallTimeoutError, Retry, WorkerDiedError, distribute
from jd_core.testing import functions
from jd_core.testing.harness import best_of_three

Parallel = Callable[..., Any]

#: Attempts after hardly any wait.
QUICK = {"initial": 0.001, "maximum": 0.002}


def attempts(folder: str, values: int) -> list[int]:
    """Returns how often the call of each value was attempted."""
    return [functions.count(folder, f"call{value}") for value in range(values)]


def flaky(value: int, *, folder: str, failures: int, at: Sequence[int] = (2, 5)) -> int:
    """Fails so many times for some values, then succeeds."""
    functions.record(folder, f"call{value}")
    if value in at and functions.count(folder, f"call{value}") <= failures:
        raise ConnectionError(f"attempt {functions.count(folder, f'call{value}')}")
    return value


async def flaky_coroutine(value: int, *, folder: str, failures: int) -> int:
    """As `flaky`."""
    await asyncio.sleep(0)
    return flaky(value, folder=folder, failures=failures)


@pytest.mark.parametrize("chunksize", ["auto", 1, 4])
@pytest.mark.parametrize("function", [flaky, flaky_coroutine])
def test_success_after_failures(parallel: Parallel, folder: str, function: Callable[..., Any], chunksize: int | str) -> None:
    """Section 5: a call that fails is attempted again, and only that call; its result stands at its place."""
    results = parallel(function, retries=Retry(2, **QUICK), chunksize=chunksize)(range(8), folder=folder, failures=2)
    assert results == list(range(8))
    assert attempts(folder, 8) == [1, 1, 3, 1, 1, 3, 1, 1]


@pytest.mark.parametrize("retries", [1, 3])
def test_the_last_error_is_raised(parallel: Parallel, folder: str, retries: int) -> None:
    """Section 5, promise 6: with retries=k a call runs at most k + 1 times; the last error is raised, with one note."""
    with pytest.raises(ConnectionError, match=f"attempt {retries + 1}") as caught:
        parallel(flaky, retries=Retry(retries, **QUICK))(range(3), folder=folder, failures=99)
    assert caught.value.__notes__ == ["distribute: flaky(): call 2 of 3 failed: value=2"]
    others, failed = attempts(folder, 2), functions.count(folder, "call2")
    assert failed == retries + 1
    assert max(others) <= 1


def test_a_number_of_retries(parallel: Parallel, folder: str) -> None:
    """Section 5: retries takes a number, too."""
    assert parallel(flaky, retries=1)(range(4), folder=folder, failures=1) == [0, 1, 2, 3]
    assert attempts(folder, 4) == [1, 1, 2, 1]


def test_no_retries(parallel: Parallel, folder: str) -> None:
    """Promise 6: without retries no call runs twice."""
    with pytest.raises(ConnectionError, match="attempt 1"):
        parallel(flaky)(range(8), folder=folder, failures=1)
    assert max(attempts(folder, 8)) == 1


def test_retries_with_return_exceptions(parallel: Parallel, folder: str) -> None:
    """Section 5: with return_exceptions, what fails to the end stands in the list; the rest succeeds."""
    function = parallel(flaky, retries=Retry(1, **QUICK), return_exceptions=True)
    results = function(range(8), folder=folder, failures=99, at=(1, 6))
    assert [type(result) for result in results] == [int, ConnectionError, *[int] * 4, ConnectionError, int]
    assert attempts(folder, 8) == [1, 2, 1, 1, 1, 1, 2, 1]


@pytest.mark.parametrize(
    ("on", "expected"),
    [
        (ConnectionError, 2),
        (OSError, 2),
        ((KeyError, ConnectionError), 2),
        (lambda error: "attempt 1" in str(error), 2),
        (KeyError, 1),
        (lambda error: False, 1),
    ],
    ids=["its type", "its base", "one of several", "callable", "another type", "callable that refuses"],
)
def test_which_errors(parallel: Parallel, folder: str, on: Any, expected: int) -> None:
    """Section 5: Retry.on says which errors are worth another attempt."""
    function = parallel(flaky, retries=Retry(3, on=on, **QUICK), return_exceptions=True)
    function([2], folder=folder, failures=1)
    assert functions.count(folder, "call2") == expected


def test_exits_are_attempted_again(parallel: Parallel, folder: str) -> None:
    """Section 5: a SystemExit, which is a CallError, is attempted again as well."""

    def function(value: int, *, folder: str) -> int:
        functions.record(folder)
        if functions.count(folder) == 1:
            raise SystemExit(1)
        return value

    assert parallel(function, retries=Retry(1, **QUICK))([7], folder=folder) == [7]


def test_waits_grow(parallel: Parallel, folder: str) -> None:
    """Section 5: the waits between attempts grow exponentially, with jitter, up to the maximum."""

    def function(value: int, *, folder: str) -> None:
        Path(folder, f"time-{time.monotonic_ns()}").touch()
        raise ConnectionError

    with pytest.raises(ConnectionError):
        parallel(function, retries=Retry(3, initial=0.1, maximum=0.2))([1], folder=folder)
    times = sorted(int(path.name.removeprefix("time-")) / 1e9 for path in Path(folder).glob("time-*"))
    waits = [later - earlier for earlier, later in itertools.pairwise(times)]
    assert [wait >= least for wait, least in zip(waits, (0.05, 0.1, 0.1), strict=True)] == [True] * 3


def test_retries_within_a_stream(parallel: Parallel, folder: str) -> None:
    """Section 5: a stream keeps its order over retries."""
    stream = parallel(flaky, retries=Retry(2, **QUICK)).stream(range(8), folder=folder, failures=2)
    assert list(stream) == list(range(8))


def test_retries_of_aio(parallel: Parallel, folder: str) -> None:
    """Section 5: .aio attempts again, too."""
    awaitable = parallel(flaky, retries=Retry(2, **QUICK)).aio(range(8), folder=folder, failures=2)
    assert asyncio.run(awaitable) == list(range(8))


def test_retries_of_generators(parallel: Parallel, folder: str) -> None:
    """Section 5: retries with an input without a length, and with a small buffer."""
    function = parallel(flaky, retries=Retry(2, **QUICK), buffersize=2)
    assert function(iter(range(8)), folder=folder, failures=2) == list(range(8))


@pytest.mark.slow
@best_of_three
def test_timeouts_to_the_end(parallel: Parallel, new_folder: Callable[[], str]) -> None:
    """Section 5: when every attempt takes too long, the timeout is raised."""
    folder = new_folder()
    with pytest.raises(CallTimeoutError):
        parallel(functions.held, timeout=0.5, retries=Retry(1, **QUICK))([1], folder=folder)
    assert functions.count(folder) == 2  # none was ended before it came to leave its file


@pytest.mark.usefixtures("only_apart")
def test_deaths_to_the_end(parallel: Parallel, folder: str) -> None:
    """Section 5: when every attempt dies, the death is raised."""

    def function(value: int, *, folder: str) -> None:
        functions.record(folder)
        os._exit(5)

    with pytest.raises(WorkerDiedError):
        parallel(function, chunksize=1, retries=Retry(1, **QUICK))([1], folder=folder)
    assert functions.count(folder) == 2


def test_other_results_survive(parallel: Parallel, folder: str) -> None:
    """Section 5: while some calls are attempted again, none of the others is run twice."""
    function = parallel(flaky, retries=Retry(3, **QUICK), chunksize=3)
    assert function(range(30), folder=folder, failures=3, at=tuple(range(0, 30, 4))) == list(range(30))
    assert attempts(folder, 30) == [4 if value % 4 == 0 else 1 for value in range(30)]


class RefusedError(ConnectionError):
    """What a client raises where a service asks to come back later."""

    def __init__(self, seconds: float) -> None:
        super().__init__(f"come back in {seconds} s")
        self.retry_after = seconds


class Service:
    """A service on loopback that answers one byte: ``y`` or, over its limit in a second or once it is down, ``n``.

    Attributes:
        calls: when each came, in monotonic seconds.
    """

    def __init__(self, per_second: int | None = None, down_after: int = 0) -> None:
        self.calls: list[float] = []
        self._per_second = per_second
        self._down_after = down_after
        self._socket = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._socket.getsockname()[1]
        threading.Thread(target=self._serve, daemon=True).start()

    def _serve(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                connection, _ = self._socket.accept()
                now = time.monotonic()
                self.calls.append(now)
                with connection:
                    connection.sendall(b"y" if self._allows(now) else b"n")

    def _allows(self, now: float) -> bool:
        if self._per_second is None:
            return len(self.calls) <= self._down_after
        return sum(when > now - 1 for when in self.calls[-10 * self._per_second :]) <= self._per_second

    def worst_second(self) -> int:
        """Returns the most calls within any second."""
        return max(sum(first <= when < first + 1 for when in self.calls) for first in self.calls)

    def close(self) -> None:
        """Ends the service."""
        self._socket.shutdown(socket.SHUT_RDWR)
        self._socket.close()


def ask(number: int, *, port: int, wait: float = 0.0) -> int:
    """Asks a service."""
    with socket.create_connection(("127.0.0.1", port)) as connection:
        if connection.recv(1) == b"y":
            return number
    raise RefusedError(wait) if wait else ConnectionError("down")


async def ask_coroutine(number: int, *, port: int, wait: float = 0.0) -> int:
    """Asks a service, on an event loop."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    try:
        if await reader.read(1) == b"y":
            return number
    finally:
        writer.close()
    raise RefusedError(wait) if wait else ConnectionError("down")


def each_way(distributed: Any, numbers: Any, **constants: Any) -> dict[str, Callable[[], Any]]:
    """Returns the ways to make calls."""

    async def astream() -> list[Any]:
        return [result async for result in distributed.astream(numbers, **constants)]

    return {
        "call": lambda: distributed(numbers, **constants),
        "stream": lambda: list(distributed.stream(numbers, **constants)),
        "as_completed": lambda: list(distributed.as_completed(numbers, **constants)),
        "aio": lambda: asyncio.run(distributed.aio(numbers, **constants)),
        "astream": lambda: asyncio.run(astream()),
    }


@pytest.mark.parametrize("way", ["call", "stream", "as_completed", "aio", "astream"])
@pytest.mark.parametrize("healthy", [0, 200])
@pytest.mark.parametrize(("workers", "retries"), [(8, 3), (2, 6)])
@pytest.mark.parametrize(("job", "function"), [("io", ask), ("web", ask_coroutine), ("web", ask)])
def test_a_service_that_is_down(job: str, function: Any, workers: int, retries: int, healthy: int, way: str) -> None:
    """Promise 14: it gets at most workers x (retries + 1) + workers calls, from the start or in the middle of a run."""
    pytest.importorskip(f"jd_{job}")
    with contextlib.closing(Service(down_after=healthy)) as service:
        distributed = distribute(function, job=job, workers=workers, retries=Retry(retries, **QUICK))
        with pytest.raises(ConnectionError, match="down"):
            each_way(distributed, range(100_000), port=service.port)[way]()
        assert len(service.calls) - healthy <= workers * (retries + 1) + workers


@pytest.mark.parametrize("way", ["call", "stream", "as_completed", "aio", "astream"])
@pytest.mark.parametrize("chunksize", ["auto", 500])
def test_a_service_that_goes_down(parallel: Parallel, chunksize: Any, way: str) -> None:
    """Promise 14, on every job: it gets about as many calls as workers and attempts allow, however large chunks are."""
    with contextlib.closing(Service(down_after=600)) as service:
        function = parallel(ask, retries=Retry(3, **QUICK), chunksize=chunksize)
        with pytest.raises(ConnectionError, match="down"):
            each_way(function, range(100_000), port=service.port)[way]()
        assert len(service.calls) - 600 <= 2 * (3 + 1) + 2 * 4


def fails_first(value: int, *, folder: str) -> int:
    """Fails the first time for one value in fifty."""
    if value % 50 == 7:
        functions.record(folder, f"call{value}")
        if functions.count(folder, f"call{value}") == 1:
            raise ConnectionError
    functions.record(folder, f"made{value}")
    return value


@pytest.mark.parametrize("chunksize", ["auto", 60])
def test_the_rest_of_a_chunk_with_a_failure(parallel: Parallel, folder: str, chunksize: Any) -> None:
    """Section 5: what follows a failed call in its chunk runs, and runs once, at its place."""
    numbers = range(300)
    assert parallel(fails_first, chunksize=chunksize, retries=Retry(1, **QUICK))(numbers, folder=folder) == [*numbers]
    assert len(list(Path(folder).glob("made*"))) == 300


@pytest.mark.parametrize("job", ["serial", "auto"])
@pytest.mark.parametrize("way", ["call", "stream", "as_completed", "aio", "astream"])
def test_the_rest_of_a_chunk_that_runs_here(job: str, way: str, folder: str) -> None:
    """Section 5: as above, where the chunks run here, or the first of them do."""
    function = distribute(fails_first, job=job, retries=Retry(1, **QUICK))
    found = each_way(function, range(300), folder=folder)[way]()
    assert sorted(found) == ([*enumerate(range(300))] if way == "as_completed" else [*range(300)])
    assert len(list(Path(folder).glob("made*"))) == 300


@pytest.mark.usefixtures("only_apart")
def test_failures_now_and_then(parallel: Parallel, folder: str) -> None:
    """Section 5: while others succeed, calls that wait for another attempt do not stop them, though there are many."""
    function = parallel(fails_first, retries=Retry(1, initial=120, maximum=120))
    with function.as_completed(range(1000), folder=folder) as results:
        found = {index for index, _ in itertools.islice(results, 980)}
    assert found == {number for number in range(1000) if number % 50 != 7}


@pytest.mark.usefixtures("only_apart")
def test_long_calls_that_fail_now_and_then(parallel: Parallel, folder: str) -> None:
    """Section 5: nor do they stop those of a stream that are long, which are read ahead in small numbers."""

    def function(value: int, *, folder: str) -> int:
        time.sleep(0.02)
        return fails_first(value, folder=folder)

    numbers = range(7, 1007, 10)
    expected = [number for number in numbers if number % 50 != 7]
    with parallel(function, retries=Retry(1, initial=120, maximum=120)).as_completed(numbers, folder=folder) as results:
        assert sorted(value for _, value in itertools.islice(results, 80)) == expected


@pytest.mark.slow
@pytest.mark.parametrize(("job", "function"), [("io", ask), ("web", ask_coroutine)])
def test_a_service_with_a_limit(job: str, function: Any, caplog: pytest.LogCaptureFixture) -> None:
    """Promise 14: one of 50 a second that sends Retry-After gets at most 100 in its worst second, and all calls succeed."""
    pytest.importorskip(f"jd_{job}")
    with contextlib.closing(Service(per_second=50)) as service:
        distributed = distribute(function, job=job, workers=16, retries=20)
        assert distributed(range(150), port=service.port, wait=1.0) == list(range(150))
        assert service.worst_second() <= 100
        assert len(service.calls) <= 250
    lines = [record.getMessage() for record in caplog.records if "Retry-After" in record.getMessage()]
    assert len(lines) == 1
    assert f"{function.__name__}()" in lines[0]


@pytest.mark.slow
def test_a_wish_holds_all_calls(parallel: Parallel, folder: str) -> None:
    """Section 5: while a service asks to be left alone, no other call of the run starts either; the wish is capped."""

    def function(value: int, *, folder: str) -> int:
        Path(folder, f"time-{value}-{time.monotonic_ns()}").touch()
        if value == 0 and len(list(Path(folder).glob("time-0-*"))) == 1:
            raise RefusedError(3600)
        return value

    rule = Retry(1, maximum_retry_after=0.4, **QUICK)
    assert parallel(function, workers=1, retries=rule, chunksize=1)(range(6), folder=folder) == list(range(6))
    times = sorted(int(path.name.rpartition("-")[2]) / 1e9 for path in Path(folder).glob("time-*"))
    assert len(times) == 7
    # One call may have been on its way.
    assert sum(when < times[0] + 0.35 for when in times) <= 2
