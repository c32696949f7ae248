"""Section 9: `trace` records every run in its block, on every job and whatever way it is called."""

from __future__ import annotations

import asyncio
import re
import threading
import time
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from jd_core import Rate, Retry, distribute, trace
from jd_core.testing import functions

CANARY = "-".join(("canary", "of", "tracing"))


def long(value: int, *, seconds: float = 0.01) -> int:
    """Takes its time."""
    time.sleep(seconds)
    return value


async def long_coroutine(value: int) -> int:
    """Takes its time, and lets others run."""
    await asyncio.sleep(0.01)
    return value


def fail_at_two(value: Any, *, token: str) -> Any:
    """Raises where the value is 2, with a secret in the message."""
    if value == 2:
        raise LookupError(f"{value} {token}")
    return value


def nested(value: int) -> int:
    """Makes calls itself."""
    return sum(distribute(long, job="io", workers=2)(range(value)))


async def take_all(results: AsyncIterator[int]) -> list[int]:
    """Reads to the end."""
    return [result async for result in results]


WAYS: dict[str, Callable[[Any, list[int]], Any]] = {
    "plain": lambda run, values: run(values),
    "stream": lambda run, values: list(run.stream(values)),
    "iterator": lambda run, values: list(run.stream(iter(values))),
    "as_completed": lambda run, values: list(run.as_completed(values)),
    "aio": lambda run, values: asyncio.run(run.aio(values)),
    "astream": lambda run, values: asyncio.run(take_all(run.astream(values))),
}


@pytest.mark.parametrize("way", WAYS)
def test_every_call_is_recorded(job: str, way: str):
    """Each with its worker, within the time of the run; the calls of a worker one after the other."""
    with trace() as run:
        WAYS[way](distribute(long, job=job, workers=2), list(range(8)))
    (found,) = run.report.runs
    assert (found.name, found.job, found.calls, found.record.done) == ("long", job, 8, 8)
    assert found.longest is not None
    assert sorted(slow.first for slow in found.slowest) == list(range(8))
    assert 0.009 <= found.mean <= found.longest.seconds <= found.seconds
    assert 1 <= len(found.lanes) <= 2
    assert sum(lane.calls for lane in found.lanes) == 8
    assert found.busy == pytest.approx(sum(lane.busy for lane in found.lanes))
    assert found.busy + sum(found.idle.values()) == pytest.approx(found.capacity, rel=0.05)
    assert str(run.report).startswith(f'long(), job="{job}": 8 calls in ')


def test_coroutines_are_recorded_from_their_own_start(job: str):
    """Under every job; under web they run at the same time, each on a worker of its own."""
    with trace() as run:
        distribute(long_coroutine, job=job, workers=2)(range(6))
    (found,) = run.report.runs
    assert found.calls == 6
    assert 0.009 <= found.median <= found.seconds


def test_tiny_calls_are_recorded_in_groups(job: str):
    """Their number is right, and measuring them takes memory for far fewer spans."""
    with trace() as run:
        distribute(functions.same, job=job, workers=2)(range(20_000))
    (found,) = run.report.runs
    assert found.calls == 20_000
    if job != "web":  # a plain function's calls, in threads
        assert len(found.record.spans) < 6 * 10_000
    assert sum(number for _, _, number in found.histogram) == 20_000


def test_failures_and_attempts_are_counted(job: str, tmp_path: Path):
    """A failed call, one that was attempted again, and how the run ended."""
    with trace() as run:
        with pytest.raises(LookupError):
            distribute(fail_at_two, job=job, workers=2)(range(4), token=CANARY)
        distribute(fail_at_two, job=job, workers=2, return_exceptions=True)(range(4), token=CANARY)
        quick = Retry(2, initial=0.001, maximum=0.002)
        again = distribute(functions.fail_until, job=job, workers=2, retries=quick)
        again(range(4), folder=str(tmp_path), at=1, failures=2)
    raised, kept, retried = (found.record for found in run.report.runs)
    assert (raised.failures, raised.error) == (1, "LookupError")
    assert (kept.failures, kept.error, kept.done) == (1, None, 4)
    assert (retried.failures, retried.attempts, retried.done) == (0, 2, 4)
    assert sum(retried.spans[2::6]) == 6  # attempts


def test_no_value_is_in_it(job: str, tmp_path: Path):
    """Promise 12: no argument, result or constant; not in the text, in the page, in the trace, nor in memory."""
    with trace() as run, pytest.raises(LookupError):
        distribute(fail_at_two, job=job, workers=2)([CANARY, 2, CANARY], token=CANARY)
    for name in ("run.html", "run.json"):
        run.save(tmp_path / name)
        assert CANARY not in (tmp_path / name).read_text(encoding="utf-8")
    assert CANARY not in str(run.report) + repr(run) + repr(vars(run.runs[0]))


