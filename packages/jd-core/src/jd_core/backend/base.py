"""The contract between the core and the backends: what is handed over, and what a backend promises.

The core decides *what* the calls are (hints, batches, order, retries, joins); a backend decides *where* they run. Between
them travel chunks: runs of consecutive calls in columns, so that the cost of an element is that of calling the function.
"""

from __future__ import annotations

import contextlib
import difflib
import itertools
from abc import ABC, abstractmethod
from collections.abc import AsyncGenerator, Callable, Generator, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar

#: Seconds a backend waits before it asks ``chunks`` again after it got None, if no result comes in first.
POLL_SECONDS = 0.01

#: Seconds between two looks at ``work.cancelled``, where it is given, while a backend waits for results.
CANCEL_SECONDS = 0.05


@dataclass(frozen=True, slots=True)
class Chunk:
    """Consecutive calls that travel together.

    Attributes:
        start: index of the first call, from 0 over the whole run.
        columns: ``columns[i][k]`` is the i-th positional argument of call ``start + k``. Every column has the same
            length, at least 1, and is a sequence; a slice of a ``range`` or an array stays one.
    """

    start: int
    columns: tuple[Sequence[Any], ...] = field(repr=False)

    def __len__(self) -> int:
        """Number of calls."""
        return len(self.columns[0])

    def arguments(self, offset: int) -> tuple[Any, ...]:
        """Returns the positional arguments of call ``start + offset``."""
        # Not column[offset]: that looks up a label in a pandas series.
        return tuple(next(itertools.islice(column, offset, None)) for column in self.columns)


@dataclass(frozen=True, slots=True)
class Work:
    """All that is the same for every chunk of a run; a backend ships it once per worker, not per chunk.

    Attributes:
        function: the user's function, undecorated. It may be a coroutine or generator function: see `jd_core.worker.plain`.
        constants: keyword arguments of every call. Never shown: they may hold secrets.
        workers: how many calls run at once, at least 1.
        calls: number of calls of the run; None if unknown.
        timeout: seconds allowed to one call; None: no limit.
        stop_at_failure: a failed call ends the run, so what is left of its chunk need not run.
        chunksize: calls per chunk if the user fixed it, else None. With 1, no call may run twice.
        name: the function's qualified name, for messages.
        options: the backend's own options, checked, as given.
        cancelled: tells, from any thread, that the run is to end as if its iterator were closed. None where nothing but
            closing ends it.
        workers_given: whether the user chose ``workers``. If not, they are the backend's default, and it may use more or
            fewer as the run goes on.
        on_input: takes a callable that `Backend.arun` wants called, on its caller's loop, when chunks that gave None may
            have a chunk now, so that it need not wait for `POLL_SECONDS`. None where nobody can tell.
    """

    function: Callable[..., Any]
    constants: Mapping[str, Any] = field(repr=False)
    workers: int
    name: str
    calls: int | None = None
    timeout: float | None = None
    stop_at_failure: bool = True
    chunksize: int | None = None
    options: Mapping[str, Any] = field(default_factory=dict, repr=False)
    cancelled: Callable[[], bool] | None = field(default=None, repr=False)
    workers_given: bool = True
    on_input: Callable[[Callable[[], None]], None] | None = field(default=None, repr=False)


@dataclass(frozen=True, slots=True)
class Failure:
    """One call that raised, died or took too long.

    Attributes:
        index: the call's index over the whole run.
        exception: the user's own, or an error of `jd_core.errors` that stands for what happened.
        traceback: the worker's traceback as text, when the exception left its process; else None.
    """

    index: int
    exception: BaseException = field(repr=False)
    traceback: str | None = field(default=None, repr=False)


@dataclass(frozen=True, slots=True)
class ChunkResult:
    """The results of some consecutive calls of one chunk: usually, but not necessarily, of all of them. Never of none.

    Attributes:
        chunk: the chunk that was handed over, or a part of it.
        values: one result per call, in any kind of sequence, from call ``chunk.start + offset`` on; None stands at the
            place of a failed call.
        failures: the failed calls among these, in order; empty nearly always.
        seconds: what these calls took together, each counted for itself; 0.0 if unknown. Chunk sizes follow from it.
        offset: position in the chunk of the first of these calls.
    """

    chunk: Chunk
    values: Sequence[Any] = field(repr=False)
    failures: tuple[Failure, ...] = ()
    seconds: float = 0.0
    offset: int = 0


