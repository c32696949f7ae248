"""What is recorded of one run while it goes on; `jd_core._tracing.figures` makes sense of it afterwards."""

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

#: Waits that are shorter, in seconds, are added up but not kept one by one.
SHORTEST_WAIT = 1e-4

_clock = time.perf_counter


class Rate(Protocol):
    """What starts are kept to."""

    @property
    def per_second(self) -> float:
        """Calls per second, now."""
        ...


class Waits:
    """Times during which a run waited for one thing.

    Attributes:
        seconds: all of them together.
        spans: begin and end of each that was not very short, one after the other, on the performance counter.
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
    """One run: as the core sees it, and as the backend tells, whose `jd_core.backend.Recorder` this is.

    It holds times, numbers, and names of functions and workers; no argument, result or constant. All times are in seconds on
    the performance counter. Spans are kept as plain numbers, 48 bytes each.

    Attributes:
        name: the function's qualified name.
        job: where calls ran; "auto" where that was decided on the way, as its note says.
        workers: how many calls could run at once.
        calls: number of calls; None if it was not known beforehand.
        streamed: whether the caller took results while the run went on.
        message_seconds: what the backend says a message costs.
        in_processes: whether calls ran in other processes.
        rate: what starts were kept to; None: nothing.
        load: threads of all programs on this machine that had a CPU or wanted one, at the begin or the end of the run.
        time: when the run was made, in seconds since the epoch.
        began: when it began; 0.0 if it did not.
        ended: when it ended; 0.0 if it did not yet.
        error: the type's name of the exception that it ended with; None if with none.
        done: calls that have their result or failed for good.
        failures: of these, those that failed.
        attempts: that failed, and were followed by another.
        sent: bytes sent to workers, as far as the backend tells.
        received: bytes received from them.
        deaths: workers that died, with the time.
        names: the workers, in the order of their first calls.
        spans: for each `Span`: number of the worker in ``names``, index of the call, number of calls, begin, end, CPU time.
        input: waits for the next elements of what was passed.
        consumer: times during which the caller had results and did not ask for more.
        buffersize: how many calls could be read ahead, if the user chose it.
        aggregating: begin and end of what was done with all results together, before the call returned.
        pauses: times during which there was nothing to start but calls that waited for another attempt.
        rates: (time, calls per second), where the rate changed.
        notes: lines for the report, such as what was decided for the run.
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
        self.buffersize: int | None = None
        self.aggregating = array("d")
        self._handed_over = 0.0  # when the last results were
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
        if self._handed_over and not self.streamed and error is None:
            self.aggregating.extend((self._handed_over, self.ended))
        if not self.spans:
            self.spans, self.names = self._chunks, {"all workers": 0}

    def read(self, began: float, *, is_there: bool) -> None:
        """Records a look for input that began then.

        Args:
            began: as above.
            is_there: whether there was any, or is to be no more.
        """
        if not is_there:
            self._starved = self._starved or began
            return
        self.input.add(self._starved or began, _clock())
        self._starved = None

    def pause(self, *, waits: bool) -> None:
        """Records whether nothing can start but calls that wait for another attempt."""
        if waits:
            self._paused = self._paused or _clock()
        elif self._paused is not None:
            self.pauses.add(self._paused, _clock())
            self._paused = None

    def failed(self) -> None:
        """Records that a call failed for good."""
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
        """Yields results for the caller, and records for how long each part kept it busy."""
        for part in parts:
            self.done += len(part)
            began = _clock()
            yield part
            self._handed_over = _clock()
            if self.streamed:
                self.consumer.add(began, self._handed_over)
