"""Turns what a backend returns into what the caller gets: settled, in order, and complete or an error."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any, Protocol, Self

from jd_core._collections.fold import Failed, Fold, Total, aggregate
from jd_core._collections.table import Kind
from jd_core._execution.chunk_size import CallDurations
from jd_core._execution.failures import HiddenInternals, assign, to_user
from jd_core._execution.feed import Feed
from jd_core._execution.prepared import progress_of_run
from jd_core._options.options import Options
from jd_core._planning.plan import Plan
from jd_core.backend import ChunkResult, SettledChunk
from jd_core.errors import BackendError

if TYPE_CHECKING:
    from jd_core._progress.progress import Progress
    from jd_core._resume.resumed import ResumedPlan
    from jd_core._tracing.record import RunRecord

    class Order(Protocol):
        """The order in which the caller gets results.

        Attributes:
            held: results that wait for earlier ones, by the index of the first call.
        """

        held: dict[int, Sequence[Any]]

        def push(self, start: int, values: Sequence[Any]) -> Iterator[Sequence[Any]]:
            """Takes the results of consecutive calls, and yields what the caller gets now."""
            ...


class Results:
    """The results of one run. Does no I/O of its own, so that a ``for`` and an ``async for`` can share it.

    ::

        with results:
            for chunk_result in backend.run(work, feed):
                for values in results.take(chunk_result):
                    ...
            results.finish()

    Args:
        plan: the run's calls.
        feed: where they come from, and where calls go that are attempted again.
        options: the decorated function's.
        durations: records what calls took.
        internals: hides this library's frames from the user.
        order: in which the caller gets them.
        workers: how many calls run at once.
        record: what is recorded of the run; None where nobody traces it.
        fold: combines the results; None: they are kept one by one.
        resumed: has the file that results are kept in, where there is one.
    """

    def __init__(
        self,
        plan: Plan,
        feed: Feed,
        options: Options,
        durations: CallDurations,
        internals: HiddenInternals,
        order: Order,
        *,
        workers: int,
        record: RunRecord | None = None,
        fold: Fold[Any] | None = None,
        resumed: ResumedPlan | None = None,
    ) -> None:
        self._kept: list[Any] = []
        self._total = None if fold is None else Total(fold)
        self._plan = plan
        self._feed = feed
        self._options = options
        self._durations = durations
        self._internals = internals
        self._order = order
        self._workers = workers
        self._record = record
        self._resumed = resumed
        self._progress: Progress | None = None
        self._watchers: list[Progress | RunRecord] = [] if record is None else [record]

    def __enter__(self) -> Self:
        """Opens the file of ``resume=``, which may raise a `ResumeError`, and starts showing progress."""
        if self._resumed is not None:
            with self._internals:
                self._resumed.open()
        if self._record is not None:
            self._record.begin()
        if (wanted := self._options.progress) is not False:
            plan, calls_in = self._plan, self._durations.calls_in
            self._progress = progress_of_run()(wanted, plan.name, plan.calls, self._workers, calls_in)
            self._watchers.append(self._progress)
        return self

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        """Closes the file and ends showing progress; an exception gets the results that there are."""
        try:
            if self._resumed is not None:
                self._resumed.close()
            if self._progress is not None:
                self._progress.close()
        finally:
            if isinstance(error, Exception):
                self.failed(error)
            self._internals.__exit__(kind, error, trace)
            if self._record is not None:
                self._record.end(error)

    def take(self, result: ChunkResult) -> Iterator[Sequence[Any]]:
        """Settles the calls of one `ChunkResult`: each has its result now, or is to be attempted again.

        Yields:
            Results for the caller. Those that have to wait for earlier ones are held until then.

        Raises:
            Exception: that of a call that failed for good, after the results before it.
        """
        if not len(result.values):
            self._feed.put_back(result.chunk)
            return
        retries = self._feed.retries
        if retries is None or len(result.failures) < len(result.values):  # how fast a service refuses tells nothing
            self._durations.record(len(result.values), result.seconds)
        if self._record is not None and not isinstance(result.chunk, SettledChunk):
            self._record.take(result)
        start = result.chunk.start + result.offset
        if not result.failures:
            yield from self._settle(start, result.values)
            return
        values, first = [*result.values], 0  # the first that is not settled
        for failure in result.failures:
            self._internals.strip(failure.exception)
            position, error = failure.index - start, to_user(failure, result.chunk, self._plan)
            if retries is not None:
                yield from self._settle(start + first, values[first:position])
                first = position
                if retries.attempt(error, failure.index, result.chunk):
                    first += 1
                    for watcher in self._watchers:
                        watcher.retried()
                    continue
            for watcher in self._watchers:
                watcher.failed()
            if self._resumed is not None:
                self._resumed.fail(failure.index, error)
            if self._options.return_exceptions:
                values[position] = error if self._total is None else Failed(error)
            else:
                yield from self._settle(start + first, values[first:position])
                self._internals.failure = error
                raise error
        yield from self._settle(start + first, values[first:])

    def keep(self, values: Sequence[Any]) -> None:
        """Keeps results, in order, for a caller that wants all of them at once; raises what combining them raises."""
        if self._total is None and type(values) is list and len(values) > len(self._kept) and self._resumed is None:
            values[:0], self._kept = self._kept, values  # the longer one is not copied (function tiny of benchmarks.advice)
        elif self._total is None:
            self._kept.extend(values)
        else:
            with self._internals.watching():
                self._total.extend(values)

    def finish(self) -> None:
        """Refuses to pass off some results as all of them, whatever a backend does.

        Raises:
            BackendError: calls have no result.
        """
        if not (feed := self._feed).exhausted or feed.settled != feed.fed:
            counts = f"{feed.settled} results for {feed.fed} calls of {self._plan.name}()"
            raise BackendError(f"job={self._options.job!r} returned {counts}: this is a bug in that backend")

    def aggregate(self, joined: Kind | None) -> Any:
        """Returns what a plain call returns, made of all results, which were kept.

        Args:
            joined: the collection type into which "auto" joins the results; None: they stay a list.

        Raises:
            BackendError: calls have no result.
            BatchingError: a result is not a collection, so it cannot be joined.
            Exception: whatever the user's callable raises.
        """
        self.finish()
        with self._internals.watching():
            if self._total is None:
                return aggregate(self._kept, self._options.aggregate, joined)
            value = self._total.value()
        return (value, self._total.failed) if self._options.return_exceptions else value

    def failed(self, error: Exception) -> None:
        """Puts the results that the caller does not have on an exception, by index, as ``partial``."""
        if self._total is None:
            partial = dict(enumerate(self._kept))
            for start, values in sorted(self._order.held.items()):
                partial.update(enumerate(values, start))
        else:
            partial = self._total.partial(self._order.held)
        with contextlib.suppress(AttributeError):  # a class with __slots__ and no __dict__ takes none
            assign(error, "partial", partial)

    def _settle(self, start: int, values: Sequence[Any]) -> Iterator[Sequence[Any]]:
        if len(values):
            self._feed.settle(start, len(values))
            if self._resumed is not None:
                self._resumed.keep(start, values)
            if self._progress is not None:
                with self._internals.watching():
                    self._progress.advance(len(values))
            ready = self._order.push(start, values)
            yield from ready if self._record is None else self._record.hand_over(ready)


class InOrder:
    """The order of the calls: results are buffered until all earlier ones have arrived."""

    def __init__(self) -> None:
        self.held: dict[int, Sequence[Any]] = {}
        self._next = 0

    def push(self, start: int, values: Sequence[Any]) -> Iterator[Sequence[Any]]:
        """Yields the results whose turn it is now."""
        if start < self._next or start in self.held:
            raise BackendError(f"the result of call {start} arrived twice: this is a bug in the job's backend")
        self.held[start] = values
        while self._next in self.held:
            ready = self.held.pop(self._next)
            self._next += len(ready)
            yield ready


class AsCompleted:
    """The order in which calls finish; the caller gets each result with the index of its call."""

    def __init__(self) -> None:
        self.held: dict[int, Sequence[Any]] = {}

    def push(self, start: int, values: Sequence[Any]) -> Iterator[Sequence[Any]]:
        """Yields (index, result) for each of the results."""
        yield list(enumerate(values, start))
