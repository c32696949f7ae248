"""The calls of a run, taken one by one by the next idle worker; for workers in the caller's own process.

A chunk is not bound to a worker here, so a slow call delays no other, and chunks may be large::

     caller's thread                             workers (threads, or tasks of a loop)
    ──────────────────────────────────────────────────────────────────────────────────
    chunks ──pull──▶ OpenChunk, OpenChunk … ──next_chunk──▶ for offset, argument in calls
                                                                  values[offset] = …
    caller ◀──results── collect ◀────────record─────────────────── after each chunk

The user's input is read in the caller's thread, where database cursors and the like belong. Per call, a worker only takes
it and stores its result at its place: locks, messages and clocks are per chunk and worker.
"""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable, Iterator
from typing import Any

from jd_core.backend import CANCEL_SECONDS, SIGNAL_SECONDS, Chunk, ChunkResult, SettledChunk, Work
from jd_core.inprocess.open_chunk import OpenChunk

#: Seconds without a finished chunk after which the finished calls of unfinished chunks are returned.
QUIET_SECONDS = 0.01

_END: Any = object()


class CallQueue:
    """The calls of one run: which are open, which are finished, and whether there are more.

    The first half of the methods is for the caller, the second for the workers.

    Args:
        work: what is the same for all calls.
        chunks: yields the chunks.
        wake: called by workers when the caller has something to do: results to take, or chunks to pull.

    Attributes:
        lock: guards what both sides change.
        stopped: nothing further starts.
        ended: ``chunks`` has ended.
        waiting: workers that found nothing to take and have not been woken yet; whoever wakes them counts down.
    """

    def __init__(self, work: Work, chunks: Iterator[Chunk | None], wake: Callable[[], None]) -> None:
        self.lock = threading.Lock()
        self.stopped = False
        self.ended = False
        self.waiting = 0
        self._work = work
        self._chunks = chunks
        self._wake = wake
        self._ready: deque[OpenChunk] = deque()  # the first is the one that calls are taken from
        self._spare = 0  # calls in those behind the first
        self._open: dict[OpenChunk, None] = {}
        self._completed: deque[OpenChunk] = deque()
        self._settled: list[ChunkResult] = []
        self._large = 0  # open chunks of more than one call
        self._nothing_now = False
        self._over = False
        self._error: BaseException | None = None
        self._collected = time.monotonic()  # when results were last returned

    def wants_more(self) -> bool:
        """Returns whether to `pull`: while less is ready than the workers could take at once."""
        if self.ended or self.stopped:
            return False
        held = len(self._open) + len(self._completed)
        return self._spare < self._work.workers and held < 2 * self._work.workers

    def pull(self) -> int:
        """Opens the next chunk and returns its number of calls; 0 if there is none now, or no more, or what came is settled.

        Raises:
            BaseException: whatever ``chunks`` raises.
        """
        chunk = next(self._chunks, _END)
        self._nothing_now = chunk is None
        if chunk is None:
            return 0
        if chunk is _END:
            with self.lock:
                self.ended = True
            return 0
        if isinstance(chunk, SettledChunk):
            self._settled.append(chunk.result)
            return 0
        opened = OpenChunk(chunk)
        count = opened.left
        with self.lock:
            self._open[opened] = None
            self._large += count > 1
            self._spare += count if self._ready else 0
            self._ready.append(opened)
        return count

    def is_taken(self) -> bool:
        """Returns whether workers have taken every call that is open."""
        return not self._ready

    def has_results(self) -> bool:
        """Returns whether a chunk is finished."""
        return bool(self._completed)

    def collect(self) -> list[ChunkResult]:
        """Returns finished chunks; after `QUIET_SECONDS` without one, or once stopped, the finished parts of others."""
        results, self._settled = self._settled, []
        stopped = self.stopped  # read before looking, so that the failure that stopped the run is found
        while self._completed:
            results.extend(self._completed.popleft().parts())
        now = time.monotonic()
        if not results and (stopped or (self._large and now - self._collected >= QUIET_SECONDS)):
            with self.lock:
                # With those that were completed since: the failure that stopped the run may be in one.
                unfinished = [*self._completed, *self._open]
            for opened in unfinished:
                results.extend(opened.parts())
        if results:
            self._collected = now
        self._over = not results and (stopped or (self.ended and not self._open and not self._completed))
        return results

    def is_over(self) -> bool:
        """Returns whether `collect` has returned all results, or those there were when a failure stopped the run.

        Raises:
            BaseException: what went wrong in a worker outside the user's function.
        """
        if self._error is not None:
            raise self._error
        return self._over

    def is_finished(self) -> bool:
        """Returns whether every call has its result, and no more come."""
        return self.ended and not self._open

    def longest_wait(self) -> float:
        """Returns for how many seconds the caller may wait unless it is woken."""
        limit = SIGNAL_SECONDS if self._work.cancelled is None else CANCEL_SECONDS
        if self._large:
            limit = min(limit, QUIET_SECONDS)
        return min(limit, self._work.poll_seconds) if self._nothing_now else limit

    def next_chunk(self, previous: OpenChunk | None) -> OpenChunk | None:
        """Returns the chunk to take calls from after ``previous``, whose calls are all taken. Call it holding `lock`.

        Returns:
            None if there is none now (the worker is counted as waiting), or no more.
        """
        ready = self._ready
        if ready and ready[0] is previous:
            ready.popleft()
            if ready:
                self._spare -= len(ready[0].values)
            if 2 * self._spare < self._work.workers:
                self._wake()
        if self.stopped:
            return None
        if ready:
            return ready[0]
        if not self.ended:
            self.waiting += 1
        return None

    def record(self, opened: OpenChunk, calls: int, seconds: float) -> None:
        """Records that a worker finished ``calls`` calls of a chunk, whose results stand at their places."""
        if not calls:
            return
        with self.lock:
            opened.seconds += seconds
            opened.left -= calls
            if opened.left:
                return
            # Completed before it is no longer open: between the two the run must not look as if it were over.
            self._completed.append(opened)
            del self._open[opened]
            self._large -= len(opened.values) > 1
        self._wake()

    def fail(self, opened: OpenChunk, offset: int, error: BaseException) -> None:
        """Records that a call failed, which may end the run."""
        opened.fail(offset, error)
        if self._work.stop_at_failure:
            self.stop()

    def stop(self) -> None:
        """Lets nothing further start, and wakes the caller."""
        self.stopped = True
        self._wake()

    def crash(self, error: BaseException) -> None:
        """Ends the run with an exception that is not a call's."""
        self._error = error
        self.stop()
