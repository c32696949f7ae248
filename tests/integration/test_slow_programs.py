"""Programs that are slow, with the answers: the report alone says why each is, and what to do."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from jd_core import Retry, distribute, trace
from jd_core.testing.harness import best_of_three


def nothing(value: Any) -> None:
    """Does nothing."""
    return None


def wait(value: Any, *, seconds: float = 0.02) -> None:
    """Stands for a request."""
    time.sleep(seconds)


def last_is_long(value: int) -> None:
    """Is long where the value is 39."""
    time.sleep(0.5 if value == 39 else 0.01)


def compute(value: int) -> int:
    """Computes, in Python."""
    return sum(number * number for number in range(50_000))


async def blocks(value: int) -> None:
    """Waits, and lets nobody else run meanwhile."""
    time.sleep(0.02)


def pages() -> Iterator[int]:
    """Reads page after page."""
    for page in range(8):
        time.sleep(0.06)  # as a query would take
        yield from range(2 * page, 2 * page + 2)


def refused_at_first(value: int, *, seen: set[int]) -> int:
    """Fails at the first attempt."""
    if value not in seen:
        seen.add(value)
        raise ConnectionError("busy")
    return value


def tiny_calls() -> None:
    """A hundred thousand calls of a microsecond in processes: the messages take longer."""
    distribute(nothing, job="compute", workers=2)(range(100_000))


def long_call_last() -> None:
    """Forty calls, of which the last is as long as all others: three workers wait for the fourth."""
    distribute(last_is_long, job="io", workers=4)(range(40))


def slow_input() -> None:
    """A generator that makes a query for each page: the calls are done before the next page is there."""
    distribute(wait, job="io", workers=8)(pages(), seconds=0.01)


def slow_consumer() -> None:
    """A loop over the results that does more than the calls."""
    for _ in distribute(wait, job="io", workers=2).stream(range(20), seconds=0.001):
        time.sleep(0.02)


def threads_that_compute() -> None:
    """Python code in threads, which run one at a time."""
    distribute(compute, job="io", workers=4)(range(60))


def processes_that_wait() -> None:
    """Waiting calls in as many processes as there are CPUs."""
    distribute(wait, job="compute", workers=2)(range(60))


def coroutines_that_block() -> None:
    """Coroutines that call time.sleep: none lets another one run."""
    distribute(blocks, job="web")(range(20))


def large_arguments() -> None:
    """Megabytes for each call, which looks at hardly any of them."""
    distribute(len, job="compute", workers=2, chunksize=1)([bytes(4_000_000)] * 30)


def a_run_per_element() -> None:
    """A loop that makes a run of one call for each element, instead of one run of all."""
    run = distribute(wait, job="io", workers=8)
    for value in range(30):
        run([value], seconds=0.002)


def long_waits_for_attempts() -> None:
    """Calls that fail at first, and wait long for their next attempt."""
    rule = Retry(1, initial=0.3, maximum=0.3)
    distribute(refused_at_first, job="io", workers=4, retries=rule)(range(4), seen=set())


def one_after_the_other() -> None:
    """Calls under "serial", as a developer may have left it."""
    distribute(wait, job="serial")(range(20))


#: Each program with the kind of its largest loss, and with words of the remedy.
PROCESS = pytest.mark.process
PROGRAMS = [
    pytest.param(tiny_calls, "tiny calls", "a plain loop", marks=PROCESS),
    pytest.param(long_call_last, "long call", "order long calls first"),
    pytest.param(slow_input, "input", "comes too slowly"),
    pytest.param(slow_consumer, "consumer", "do that work in the calls"),
    pytest.param(threads_that_compute, "gil", 'job="compute"'),
    pytest.param(processes_that_wait, "waiting calls", 'job="io"', marks=PROCESS),
    pytest.param(coroutines_that_block, "blocked loop", "await what they wait for"),
    pytest.param(large_arguments, "bytes", "names of files", marks=PROCESS),
    pytest.param(a_run_per_element, "many runs", "pass all elements in one call"),
    pytest.param(long_waits_for_attempts, "retries", "why they fail"),
    pytest.param(one_after_the_other, "serial", 'job="io"'),
]


def warm_up() -> None:
    """Starts two processes, so that what a program does with them is what is seen."""
    distribute(nothing, job="compute", workers=2, chunksize=1)(range(2))


@pytest.mark.slow
@pytest.mark.parametrize(("program", "kind", "remedy"), PROGRAMS)
def test_the_report_says_why_it_is_slow(program: Callable[[], None], kind: str, remedy: str, request: pytest.FixtureRequest):
    """The largest loss is the program's, and its remedy the answer."""

    @best_of_three
    def look() -> None:
        if request.node.get_closest_marker("process"):
            warm_up()
        with trace() as run:
            program()
        text = str(run.report)
        assert run.report.losses, text
        assert run.report.losses[0].kind == kind, text
        assert remedy in text
        assert len(text.splitlines()) <= 12, text

    look()


def test_a_fast_program_has_no_loss():
    """Where the calls themselves take the time, that is what is said."""

    @best_of_three
    def look() -> None:
        with trace() as run:
            asyncio.run(distribute(wait, job="io", workers=32).aio(range(64), seconds=0.2))
        assert "Nothing to gain" in str(run.report), str(run.report)

    look()
