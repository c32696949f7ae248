"""What was sent to which worker, and, when a worker has died, which call was to blame and which are to run again."""

from __future__ import annotations

import contextlib
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import NamedTuple

from jd_core.backend import Chunk, Failure
from jd_core.worker.unpicklable import pass_on

from jd_compute.pool.worker import Worker
from jd_compute.transport import messages, status_page
from jd_compute.transport.arena import Parcel
from jd_compute.transport.frame import Message

_AT_WORK = (status_page.DECODING, status_page.RUNNING, status_page.ENCODING)


class Unread(NamedTuple):
    """Results that did not unpickle: offsets of the first call and of the one after the last, and what came with them."""

    span: tuple[int, int]
    failures: tuple[Failure, ...]
    seconds: float


@dataclass(slots=True, eq=False)
class Task:
    """A chunk that was sent to a worker.

    Attributes:
        number: its number, in this process: what a worker is asked for in one run must not concern its tasks of the next.
        chunk: its calls.
        deaths: how many workers have died with it before anything could be blamed.
        sent: when, in nanoseconds of the monotonic clock.
        done: how many of its calls, from the first on, have come back.
        finished: whether the worker has nothing more to do with it.
        unread: spans of results that came back but did not unpickle, with their failures and seconds. When the task is
            finished they are asked for again, one after the other; not before, for until then nobody reads there.
    """

    number: int
    chunk: Chunk
    deaths: int
    sent: int
    done: int = 0
    finished: bool = False
    unread: list[Unread] = field(default_factory=list)

    def unread_parts(self) -> tuple[Chunk, ...]:
        """Returns the parts of the chunk whose results can be had no more once the worker is lost: they are to run again."""
        return parts(self.chunk, *(each.span for each in self.unread))

    def rest(self) -> tuple[Chunk, ...]:
        """Returns the parts of the chunk that have no results yet."""
        return (*self.unread_parts(), *parts(self.chunk, (self.done, len(self.chunk))))


@dataclass(slots=True, eq=False)
class Assignment:
    """What a worker has to do for this run.

    Attributes:
        worker: the worker.
        number: which of the run's workers it is, see `jd_core.worker_number`.
        file: that of its connection.
        tasks: what it was sent and has not finished, oldest first; at most two.
        short: whether its tasks take so little time that the next should be at hand; None before the first.
        spared: how many messages were awaited, since its last result, instead of killing it when its time was over.
        in_transit: whether a message was begun and not ended, as when Ctrl-C comes in between.
        wanted_back: the number of the last task of which it was asked for what has not begun.
        checked: the number of the last task that it was to check the connection for.
    """

    worker: Worker
    number: int
    file: int
    tasks: deque[Task] = field(default_factory=deque)
    short: bool | None = None
    spared: int = 0
    in_transit: bool = False
    wanted_back: int = 0
    checked: int = 0

    def tell(self, kind: int, *parts: bytes | memoryview, parcel: Parcel | None = None) -> None:
        """Sends the worker a message. If it is dead, that shows as end-of-file in a moment, and not here."""
        self.in_transit = True
        try:
            self.worker.channel.send(kind, *parts, parcel=parcel)
        except OSError as error:
            pass_on(error)
        self.in_transit = False

    def hear(self) -> Message:
        """Receives a message from the worker; raises EOFError if it is dead."""
        self.in_transit = True
        message = self.worker.channel.receive()
        self.in_transit = False
        return message

    def check(self) -> None:
        """Sees whether a worker that says nothing has ended.

        One that has not begun what it was sent is to see whether that came: the call before it may have read it.
        """
        self.worker.find_end()
        status = self.worker.status
        if self.tasks and self.tasks[0].number > self.checked and (status is None or status.phase == status_page.IDLE):
            self.checked = self.tasks[0].number
            self.tell(messages.CHECK)

    def calls(self) -> int:
        """Returns how many calls of its tasks have not come back yet."""
        calls = 0
        for task in self.tasks:
            calls += len(task.chunk) - task.done
        return calls

    def is_at_work(self) -> bool:
        """Whether the worker has not done yet what it was sent, as far as can be seen without taking what it says."""
        worker = self.worker
        if not self.tasks:
            return False
        with contextlib.suppress(ValueError):  # it has ended
            return worker.status is None or worker.status.phase != status_page.IDLE or not worker.channel.poll(0)
        return False

    def want_back(self) -> bool:
        """Asks the worker for what it has not begun; false if it was asked before."""
        wanted = self.tasks[-1].number
        if self.worker.status is None or wanted <= self.wanted_back:
            return False
        self.wanted_back = wanted
        self.worker.status.want_back(wanted)
        return True

    def task(self, number: int) -> Task:
        """Returns the task with this number."""
        for task in self.tasks:
            if task.number == number:
                return task
        raise AssertionError(f"task {number} is not one of this worker's")

    def drop(self, kind: int, message: bytearray) -> None:
        """Records what a worker sent, a RESULT, RESENT or UNLOADABLE, in a run that was given up."""
        if kind == messages.RESULT and messages.RESULT_HEADER.unpack_from(message)[3] == messages.GOING_ON:
            return
        (number,) = messages.CHUNK_NUMBER.unpack_from(message)
        self.tasks.remove(self.task(number))
        if kind == messages.UNLOADABLE:
            self.worker.function = None  # it may load the next time, where what was missing has been put there


