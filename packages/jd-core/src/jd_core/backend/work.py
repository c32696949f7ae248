"""What the core and a backend hand each other: the work, chunks of its calls, and their results.

Chunks are runs of consecutive calls in columns, so that the cost of an element is that of calling the function.

All are frozen. Two of these are equal only if they are the same object: columns and constants may be arrays, whose ``==``
is no bool.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Protocol

from jd_core._collections.table import cut
from jd_core._frozen import Frozen, Record
from jd_core.worker import Span

#: Seconds a backend waits before it asks ``chunks`` again after it got None, if no result comes in first.
POLL_SECONDS = 0.01


_set = object.__setattr__  # of those that are made for each chunk


class Chunk(Frozen):
    """Consecutive calls that are handed to a worker together.

    Attributes:
        start: index of the first call, from 0 over the whole run.
        columns: ``columns[i][k]`` is the i-th positional argument of call ``start + k``. Every column has the same
            length, at least 1, and is a sequence; a slice of a ``range`` or an array stays one.
    """

    __slots__ = ("columns", "start")

    start: int
    columns: tuple[Sequence[Any], ...]

    def __init__(self, start: int, columns: tuple[Sequence[Any], ...]) -> None:
        _set(self, "start", start)
        _set(self, "columns", columns)

    def __len__(self) -> int:
        """Number of calls."""
        return len(self.columns[0])

    def part(self, start: int, stop: int) -> Chunk:
        """Returns the calls from offset ``start`` up to offset ``stop``, as a chunk of their own."""
        return Chunk(self.start + start, tuple(cut(column, start, stop) for column in self.columns))

    def arguments(self, offset: int) -> tuple[Any, ...]:
        """Returns the positional arguments of call ``start + offset``."""
        # Not column[offset]: that looks up a label in a pandas series.
        return tuple(next(iter(cut(column, offset, offset + 1))) for column in self.columns)


class Recorder(Protocol):
    """Takes what happens in a run that is traced; from any thread. See `Work.recorder`."""

    def ran(self, worker: str, start: int, spans: Sequence[Span]) -> None:
        """Records calls.

        Args:
            worker: where they ran: unique among the run's workers, and fit to be shown, such as "process 4711".
            start: index over the run of the first call of their chunk, from which the spans count.
            spans: when they began and ended, by the performance counter of the caller's machine.
        """

    def moved(self, *, sent: int = 0, received: int = 0) -> None:
        """Records bytes that were sent to workers, or received from them."""

    def died(self, worker: str) -> None:
        """Records that a worker ended while it had calls, also one that was ended for a timeout."""

    def noted(self, line: str) -> None:
        """Records a line for the report: what the backend has decided for this run, and why."""


class SettledChunk(Chunk):
    """Calls that have their results already, such as those in the file of ``resume=``: a backend yields ``result`` on.

    Attributes:
        values: one result per call.
    """

    __slots__ = ("values",)

    values: Sequence[Any]

    def __init__(self, start: int, columns: tuple[Sequence[Any], ...], values: Sequence[Any]) -> None:
        super().__init__(start, columns)
        _set(self, "values", values)

    @property
    def result(self) -> ChunkResult:
        """The results, as a backend yields them."""
        return ChunkResult(self, self.values)


class Work(Record, hidden=("constants", "options", "cancelled", "on_input", "recorder", "moved", "resized")):
    """All that is the same for every chunk of a run; a backend ships it once per worker, not per chunk.

    Attributes:
        function: the user's function, undecorated. It may be a coroutine or generator function: see `jd_core.worker.plain`.
        constants: keyword arguments of every call. Never shown: they may hold secrets.
        workers: how many calls run at once, at least 1.
        calls: number of calls of the run; None if unknown.
        timeout: seconds allowed to one call; None: no limit.
        stop_at_failure: a failed call ends the run, so what is left of its chunk need not run.
        return_at_failure: a failed call ends its chunk; what has not begun then is returned, in a `ChunkResult` without
            values, and the core decides when it may start. A backend may ignore this; one whose workers share the calls of
            a chunk is not asked.
        chunksize: calls per chunk if the user fixed it, else None. With 1, no call may run twice.
        name: the function's qualified name, for messages.
        options: the backend's own options, checked, as given.
        cancelled: tells, from any thread, that the run is to end as if its iterator were closed. None where nothing but
            closing ends it.
        workers_given: whether the user chose ``workers``. If not, they are the backend's default, and it may use more or
            fewer as the run goes on.
        on_input: takes a callable that a run wants called when chunks that yielded None may have a chunk now, or
            ``cancelled`` turned true, so that it need not wait for ``poll_seconds``: from any thread where it was passed by
            `Backend.run`, on the caller's loop where by `Backend.arun`. None where nobody can tell.
        recorder: is told of each call that ran, before `Backend.run` returns. None, nearly always, where nobody asked for
            it: then it must cost nothing.
        moved: is told by a backend that hands the rest of a run to that of another job, before that one pulls a chunk: to
            which, and how many calls run at once there. The chunks have the size for it from then on.
        resized: to be told how many calls run at once from now on, where the user did not choose that and it changes, so
            that chunks and buffers fit. None where nobody wants to know.
        poll_seconds: after so many seconds ``chunks`` that yielded None may have a chunk, though nothing has told.
    """

    function: Callable[..., Any]
    constants: Mapping[str, Any]
    workers: int
    name: str
    calls: int | None = None
    timeout: float | None = None
    stop_at_failure: bool = True
    return_at_failure: bool = False
    chunksize: int | None = None
    options: Mapping[str, Any] = {}
    cancelled: Callable[[], bool] | None = None
    workers_given: bool = True
    on_input: Callable[[Callable[[], None]], None] | None = None
    recorder: Recorder | None = None
    moved: Callable[[str, int], None] | None = None
    resized: Callable[[int], None] | None = None
    poll_seconds: float = POLL_SECONDS

    def __eq__(self, other: object) -> bool:
        return self is other

    def __hash__(self) -> int:
        return id(self)


class Failure(Frozen):
    """One call that raised, died or took too long.

    Attributes:
        index: the call's index over the whole run.
        exception: the user's own, or an error of `jd_core.errors` that stands for what happened.
        traceback: the worker's traceback as text, when the exception left its process; else None.
    """

    __slots__ = ("exception", "index", "traceback")

    index: int
    exception: BaseException
    traceback: str | None

    def __init__(self, index: int, exception: BaseException, traceback: str | None = None) -> None:
        _set(self, "index", index)
        _set(self, "exception", exception)
        _set(self, "traceback", traceback)


class ChunkResult(Frozen):
    """The results of some consecutive calls of one chunk: usually, but not necessarily, of all of them.

    Of none only after ``work.return_at_failure``: then no call of ``chunk`` has begun or will, until it is handed out again.

    Attributes:
        chunk: the chunk that was handed over, or a part of it.
        values: one result per call, in any kind of sequence, from call ``chunk.start + offset`` on; None stands at the
            place of a failed call. A list is the core's from then on, which may change it.
        failures: the failed calls among these, in order; empty nearly always.
        seconds: what these calls took together, each counted for itself; 0.0 if unknown. Chunk sizes follow from it.
        offset: position in the chunk of the first of these calls.
    """

    __slots__ = ("chunk", "failures", "offset", "seconds", "values")

    chunk: Chunk
    values: Sequence[Any]
    failures: tuple[Failure, ...]
    seconds: float
    offset: int

    def __init__(
        self,
        chunk: Chunk,
        values: Sequence[Any],
        failures: tuple[Failure, ...] = (),
        seconds: float = 0.0,
        offset: int = 0,
    ) -> None:
        _set(self, "chunk", chunk)
        _set(self, "values", values)
        _set(self, "failures", failures)
        _set(self, "seconds", seconds)
        _set(self, "offset", offset)
