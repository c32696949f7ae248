"""A chunk whose calls are being taken by several workers, and whose results come in at their places in any order."""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from typing import Any

from jd_core.backend import Chunk, ChunkResult, Failure
from jd_core.worker import BLOCK_SECONDS, Span, failure_of

#: With the GIL, ``enumerate`` of these yields each item to one thread only: it runs no Python code in between.
_ONCE_EACH = (list, tuple, range)

_MISSING: Any = object()  # stands at the place of a result that is not there yet
_RETURNED: Any = object()  # and of one that was returned to the caller before the rest of its chunk


class OpenChunk:
    """A chunk whose calls are being taken.

    Attributes:
        calls: yields each (offset, argument) to one worker only; shared by all.
        starred: whether ``argument`` is a tuple of several, see `unstarred`.
        values: the results, at their offsets; a failed call's is None.
        failures: exceptions by offset.
        left: calls whose results were not recorded yet.
        seconds: what the recorded calls took together.
    """

    __slots__ = ("_first", "_returned", "calls", "chunk", "failures", "left", "seconds", "starred", "values")

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
        self._first = 0  # every call before this one was returned
        self._returned = False  # some calls were returned already

    def fail(self, offset: int, error: BaseException) -> None:
        """Puts an exception at a call's place."""
        self.failures[offset] = failure_of(error)
        self.values[offset] = None  # last: whoever sees a value finds its failure

    def parts(self) -> list[ChunkResult]:
        """Returns the results that have arrived and were not returned before: a part for each run of consecutive ones."""
        values = self.values
        if not self.left and not self._returned:
            # All at once, without looking at each result (rows io-tiny-calls and web-tiny-calls).
            # Recorded, for it may be looked at twice: a worker can finish it after the caller has found it unfinished.
            self._returned, self._first = True, len(values)
            return [self._part(0, values)]
        # A list of bools is searched in C; the values themselves are not compared, since their == may be anything.
        new = [value is not _MISSING and value is not _RETURNED for value in values[self._first :]]
        count = len(new)
        new += False, True  # what ends the last run, and the search
        parts = []
        start = new.index(True)
        while start < count:
            end = new.index(False, start)
            offset, after = self._first + start, self._first + end
            parts.append(self._part(offset, values[offset:after]))
            values[offset:after] = [_RETURNED] * (end - start)
            self._returned = True
            start = new.index(True, end)
        while self._first < len(values) and values[self._first] is _RETURNED:
            self._first += 1
        return parts

    def _part(self, start: int, values: list[Any]) -> ChunkResult:
        failures: tuple[Failure, ...] = ()
        if self.failures:
            found = sorted(offset for offset in list(self.failures) if start <= offset < start + len(values))
            failures = tuple(Failure(self.chunk.start + offset, self.failures[offset]) for offset in found)
        # What a part of an unfinished chunk took is not known yet; the last part is not to stand for all of them.
        seconds = 0.0 if self.left else self.seconds * len(values) / len(self.values)
        return ChunkResult(self.chunk, values, failures, seconds, start)


def measured(calls: Iterable[tuple[int, Any]], spans: list[Span]) -> Generator[tuple[int, Any], None, None]:
    """Yields calls for one worker, and records how long it took for them: in blocks, as `jd_core.worker.run_calls` does.

    Args:
        calls: see `OpenChunk.calls`.
        spans: gets the spans, the last one when this is closed. In one of several calls there are gaps, whose calls other
            workers took.
    """
    done, block, left, offset = 0, 1, 1, 0  # calls of the span; of a block, and of those how many are left
    began, cpu = time.perf_counter(), time.thread_time()
    looked = began
    try:
        for call in calls:
            yield call
            done += 1
            offset = call[0]
            left -= 1
            if left:
                continue
            now = time.perf_counter()
            if block == 1 < done and now - looked >= BLOCK_SECONDS:  # a long call after short ones stands for itself
                spans.append((offset - done + 1, done - 1, began, looked, 0.0))
                done, began = 1, looked
            if now - began >= BLOCK_SECONDS:
                used = time.thread_time()
                spans.append((offset - done + 1, done, began, now, used - cpu))
                done, began, cpu = 0, now, used
            left = block = block * 2 if now - looked < BLOCK_SECONDS else max(1, block // 2)
            looked = now
    finally:
        if done:
            spans.append((offset - done + 1, done, began, time.perf_counter(), time.thread_time() - cpu))


def unstarred(call: Callable[..., Any]) -> Callable[[tuple[Any, ...]], Any]:
    """Returns ``call`` as a callable of the tuple of its arguments, for `OpenChunk.calls` of several columns.

    One argument is most often all there is, and needs no tuple made and taken apart again for each call (row io-tiny-calls).
    """
    return lambda arguments: call(*arguments)


def _has_gil() -> bool:
    return bool(getattr(sys, "_is_gil_enabled", lambda: True)())


def _once_each(rows: Sequence[Any]) -> Iterable[tuple[int, Any]]:
    calls = enumerate(rows)
    return calls if _has_gil() else _Locked(calls)


class _Locked:
    """An iterator that yields each item to one thread only."""

    def __init__(self, items: Iterator[Any]) -> None:
        self._items = items
        self._lock = threading.Lock()

    def __iter__(self) -> _Locked:
        return self

    def __next__(self) -> Any:
        with self._lock:
            return next(self._items)
