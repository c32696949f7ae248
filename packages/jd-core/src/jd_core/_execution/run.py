"""A call of a distributed function, from its bound arguments to its results.

::

    Target.start ──▶ Run:  plan ──▶ Feed ──Chunk──▶ backend.run ──ChunkResult──▶ Results ──▶ caller
                                     ▲                                              │
                                     └─────────────── calls attempted again ────────┘

`Feed` and `Results` do no I/O. What drives them are the methods of `Run`, for callers in a thread and on an event loop.
"""

from __future__ import annotations

import contextlib
import functools
import threading
from collections.abc import AsyncGenerator, Callable, Generator
from typing import TYPE_CHECKING, Any, NamedTuple

from jd_core._collections.fold import Fold
from jd_core._collections.table import Kind
from jd_core._execution.chunk_size import CallDurations, sizer
from jd_core._execution.failures import HiddenInternals
from jd_core._execution.feed import Feed, Stop, waking
from jd_core._execution.prepared import check_use, is_paced, prepare, retries_type, warn_of_generators
from jd_core._execution.results import AsCompleted, InOrder, Results
from jd_core._hints.signature import Signature
from jd_core._options.defaults import in_effect
from jd_core._options.options import Options
from jd_core._planning.binding import BoundCall
from jd_core._planning.plan import Plan
from jd_core._tracing import active
from jd_core.backend import POLL_SECONDS, Backend, Work, registry
from jd_core.worker.wrappers.folding import folding
from jd_core.worker.wrappers.seeded import seeded, stream_of_run

if TYPE_CHECKING:
    from jd_core._tracing.record import RunRecord

#: Seconds after which a backend asks for calls again of whose arrival it is told: nothing but another attempt comes untold.
UNTOLD_SECONDS = 1.0


class Target(NamedTuple):
    """A function as its calls need it.

    Attributes:
        function: the user's.
        signature: its signature.
        options: how its calls are distributed.
        durations: what its calls took so far.
    """

    function: Callable[..., Any]
    signature: Signature
    options: Options
    durations: CallDurations

    def start(self, call: BoundCall, *, stop: Stop | None = None, ordered: bool = True) -> Run:
        """Makes the run of a call, of which nothing has started yet. Warns of random generators that processes would copy.

        Args:
            call: the bound arguments.
            stop: ends the run, of a caller that takes results while it goes on.
            ordered: whether it takes them in the order of the calls.

        Raises:
            BatchingError: known lengths do not fit together.
            SignatureError: a frame for an element parameter.
            BackendError: the backend cannot be used.
        """
        options, backend, workers, planned = prepared = prepare(call, in_effect(self.options))
        function: Callable[..., Any] = self.function
        if call.generators or options.seed is not None:  # stated, it is for the calls inside the calls as well
            planned.stream = stream_of_run(call.name, options.seed)
            function = seeded(function, planned.stream, call.generators)
        streamed = stop is not None
        fold = options.aggregate if isinstance(options.aggregate, Fold) and not streamed else None
        check_use(call.name, options, backend, folds=fold is not None)
        if fold is not None and not options.resumed:  # each result is kept, so each comes here
            function = folding(function, fold.function)
        at_once = prepared.at_first()
        record = active.new_record(call.name, backend, at_once, planned.calls, options.backend, streamed=streamed)
        work = Work(
            function=function,
            constants=call.constants,
            workers=workers(),
            name=call.name,
            calls=planned.calls,
            timeout=options.timeout,
            stop_at_failure=not (options.return_exceptions or options.retry),
            return_at_failure=options.retry is not None and not backend.shares_calls,
            chunksize=options.chunksize if isinstance(options.chunksize, int) else None,
            options=options.backend,
            workers_given=options.workers is not None,
            cancelled=None if stop is None else stop.is_set,
            on_input=waking(planned, stop),
            recorder=record,
            poll_seconds=UNTOLD_SECONDS if planned.arriving and options.retry is None else POLL_SECONDS,
        )
        in_processes = functools.partial(warn_of_generators, self.function, call)
        if backend.in_processes:
            in_processes()
        may_join = planned.cut and not options.return_exceptions and backend.returns_values(options.backend)
        joined = self.signature.returns if may_join else None
        if joined is not None and planned.calls == 0:
            joined = joined.empty_like(argument.value for argument in call.distributed)
        common = planned, work, backend, options, self.durations, in_processes
        return Run(*common, at_once=at_once, stop=stop, ordered=ordered, joined=joined, record=record, fold=fold)


