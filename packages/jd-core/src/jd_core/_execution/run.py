"""Runs a plan on a backend: feeds chunks, takes results, settles failures, and gives the results in order.

The life of a call::

    plan ──take──▶ feed ──Chunk──▶ backend.run ──ChunkResult──▶ settle ──segment──▶ in_order ──▶ caller
                    ▲                                             │
                    └───────────── waiting (retries) ◀────────────┘

A *segment* is (index of its first call, results of consecutive calls). Segments part the calls of a run without overlap.
"""

from __future__ import annotations

import contextlib
import heapq
import time
from collections.abc import AsyncGenerator, Generator, Iterator, Sequence
from typing import Any, TypeAlias

from jd_core._execution import failures, progress
from jd_core._execution.chunk_size import Pace, sizer
from jd_core._options.options import Options
from jd_core._planning.plan import Plan
from jd_core.backend import Backend, Chunk, ChunkResult, Failure, Work
from jd_core.errors import BackendError

Segment: TypeAlias = tuple[int, Sequence[Any]]

#: Chunks per worker that may be read ahead of an ordered stream's consumer where ``buffersize`` is not given.
CHUNKS_AHEAD = 4


class Run:
    """One run of a plan. Nothing starts before `segments` or `asegments` is iterated, which can be done once.

    Args:
        plan: the calls.
        work: what is the same for all of them.
        backend: where they run.
        options: the decorated function's.
        pace: what calls of the function took in earlier runs; learns from this one.
        ordered: whether results are held back until those before them are there; what is held back counts as read ahead.
    """

    def __init__(self, plan: Plan, work: Work, backend: Backend, options: Options, pace: Pace, *, ordered: bool) -> None:
        self._plan = plan
        self._work = work
        self._backend = backend
        self._options = options
        self._retry = options.retry
        self._ordered = ordered
        self._pace = pace
        self._sizer = sizer(backend, pace, work.workers, total=plan.calls, fixed=work.chunksize, buffer=options.buffersize)
        self._fed = 0  # calls given to the backend for the first time
        self._settled = 0  # calls that have their result, or failed for good
        self._consumed = 0  # calls whose results the caller has taken
        self._exhausted = False
        self._attempts: dict[int, int] = {}  # failed attempts of each call that is being retried
        self._waiting: list[tuple[float, int, Chunk]] = []  # heap of (monotonic time due, index, chunk of that one call)
        self._progress: progress.Progress = progress.Silent()
        self.internals = failures.HiddenInternals(backend)

    def segments(self) -> Generator[Segment, None, None]:
        """Yields the results as they come; raises the first failure. Closing it cancels the run."""
        self._progress = self._started_progress()
        with contextlib.closing(self._backend.run(self._work, self._feed())) as results:
            try:
                for result in results:
                    yield from self._settle(result)
                self._check_complete()
            finally:
                self._progress.close()

    async def asegments(self) -> AsyncGenerator[Segment, None]:
        """Like `segments`, on the caller's event loop."""
        self._progress = self._started_progress()
        async with contextlib.aclosing(self._backend.arun(self._work, self._feed())) as results:
            try:
                async for result in results:
                    for segment in self._settle(result):
                        yield segment
                self._check_complete()
            finally:
                self._progress.close()

    def consumed(self, calls: int) -> None:
        """Takes note that the caller has taken the results of ``calls`` more calls of an ordered run."""
        self._consumed += calls

    def _started_progress(self) -> progress.Progress:
        calls = self._plan.calls
        known = self._pace.calls_in(progress.INTERVAL * self._work.workers)
        brief = calls is not None and known is not None and calls <= known
        return progress.start(self._options.progress, self._plan.name, calls, brief=brief)

    def _check_complete(self) -> None:
        """Refuses to pass off some results as all of them, whatever a backend does."""
        if not self._exhausted or self._settled != self._fed:
            raise BackendError(
                f"job={self._options.job!r} gave {self._settled} results for {self._fed} calls of {self._plan.name}(): "
                f"this is a fault of that backend"
            )

    def _feed(self) -> Iterator[Chunk | None]:
        """Gives the backend its chunks: retries that are due before fresh calls; None while neither may start."""
        while True:
            chunk = self._due() or self._fresh()
            if chunk is None and self._exhausted and not self._may_come_back():
                return
            yield chunk

    def _may_come_back(self) -> bool:
        """Whether a call that was fed may have to be fed again."""
        return bool(self._waiting) or (self._retry is not None and self._settled < self._fed)

    def _due(self) -> Chunk | None:
        if self._waiting and self._waiting[0][0] <= time.monotonic():
            return heapq.heappop(self._waiting)[2]
        return None

    def _fresh(self) -> Chunk | None:
        if self._exhausted:
            return None
        size = self._sizer.next()
        ahead = self._fed - (self._consumed if self._ordered else self._settled)
        if self._options.buffersize is not None:
            size = min(size, self._options.buffersize - ahead)
        elif self._ordered and ahead + size > CHUNKS_AHEAD * self._sizer.ahead(size):
            size = 0
        if size <= 0:
            return None
        with self.internals.watching():
            chunk = self._plan.take(size)
        self._exhausted = self._plan.ended
        if chunk is not None:
            self._fed += len(chunk)
            self._sizer.given(len(chunk))
        return chunk

    def _settle(self, result: ChunkResult) -> Iterator[Segment]:
        """Gives the results of one `ChunkResult` that are final, and puts failed calls that are retried in the queue."""
        self._pace.learn(len(result.values), result.seconds)
        start = result.chunk.start + result.offset
        if not result.failures:
            yield from self._final(start, result.values)
            return
        values = [*result.values]
        given = 0  # how many of the values are final, or wait for another attempt
        for failure in result.failures:
            position = failure.index - start
            self.internals.strip(failure.exception)
            error = failures.exception_of(failure)
            if self._retried(failure, error, result.chunk):
                yield from self._final(start + given, values[given:position])
                given = position + 1
                continue
            failures.annotate(error, failure.index, self._plan.calls, self._plan.names, result.chunk)
            if not self._options.return_exceptions:
                yield from self._final(start + given, values[given:position])
                self.internals.failure = error
                raise error
            values[position] = error
        yield from self._final(start + given, values[given:])

    def _final(self, start: int, values: Sequence[Any]) -> Iterator[Segment]:
        if len(values):
            self._settled += len(values)
            with self.internals.watching():
                self._progress.advance(len(values))
            yield start, values

    def _retried(self, failure: Failure, error: BaseException, chunk: Chunk) -> bool:
        if self._retry is None:
            return False
        made = self._attempts.get(failure.index, 0) + 1
        if not self._retry.again(error, made):
            return False
        self._attempts[failure.index] = made
        columns = tuple([argument] for argument in chunk.arguments(failure.index - chunk.start))
        due = time.monotonic() + self._retry.wait(error, made)
        heapq.heappush(self._waiting, (due, failure.index, Chunk(failure.index, columns)))
        return True


