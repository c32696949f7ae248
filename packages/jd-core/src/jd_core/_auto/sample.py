"""What some calls cost, measured while they run here, one after the other."""

from __future__ import annotations

import contextlib
import os
import time
from dataclasses import dataclass, field, replace
from typing import Any

from jd_core._insight.sending import pickled_size
from jd_core.backend import Chunk, ChunkResult

#: Bytes that a process writes and another one reads in shared memory, per second; a cautious figure of today's machines.
BYTES_PER_SECOND = 1e9

#: A buffer of this size or more does not go through a message, but through shared memory.
LARGE = 1 << 16

#: What so many calls are passed and return is serialized, to see how large it is.
WEIGHED_CALLS = 4

#: Data that takes longer to serialize is serialized once.
QUICK_SECONDS = 1e-4

#: Where Linux says for how long a thread has run and waited for a CPU; see "schedstats" in the kernel's documentation.
_SCHEDSTAT = "/proc/thread-self/schedstat"


@dataclass
class Sample:
    """What calls cost that were measured.

    Attributes:
        calls: how many.
        seconds: what they took.
        cpu: CPU time of their thread, in seconds.
        late: for how long that thread was ready to run and had no CPU, because others had them; 0.0 where the system does
            not say. Without it, computing on a busy machine looks like waiting.
        everywhere: CPU time of all threads of the process meanwhile: more than ``cpu`` where a library has its own.
        weighed: calls whose arguments and results were serialized.
        moving: seconds that it would take to send what those were passed and returned.
        nbytes: how much that is.
        sendable: whether all of it can be serialized.
        error: the standard error of the time of a call, as a part of it; 0.0 if it was not looked at.
        at_once: how many times as fast calls were where so many ran at once here, by that number; empty if not tried.
        waits_in: the job for waiting calls: "io", or "web" where ``at_once`` is of coroutines on one event loop.
        crowded: whether other programs used the CPUs, too, as far as that was looked at. Then a thread that waits for the
            interpreter's lock seems to wait for a CPU, as well.
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
    crowded: bool = False

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
        """Counts the calls that were measured, and weighs what the first ones were passed and returned."""
        self.calls += len(result.values)
        self.weigh(result)

    def weigh(self, result: ChunkResult) -> None:
        """Weighs what the first few calls were passed and returned, unless that was done before."""
        if self.sendable and not self.weighed:
            calls = min(WEIGHED_CALLS, len(result.values))
            self._weigh(result.chunk.part(0, calls), result.values[:calls])

    def without(self, block: Sample) -> Sample:
        """Returns the sample without some of its calls, if there are others."""
        if block.calls >= self.calls:
            return self
        cpu, everywhere = max(0.0, self.cpu - block.cpu), max(0.0, self.everywhere - block.cpu)
        late = max(0.0, self.late - max(0.0, block.seconds - block.cpu))
        calls, seconds = self.calls - block.calls, max(0.0, self.seconds - block.seconds)
        return replace(self, calls=calls, seconds=seconds, cpu=cpu, everywhere=everywhere, late=late)

    def renewed(self) -> Sample:
        """Returns a sample of no calls yet, which knows how large their data is."""
        return Sample(weighed=self.weighed, moving=self.moving, nbytes=self.nbytes, sendable=self.sendable)

    @property
    def per_call(self) -> float:
        """Seconds that one call takes, on a CPU of its own."""
        return self._own / self.calls

    @property
    def waiting(self) -> float:
        """Share of their time in which the calls used no CPU, from 0 to 1."""
        used = max(self.cpu, min(self.everywhere, self._own))
        return max(0.0, 1.0 - used / self._own) if self._own else 0.0

    @property
    def releases_lock(self) -> bool:
        """Whether calls that compute were seen to do so two at once, in threads: they release the interpreter's lock."""
        return self.at_once.get(2, 1.0) > 1.6

    @property
    def knows_late(self) -> bool:
        """Whether the system says for how long a thread had no CPU."""
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
        seconds, nbytes = _serialized((chunk.columns, values))
        if nbytes is None:
            self.sendable = False
            return
        shared, _ = _serialized(())  # the cost of a message, which many calls have together
        # Serialized there and back, and copied once on each way; large buffers are only copied.
        self.moving += 2 * max(0.0, seconds - shared) + nbytes / BYTES_PER_SECOND
        self.nbytes += nbytes
        self.weighed += len(values)


def _serialized(data: Any) -> tuple[float, int | None]:
    """Returns how many seconds it takes to serialize data, and how many bytes that makes; None if it cannot be.

    What is quickly done is done thrice, and the least time counts: the first one is mostly that of cold caches.
    """
    times: list[float] = []
    while True:
        began = time.perf_counter()
        nbytes = pickled_size(data)
        times.append(time.perf_counter() - began)
        if len(times) == 3 or times[0] > QUICK_SECONDS:
            return min(times), nbytes


def _runqueue_seconds() -> float:
    """Returns for how long this thread was ready and had no CPU (Linux: see schedstats); or 0.0."""
    try:
        file = os.open(_SCHEDSTAT, os.O_RDONLY)
        try:
            return int(os.read(file, 64).split()[1]) * 1e-9
        finally:
            os.close(file)
    except (OSError, IndexError, ValueError):
        return 0.0
