"""What the backends that run in the caller's own process share: calls that are taken one by one by whoever is free.

A chunk is not bound to a worker here, so a slow call holds no other back, and chunks may be large::

     caller's thread                             workers (threads, or tasks of a loop)
    ─────────────────────────────────────────────────────────────────────────────────
    chunks ──pull──▶ OpenChunk, OpenChunk … ──following──▶ for offset, arguments in calls
                                                                 values[offset] = …
    caller ◀──results── collect ◀──────completed────────────── account

The user's input is read in the caller's thread, where database cursors and the like belong. Nothing is done per call but to
take it and to put its result at its place: locks, messages and clocks are per chunk and worker.
"""

from __future__ import annotations

import itertools
import sys
import threading
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any

from jd_core.backend import CANCEL_SECONDS, POLL_SECONDS, Chunk, ChunkResult, Failure, Work

#: Seconds without a finished chunk after which the finished calls of unfinished chunks are given.
QUIET_SECONDS = 0.01

#: Longest wait in one piece. Elsewhere a lock's wait ends at once with a signal; on Windows Ctrl-C is seen only after it.
WAIT_SECONDS = 0.1 if sys.platform == "win32" else 3600.0

#: With the GIL, ``enumerate`` of these gives each item to one thread only: it runs no Python code in between.
_ONCE_EACH = (list, tuple, range)

_MISSING: Any = object()  # stands at the place of a result that is not there yet
_GIVEN: Any = object()  # and of one that was given to the caller before the rest of its chunk
_END: Any = object()


class OpenChunk:
    """A chunk whose calls are being taken.

    Attributes:
        calls: gives each (offset, argument) to one worker only; shared by all.
        starred: whether ``argument`` is a tuple of several, see `unstarred`.
        values: the results, at their offsets; a failed call's is None.
        failures: exceptions by offset.
        left: calls without a result that was accounted for.
        seconds: what the calls accounted for took together.
    """

    __slots__ = ("_first", "_given", "calls", "chunk", "failures", "left", "seconds", "starred", "values")

    def __init__(self, chunk: Chunk) -> None:
        self.chunk = chunk
        columns = chunk.columns
        self.starred = len(columns) > 1
        rows: Sequence[Any] = list(zip(*columns, strict=True)) if self.starred else columns[0]
        self.calls = _once_each(rows if type(rows) in _ONCE_EACH else list(rows))
        self.values: list[Any] = [_MISSING] * len(chunk)
        self.failures: dict[int, BaseException] = {}
        self.left = len(chunk)
        self.seconds = 0.0
        self._first = 0  # every call before this one was given
        self._given = False  # some calls were given already

    def fail(self, offset: int, error: BaseException) -> None:
        """Puts an exception at a call's place. A StopIteration becomes a RuntimeError, as PEP 479 has it."""
        if isinstance(error, StopIteration):
            cause, error = error, RuntimeError("the function raised StopIteration")
            error.__cause__ = cause
        self.failures[offset] = error
        self.values[offset] = None  # last: whoever sees a value finds its failure

    def parts(self) -> list[ChunkResult]:
        """Returns the results that are there and were not given before: a part for each run of consecutive ones."""
        values = self.values
        if not self.left and not self._given:
            return [self._part(0, values)]
        parts = []
        for is_new, group in itertools.groupby(range(self._first, len(values)), self._is_new):
            if is_new:
                offsets = list(group)
                start, end = offsets[0], offsets[-1] + 1
                parts.append(self._part(start, values[start:end]))
                values[start:end] = [_GIVEN] * (end - start)
                self._given = True
        while self._first < len(values) and values[self._first] is _GIVEN:
            self._first += 1
        return parts

    def _is_new(self, offset: int) -> bool:
        return self.values[offset] is not _MISSING and self.values[offset] is not _GIVEN

    def _part(self, start: int, values: list[Any]) -> ChunkResult:
        failures: tuple[Failure, ...] = ()
        if self.failures:
            found = sorted(offset for offset in list(self.failures) if start <= offset < start + len(values))
            failures = tuple(Failure(self.chunk.start + offset, self.failures[offset]) for offset in found)
        # What a part of an unfinished chunk took is not known yet; the last part is not to stand for all of them.
        seconds = 0.0 if self.left else self.seconds * len(values) / len(self.values)
        return ChunkResult(self.chunk, values, failures, seconds, start)


