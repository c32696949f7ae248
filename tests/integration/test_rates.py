"""``max_per_second`` is a promise to a service: it holds whoever calls, from wherever, and whatever happened before."""

from __future__ import annotations

import asyncio
import itertools
import threading
import time
from collections.abc import Callable
from typing import Any

import pytest
from jd_core import Rate, distribute
from jd_core.inprocess.congestion import START_PER_SECOND
from jd_core.inprocess.rate_limit import LATENESS_SECONDS
from jd_core.testing.harness import best_of_three

pytestmark = pytest.mark.slow

PER_SECOND = 100


class Service:
    """Records when it was called."""

    def __init__(self) -> None:
        self.starts: list[float] = []

    def plain(self, number: int) -> int:
        """A plain call."""
        self.starts.append(time.monotonic())
        return number

    async def coroutine(self, number: int) -> int:
        """A call that is awaited."""
        return self.plain(number)

    def check(self, calls: int) -> None:
        """Fails if any stretch of time had more calls than the rate allows."""
        starts = sorted(self.starts)
        assert len(starts) == calls
        for first, last in itertools.combinations(range(calls), 2):
            # A start is recorded somewhat later than it was granted, and not always equally late.
            allowed = 1 + PER_SECOND * (starts[last] - starts[first] + 3 * LATENESS_SECONDS)
            assert last - first + 1 <= allowed


@pytest.fixture(params=["io", "web", "web-plain"])
def calls(request: pytest.FixtureRequest) -> tuple[Service, Callable[..., Any]]:
    """A service, and what makes a function that calls it distributed."""
    job, _, plain = request.param.partition("-")
    service = Service()
    function = service.coroutine if job == "web" and not plain else service.plain

    def make(rate: float | Rate) -> Any:
        return distribute(function, job=job, workers=8, max_per_second=rate)

    return service, make


@best_of_three
def test_it_holds_over_runs(calls: tuple[Service, Callable[..., Any]]) -> None:
    """A run right after another one starts no second burst."""
    service, make = calls
    function = make(PER_SECOND)
    for _ in range(10):
        function(range(3))
    service.check(30)


@best_of_three
def test_it_holds_over_threads_and_copies(calls: tuple[Service, Callable[..., Any]]) -> None:
    """Threads that call the function, and copies of it with other options, share the rate."""
    service, make = calls
    function = make(PER_SECOND)
    copies = [function, function.options(workers=3), function.options(timeout=30), function.options(retries=1)]
    threads = [threading.Thread(target=copy, args=(range(8),)) for copy in copies]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    service.check(32)


@best_of_three
def test_functions_share_a_rate(calls: tuple[Service, Callable[..., Any]]) -> None:
    """A `Rate` is the limit of all functions that it was given to."""
    service, make = calls
    rate = Rate(PER_SECOND)
    one, other = make(rate), make(rate)
    thread = threading.Thread(target=one, args=(range(15),))
    thread.start()
    other(range(15))
    thread.join()
    service.check(30)


@best_of_three
def test_other_rates_are_not_touched(calls: tuple[Service, Callable[..., Any]]) -> None:
    """A copy with a rate of its own does not wait for the function's."""
    service, make = calls
    function = make(0.01)
    function(range(1))
    function.options(max_per_second=1000)(range(20))
    assert service.starts[-1] - service.starts[0] < 10.0


def test_it_holds_for_methods() -> None:
    """A method's rate is the same for every object of the class, and every way to get at it."""

    class Client(Service):
        @distribute(job="io", max_per_second=0.01)
        def get(self, number: int) -> int:
            return self.plain(number)

    assert Client().get._options.backend["max_per_second"] is Client.get._options.backend["max_per_second"]


def test_a_cancelled_run_takes_no_turn(calls: tuple[Service, Callable[..., Any]]) -> None:
    """Workers that wait for their turn when a run is given up leave it to the next run."""
    service, make = calls
    function = make(2)
    stream = function.stream(range(100))
    next(stream)
    stream.close()
    began = time.monotonic()
    function(range(1))
    assert time.monotonic() - began < 4.0  # and not eight turns of half a second
    assert len(service.starts) == 2


class TooManyError(Exception):
    """A service's refusal."""

    status = 429


def test_auto_hears_what_becomes_of_calls(calls: tuple[Service, Callable[..., Any]]) -> None:
    """``max_per_second="auto"`` grows with successes, and falls with refusals, whichever copy makes the call."""
    service, make = calls
    rate = Rate("auto", maximum=10_000)
    function = make(rate)
    function(range(30))
    assert (grown := rate.per_second) > 10
    start = service.plain

    def refuse(number: int) -> int:
        start(number)
        raise TooManyError(number)

    service.plain = refuse  # type: ignore[method-assign]
    if function.__name__ == "plain":
        function = distribute(refuse, job=function._options.job, max_per_second=rate)
    function.options(return_exceptions=True)(range(3))
    assert rate.per_second < grown


def made(function: Any, way: str, calls: int) -> None:
    """Makes so many calls."""
    if way == "aio":
        asyncio.run(function.aio(range(calls)))
    else:
        function(range(calls))


@pytest.mark.parametrize("way", ["plain", "aio"])
def test_auto_hears_calls_that_run_here(way: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A program whose calls are made to run one after the other finds the rate as well."""
    monkeypatch.setenv("JUST_DISTRIBUTE_SERIAL", "1")
    rate = Rate("auto", maximum=10_000)
    function = distribute(Service().plain, job="io", max_per_second=rate)
    made(function, way, 20)
    assert (grown := rate.per_second) > START_PER_SECOND

    def refuse(number: int) -> int:
        raise TooManyError(number)

    refused = distribute(refuse, job="io", max_per_second=rate, return_exceptions=True)
    made(refused, way, 3)
    assert rate.per_second < grown


@pytest.mark.parametrize("job", ["io", "web"])
def test_auto_by_name(job: str) -> None:
    """The option takes the word, and makes one rate of it for the function."""
    function = distribute(abs, job=job, max_per_second="auto")
    assert function([-1, -2]) == [1, 2]
    assert repr(function._options.backend["max_per_second"]) == "Rate('auto')"
    with pytest.raises(ValueError, match="max_per_second='fast' must be a number above 0, 'auto', or a Rate"):
        distribute(abs, job=job, max_per_second="fast")


@best_of_three
@pytest.mark.parametrize("way", ["call", "consumer", "task"])
def test_no_burst_follows_a_blocked_loop(way: str) -> None:
    """What could not start while the loop was blocked, by a call or by the caller, is not made up for at once."""
    service = Service()

    async def call(number: int) -> int:
        await service.coroutine(number)
        if number == 3 and way == "call":
            time.sleep(0.3)
        return number

    function = distribute(call, job="web", workers=30, max_per_second=PER_SECOND)

    async def block() -> None:
        await asyncio.sleep(0.05)
        time.sleep(0.3)

    async def main() -> None:
        blocking = asyncio.create_task(block()) if way == "task" else None
        async for number in function.astream(range(40)):
            if number == 3 and way == "consumer":
                time.sleep(0.3)
        if blocking is not None:
            await blocking

    asyncio.run(main())
    service.check(40)