@dataclass(frozen=True, slots=True)
class Option:
    """What values one option takes; how the core checks its own options and a backend declares its own.

    Attributes:
        allowed: what is allowed, in words that end the sentence "… must be".
        types: a value of another type is a TypeError.
        accepts: a value of the right type for which this is false is a ValueError.
    """

    allowed: str
    types: tuple[type, ...] = (object,)
    accepts: Callable[[Any], bool] = lambda value: True

    def check(self, name: str, value: Any) -> None:
        """Raises a TypeError or ValueError that names the option, the value and what is allowed."""
        # True is an int to isinstance, but workers=True is a mistake.
        stray_bool = isinstance(value, bool) and bool not in self.types and object not in self.types
        wrong_type = stray_bool or not isinstance(value, self.types)
        if wrong_type or not self.accepts(value):
            error = TypeError if wrong_type else ValueError
            raise error(f"distribute: option {name}={value!r} must be {self.allowed}")


def closest(name: str, names: Sequence[str]) -> str:
    """Returns ``"; did you mean 'x'?"`` for the closest of ``names``, or an empty string."""
    matches = difflib.get_close_matches(name, names, n=1, cutoff=0.5)
    return f"; did you mean {matches[0]!r}?" if matches else ""


class Backend(ABC):
    """Where calls run. Subclass it, declare the entry point, and run `jd_core.testing` against it.

    The contract, line by line, as the suite in `jd_core.testing` checks it:

    1. `run` gives every call of every chunk exactly one place in exactly one `ChunkResult`, in any order. With
       ``work.stop_at_failure``, calls after a failed one may be left out of its chunk's result.
    2. ``chunks`` is pulled only as fast as workers take calls: at most two chunks per worker are with the backend. It is
       pulled by one thread at a time. It may give ``None``: nothing to start now; ask again after the next result, after
       `POLL_SECONDS`, or (in `arun`) when ``work.on_input`` tells. When it ends, no more calls come.
    3. A user's exception comes back as a `Failure`, `SystemExit` and its like too; so do what happened to a single call:
       a death, a timeout, a value that cannot travel. Only the infrastructure's trouble is raised, as
       `jd_core.errors.BackendError`. Nothing hangs.
    4. Closing the iterator, an exception raised by ``chunks`` (which is raised on as it is), Ctrl-C, or
       ``work.cancelled()`` turning true (looked at every `CANCEL_SECONDS` or so while waiting) cancels what can be
       cancelled and releases all that belongs to this run, before `run` returns; nothing starts after that.
    5. Without chunks no worker is started. An instance serves many runs, also at once from several threads.
    6. Calls run with `jd_core.worker.inside_worker` set to true. A thread or process that ran them ends with
       `jd_core.worker.release` (constants of `jd_core.per_worker`) and `jd_core.worker.close_loop`.
    7. A backend knows nothing of hints, roles, batches, retries, aggregation or progress.

    Making an instance starts nothing and imports nothing heavy; the core makes one per process, at the first call.

    Attributes:
        name: the job's name, as in ``distribute(job=...)``.
        message_seconds: about what it costs to send a chunk and get its result, in seconds; chunks are made large
            enough that this stays a few percent of the work in them.
        shares_calls: whether the calls of a chunk are taken one by one by whichever worker is free. Then a slow call holds
            no other back, and chunks are larger: as many calls as all workers together make in some milliseconds.
        gives_back: whether a worker gives back calls that it has not begun when another one has nothing to do. Then chunks
            need not get smaller towards the end of a run, and a few calls that are expected to take less than a message
            go to one worker.
        options: the backend's own options by name.
    """

    name: ClassVar[str]
    message_seconds: ClassVar[float]
    shares_calls: ClassVar[bool] = False
    gives_back: ClassVar[bool] = False
    options: ClassVar[Mapping[str, Option]] = {}

    @abstractmethod
    def default_workers(self, options: Mapping[str, Any]) -> int:
        """Returns how many calls run at once where the user did not say; at least 1."""

    @abstractmethod
    def run(self, work: Work, chunks: Iterator[Chunk | None]) -> Generator[ChunkResult, None, None]:
        """Runs the calls in ``chunks``; see the class for the contract."""

    async def arun(self, work: Work, chunks: Iterator[Chunk | None]) -> AsyncGenerator[ChunkResult, None]:
        """Like `run`, for a caller on an event loop; a backend that lives on one overrides it.

        This one runs `run` in a thread of its own. ``chunks`` is pulled there.
        """
        from jd_core.backend import bridge  # here, because it imports asyncio, which the other ways do not need

        async with contextlib.aclosing(bridge.iterate_in_thread(self.run, work, chunks)) as results:
            async for result in results:
                yield result

    def doctor(self) -> list[tuple[str, str]]:
        """Returns facts about this backend on this machine, as (label, text), for ``just-distribute doctor``."""
        return []
