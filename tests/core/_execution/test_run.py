"""Running a plan, on a backend in memory whose every step the test decides."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Callable, Generator, Iterable, Iterator
from typing import Any

import hypothesis.strategies as st
import pytest
from hypothesis import given
from jd_core._execution.chunk_size import CallDurations
from jd_core._execution.run import Run, Stop
from jd_core._hints.signature import inspect_function
from jd_core._options.options import Options, resolve
from jd_core._options.retry import Retry
from jd_core._planning.binding import bind
from jd_core._planning.plan import plan
from jd_core.backend import Backend, Chunk, ChunkResult, Failure, Work
from jd_core.errors import BackendError, CallError

Answer = Callable[[int, int], Any]


class Scripted(Backend):
    """Answers each call with ``answer(value, attempt)``: a value, or an exception; gives results in a chosen order.

    Attributes:
        attempts: how often each value was tried.
        closed: how often a run ended.
        nones: how often there was nothing to start.
    """

    name = "scripted"
    message_seconds = 0.001

    def __init__(self, answer: Answer = lambda value, attempt: value, pick: Callable[[int], int] = lambda n: 0) -> None:
        self.attempts: dict[int, int] = {}
        self.closed = 0
        self.nones = 0
        self.sizes: list[int] = []
        self._answer = answer
        self._pick = pick

    def default_workers(self, options: Any) -> int:
        return 2

    def run(self, work: Work, chunks: Iterator[Chunk | None]) -> Generator[ChunkResult, None, None]:
        held: list[Chunk] = []
        try:
            ended = False
            while not ended or held:
                while not ended and len(held) < 2 * work.workers:
                    chunk = next(chunks, "end")
                    ended = chunk == "end"
                    if not isinstance(chunk, Chunk):
                        self.nones += chunk is None
                        break
                    self.sizes.append(len(chunk))
                    held.append(chunk)
                if held:
                    yield self._run(held.pop(self._pick(len(held)) % len(held)), work)
        finally:
            self.closed += 1

    def _run(self, chunk: Chunk, work: Work) -> ChunkResult:
        values: list[Any] = []
        failures = []
        for offset, value in enumerate(chunk.columns[0]):
            self.attempts[value] = self.attempts.get(value, 0) + 1
            answer = self._answer(value, self.attempts[value])
            if isinstance(answer, BaseException):
                failures.append(Failure(chunk.start + offset, answer))
                answer = None
            values.append(answer)
            if failures and work.stop_at_failure:
                break
        # A sequence that is no list, nor can be changed.
        return ChunkResult(chunk, tuple(values), tuple(failures), 0.001 * len(values))


def started(
    backend: Backend,
    values: Iterable[Any],
    *,
    streamed: bool = False,
    ordered: bool = True,
    workers: int = 2,
    workers_given: bool = True,
    **given: Any,
) -> Run:
    """Makes a run of calls of a function of one value."""

    def function(value: int) -> int:
        return value

    options: Options = resolve({"job": "io", **given})
    made = plan(bind(inspect_function(function), (values,), {}), autobatch=True, batch_size=None, workers=lambda: workers)
    work = Work(
        function=function,
        constants={},
        workers=workers,
        name="function",
        calls=made.calls,
        stop_at_failure=not (options.return_exceptions or options.retry),
        chunksize=options.chunksize if isinstance(options.chunksize, int) else None,
        workers_given=workers_given,
    )
    return Run(made, work, backend, options, CallDurations(), stop=Stop() if streamed else None, ordered=ordered)


orders = st.lists(st.integers(0, 100), min_size=1).map(lambda numbers: itertools.cycle(numbers).__next__)


@given(length=st.integers(1, 60), lazy=st.booleans(), order=orders, chunksize=st.one_of(st.just("auto"), st.integers(1, 9)))
def test_order(length: int, lazy: bool, order: Callable[[], int], chunksize: int | str) -> None:
    """Section 4: results are in input order, in whatever order they come."""
    values = iter(range(length)) if lazy else range(length)
    backend = Scripted(pick=lambda n: order())
    assert started(backend, values, chunksize=chunksize).collect() == list(range(length))
    assert set(backend.attempts.values()) == {1}


@given(length=st.integers(1, 60), order=orders, buffersize=st.one_of(st.none(), st.integers(1, 9)))
def test_streams_are_in_order(length: int, order: Callable[[], int], buffersize: int | None) -> None:
    """Section 1: streams are in input order, whatever is read ahead."""
    run = started(Scripted(pick=lambda n: order()), iter(range(length)), streamed=True, buffersize=buffersize)
    assert list(run.stream()) == list(range(length))


@given(length=st.integers(1, 60), order=orders)
def test_as_completed_gives_every_index(length: int, order: Callable[[], int]) -> None:
    """Section 1: as_completed gives each index with its result, in the order in which they come."""
    run = started(Scripted(pick=lambda n: order()), range(length), streamed=True, ordered=False)
    assert sorted(run.stream()) == [(index, index) for index in range(length)]


@given(
    length=st.integers(1, 40),
    failing=st.dictionaries(st.integers(0, 39), st.integers(1, 3)),
    order=orders,
    chunksize=st.integers(1, 9),
)
def test_retries(length: int, failing: dict[int, int], order: Callable[[], int], chunksize: int) -> None:
    """Section 5: calls that fail up to k times succeed with k further attempts, each at its place."""
    backend = Scripted(
        lambda value, attempt: ConnectionError() if attempt <= failing.get(value, 0) else value, lambda n: order()
    )
    rule = Retry(3, initial=1e-6, maximum=1e-6)
    assert started(backend, range(length), retries=rule, chunksize=chunksize).collect() == list(range(length))
    assert backend.attempts == {value: 1 + failing.get(value, 0) for value in range(length)}


def test_retries_run_out() -> None:
    """Section 5: the last error is raised."""
    backend = Scripted(lambda value, attempt: ConnectionError(attempt))
    with pytest.raises(ConnectionError) as caught:
        started(backend, [7], retries=Retry(2, initial=1e-6, maximum=1e-6)).collect()
    assert caught.value.args == (3,)
    assert backend.attempts == {7: 3}
    assert backend.closed == 1


def test_waiting_retries_travel_alone_and_first() -> None:
    """Section 5: a call that is due again goes before fresh ones, without those that shared its chunk."""
    backend = Scripted(lambda value, attempt: ConnectionError() if (value, attempt) == (1, 1) else value)
    run = started(backend, range(100), retries=Retry(1, initial=1e-6, maximum=1e-6), chunksize=10)
    assert run.collect() == list(range(100))
    assert sorted(backend.sizes) == [1, *[10] * 10]
    assert backend.sizes.index(1) < 10


def test_the_backend_is_asked_again_while_a_retry_waits() -> None:
    """None says that there is nothing to start now, and that more may come."""
    backend = Scripted(lambda value, attempt: ConnectionError() if attempt == 1 else value)
    assert started(backend, [3], retries=Retry(1, initial=0.02, maximum=0.02)).collect() == [3]
    assert backend.nones > 0


def test_the_first_failure_ends_the_run() -> None:
    """Section 5: the first failure is raised, the backend's run is closed, and nothing further is fed."""
    backend = Scripted(lambda value, attempt: LookupError(value) if value == 4 else value)
    with pytest.raises(LookupError) as caught:
        started(backend, range(1000), chunksize=1).collect()
    assert backend.closed == 1
    assert max(backend.attempts) < 20
    assert caught.value.__notes__ == ["distribute: started.<locals>.function(): call 4 of 1000 failed: value=4"]
    assert caught.value.partial == {0: 0, 1: 1, 2: 2, 3: 3}  # type: ignore[attr-defined]


