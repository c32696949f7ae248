"""The record of one run, made while it runs; `jd_core._tracing.figures` evaluates it afterwards."""

from __future__ import annotations

import threading
import time
from array import array
from collections.abc import Iterator, Sequence
from typing import Any, Protocol

from jd_core.backend import Backend, ChunkResult
from jd_core.backend.cpus import machine_load
from jd_core.worker import Span

#: Numbers per span in `RunRecord.spans`.
SPAN = 6

#: Waits that are shorter than this many seconds are added up but not kept one by one.
SHORTEST_WAIT = 1e-4

_clock = time.perf_counter


class Rate(Protocol):
    """A limit of starts per second."""

    @property
    def per_second(self) -> float:
        """The current rate, in calls per second."""
        ...


class Waits:
    """The times during which a run waited for one thing.

    Attributes:
        seconds: their sum.
        spans: begin and end of each that was not very short, alternating, on the performance counter.
    """

    def __init__(self) -> None:
        self.seconds = 0.0
        self.spans = array("d")

    def add(self, began: float, ended: float) -> None:
        """Records a wait."""
        self.seconds += ended - began
        if ended - began >= SHORTEST_WAIT:
            self.spans.extend((began, ended))


class RunRecord:
    """One run, as seen by the core and by the backend, whose `jd_core.backend.Recorder` this is.

    It holds times, numbers, and names of functions and workers; no argument, result or constant. All times are in seconds on
    the performance counter. Spans are kept as plain numbers, 48 bytes each.

    Attributes:
        name: the function's qualified name.
        job: where calls ran; "auto" if that was decided during the run, as its note says.
        workers: how many calls could run at once.
        calls: the number of calls; None if it was not known beforehand.
        streamed: whether the caller took results during the run.
        message_seconds: the cost of a message according to the backend.
        in_processes: whether calls ran in other processes.
        rate: the limit of starts per second; None if there was none.
        load: threads of all programs on this machine that ran or waited for a CPU, at the begin or the end of the run.
        time: when the run was made, in seconds since the epoch.
        began: when it began; 0.0 if it has not.
        ended: when it ended; 0.0 if it has not.
        error: the name of the type of the exception that ended it; None if there was none.
        done: the number of calls that have their result or have finally failed.
        failures: the number of these calls that failed.
        attempts: the number of failed attempts that were followed by another.
        sent: bytes sent to workers, if the backend reports them.
        received: bytes received from workers, likewise.
        deaths: the workers that died, with the time.
        names: the workers, in the order of their first calls.
        spans: for each `Span`: number of the worker in ``names``, index of the call, number of calls, begin, end, CPU time.
        input: the times of waiting for the next elements of arguments.
        consumer: the times during which the caller had results and did not request more.
        pauses: the times during which only calls that waited for another attempt could have started.
        rates: (time, calls per second) for each change of the rate.
        notes: lines for the report, such as a decision for the run.
    """

    def __init__(
        self, name: str, backend: Backend, workers: int, calls: int | None, rate: Rate | None, *, streamed: bool
    ) -> None:
        self.name = name
        self.job = backend.name
        self.workers = workers
        self.calls = calls
        self.streamed = streamed
        self.message_seconds = backend.message_seconds
        self.in_processes = backend.in_processes
        self.rate = rate
        self.load = 0.0
        self.time = time.time()
        self.began = self.ended = 0.0
        self.error: str | None = None
        self.done = self.failures = self.attempts = 0
        self.sent = self.received = 0
        self.deaths: list[tuple[float, str]] = []
        self.names: dict[str, int] = {}
        self.spans = array("d")
        self.input, self.consumer, self.pauses = Waits(), Waits(), Waits()
        self.rates: list[tuple[float, float]] = []
        self.notes: list[str] = []
        self._starved: float | None = None  # since when there has been no input
        self._paused: float | None = None  # since when only calls that wait are left
        self._chunks = array("d")  # as ``spans``, of backends that do not tell
        self._lock = threading.Lock()

    # For the backend.

    def ran(self, worker: str, start: int, spans: Sequence[Span]) -> None:
        """Records calls; see `jd_core.backend.Recorder`."""
        with self._lock:
            number = self.names.setdefault(worker, len(self.names))
            for first, calls, began, ended, cpu in spans:
                self.spans.extend((number, start + first, calls, began, ended, cpu))
            if self.rate is not None and (not self.rates or self.rates[-1][1] != self.rate.per_second):
                self.rates.append((_clock(), self.rate.per_second))

    def moved(self, *, sent: int = 0, received: int = 0) -> None:
        """Records bytes."""
        with self._lock:
            self.sent += sent
            self.received += received

    def died(self, worker: str) -> None:
        """Records a death."""
        self.deaths.append((_clock(), worker))

    def noted(self, line: str) -> None:
        """Records a line for the report."""
        self.notes.append(line)

    # For the core.

    def moved_to(self, backend: Backend, workers: int) -> None:
        """Records that the rest of the calls run elsewhere."""
        self.workers = workers
        self.message_seconds = backend.message_seconds
        self.in_processes = backend.in_processes

    def begin(self) -> None:
        """Records that the run begins."""
        self.load = machine_load()
        self.began = _clock()

    def end(self, error: BaseException | None) -> None:
        """Records that it has ended."""
        self.ended = _clock()
        self.load = max(self.load, machine_load())
        self.error = None if error is None else type(error).__name__
        if not self.spans:
            self.spans, self.names = self._chunks, {"all workers": 0}

    def read(self, began: float, *, is_there: bool) -> None:
        """Records an attempt to read input.

        Args:
            began: when it began.
            is_there: whether there was input, or there is no more.
        """
        if not is_there:
            self._starved = self._starved or began
            return
        self.input.add(self._starved or began, _clock())
        self._starved = None

    def pause(self, *, waits: bool) -> None:
        """Records whether only calls that wait for another attempt can start."""
        if waits:
            self._paused = self._paused or _clock()
        elif self._paused is not None:
            self.pauses.add(self._paused, _clock())
            self._paused = None

    def failed(self) -> None:
        """Records that a call has finally failed."""
        self.failures += 1

    def retried(self) -> None:
        """Records that a failed call is attempted again."""
        self.attempts += 1

    def take(self, result: ChunkResult) -> None:
        """Records that results arrived."""
        now = _clock()
        first = result.chunk.start + result.offset
        self._chunks.extend((0, first, len(result.values), now - result.seconds, now, float("nan")))

    def hand_over(self, parts: Iterator[Sequence[Any]]) -> Iterator[Sequence[Any]]:
        """Yields results for the caller, and records how long it was busy with each part."""
        for part in parts:
            self.done += len(part)
            began = _clock()
            yield part
            if self.streamed:
                self.consumer.add(began, _clock())
