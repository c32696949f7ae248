"""The table of what is measured: each row says what work it is, with whom ours is compared, and what may be reached at most.

A limit is ours divided by theirs; a speed-up of 1.9 over the plain loop is a limit of 1 / 1.9. No limit: just shown.
"""

from __future__ import annotations

import functools
import random
from collections.abc import Callable
from typing import Any

import numpy

from benchmarks import loops, peers, places, work
from benchmarks.measure import Memory, Row, against

Inputs = tuple[Any, dict[str, Any]]


def numbers(size: int, _: object) -> Inputs:
    return range(size), {}


def lengths(length: Callable[[int, int], float]) -> Callable[[int, object], Inputs]:
    """Calls by how many seconds they last, a function of index and number."""
    return lambda size, _: ([length(index, size) for index in range(size)], {})


def arrays(size: int, _: object) -> Inputs:
    """Arrays of 8 MB."""
    return [numpy.full(1_000_000, float(index)) for index in range(size)], {}


def one_array(size: int, _: object) -> Inputs:
    return numpy.arange(size, dtype=float), {}


def table(megabytes: int) -> Callable[[int, object], Inputs]:
    """Indices, and a constant of so many megabytes."""
    return lambda size, _: (range(size), {"table": numpy.arange(megabytes * 125_000, dtype=float)})


def urls(size: int, address: str) -> Inputs:
    return [f"{address}/{number}" for number in range(size)], {}


def shuffled(size: int, _: object) -> Inputs:
    items = [LONG_LAST(index, size) for index in range(size)]
    random.Random(0).shuffle(items)
    return items, {}


def LONG_LAST(index: int, size: int) -> float:  # noqa: N802
    return 0.2 if index >= 0.9 * size else 0.005


def ours(**options: Any) -> Any:
    return functools.partial(peers.ours, **options)


COMPUTE = (
    Row(
        "tiny-calls",
        "200,000 calls of `x * x`, a `range`",
        work.square,
        numbers,
        ours(job="compute"),
        (
            against("plain loop", peers.loop, 1.3),
            against("multiprocessing.Pool.map", peers.multiprocessing_pool, 0.6),
            against("concurrent.futures", peers.process_executor, 1.0),
            against("pathos", peers.pathos, 0.03, pairs=7),
            against("joblib", peers.joblib, 0.03, pairs=7),
            against("joblib, batch_size given", peers.joblib, batch_size=200_000 // peers.CHUNKS, pairs=7),
            against("mpire", peers.mpire, 0.02, pairs=7),
        ),
        size=200_000,
        quick=2_000,
    ),
)