class Source:
    """The calls of one run: what is open, what is finished, and whether there is more.

    The methods of the first half are the caller's, those of the second the workers'.

    Args:
        work: what is the same for all calls.
        chunks: gives the chunks.
        wake: called by workers when the caller has something to do: to give results, or to pull.

    Attributes:
        lock: guards what both sides change.
        stopped: nothing further starts.
        ended: ``chunks`` has ended.
        waiting: workers that found nothing to take (and must be woken when there is something).
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
        self._large = 0  # open chunks of more than one call
        self._nothing_now = False
        self._over = False
        self._error: BaseException | None = None
        self._given = time.monotonic()

    def wants_more(self) -> bool:
        """Returns whether to `pull`: while less is ready than the workers could take at once."""
        if self.ended or self.stopped:
            return False
        return self._spare < self._work.workers and len(self._open) < 2 * self._work.workers

    def pull(self) -> int:
        """Opens the next chunk and returns its number of calls; 0 if there is none now, or no more.

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
        opened = OpenChunk(chunk)
        count = opened.left
        with self.lock:
            self._open[opened] = None
            self._large += count > 1
            self._spare += count if self._ready else 0
            self._ready.append(opened)
        return count

    def has_results(self) -> bool:
        """Returns whether a chunk is finished."""
        return bool(self._completed)

    def collect(self) -> list[ChunkResult]:
        """Returns finished chunks; after `QUIET_SECONDS` without one, or once stopped, the finished parts of others."""
        results: list[ChunkResult] = []
        stopped = self.stopped  # read before looking, so that the failure that stopped the run is found
        while self._completed:
            results.extend(self._completed.popleft().parts())
        now = time.monotonic()
        if not results and (stopped or (self._large and now - self._given >= QUIET_SECONDS)):
            with self.lock:
                unfinished = list(self._open)
            for opened in unfinished:
                results.extend(opened.parts())
        if results:
            self._given = now
        self._over = not results and (stopped or (self.ended and not self._open and not self._completed))
        return results

    def is_over(self) -> bool:
        """Returns whether `collect` has given all: every result, or those there were when a failure stopped the run.

        Raises:
            BaseException: what went wrong in a worker outside the user's function.
        """
        if self._error is not None:
            raise self._error
        return self._over

    def is_finished(self) -> bool:
        """Returns whether every call has its result, and no more come."""
        return self.ended and not self._open

    def patience(self) -> float:
        """Returns for how many seconds the caller may wait unless it is woken."""
        limit = WAIT_SECONDS if self._work.cancelled is None else CANCEL_SECONDS
        if self._large:
            limit = min(limit, QUIET_SECONDS)
        return min(limit, POLL_SECONDS) if self._nothing_now else limit

    def following(self, previous: OpenChunk | None) -> OpenChunk | None:
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

    def account(self, opened: OpenChunk, calls: int, seconds: float) -> None:
        """Takes note that a worker finished ``calls`` calls of a chunk, whose results stand at their places."""
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
        """Takes note that a call failed, which may end the run."""
        opened.fail(offset, without_own_frames(error))
        if self._work.stop_at_failure:
            self.stopped = True
            self._wake()

    def crash(self, error: BaseException) -> None:
        """Ends the run with an exception that is not a call's."""
        self._error = error
        self.stopped = True
        self._wake()


def unstarred(call: Callable[..., Any]) -> Callable[[tuple[Any, ...]], Any]:
    """Returns ``call`` as a callable of the tuple of its arguments, for `OpenChunk.calls` of several columns.

    One argument is most often all there is, and needs no tuple made and taken apart again for each call.
    """
    return lambda arguments: call(*arguments)


def without_own_frames(error: BaseException) -> BaseException:
    """Takes this library's frames off the start of an exception's traceback.

    They tell the user nothing, and hold what must not be shown with ``capture_locals``: the constants.
    """
    trace = error.__traceback__
    while trace is not None and _is_own(trace.tb_frame.f_globals.get("__name__", "")):
        trace = trace.tb_next
    return error.with_traceback(trace)


def _is_own(module: str) -> bool:
    return module.partition(".")[0] in ("jd_core", "jd_io", "jd_web")


def _has_gil() -> bool:
    return bool(getattr(sys, "_is_gil_enabled", lambda: True)())


def _once_each(rows: Sequence[Any]) -> Iterable[tuple[int, Any]]:
    calls = enumerate(rows)
    return calls if _has_gil() else _Locked(calls)


class _Locked:
    """An iterator that gives each item to one thread only."""

    def __init__(self, items: Iterator[Any]) -> None:
        self._items = items
        self._lock = threading.Lock()

    def __iter__(self) -> _Locked:
        return self

    def __next__(self) -> Any:
        with self._lock:
            return next(self._items)