@pytest.mark.process
def test_deaths_are_recorded(tmp_path: Path):
    """A worker that died during its call, and the bytes that went to the others."""
    with trace() as run:
        dying = distribute(functions.die_once, job="compute", workers=2, chunksize=1, retries=Retry(1, initial=0.001))
        dying(range(4), folder=str(tmp_path), at=1)
    (record,) = run.runs
    assert len(record.deaths) == 1
    assert record.sent > 0 < record.received
    assert "1 worker died" in str(run.report)


def test_the_waits_of_a_slow_input():
    """Of the caller's thread, and of the thread that reads for a stream."""

    def slow() -> Iterator[int]:
        for value in range(10):
            time.sleep(0.02)
            yield value

    for way in ("plain", "stream"):
        with trace() as run:
            WAYS[way](distribute(long, job="io", workers=4), slow())  # type: ignore[arg-type]
        (found,) = run.report.runs
        assert found.record.input.seconds > 0.1
        assert run.report.losses[0].kind == "input"


def test_the_rate_over_time():
    """A rate that finds itself is in the report, with its steps; waiting for it is no part of a call."""
    with trace() as run:
        distribute(functions.same, job="io", workers=4, max_per_second=Rate("auto"))(range(20))
    (found,) = run.report.runs
    rates = [rate for _, rate in found.record.rates]
    assert len(rates) > 2
    assert rates == sorted(rates)  # nothing was refused
    assert re.search(r"rate +10/s after .* · .*/s after", str(run.report))
    assert found.mean < 0.05
    assert run.report.losses[0].kind == "rate"


@pytest.mark.parametrize("job_of_rate", ["io", "web"])
def test_waiting_for_the_rate_is_no_part_of_a_call(job_of_rate: str):
    """Coroutines too: each is recorded from when it had its turn."""
    with trace() as run:
        distribute(long_coroutine, job=job_of_rate, workers=10, max_per_second=50)(range(10))
    (found,) = run.report.runs
    assert found.calls == 10
    assert found.median < 0.06  # the last one waited 0.18 s


def test_runs_inside_workers_and_at_once():
    """Nested runs in threads are runs; so are those of several threads, and of tasks."""
    with trace() as run:
        distribute(nested, job="io", workers=2)([2, 3])
    assert sorted(found.name for found in run.report.runs) == ["long", "long", "nested"]

    with trace() as run:
        threads = [threading.Thread(target=distribute(long, job="io", workers=2), args=(range(4),)) for _ in range(3)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert [found.calls for found in run.report.runs] == [4, 4, 4]


def test_traces_of_tasks_are_apart():
    """Each has the runs of its own block; one around both has all."""
    quick = distribute(long_coroutine, job="web", workers=2)

    async def traced(number: int) -> int:
        with trace() as run:
            await quick.aio(range(number))
        return sum(found.calls for found in run.report.runs)

    async def both() -> list[int]:
        return await asyncio.gather(traced(2), traced(5))

    with trace() as around:
        assert asyncio.run(both()) == [2, 5]
    assert sorted(found.calls for found in around.report.runs) == [2, 5]


def test_a_run_that_outlives_the_block():
    """It is recorded to its end; nothing that begins later is."""
    run_long = distribute(long, job="io", workers=2)
    with trace() as run:
        results = run_long.stream(range(6))
        next(results)
        assert "still running" in str(run.report)
    run_long(range(3))
    list(results)
    assert [found.calls for found in run.report.runs] == [6]


def test_nothing_was_traced(tmp_path: Path):
    """The report says so, and both files can be written."""
    with trace() as run:
        pass
    assert "no run was traced" in str(run.report)
    assert run.report.losses == []
    run.save(tmp_path / "run.html")
    run.save(tmp_path / "run.json")
    with pytest.raises(ValueError, match=r"must end with \.html \(page\) or \.json"):
        run.save(tmp_path / "run.txt")


def test_empty_input():
    """A run without calls is one."""
    with trace() as run:
        assert distribute(long, job="io")([]) == []
    assert [found.calls for found in run.report.runs] == [0]
    assert "0 calls" in str(run.report)


@pytest.mark.parametrize("job", ["compute", "io", "serial"])
def test_a_run_whose_results_were_all_there_lost_nothing(job: str, tmp_path: Path):
    """Where no call ran there is no advice to make other calls, in the report or on the page."""
    function = distribute(long, job=job, resume=tmp_path / "run.db")
    function([0.0])
    with trace() as run:
        function([0.0])
    assert run.report.losses == []
    assert "Nothing to gain by other options: no call ran." in str(run.report)
    run.save(tmp_path / "RUN.HTML")
    assert '"losses":[]' in (tmp_path / "RUN.HTML").read_text(encoding="utf-8").replace(" ", "")
