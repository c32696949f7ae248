"""Takes ours and a peer in turns, and says by how much they differ."""

from __future__ import annotations

import contextlib
import functools
import gc
import statistics
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Any

import numpy

from benchmarks.peers import Contender, Function, Reported
from benchmarks.places import nothing


@dataclass(frozen=True, slots=True)
class Figure:
    """What was measured: one line of the table.

    Attributes:
        row: name of the row.
        peer: what ours was compared with.
        limit: what ``measured`` may be at most; None: it is only shown.
        measured: the median of ours divided by theirs, pair by pair; of a row about memory, megabytes. None if skipped.
        ours: median, in seconds; None if there is none.
        theirs: the same.
        reason: why it was skipped.
    """

    row: str
    peer: str
    limit: float | None
    measured: float | None = None
    ours: float | None = None
    theirs: float | None = None
    reason: str = ""


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

    def figures(self, *, quick: bool = False, pairs: int | None = None) -> Iterator[Figure]:
        """Measures ours against each peer, which is warm by then; their first results must be equal.

        Raises:
            AssertionError: they are not.
        """
        size = self.quick if quick else self.size
        with contextlib.ExitStack() as stack:
            try:
                place = stack.enter_context(self.place())
                ours = stack.enter_context(self.ours(self.function))
            except ImportError as error:
                yield from (Figure(self.name, peer.name, peer.limit, reason=str(error)) for peer in self.peers)
                return
            for peer in self.peers:
                with contextlib.ExitStack() as ready:
                    try:
                        theirs = ready.enter_context(peer.contender(self.function))
                    except ImportError as error:
                        yield Figure(self.name, peer.name, peer.limit, reason=str(error))
                        continue
                    count = pairs or (1 if quick else peer.pairs or self.pairs)
                    yield self._compare(peer, ours, theirs, lambda size: self.inputs(size, place), size, count)

    def _compare(
        self, peer: Peer, ours: Function, theirs: Function, inputs: Callable[[int], Any], size: int, pairs: int
    ) -> Figure:
        for run in (ours, theirs):
            timed(run, *inputs(self.quick))
        if not equal(timed(ours, *inputs(size))[1], timed(theirs, *inputs(size))[1]):
            raise AssertionError(f"{self.name}: ours and {peer.name} gave different results")
        # No results live while the other runs: memory that is used again is several times as fast as fresh one.
        seconds = [
            (timed(ours, *inputs(size), before=self.before)[0], timed(theirs, *inputs(size), before=self.before)[0])
            for _ in range(pairs)
        ]
        ratio = statistics.median(one / other for one, other in seconds)
        return Figure(self.name, peer.name, peer.limit, ratio, *map(statistics.median, zip(*seconds, strict=True)))


@dataclass(frozen=True, slots=True)
class Memory:
    """A row about memory: ``measure(size)`` returns megabytes, which may be ``limit`` at most."""

    name: str
    work: str
    measure: Callable[[int], float]
    size: int
    quick: int
    limit: float

    def figures(self, *, quick: bool = False, pairs: int | None = None) -> Iterator[Figure]:
        """Measures once; ``pairs`` is for the likeness with `Row`."""
        yield Figure(self.name, "MB", self.limit, self.measure(self.quick if quick else self.size))


def timed(run: Function, items: Any, constants: dict[str, Any], *, before: int = 0) -> tuple[float, Any]:
    """Returns how many seconds ``run`` took, and its results; garbage of what ran before is not its business.

    Runs ``before`` times without looking at the clock first.
    """
    gc.collect()
    for _ in range(before):
        run(items, **constants)
    began = time.perf_counter()
    results = run(items, **constants)
    return results if isinstance(results, Reported) else (time.perf_counter() - began, results)


def equal(one: Any, other: Any) -> bool:
    """Whether results are equal: lists of values or of arrays, texts, arrays."""
    if isinstance(one, list) and one and isinstance(one[0], numpy.ndarray):
        return len(one) == len(other) and all(map(numpy.array_equal, one, other))
    return bool(numpy.array_equal(one, other)) if isinstance(one, numpy.ndarray) else bool(one == other)