class Run:
    """One run of a plan. Nothing starts before one of its methods is called, or its generator asked; that can be done once.

    Args:
        plan: the calls.
        work: what is the same for all of them.
        backend: where they run.
        options: the function's.
        durations: what calls of the function took so far; learns from this run.
        in_processes: called where the rest of the run is handed to a backend whose calls run in processes.
        at_once: how many calls run at once, until the run is handed to another backend; None: as many as the work says.
        stop: ends the run, of a caller that takes results while it goes on.
        ordered: whether it takes them in the order of the calls.
        joined: the collection type into which ``aggregate="auto"`` joins the results; None: they stay a list.
        record: what is recorded of it; None where nobody traces it.
        fold: combines the results; None: they are kept one by one.
    """

    def __init__(
        self,
        plan: Plan,
        work: Work,
        backend: Backend,
        options: Options,
        durations: CallDurations,
        in_processes: Callable[[], None] = lambda: None,
        *,
        at_once: int | None = None,
        stop: Stop | None = None,
        ordered: bool = True,
        joined: Kind | None = None,
        record: RunRecord | None = None,
        fold: Fold[Any] | None = None,
    ) -> None:
        internals = HiddenInternals(backend)
        rule, workers, fixed, buffer = options.retry, work.workers, work.chunksize, options.buffersize
        resumed = None
        kept, shared = options.resumed is not None, backend.shares_calls
        combined = fold is not None and not kept
        first = at_once or workers
        sizes = sizer(backend, durations, first, total=plan.calls, fixed=fixed, buffer=buffer, combined=combined, kept=kept)
        retries = None if rule is None else retries_type()(rule, workers, work.name, shared=shared, paced=is_paced(work))
        if options.resumed and plan.calls != 0:
            from jd_core._resume.resumed import ResumedPlan  # here, because it imports sqlite3

            resumed = ResumedPlan(plan, options.resumed, work, lambda: self._feed.chunk_size(), options.seed)
        feed = Feed(resumed or plan, sizes, retries, internals, buffersize=buffer, streamed=stop is not None, record=record)
        order = InOrder() if ordered else AsCompleted()
        self._results = Results(
            plan, feed, options, durations, internals, order, workers=workers, record=record, fold=fold, resumed=resumed
        )
        self._feed, self._internals = feed, internals
        self._stop = stop or Stop()
        moved = self._moved if options.job == "auto" else None
        resized = self._resized if stop is not None and not work.workers_given else None
        self._work = work.replace(moved=moved, resized=resized) if moved or resized else work
        self._durations, self._in_processes = durations, in_processes
        self._record = record
        self._buffersize, self._kept = buffer, kept
        self._backend, self._joined = backend, joined

    def collect(self) -> Any:
        """Runs to the end and returns what a plain call returns.

        Raises:
            Exception: the first failure; its ``partial`` holds the results there were, by index.
        """
        with self._results as results:
            with contextlib.closing(self._backend.run(self._work, iter(self._feed))) as chunk_results:
                for chunk_result in chunk_results:
                    for values in results.take(chunk_result):
                        results.keep(values)
            return results.aggregate(self._joined)

    async def acollect(self) -> Any:
        """Like `collect`, on the caller's event loop."""
        from jd_core.backend.bridge import nested  # here, because it imports asyncio, which the other ways do not need

        with self._results as results:
            async with nested(self._backend.arun(self._work, iter(self._feed))) as chunk_results:
                async for chunk_result in chunk_results:
                    for values in results.take(chunk_result):
                        results.keep(values)
            return results.aggregate(self._joined)

    def stream(self) -> Generator[Any, None, None]:
        """Yields results one by one, as soon as their turn has come. Closing it cancels the run.

        Raises:
            Exception: the first failure; its ``partial`` holds the results that were buffered.
        """
        with self._results as results:
            self._stop.thread = threading.get_ident()
            with contextlib.closing(self._backend.run(self._work, iter(self._feed))) as chunk_results:
                for chunk_result in chunk_results:
                    for values in results.take(chunk_result):
                        yield from values
                        self._stop.thread = threading.get_ident()
                        self._feed.take(len(values))
            if not self._stop.is_set():
                results.finish()

    def _resized(self, workers: int, backend: Backend | None = None) -> None:
        """Has the rest of the run suit so many workers of a backend, or of its own."""
        backend, work = backend or self._backend, self._work
        left = None if work.calls is None else work.calls - self._feed.fed
        fixed, buffer = work.chunksize, self._buffersize
        sizes = sizer(backend, self._durations, workers, total=left, fixed=fixed, buffer=buffer, kept=self._kept)
        self._feed.resize(sizes, workers, shared=backend.shares_calls)

    def _moved(self, job: str, workers: int) -> None:
        """Has the rest of the run suit the job to which a backend hands it."""
        backend = registry.backend(job)
        self._resized(workers, backend)
        if self._record is not None:
            self._record.moved_to(backend, workers)
        self._internals.hide(backend)
        if backend.in_processes:
            self._in_processes()

    async def astream(self) -> AsyncGenerator[Any, None]:
        """Like `stream`, on the caller's event loop."""
        from jd_core.backend.bridge import nested, running_loop

        running_loop(self._work.name)
        with self._results as results:
            async with nested(self._backend.arun(self._work, iter(self._feed))) as chunk_results:
                async for chunk_result in chunk_results:
                    for values in results.take(chunk_result):
                        for value in values:
                            yield value
                        if self._feed.take(len(values)):
                            self._stop.wake()
            if not self._stop.is_set():
                results.finish()