def test_partial_holds_later_results() -> None:
    """Section 5: results of later calls that came before the failure are in ``partial``."""
    backend = Scripted(lambda value, attempt: LookupError() if value == 0 else value, lambda n: n - 1)
    with pytest.raises(LookupError) as caught:
        started(backend, range(4), chunksize=1).collect()
    partial = caught.value.partial  # type: ignore[attr-defined]
    assert partial
    assert all(index == value for index, value in partial.items())
    assert 0 not in partial


def test_exceptions_without_attributes() -> None:
    """Section 5: an exception that takes no attribute is raised all the same."""

    class SlottedError(LookupError):
        __slots__ = ()

        def __setattr__(self, name: str, value: Any) -> None:
            if name == "partial":
                raise AttributeError(name)
            super().__setattr__(name, value)

    with pytest.raises(SlottedError):
        started(Scripted(lambda value, attempt: SlottedError()), [1]).collect()


def test_return_exceptions() -> None:
    """Section 5: exceptions stand at their place."""
    backend = Scripted(lambda value, attempt: LookupError(value) if value % 3 == 0 else value)
    results = started(backend, range(7), return_exceptions=True, chunksize=4).collect()
    assert [type(result).__name__ for result in results] == [
        *["LookupError", "int", "int"] * 2,
        "LookupError",
    ]