class Reorder:
    """Puts segments in order: holds each back until all before it are there."""

    def __init__(self) -> None:
        self.next = 0
        self.held: dict[int, Sequence[Any]] = {}

    def push(self, segment: Segment) -> Iterator[Sequence[Any]]:
        """Takes a segment and gives those whose turn it now is, in order."""
        start, values = segment
        if start < self.next or start in self.held:
            raise BackendError(f"the result of call {start} came twice: this is a fault of the job's backend")
        self.held[start] = values
        while self.next in self.held:
            ready = self.held.pop(self.next)
            self.next += len(ready)
            yield ready


def collect(run: Run) -> list[Any]:
    """Runs to the end and returns the results, one per call, in order.

    Raises:
        Exception: the first failure; its ``partial`` holds the results there were, by index.
    """
    reorder = Reorder()
    results: list[Any] = []
    with run.internals:
        try:
            for segment in run.segments():
                for values in reorder.push(segment):
                    results.extend(values)
        except Exception as error:
            _keep_partial(error, results, reorder)
            raise
    return results


async def acollect(run: Run) -> list[Any]:
    """Like `collect`, on the caller's event loop."""
    reorder = Reorder()
    results: list[Any] = []
    with run.internals:
        try:
            async with contextlib.aclosing(run.asegments()) as segments:
                async for segment in segments:
                    for values in reorder.push(segment):
                        results.extend(values)
        except Exception as error:
            _keep_partial(error, results, reorder)
            raise
    return results


def _keep_partial(error: Exception, results: list[Any], reorder: Reorder) -> None:
    partial = dict(enumerate(results))
    for start, values in sorted(reorder.held.items()):
        partial.update(enumerate(values, start))
    # An exception class with __slots__ and no __dict__ takes no attribute; its results are lost, not its message.
    with contextlib.suppress(AttributeError):
        error.partial = partial  # type: ignore[attr-defined]


def in_order(run: Run) -> Generator[Any, None, None]:
    """Yields the results one by one, in order, as soon as all before them are there.

    Raises:
        Exception: the first failure; its ``partial`` holds the results that were held back for those before them.
    """
    reorder = Reorder()
    with run.internals, contextlib.closing(run.segments()) as segments:
        try:
            for segment in segments:
                for values in reorder.push(segment):
                    yield from values
                    run.consumed(len(values))
        except Exception as error:
            _keep_partial(error, [], reorder)
            raise


def as_completed(run: Run) -> Generator[tuple[int, Any], None, None]:
    """Yields (index, result) as calls finish."""
    with run.internals, contextlib.closing(run.segments()) as segments:
        for start, values in segments:
            yield from enumerate(values, start)


async def ain_order(run: Run) -> AsyncGenerator[Any, None]:
    """Like `in_order`, on the caller's event loop."""
    reorder = Reorder()
    with run.internals:
        async with contextlib.aclosing(run.asegments()) as segments:
            try:
                async for segment in segments:
                    for values in reorder.push(segment):
                        for value in values:
                            yield value
                        run.consumed(len(values))
            except Exception as error:
                _keep_partial(error, [], reorder)
                raise
