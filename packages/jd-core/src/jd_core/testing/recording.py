"""Line 7 of the contract: a recorder is told when each call ran, and where."""

from __future__ import annotations

import math
import threading
import time
from collections.abc import Sequence

import pytest

from jd_core.backend import Backend, registry
from jd_core.testing import functions
from jd_core.testing.feed import chunks_of
from jd_core.testing.harness import Contract, Way, needs
from jd_core.worker import Span

#: Seconds by which the clocks of two machines may seem to differ: the way of a message there and back.
CLOCK_SECONDS = 0.5


class Recorded:
    """A recorder that keeps what it is told.

    Attributes:
        calls: per worker, (index of the first, number, began, ended) of the calls that it ran.
        died: the workers that did.
    """

    def __init__(self) -> None:
        self.calls: dict[str, list[tuple[int, int, float, float]]] = {}
        self.died_workers: list[str] = []
        self.bytes = 0
        self._lock = threading.Lock()

    def ran(self, worker: str, start: int, spans: Sequence[Span]) -> None:
        """Keeps and checks spans."""
        with self._lock:
            for offset, calls, began, ended, cpu in spans:
                assert calls >= 1
                assert began <= ended
                assert cpu >= 0.0 or math.isnan(cpu)
                self.calls.setdefault(worker, []).append((start + offset, calls, began, ended))

    def moved(self, *, sent: int = 0, received: int = 0) -> None:
        """Adds up bytes."""
        with self._lock:
            self.bytes += sent + received

    def died(self, worker: str) -> None:
        """Keeps a worker's name."""
        self.died_workers.append(worker)

    def noted(self, line: str) -> None:
        """Checks a line for the report."""
        assert "\n" not in line

    @property
    def number(self) -> int:
        """How many calls ran."""
        return sum(calls for spans in self.calls.values() for _, calls, _, _ in spans)


class RecordingContract(Contract):
    """Line 7: ``work.recorder`` is told of each call, once; the calls of a worker do not overlap."""

    @needs("record its calls")
    def test_tiny_calls_are_recorded(self, backend: Backend, way: Way) -> None:
        """All of them are, in spans of one or of several, within the time of the run, one after the other on each worker."""
        recorded = Recorded()
        began = time.perf_counter()
        work = self.work(functions.same, recorder=recorded)
        self.gather(backend, work, chunks_of(range(5000), sizes=(1, 700)), way)
        ended = time.perf_counter()
        assert recorded.number == 5000
        assert not recorded.died_workers
        for spans in recorded.calls.values():
            times = [time for _, _, first, last in sorted(spans, key=lambda span: span[2]) for time in (first, last)]
            assert times == sorted(times)
            assert began - CLOCK_SECONDS <= times[0]
            assert times[-1] <= ended + CLOCK_SECONDS

    @needs("record its calls")
    def test_long_calls_are_recorded_one_by_one(self, backend: Backend, way: Way) -> None:
        """A call that takes milliseconds has a span of its own, with its index and about its duration."""
        recorded = Recorded()
        work = self.work(functions.take_long, {"seconds": 0.01}, recorder=recorded)
        self.gather(backend, work, chunks_of(range(12), sizes=(3,)), way)
        spans = [span for spans in recorded.calls.values() for span in spans]
        assert sorted((index, calls) for index, calls, _, _ in spans) == [(index, 1) for index in range(12)]
        assert all(ended - began >= 0.009 for _, _, began, ended in spans)

    @needs("record its calls")
    @pytest.mark.parametrize("stop", [False, True], ids=["goes on", "stops"])
    def test_failed_calls_are_recorded(self, backend: Backend, way: Way, stop: bool) -> None:
        """A call that raises ran, too."""
        recorded = Recorded()
        constants = {"at": 5, "token": ""}
        work = self.work(functions.fail_at, constants, recorder=recorded, stop_at_failure=stop)
        gathered = self.gather(backend, work, chunks_of(range(6), sizes=(6,)), way)
        assert gathered.failures
        assert recorded.number == 6

    @needs("outlive a dying worker")
    def test_deaths_are_recorded(self, backend: Backend, way: Way, folder: str) -> None:
        """A worker that died is named; the calls of the others are recorded."""
        recorded = Recorded()
        work = self.work(functions.die_once, {"folder": folder, "at": 1}, recorder=recorded, chunksize=1)
        self.gather(backend, work, chunks_of(range(4)), way)
        assert len(recorded.died_workers) == 1
        assert recorded.number == 3

    @needs("record its calls")
    def test_a_move_is_told_before_it_is_made(self, backend: Backend, way: Way) -> None:
        """A backend that hands the rest of a run to another job says so first, once, and with how many run at once there."""
        recorded = Recorded()
        moves: list[tuple[str, int, float]] = []

        def moved(job: str, workers: int) -> None:
            moves.append((job, workers, time.perf_counter()))

        work = self.work(functions.take_long, {"seconds": 0.025}, workers=2, calls=12, recorder=recorded, moved=moved)
        self.gather(backend, work, chunks_of(range(12), sizes=(4,)), way)
        spans = sorted((began, worker) for worker, spans in recorded.calls.items() for _, _, began, _ in spans)
        assert len(spans) == 12
        assert len(moves) <= 1
        for job, workers, when in moves:
            assert registry.canonical(job) in registry.OWN
            assert workers == 2
            assert all(began > when for began, worker in spans if worker != spans[0][1])

    @needs("record its calls")
    def test_without_a_recorder_nothing_is_measured(self, backend: Backend, way: Way) -> None:
        """The next run, of the same workers, is as it was before."""
        recorded = Recorded()
        self.gather(backend, self.work(functions.same, recorder=recorded), chunks_of(range(10)), way)
        gathered = self.gather(backend, self.work(functions.same), chunks_of(range(10)), way)
        assert gathered.ordered() == list(range(10))
        assert recorded.number == 10