def test_exits_are_call_errors() -> None:
    """Section 5: what is no Exception ends a call, not the caller."""
    with pytest.raises(CallError) as caught:
        started(Scripted(lambda value, attempt: SystemExit(3)), [1]).collect()
    assert isinstance(caught.value.__cause__, SystemExit)


def test_closing_a_stream_closes_the_backend() -> None:
    """Section 1: closing a stream cancels the rest."""
    backend = Scripted()
    results = started(backend, itertools.count(), streamed=True, chunksize=1).stream()
    assert [next(results) for _ in range(3)] == [0, 1, 2]
    results.close()
    assert backend.closed == 1


@pytest.mark.parametrize("buffersize", [1, 2, 5, 100])
def test_buffersize(buffersize: int) -> None:
    """Promise 9: at most ``buffersize`` calls are read ahead of what the caller took."""
    read = 0

    def values() -> Iterator[int]:
        nonlocal read
        for value in itertools.count():
            read += 1
            yield value

    results = started(Scripted(), values(), streamed=True, buffersize=buffersize).stream()
    for taken in range(50):
        assert next(results) == taken
        assert read <= taken + buffersize
    results.close()


def test_default_buffer() -> None:
    """Promise 9: at most four chunks per worker are read ahead of what the caller of a stream took."""
    read = 0

    def values() -> Iterator[int]:
        nonlocal read
        for value in itertools.count():
            read += 1
            yield value

    # The first call comes last, so that all others are held back behind it.
    backend = Scripted(pick=lambda n: n - 1)
    results = started(backend, values(), streamed=True, chunksize=1).stream()
    for taken in range(50):
        assert next(results) == taken
        assert read <= taken + 4 * 2
    results.close()


@pytest.mark.parametrize(
    ("answers", "message"),
    [
        (lambda chunk: [], "0 results for"),
        (lambda chunk: [ChunkResult(chunk, [1] * len(chunk))] * 2, "twice"),
        (lambda chunk: [ChunkResult(chunk, [1] * (len(chunk) - 1))] if len(chunk) > 1 else [], "results for"),
    ],
    ids=["none", "twice", "too few"],
)
def test_faults_of_a_backend_are_errors(answers: Callable[[Chunk], list[ChunkResult]], message: str) -> None:
    """Promise 3: a backend that loses or repeats results is an error, never a list that looks complete."""

    class Faulty(Scripted):
        def run(self, work: Work, chunks: Iterator[Chunk | None]) -> Generator[ChunkResult, None, None]:
            for chunk in chunks:
                assert chunk is not None
                yield from answers(chunk)

    with pytest.raises(BackendError, match=message):
        started(Faulty(), range(10), chunksize=4).collect()


def test_a_backend_that_stops_early_is_an_error() -> None:
    """Promise 3: a backend that does not read its input to the end is an error."""

    class Lazy(Scripted):
        def run(self, work: Work, chunks: Iterator[Chunk | None]) -> Generator[ChunkResult, None, None]:
            for chunk in itertools.islice(chunks, 2):
                assert chunk is not None
                yield ChunkResult(chunk, [1] * len(chunk))

    with pytest.raises(BackendError, match="bug in that backend"):
        started(Lazy(), range(10), chunksize=2).collect()


