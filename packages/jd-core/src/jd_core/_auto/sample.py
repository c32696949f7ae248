"""What some calls cost, measured while they run here, one after the other."""

from __future__ import annotations

import contextlib
import os
import time
from dataclasses import dataclass, field, replace
from typing import Any, NamedTuple

from jd_core._insight.sending import pickled_size
from jd_core.backend import ChunkResult

#: Bytes that a process writes and another one reads in shared memory, per second; a cautious figure of today's machines.
BYTES_PER_SECOND = 1e9

#: What so many calls are passed and return is serialized, to see how large it is; then, as far as that is quickly done, of
#: many more, since only these show what each costs beside the message; again where there are so many times as many.
WEIGHED_CALLS, MANY_CALLS, MORE_CALLS = 4, 200, 4

#: Data that takes longer to serialize is serialized once.
QUICK_SECONDS = 1e-4

#: Where Linux says for how long a thread has run and waited for a CPU; see "schedstats" in the kernel's documentation.
_SCHEDSTAT = "/proc/thread-self/schedstat"


class Clocks(NamedTuple):
    """What the clocks of a thread show, in seconds: see `Sample`."""

    late: float
    process: float
    thread: float
    wall: float

    @classmethod
    def now(cls) -> Clocks:
        """Reads them, before calls."""
        return cls(_runqueue_seconds(), time.process_time(), time.thread_time(), time.perf_counter())


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
        moving: seconds of CPU time that it would take to send what those were passed and returned, on both sides together.
        nbytes: how much that is.
        quick: how many calls' data is quickly serialized, as far as is known.
        sendable: whether all of it can be serialized.
        error: the standard error of the time of a call, as a part of it; 0.0 if it was not looked at.
        at_once: how many times as fast calls were where so many ran at once here, by that number; empty if not tried.
        apart: how many times as fast, by CPU time, calls that compute were two at once in threads, as alone in the caller's:
            less than once where they share a core or memory, more where memory is nearer at hand there.
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
    quick: int = MANY_CALLS
    sendable: bool = True
    error: float = 0.0
    at_once: dict[int, float] = field(default_factory=dict)
    apart: float = 1.0
    waits_in: str = "io"
    crowded: bool = False

    @contextlib.contextmanager
    def measuring(self) -> Any:
        """A ``with`` block in which calls run, in this thread. How many is counted afterwards."""
        began = Clocks.now()
        yield
        self.took(began)

    def took(self, began: Clocks) -> None:
        """Adds what has passed since calls began, in this thread.

        How long it waited for a CPU is read first before the calls, and last after them: while that is read, others may get
        the CPU, and what is not known to be late looks like waiting.
        """
        self.seconds += time.perf_counter() - began.wall
        self.cpu += time.thread_time() - began.thread
        self.everywhere += time.process_time() - began.process
        self.late += _runqueue_seconds() - began.late

    def add(self, other: Sample) -> None:
        """Adds the calls of another sample."""
        self.calls += other.calls
        self.seconds += other.seconds
        self.cpu += other.cpu
        self.everywhere += other.everywhere
        self.late += other.late

    def weigh(self, result: ChunkResult) -> None:
        """Weighs what calls were passed and returned, unless that was done with as many or hardly fewer."""
        calls = min(len(result.values), self.quick)
        if not self.sendable or calls < max(1, MORE_CALLS * self.weighed):
            return
        few = min(WEIGHED_CALLS, calls)
        seconds, nbytes = _serialized(_data(result, few))
        if nbytes is None:
            self.sendable = False
            return
        slow = max(seconds, nbytes / BYTES_PER_SECOND, 1e-9)
        self.quick = min(MANY_CALLS, max(1, int(few * QUICK_SECONDS / slow)))
        many = min(calls, self.quick)
        if many > few:
            most, larger = _serialized(_data(result, many))
            if larger is not None:
                few, seconds, nbytes = many, max(0.0, most - seconds) * many / (many - few), larger
        else:
            seconds -= _serialized(())[0]  # the cost of a message, which many calls have together
        # Serialized there and back, and copied once on each way; large buffers are only copied.
        self.weighed, self.nbytes = few, nbytes
        self.moving = 2 * max(0.0, seconds) + nbytes / BYTES_PER_SECOND

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
        weighed, moving, nbytes, quick = self.weighed, self.moving, self.nbytes, self.quick
        return Sample(weighed=weighed, moving=moving, nbytes=nbytes, quick=quick, sendable=self.sendable)

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


def _data(result: ChunkResult, calls: int) -> Any:
    """Returns what the first so many calls were passed, and what they returned."""
    return result.chunk.part(0, calls).columns, result.values[:calls]


def _serialized(data: Any) -> tuple[float, int | None]:
    """Returns how many seconds of CPU time it takes to serialize data, and how many bytes that makes; None if it cannot be.

    What is quickly done is done thrice, and the least time counts: the first one is mostly that of cold caches.
    """
    times: list[float] = []
    while True:
        began = time.thread_time()
        nbytes = pickled_size(data)
        times.append(time.thread_time() - began)
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
