"""The contract between the core and the backends: what is handed over, and what a backend promises.

The core decides *what* the calls are (hints, batches, order, retries, joins); a backend decides *where* they run. Between
them travel chunks: runs of consecutive calls in columns, so that the cost of an element is that of calling the function.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import AsyncGenerator, Generator, Iterator, Mapping
from typing import Any, ClassVar

from jd_core.backend.option import Option
from jd_core.backend.work import POLL_SECONDS as POLL_SECONDS
from jd_core.backend.work import Chunk, ChunkResult, Work

#: Seconds between two looks at ``work.cancelled``, where it is given, while a backend waits for results.
CANCEL_SECONDS = 0.05


#: The longest wait in one piece, in seconds. Ctrl-C ends a wait only if its signal comes during that wait, and to the thread
#: that waits: not if it comes just before, or if the system gives it to another thread.
SIGNAL_SECONDS = 0.5


class Backend(ABC):
    """Where calls run. Subclass it, declare the entry point, and run `jd_core.testing` against it.

    The contract, line by line, as the suite in `jd_core.testing` checks it:

    1. `run` gives every call of every chunk exactly one place in exactly one `ChunkResult`, in any order. With
       ``work.stop_at_failure``, calls after a failed one may be left out of its chunk's result; with
       ``work.return_at_failure``, they and others that have not begun may be returned to be handed out again.
    2. ``chunks`` is pulled only as fast as workers take calls: at most two chunks per worker are with the backend. It is
       pulled by one thread at a time. It may give ``None``: nothing to start now; ask again after the next result, after
       ``work.poll_seconds``, or when ``work.on_input`` tells. When it ends, no more calls come. A
       `SettledChunk` has its results: they are yielded on at once, its calls do not run, and it counts as none of the two.
    3. A user's exception comes back as a `Failure`, `SystemExit` and its like too; so do what happened to a single call:
       a death, a timeout, a value that cannot travel. Only the infrastructure's trouble is raised, as
       `jd_core.errors.BackendError`. Nothing hangs.
    4. Closing the iterator, an exception raised by ``chunks`` (which is raised on as it is), Ctrl-C, or
       ``work.cancelled()`` turning true (looked at every `CANCEL_SECONDS` or so while waiting) cancels what can be
       cancelled and releases all that belongs to this run, before `run` returns; nothing starts after that.
    5. Without chunks no worker is started. An instance serves many runs, also at once from several threads.
    6. Calls run with `jd_core.worker.inside_worker` set to true. A thread or process that ran them ends with
       `jd_core.worker.release` (constants of `jd_core.per_worker`) and `jd_core.worker.close_loop`.
    7. ``work.recorder``, where it is given, is told once of each call that ran and whose worker could still say so: on which
       worker, from when to when. Calls of one worker do not overlap. Where it is None, nothing is measured for it. (A
       backend that never tells it is traced by the times of its results, without workers and single calls.)
    8. A backend knows nothing of hints, roles, batches, retries, aggregation or progress.

    Making an instance starts nothing and imports nothing heavy; the core makes one per process, at the first call.

    Attributes:
        name: the job's name, as in ``distribute(job=...)``.
        message_seconds: about what it costs to send a chunk and get its result, in seconds; chunks are made large
            enough that this stays a few percent of the work in them.
        long_chunk_seconds: how long a chunk may take while each worker has several more to come. 0: no longer than the
            message asks for. Above that, a worker has to give back what it has not begun where calls turn out to be long.
        shares_calls: whether the calls of a chunk are taken one by one by whichever worker is free. Then a slow call holds
            no other back, and chunks are larger: as many calls as all workers together make in some milliseconds.
        gives_back: whether a worker gives back calls that it has not begun when another one has nothing to do. Then chunks
            need not get smaller towards the end of a run, and a few calls that are expected to take less than a message
            go to one worker.
        connects: whether `default_workers` has to connect to something, or start it, to know.
        in_processes: whether calls run in other processes than the caller's, so that each gets a copy of the constants.
        options: the backend's own options by name.
    """

    name: ClassVar[str]
    message_seconds: ClassVar[float]
    long_chunk_seconds: ClassVar[float] = 0.0
    shares_calls: ClassVar[bool] = False
    gives_back: ClassVar[bool] = False
    connects: ClassVar[bool] = False
    in_processes: ClassVar[bool] = False
    options: ClassVar[Mapping[str, Option]] = {}

    @abstractmethod
    def default_workers(self, options: Mapping[str, Any]) -> int:
        """Returns how many calls run at once where the user did not say; at least 1."""

    def returns_values(self, options: Mapping[str, Any]) -> bool:
        """Returns whether results are what the calls returned; if they only stand for that, they are never joined."""
        return True

    @abstractmethod
    def run(self, work: Work, chunks: Iterator[Chunk | None]) -> Generator[ChunkResult, None, None]:
        """Runs the calls in ``chunks``; see the class for the contract."""

    async def arun(self, work: Work, chunks: Iterator[Chunk | None]) -> AsyncGenerator[ChunkResult, None]:
        """Like `run`, for a caller on an event loop; a backend that lives on one overrides it.

        This one runs `run` in a thread of its own. ``chunks`` is pulled there.
        """
        from jd_core.backend import bridge  # here, because it imports asyncio, which the other ways do not need

        async with bridge.nested(bridge.iterate_in_thread(self.run, work, chunks)) as results:
            async for result in results:
                yield result

    def is_warm(self) -> bool:
        """Returns whether a run can start at once, because workers wait for calls or start in next to no time."""
        return True

    def shutdown(self) -> None:  # noqa: B027
        """Ends workers that wait for further runs; those of runs that are under way stay, and a later run starts new ones.

        Nothing to do where workers end with their run.
        """

    def doctor(self) -> list[tuple[str, str]]:
        """Returns facts about this backend on this machine, as (label, text), for ``just-distribute doctor``."""
        return []
