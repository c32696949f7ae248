"""The contract between the core and the backends: what they hand each other, and what a backend promises.

The core decides *what* the calls are (hints, batches, order, retries, joins); a backend decides *where* they run. They
exchange chunks: consecutive calls with their arguments in columns, so that an element costs no more than calling the
function.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import AsyncGenerator, Generator, Iterator, Mapping
from typing import Any, ClassVar

from jd_core.backend.option import Option
from jd_core.backend.work import POLL_SECONDS as POLL_SECONDS
from jd_core.backend.work import Chunk, ChunkResult, Work

#: Seconds between two checks of ``work.cancelled``, if it is given, while a backend waits for results.
CANCEL_SECONDS = 0.05


#: The longest uninterrupted wait, in seconds. Ctrl-C ends a wait only if its signal arrives during that wait and in the
#: waiting thread: not if it arrives just before, or if the system delivers it to another thread.
SIGNAL_SECONDS = 0.5


class Backend(ABC):
    """Where calls run. Subclass it, declare the entry point, and run `jd_core.testing` against it.

    This is the contract, line by line, as the suite in `jd_core.testing` checks it:

    1. `run` yields exactly one result for every call of every chunk, in `ChunkResult`s in any order. With
       ``work.stop_at_failure``, calls after a failed one may be left out of its chunk's result; with
       ``work.return_at_failure``, these and other calls that have not begun may be returned, to be handed out again.
    2. ``chunks`` is pulled only as fast as workers take calls: the backend holds at most two chunks per worker. It is
       pulled by one thread at a time. It may yield ``None``: there is nothing to start now; ask again after the next result,
       after ``work.poll_seconds``, or when ``work.on_input`` notifies. When it ends, there are no more calls. A
       `SettledChunk` already has its results: yield these at once; its calls do not run, and it does not count as held.
    3. A user's exception comes back as a `Failure`, also `SystemExit` and the like; so does anything else that goes wrong
       with a single call: a worker's death, a timeout, a value that cannot be serialized. Only problems of the
       infrastructure are raised, as `jd_core.errors.BackendError`. Nothing hangs.
    4. Closing the iterator, an exception raised by ``chunks`` (which is passed on unchanged), Ctrl-C, or
       ``work.cancelled()`` becoming true (checked about every `CANCEL_SECONDS` while waiting) cancels everything that can be
       cancelled and releases everything that belongs to this run, before `run` returns; nothing starts after that.
    5. Without chunks no worker is started. An instance serves many runs, also several threads at the same time.
    6. Calls run with `jd_core.worker.inside_worker` set to true. A thread or process that ran them ends with
       `jd_core.worker.release` (constants of `jd_core.per_worker`) and `jd_core.worker.close_loop`.
    7. ``work.recorder``, if given, is told once of each call that ran and whose worker could still report it: on which
       worker, from when to when. Calls of one worker do not overlap. If it is None, nothing is measured for it. (If a
       backend never tells it anything, a trace has only the times of its results, without workers and single calls.)
    8. A backend knows nothing of hints, roles, batches, retries, aggregation or progress.

    Creating an instance starts nothing and imports nothing heavy; the core creates one per process, at the first call.

    Attributes:
        name: the job's name, as in ``distribute(job=...)``.
        message_seconds: about how many seconds it takes to send a chunk and get its result; chunks are made large
            enough that this is a few percent of the work in them.
        long_chunk_seconds: how many seconds a chunk may take while each worker has several more to come. 0: no longer than
            ``message_seconds`` requires. If it is longer, workers have to return calls that they have not begun when calls
            turn out to be long.
        shares_calls: whether each call of a chunk is taken by the next idle worker. Then a slow call delays no other, and
            chunks are larger: as many calls as all workers together make in some milliseconds.
        gives_back: whether a worker returns calls that it has not begun when another worker is idle. Then chunks
            need not get smaller towards the end of a run, and a few calls that are expected to take less than a message
            go to one worker.
        connects: whether `default_workers` has to connect to something, or start it, to know the number.
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
        """Returns how many calls run at once if the user did not state ``workers``; at least 1."""

    def returns_values(self, options: Mapping[str, Any]) -> bool:
        """Returns whether results are the values that calls returned; if they are only references, they are never joined."""
        return True

    @abstractmethod
    def run(self, work: Work, chunks: Iterator[Chunk | None]) -> Generator[ChunkResult, None, None]:
        """Runs the calls in ``chunks``; see the class for the contract."""

    async def arun(self, work: Work, chunks: Iterator[Chunk | None]) -> AsyncGenerator[ChunkResult, None]:
        """Like `run`, for a caller on an event loop. A backend whose calls run on an event loop overrides it.

        This implementation executes `run` in a separate thread, and pulls ``chunks`` there.
        """
        from jd_core.backend import bridge  # here, because it imports asyncio, which the other ways do not need

        async with bridge.nested(bridge.iterate_in_thread(self.run, work, chunks)) as results:
            async for result in results:
                yield result

    def shutdown(self) -> None:  # noqa: B027
        """Ends idle workers. Workers of runs in progress stay, and a later run starts new ones.

        There is nothing to do if workers end with their run.
        """

    def doctor(self) -> list[tuple[str, str]]:
        """Returns facts about this backend on this machine, as (label, text), for ``just-distribute doctor``."""
        return []
