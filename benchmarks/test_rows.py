"""Measures the rows: each is a group of pytest-benchmark's, with ours beside each peer, in turns.

What pytest-benchmark times is ours. The peer's turns, the ratio and on what it was measured are in ``extra_info``.
"""

from __future__ import annotations

import contextlib
import statistics
from collections.abc import Iterator
from typing import Any

import pytest

from benchmarks import report
from benchmarks.measure import CLOCK, Memory, Row, Turns
from benchmarks.rows import ROWS

# What peers warn of is their business.
pytestmark = [pytest.mark.timeout(1800), pytest.mark.filterwarnings("default")]

TIMES = {row.name: row for row in ROWS if isinstance(row, Row)}
MEMORY = {row.name: row for row in ROWS if isinstance(row, Memory)}


class Places:
    """What must run beside a row: kept as long as the rows that follow want the same."""

    def __init__(self) -> None:
        self._made: Any = None
        self._place: Any = None
        self._stack = contextlib.ExitStack()

    def of(self, row: Row) -> Any:
        """Returns what the row's place yields."""
        if self._made is not row.place:
            self.close()
            self._place = self._stack.enter_context(row.place())
            self._made = row.place
        return self._place

    def close(self) -> None:
        """Ends what is running."""
        self._made = None
        self._stack.close()


@pytest.fixture(scope="module")
def places() -> Iterator[Places]:
    """The places of all rows."""
    with contextlib.closing(Places()) as places:
        yield places


@pytest.mark.benchmark(timer=CLOCK.read)
@pytest.mark.parametrize(("row", "peer"), [(name, peer.name) for name, row in TIMES.items() for peer in row.peers])
def test_time(benchmark: Any, row: str, peer: str, places: Places, request: pytest.FixtureRequest) -> None:
    """Ours and the peer have the same results."""
    work, option = TIMES[row], request.config.getoption
    other = next(each for each in work.peers if each.name == peer)
    size = work.quick if option("--quick") else work.size
    benchmark.group = row  # it counts when the benchmark runs
    with contextlib.ExitStack() as stack:
        try:
            place = places.of(work)
            ours = stack.enter_context(work.ours(work.function))
            theirs = stack.enter_context(other.contender(work.function))
        except ImportError as error:
            pytest.skip(str(error))
        turns = Turns(work, ours, theirs, place, size)
        turns.check()
        rounds = option("--pairs") or (1 if option("--quick") else other.pairs or work.pairs)
        benchmark.pedantic(turns.run, setup=turns.prepare, teardown=turns.follow, rounds=rounds)
    mine = benchmark.stats.stats.data
    ratios = [one / two for one, two in zip(mine, turns.seconds, strict=True)]
    low, ratio, high = statistics.quantiles(ratios, method="inclusive") if len(ratios) > 1 else ratios * 3
    benchmark.extra_info.update(
        limit=other.limit,
        measured=ratio,
        quartiles=(low, high),
        ours=statistics.median(mine),
        theirs=statistics.median(turns.seconds),
        size=size,
        where=report.where(),
    )


@pytest.mark.parametrize(("row", "peer"), [(name, "MB") for name in MEMORY])
def test_memory(benchmark: Any, row: str, peer: str, request: pytest.FixtureRequest) -> None:
    """Memory stays within its limit."""
    work = MEMORY[row]
    size = work.quick if request.config.getoption("--quick") else work.size
    benchmark.group = row
    megabytes = benchmark.pedantic(work.measure, args=(size,))
    benchmark.extra_info.update(limit=work.limit, measured=megabytes, size=size, where=report.where())
    assert megabytes <= work.limit, f"{megabytes:.1f} {peer}"
