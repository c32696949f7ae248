"""What was sent to which worker, and, when a worker has died, which call was to blame and which are to run again."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from jd_core import kinds
from jd_core.backend import Chunk, Failure

from jd_compute import protocol, status
from jd_compute.launcher import Worker


@dataclass(slots=True, eq=False)
class Task:
    """A chunk that was sent to a worker.

    Attributes:
        number: its number in this run, from 1.
        chunk: its calls.
        deaths: how many workers have died with it before anything could be blamed.
        sent: when, in nanoseconds of the monotonic clock.
        done: how many of its calls, from the first on, have come back.
        finished: whether the worker has nothing more to do with it.
        unread: what came with results that did not unpickle and were asked for again: offset, failures, seconds.
    """

    number: int
    chunk: Chunk
    deaths: int
    sent: int
    done: int = 0
    finished: bool = False
    unread: list[tuple[int, tuple[Failure, ...], float]] = field(default_factory=list)

    def reopen(self) -> None:
        """Counts results as outstanding again that were asked for once more, because the worker will not send them."""
        if self.unread:
            self.done = self.unread[0][0]
            self.unread.clear()


@dataclass(slots=True, eq=False)
class Lane:
    """A worker that serves this run.

    Attributes:
        worker: the worker.
        tasks: what it was sent and is not through with, oldest first; at most two.
        short: whether its tasks take so little time that the next should be at hand; None before the first.
        in_transit: whether a message was begun and not ended, as when Ctrl-C comes in between.
    """

    worker: Worker
    tasks: deque[Task] = field(default_factory=deque)
    short: bool | None = None
    in_transit: bool = False

    def task(self, number: int) -> Task:
        """Returns the task with this number."""
        return next(task for task in self.tasks if task.number == number)

    def drop(self, kind: int, message: bytearray) -> None:
        """Takes note of what a worker sent, a RESULT, RESENT or UNLOADABLE, in a run that was given up."""
        (number,) = protocol.CHUNK_NUMBER.unpack_from(message)
        task = self.task(number)
        if kind == protocol.RESENT:
            task.unread.pop(0)
        else:
            state = protocol.DONE if kind == protocol.UNLOADABLE else protocol.RESULT_HEADER.unpack_from(message)[3]
            task.finished = state != protocol.GOING_ON
        if task.finished and not task.unread:
            self.tasks.remove(task)


@dataclass(frozen=True, slots=True)
class Blame:
    """What to make of a task whose worker has died or was killed.

    Attributes:
        culprit: offset of the call that was running; None if nothing is known to be to blame.
        again: parts of the chunk that are to run again, in order.
    """

    culprit: int | None
    again: tuple[Chunk, ...]


def blame(task: Task, page: status.Status | None) -> Blame:
    """Finds the call that was running when the worker of a task died.

    Calls before it whose results had not been sent run again, and so do those after it. Where several short calls ran as
    one block, each runs again in a chunk of its own, so that one that kills its worker shows the next time.

    Args:
        task: the task that the worker was doing.
        page: what the worker said last; None where it cannot say.
    """
    chunk, count = task.chunk, len(task.chunk)
    first, calls = task.done, count - task.done
    running = page is not None and page.phase == status.RUNNING
    if page is not None and running:
        first = max(first, page.block[0])
        calls = min(page.block[1], count - first)
    if calls == 1:
        return Blame(first, parts(chunk, (task.done, first), (first + 1, count)))
    if running:
        singly = [(offset, offset + 1) for offset in range(first, first + calls)]
        return Blame(None, parts(chunk, (task.done, first), *singly, (first + calls, count)))
    # It was taking arguments or sending results of all of them: look for the one in halves.
    middle = first + calls // 2
    return Blame(None, parts(chunk, (first, middle), (middle, count)))


def was_at_work(task: Task, page: status.Status | None) -> bool:
    """Whether the worker had taken the task up, so that one of its calls may be to blame."""
    return page is None or (page.chunk == task.number and page.phase in (status.DECODING, status.RUNNING, status.ENCODING))


def parts(chunk: Chunk, *spans: tuple[int, int]) -> tuple[Chunk, ...]:
    """Returns the parts of a chunk between each pair of offsets; none for empty ones."""
    return tuple(_parts(chunk, spans))


def _parts(chunk: Chunk, spans: tuple[tuple[int, int], ...]) -> Iterator[Chunk]:
    for start, stop in spans:
        if start < stop:
            yield Chunk(chunk.start + start, tuple(_cut(column, start, stop) for column in chunk.columns))


def _cut(column: Sequence[Any], start: int, stop: int) -> Any:
    # Not column[start:stop] for all: that may look for labels in a pandas series.
    slicer = kinds.slicer(column)
    return slicer(start, stop) if slicer else list(column)[start:stop]
