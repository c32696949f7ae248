"""Takes ours and a peer in turns, and says by how much they differ."""

from __future__ import annotations

import functools
import gc
import time
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Any

import numpy

from benchmarks.peers import Contender, Function, Reported
from benchmarks.places import nothing


@dataclass(frozen=True, slots=True)
class Peer:
    """Somebody to be compared with; `pairs` is for those that take too long to be measured as often as the row says."""

    name: str
    contender: Contender
    limit: float | None
    pairs: int | None


def against(
    name: str, contender: Callable[..., Any], limit: float | None = None, /, pairs: int | None = None, **settings: Any
) -> Peer:
    """Returns a peer; ``settings`` are the contender's."""
    return Peer(name, functools.partial(contender, **settings), limit, pairs)


@dataclass(frozen=True, slots=True)
class Row:
    """One kind of work, and with whom ours is compared at it.

    Attributes:
        inputs: returns fresh ``(items, constants)``, of a size, with what the place yields.
        size, quick: the size that is measured, and that of a warm-up and of ``--quick``.
        pairs: how often each is measured.
        before: how many calls each makes in its turn before the one that is timed; the other has left the caches to it cold.
        place: what must run beside it; see `places`.
    """

    name: str
    work: str
    function: Function
    inputs: Callable[[int, Any], tuple[Any, dict[str, Any]]]
    size: int
    quick: int
    ours: Contender
    peers: list[Peer]
    pairs: int = 15
    before: int = 0
    place: Callable[[], AbstractContextManager[Any]] = nothing


@dataclass(frozen=True, slots=True)
class Memory:
    """A row about memory: ``measure(size)`` returns megabytes, which may be ``limit`` at most."""

    name: str
    work: str
    measure: Callable[[int], float]
    size: int
    quick: int
    limit: float


class Clock:
    """`time.perf_counter`, but a run that says itself how long it took (`Reported`) takes that long on it."""

    def __init__(self) -> None:
        self._ahead = 0.0

    def read(self) -> float:
        """Returns seconds since some moment."""
        return time.perf_counter() + self._ahead

    def run(self, run: Function, items: Any, constants: dict[str, Any]) -> Any:
        """Runs a contender and returns its results."""
        began = self.read()
        results = run(items, **constants)
        if isinstance(results, Reported):
            self._ahead += began + results.seconds - self.read()
            return results.results
        return results


#: The clock of all that is measured here.
CLOCK = Clock()


def timed(run: Function, items: Any, constants: dict[str, Any], *, before: int = 0) -> tuple[float, Any]:
    """Returns how many seconds ``run`` took, and its results; garbage of what ran before is not its business.

    Runs ``before`` times without looking at the clock first.
    """
    _warm(run, items, constants, before)
    began = CLOCK.read()
    results = CLOCK.run(run, items, constants)
    return CLOCK.read() - began, results


class Turns:
    """Ours and a peer at the work of a row, in turns, ours first, each on fresh inputs.

    A turn is `prepare`, `run` and `follow`, which pytest-benchmark takes as set-up, target and teardown: it times ours, and
    the peer's turn is in the teardown.

    Args:
        row: the work.
        ours, theirs: ready to be called.
        place: what the row's place yields.
        size: how many elements.

    Attributes:
        seconds: how long the peer took, for each turn.
    """

    def __init__(self, row: Row, ours: Function, theirs: Function, place: Any, size: int) -> None:
        self._row = row
        self._ours, self._theirs = ours, theirs
        self._fresh = functools.partial(row.inputs, size, place)
        self._warm_up = functools.partial(row.inputs, row.quick, place)
        self._inputs: tuple[Any, dict[str, Any]] | None = None
        self._results: Any = None
        self.seconds: list[float] = []

    def check(self) -> None:
        """Warms both up.

        Raises:
            AssertionError: their results differ.
        """
        for run in (self._ours, self._theirs):
            timed(run, *self._warm_up())
        same = equal(timed(self._ours, *self._fresh())[1], timed(self._theirs, *self._fresh())[1])
        assert same, f"{self._row.name}: ours and the peer gave different results"

    def prepare(self) -> None:
        """Makes inputs, and the calls that come before the one that is timed."""
        self._inputs = self._fresh()
        _warm(self._ours, *self._inputs, self._row.before)

    def run(self) -> None:
        """Ours."""
        assert self._inputs is not None
        self._results = CLOCK.run(self._ours, *self._inputs)

    def follow(self) -> None:
        """The peer; ours leaves it all memory, which is several times as fast when used again as fresh one."""
        self._inputs = self._results = None
        self.seconds.append(timed(self._theirs, *self._fresh(), before=self._row.before)[0])


def _warm(run: Function, items: Any, constants: dict[str, Any], times: int) -> None:
    gc.collect()
    for _ in range(times):
        run(items, **constants)


def equal(one: Any, other: Any) -> bool:
    """Whether results are equal: lists of values or of arrays, texts, arrays."""
    if isinstance(one, list) and one and isinstance(one[0], numpy.ndarray):
        return len(one) == len(other) and all(map(numpy.array_equal, one, other))
    return bool(numpy.array_equal(one, other)) if isinstance(one, numpy.ndarray) else bool(one == other)
