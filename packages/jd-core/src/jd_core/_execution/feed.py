"""The chunks of a run, as a backend pulls them: calls due for another attempt, then new ones; until the run is to end."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

from jd_core._execution.chunk_size import Sizer
from jd_core._execution.failures import HiddenInternals
from jd_core._planning.plan import Plan
from jd_core.backend import Chunk, SettledChunk

if TYPE_CHECKING:
    from jd_core._execution.retries import Retries
    from jd_core._resume.resumed import ResumedPlan
    from jd_core._tracing.record import RunRecord

#: Chunks per worker that may be read ahead of a stream's consumer where ``buffersize`` is not given.
CHUNKS_AHEAD = 4


class Feed:
    """Decides which calls a backend may start next. Iterating it yields chunks, or None while nothing may start.

    A backend may pull in a thread of its own while the caller settles results in another one. No lock is needed: what is
    changed here is changed in one of the two, but for a queue of what was put back.

    Args:
        plan: the calls.
        sizer: how many of them go into a chunk.
        retries: the calls that are attempted again; None if none ever are.
        internals: hides this library's frames from the user.
        buffersize: how many calls may be read ahead of results, if the user chose it.
        streamed: whether the caller takes results while the run goes on. Then what it has not taken counts as read ahead.
        record: gets the times that it took to read; None where nobody traces the run.

    Attributes:
        fed: calls that were yielded, and were not put back since.
        settled: calls that have their result, or failed for good.
        taken: calls whose results the caller of a stream has taken.
        exhausted: whether there are no new calls any more.
    """

    def __init__(
        self,
        plan: Plan | ResumedPlan,
        sizer: Sizer,
        retries: Retries | None,
        internals: HiddenInternals,
        *,
        buffersize: int | None,
        streamed: bool,
        record: RunRecord | None = None,
    ) -> None:
        self.fed = 0
        self.settled = 0
        self.taken = 0
        self.exhausted = False
        self._held_back = False  # until the caller of a stream takes results
        self.retries = retries
        self._plan = plan
        self._sizer = sizer
        self._internals = internals
        self._buffersize = buffersize
        self._streamed = streamed
        self._record = record
        if record is not None:
            record.buffersize = buffersize
        self._returned: deque[Chunk] = deque()  # by the thread that takes results
        self._put_back: deque[Chunk] = deque()
        self._error: Exception | None = None  # of the user's input

    def __iter__(self) -> Iterator[Chunk | None]:
        """Yields chunks until no call can come any more, not even again.

        Raises:
            BaseException: whatever reading the user's input raises. A stream gets the results of the calls before it first.
        """
        while True:
            chunk = self._new() if self.retries is None else self._again_or_new(self.retries)
            if self._record is not None and self.retries is not None:
                self._record.pause(waits=chunk is None and self.retries.waiting > 0)
            if chunk is None and self.exhausted and not self._waits_for_results():
                break
            yield chunk
        if self._error is not None:
            with self._internals.watching():
                raise self._error

    def resize(self, sizer: Sizer, workers: int, *, shared: bool) -> None:
        """Has the chunks from here on suit another backend, whose workers may share the calls of a chunk."""
        self._sizer = sizer
        if self.retries is not None:
            self.retries.resize(workers, shared=shared)

    def chunk_size(self) -> int:
        """Returns how many calls go into the next chunk, if as many may start."""
        return self._sizer.next()

    def settle(self, start: int, calls: int) -> None:
        """Records that ``calls`` calls from ``start`` on have their results, or failed for good."""
        self.settled += calls
        if self.retries is not None:
            self.retries.settle(start, calls)

    def take(self, calls: int) -> bool:
        """Records that the caller of a stream has taken results; returns whether others were held back until then."""
        self.taken += calls
        held_back, self._held_back = self._held_back, False
        return held_back

    def put_back(self, chunk: Chunk) -> None:
        """Takes back a chunk that was yielded, none of whose calls has started, and yields it again before new ones."""
        self._returned.append(chunk)

    def _waits_for_results(self) -> bool:
        return self.settled < self.fed and (self.retries is not None or self._error is not None)

    def _again_or_new(self, retries: Retries) -> Chunk | None:
        chunk = (retries.due() or self._new()) if retries.may_start() else None
        if chunk is not None and not isinstance(chunk, SettledChunk):
            retries.started()
        return chunk

    def _new(self) -> Chunk | None:
        if self._returned:
            self._take_back()
        size = 0 if self.exhausted else self._size()
        if size <= 0:
            return None
        if self._put_back:
            chunk: Chunk | None = self._first_put_back(size)
        else:
            chunk = self._read(size) if self._record is None else self._read_recorded(size, self._record)
        self.exhausted = not self._put_back and (self._plan.ended or self._error is not None)
        if chunk is not None:
            self.fed += len(chunk)
            self._sizer.handed_out(len(chunk))
        return chunk

    def _take_back(self) -> None:
        while self._returned:
            chunk = self._returned.popleft()
            self.fed -= len(chunk)
            self.exhausted = False
            self._put_back.append(chunk)
            self._sizer.put_back(len(chunk))

    def _size(self) -> int:
        """Returns how many new calls may start, 0 or less if none."""
        size = max(self._sizer.next(), self._plan.look)
        ahead, waiting = self.fed - (self.taken if self._streamed else self.settled), 0
        if self.retries is not None:
            size, waiting = min(size, self.retries.room(self.fed - self.settled)), self.retries.waiting
        if self._put_back:
            pass  # results of later calls wait for these, which were within the limits when they were read
        elif self._buffersize is not None:
            size = min(size, self._buffersize - ahead)
        elif self._streamed and ahead - waiting + size > CHUNKS_AHEAD * self._sizer.ahead(size):
            size = 0  # what waits for another attempt does not count: nothing that the caller takes ends that
        self._held_back = self._streamed and size <= 0
        return size

    def _first_put_back(self, size: int) -> Chunk:
        chunk = self._put_back.popleft()
        if len(chunk) > size:
            self._put_back.appendleft(chunk.part(size, len(chunk)))
            chunk = chunk.part(0, size)
        return chunk

    def _read_recorded(self, size: int, record: RunRecord) -> Chunk | None:
        began = time.perf_counter()
        chunk = self._read(size)
        record.read(began, is_there=chunk is not None or self._plan.ended or self._error is not None)
        return chunk

    def _read(self, size: int) -> Chunk | None:
        try:
            with self._internals.watching():
                return self._plan.take(size)
        except Exception as error:
            if not self._streamed:
                raise
            self._error = error
            return None


class Stop:
    """Ends a run from any thread, as closing its generator does from the thread that takes results.

    Attributes:
        thread: takes the results of the run, since it was asked for them last.
        wake: wakes the run.
    """

    def __init__(self) -> None:
        self.thread = 0
        self._is_set = False
        self.wake: Callable[[], None] = _nobody

    def is_set(self) -> bool:
        """Returns whether the run is to end."""
        return self._is_set

    def set(self) -> None:
        """Ends the run; returns at once."""
        self._is_set = True
        self.wake()


def _nobody() -> None:
    """Is woken before anybody waits."""


def waking(plan: Plan, stop: Stop | None) -> Callable[[Callable[[], None]], None] | None:
    """Returns what takes the callable that wakes a backend's run; None if nothing ever has reason to."""
    if stop is None:
        return plan.call_on_arrival if plan.arriving else None

    def on_input(wake: Callable[[], None]) -> None:
        plan.call_on_arrival(wake)
        stop.wake = wake

    return on_input
