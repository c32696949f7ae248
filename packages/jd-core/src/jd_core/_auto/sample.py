"""Measurements of some calls that run here, one after the other."""

from __future__ import annotations

import contextlib
import os
import pickle
import time
from dataclasses import dataclass, field
from typing import Any

from jd_core.backend import Chunk, ChunkResult

#: Bytes per second that one process writes to shared memory and another one reads; a cautious figure for today's machines.
BYTES_PER_SECOND = 1e9

#: A buffer of at least this many bytes is sent through shared memory, not in a message.
LARGE = 1 << 16

#: How many calls' arguments and results are serialized, to measure their size.
WEIGHED_CALLS = 4

#: The file in which Linux says how long a thread has run and waited for a CPU; see "schedstats" in the kernel's
#: documentation.
_SCHEDSTAT = "/proc/thread-self/schedstat"


@dataclass
class Sample:
    """The measurements of some calls.

    Attributes:
        calls: how many calls.
        seconds: how long they took.
        cpu: CPU time of their thread, in seconds.
        late: how many seconds that thread was ready to run but had no CPU, because others used them; 0.0 if the system does
            not say. Without it, computing on a busy machine looks like waiting.
        everywhere: CPU time of all threads of the process meanwhile: more than ``cpu`` if a library has its own threads.
        weighed: the number of calls whose arguments and results were serialized.
        moving: how many seconds it would take to send these arguments and results.
        nbytes: how many bytes they have.
        sendable: whether all of them can be serialized.
        error: the relative standard error of the duration of a call; 0.0 if it was not determined.
        at_once: how many times as fast calls were if several ran at once, by their number; empty if not tried.
        waits_in: the job for waiting calls: "io", or "web" if ``at_once`` is of coroutines on one event loop.
    """

    calls: int = 0
    seconds: float = 0.0
    cpu: float = 0.0
    late: float = 0.0
    everywhere: float = 0.0
    weighed: int = 0
    moving: float = 0.0
    nbytes: int = 0
    sendable: bool = True
    error: float = 0.0
    at_once: dict[int, float] = field(default_factory=dict)
    waits_in: str = "io"

    @contextlib.contextmanager
    def measuring(self) -> Any:
        """A ``with`` block in which calls run, in this thread; `count` says afterwards how many."""
        late, everywhere, cpu, began = _runqueue_seconds(), time.process_time(), time.thread_time(), time.perf_counter()
        yield
        self.seconds += time.perf_counter() - began
        self.cpu += time.thread_time() - cpu
        self.everywhere += time.process_time() - everywhere
        self.late += _runqueue_seconds() - late

    def add(self, other: Sample) -> None:
        """Adds the calls of another sample."""
        self.calls += other.calls
        self.seconds += other.seconds
        self.cpu += other.cpu
        self.everywhere += other.everywhere
        self.late += other.late

    def count(self, result: ChunkResult) -> None:
        """Counts the measured calls, and measures the size of the first ones' arguments and results."""
        self.calls += len(result.values)
        self.weigh(result)

    def weigh(self, result: ChunkResult) -> None:
        """Measures the size of the first few calls' arguments and results, unless that was done before."""
        if self.sendable and not self.weighed:
            calls = min(WEIGHED_CALLS, len(result.values))
            self._weigh(result.chunk.part(0, calls), result.values[:calls])

    def renewed(self) -> Sample:
        """Returns an empty sample that keeps the size of the calls' data."""
        return Sample(weighed=self.weighed, moving=self.moving, nbytes=self.nbytes, sendable=self.sendable)

    @property
    def per_call(self) -> float:
        """Seconds that one call takes, on a CPU of its own."""
        return self._own / self.calls

    @property
    def waiting(self) -> float:
        """The share of their time in which the calls used no CPU, from 0 to 1."""
        used = max(self.cpu, min(self.everywhere, self._own))
        return max(0.0, 1.0 - used / self._own) if self._own else 0.0

    @property
    def releases_lock(self) -> bool:
        """Whether two computing calls were measured to run at once in threads: they release the interpreter's lock."""
        return self.at_once.get(2, 1.0) > 1.6

    @property
    def knows_late(self) -> bool:
        """Whether the system says how long a thread had no CPU."""
        return os.path.exists(_SCHEDSTAT)

    @property
    def moving_per_call(self) -> float:
        """Seconds that it takes to send one call's arguments and result."""
        return self.moving / self.weighed if self.weighed else 0.0

    @property
    def _own(self) -> float:
        """Seconds that the calls would have taken on a CPU of their own."""
        return max(self.seconds - self.late, self.cpu)

    def _weigh(self, chunk: Chunk, values: Any) -> None:
        buffers: list[Any] = []
        began = time.perf_counter()
        try:
            text = pickle.dumps((chunk.columns, values), 5, buffer_callback=buffers.append)
        except Exception:
            self.sendable = False
            return
        nbytes = sum(buffer.raw().nbytes for buffer in buffers)
        # Serialized there and back, and copied once on each way; large buffers are only copied.
        self.moving += 2 * (time.perf_counter() - began) + (len(text) + nbytes) / BYTES_PER_SECOND
        self.nbytes += len(text) + nbytes
        self.weighed += len(values)


def _runqueue_seconds() -> float:
    """Returns how many seconds this thread was ready but had no CPU (Linux: see schedstats); 0.0 if unknown."""
    try:
        with open(_SCHEDSTAT, "rb") as file:
            return int(file.read().split()[1]) * 1e-9
    except (OSError, IndexError, ValueError):
        return 0.0