def test_errors_of_the_backend_come_through() -> None:
    """Section 5: the infrastructure's trouble is raised as it is."""

    class Broken(Scripted):
        def run(self, work: Work, chunks: Iterator[Chunk | None]) -> Generator[ChunkResult, None, None]:
            raise BackendError("no route to the workers")
            yield

    with pytest.raises(BackendError, match="no route"):
        started(Broken(), range(3)).collect()


def test_partial_results_of_a_chunk() -> None:
    """A chunk's results may come in parts, in any order."""

    class Parts(Scripted):
        def run(self, work: Work, chunks: Iterator[Chunk | None]) -> Generator[ChunkResult, None, None]:
            for chunk in chunks:
                assert chunk is not None
                for offset in reversed(range(len(chunk))):
                    failures = (Failure(chunk.start + offset, LookupError()),) if chunk.start + offset == 5 else ()
                    values = [None if failures else chunk.arguments(offset)[0]]
                    yield ChunkResult(chunk, values, failures, offset=offset)

    results = started(Parts(), range(10), chunksize=4, return_exceptions=True).collect()
    assert [type(result).__name__ for result in results] == [*["int"] * 5, "LookupError", *["int"] * 4]


def test_progress_is_told_and_closed() -> None:
    """Section 1: progress hears of all calls, and its errors end the run."""
    seen: list[tuple[int, int | None]] = []
    started(Scripted(), range(9), progress=lambda *state: seen.append(state)).collect()
    assert seen[-1] == (9, 9)

    def fail(done: int, total: int | None) -> None:
        raise ZeroDivisionError

    backend = Scripted()
    with pytest.raises(ZeroDivisionError):
        started(backend, range(9), progress=fail).collect()
    assert backend.closed == 1


def test_on_an_event_loop() -> None:
    """Section 1: the asynchronous ways give the same."""

    async def run() -> None:
        assert await started(Scripted(), range(20)).acollect() == list(range(20))
        streamed = [value async for value in started(Scripted(), iter(range(20)), streamed=True).astream()]
        assert streamed == list(range(20))
        with pytest.raises(LookupError) as caught:
            await started(Scripted(lambda value, attempt: LookupError()), [1]).acollect()
        assert caught.value.partial == {}  # type: ignore[attr-defined]

    asyncio.run(run())


def test_the_pace_is_learnt() -> None:
    """Chunk sizes follow from the durations that backends report."""
    backend = Scripted()
    run = started(backend, range(5000))
    run.collect()
    assert backend.sizes[0] == 1
    assert max(backend.sizes) > 10


class Growing(Backend):
    """Takes all calls that it can get, then has more workers, and takes all again.

    Attributes:
        taken: number of calls that it had both times.
    """

    name = "growing"
    message_seconds = 0.001

    def __init__(self) -> None:
        self.taken: list[int] = []

    def default_workers(self, options: Any) -> int:
        return 2

    def run(self, work: Work, chunks: Iterator[Chunk | None]) -> Generator[ChunkResult, None, None]:
        held: list[Chunk] = []
        for workers in (2, 12):
            if work.resized is not None:
                work.resized(workers)
            while chunk := next(chunks):
                held.append(chunk)
            self.taken.append(sum(map(len, held)))
        yield ChunkResult(held[0], held[0].columns[0])


@pytest.mark.parametrize(("workers_given", "taken"), [(False, [8, 48]), (True, [8, 8])])
def test_buffers_follow_the_number_of_workers(workers_given: bool, taken: list[int]) -> None:
    """Promise 9: where a backend's workers become more, a stream is read further ahead; not where the user chose them."""
    backend = Growing()
    stream = started(backend, itertools.count(), streamed=True, chunksize=1, workers_given=workers_given).stream()
    assert next(stream) == 0
    stream.close()
    assert backend.taken == taken