class Blame(NamedTuple):
    """What to make of a task whose worker has died or was killed.

    Attributes:
        crashed_call: offset of the call that was running; None if it is not known.
        again: parts of the chunk that are to run again, in order.
    """

    crashed_call: int | None
    again: tuple[Chunk, ...]


def blame(task: Task, page: status_page.Status | None) -> Blame:
    """Finds the call that was running when the worker of a task died.

    Calls before it whose results had not been sent run again, and so do those after it. Where several short calls ran as
    one block, each runs again in a chunk of its own, so that one that kills its worker shows the next time.

    Args:
        task: the task that the worker was doing.
        page: what the worker said last; None where it cannot say.
    """
    chunk, count = task.chunk, len(task.chunk)
    first, calls = task.done, count - task.done
    running = page is not None and page.phase == status_page.RUNNING and page.chunk == task.number
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


def blame_before(task: Task, found: Blame) -> Blame:
    """Returns what to make of a task whose worker has lost its connection, and may have gone on with the next call.

    A call before that one may have closed it, whose result could not be sent then. So each runs again in a chunk of its own.
    """
    running = found.crashed_call
    if running is None or running == task.done:
        return found
    singly = [(offset, offset + 1) for offset in range(task.done, running + 1)]
    return Blame(None, parts(task.chunk, *singly, (running + 1, len(task.chunk))))


def was_at_work(task: Task, page: status_page.Status | None) -> bool:
    """Whether the worker had taken the task up, so that one of its calls may be to blame."""
    return page is None or (page.chunk == task.number and page.phase in _AT_WORK)


def was_begun(task: Task, page: status_page.Status | None) -> bool:
    """Whether the worker had taken the task up; it may even have made all calls, if what it has sent cannot be read."""
    return not task.finished and (page is None or page.chunk >= task.number)


def halves(chunk: Chunk, again: deque[tuple[Chunk, int]]) -> bool:
    """Puts a chunk back in two halves, to find the call in it that is at fault; false if it is a single call."""
    middle = len(chunk) // 2
    if middle:
        again.extendleft((half, 0) for half in reversed(parts(chunk, (0, middle), (middle, len(chunk)))))
    return bool(middle)


def parts(chunk: Chunk, *spans: tuple[int, int]) -> tuple[Chunk, ...]:
    """Returns the parts of a chunk between each pair of offsets; none for empty ones."""
    return tuple(_parts(chunk, spans))


def _parts(chunk: Chunk, spans: tuple[tuple[int, int], ...]) -> Iterator[Chunk]:
    for start, stop in spans:
        if start < stop:
            yield chunk.part(start, stop)
