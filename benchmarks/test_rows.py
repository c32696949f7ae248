"""The rows of `rows` with pytest-benchmark: ours and each peer by itself, in one group for each row.

These are absolute times; limits are for the ratios that ``python -m benchmarks`` takes in turns.
"""

from __future__ import annotations

import contextlib
from typing import Any

import pytest

from benchmarks import report
from benchmarks.measure import Memory, Row, timed
from benchmarks.rows import ROWS

# What peers warn of is their business.
pytestmark = [pytest.mark.timeout(1800), pytest.mark.filterwarnings("default")]

TIMES = [
    pytest.param(row, contender, row.pairs if pairs is None else pairs, id=f"{row.name}-{name}")
    for row in ROWS
    if isinstance(row, Row)
    for name, contender, pairs in [
        ("ours", row.ours, None),
        *((peer.name, peer.contender, peer.pairs) for peer in row.peers),
    ]
]


@pytest.mark.parametrize(("row", "contender", "rounds"), TIMES)
def test_time(benchmark: Any, row: Row, contender: Any, rounds: int, request: pytest.FixtureRequest) -> None:
    """Contender and row run; how long that takes is in the report."""
    quick = request.config.getoption("--quick")
    benchmark.group = row.name
    benchmark.extra_info.update(size=row.quick if quick else row.size, measured=report.where())
    with contextlib.ExitStack() as stack:
        try:
            place = stack.enter_context(row.place())
            run = stack.enter_context(contender(row.function))
        except ImportError as error:
            pytest.skip(str(error))
        timed(run, *row.inputs(row.quick, place))

        def fresh() -> tuple[tuple[Any], dict[str, Any]]:
            items, constants = row.inputs(row.quick if quick else row.size, place)
            return (items,), constants

        results = benchmark.pedantic(run, setup=fresh, rounds=1 if quick else rounds)
        assert len(results) > 0


@pytest.mark.parametrize("row", [row for row in ROWS if isinstance(row, Memory)], ids=lambda row: row.name)
def test_memory(row: Memory, request: pytest.FixtureRequest) -> None:
    """Memory stays within its limit."""
    figure = next(row.figures(quick=request.config.getoption("--quick")))
    assert figure.measured is not None
    assert figure.measured <= row.limit
