"""What comes back from workers: results, in whole or in parts, and chunks that they could not unpickle."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Iterator, Sequence
from typing import Any

from jd_core.backend import Chunk, ChunkResult, Failure, Work
from jd_core.backend.splitting import part

from jd_compute.codec import codec, failures
from jd_compute.run.lost_workers import LostWorkers
from jd_compute.run.tasks import Assignment, Task, Unread, halves, parts
from jd_compute.run.workers import RunWorkers
from jd_compute.transport import messages, output
from jd_compute.transport.frame import BrokenChannelError, FilesLostError, Message

#: A second chunk is sent ahead to a worker whose last one took less than this: then the way there and back shows.
SHORT_SECONDS = 0.02


class Received:
    """Takes what the workers of a run send.

    Args:
        workers: the run's workers.
        work: what they do.
        again: gets what is to run again, with the number of deaths.
        lost: deals with those that die.
        full: seconds that the calls of a chunk are to take together at most.
    """

    def __init__(
        self,
        workers: RunWorkers,
        work: Work,
        again: deque[tuple[Chunk, int]],
        lost: LostWorkers,
        full: float,
    ) -> None:
        self._workers = workers
        self._work = work
        self._again = again
        self._lost = lost
        self._full = full
        self._by_value: set[str] = set()  # modules that workers of this run could not import
        self._learned = 0  # when, in monotonic nanoseconds, the last one was found

    def take(self, assignment: Assignment) -> Iterator[ChunkResult]:
        """Takes a message, or the end of the worker."""
        message = None
        try:
            message = assignment.hear()
        except BrokenChannelError:
            assignment.worker.cut_off()
        except EOFError:
            pass
        if message is None:  # not in the `except` block: an error that this leads to is to be the only one
            yield from self._lost.reap(assignment)
            return
        body = memoryview(message.body)
        if message.kind == messages.RESULT:
            yield from self._take_result(assignment, body, message)
        elif message.kind == messages.RESENT:
            yield from self._take_resent(assignment, body)
        elif message.kind == messages.UNLOADABLE:
            yield from self._take_back(assignment, body)
        elif message.kind == messages.OUTPUT:
            output.show(body)
        elif message.kind == messages.ENDING:
            self._lost.put_back(assignment)
        # RELEASED is of the run before; the channel has recorded it.

    def with_returned(self, results: Iterator[ChunkResult]) -> Iterator[ChunkResult]:
        """Yields results, and after a failed call what has not begun: the core is to say when it may."""
        for result in results:
            yield result
            if result.failures:
                returned = [chunk for chunk, deaths in self._again if not deaths]
                kept = [one for one in self._again if one[1]]
                self._again.clear()
                self._again.extend(kept)
                yield from (ChunkResult(chunk, ()) for chunk in returned)

    def _take_result(self, assignment: Assignment, body: memoryview, message: Message) -> Iterator[ChunkResult]:
        header = messages.RESULT_HEADER
        number, first, count, state, seconds, length, spans = header.unpack_from(body)
        task = assignment.task(number)
        assignment.spared = 0
        raised = codec.loads(body[header.size : header.size + length]) if length else ()
        length += spans
        if self._work.recorder is not None:
            measured = messages.SPAN.iter_unpack(body[header.size + length - spans : header.size + length])
            self._work.recorder.ran(assignment.worker.name, task.chunk.start, [*measured])
            self._work.recorder.moved(received=len(body) + sum(buffer.nbytes for buffer in message.buffers or ()))
        failed: tuple[Failure, ...] = ()
        if raised:
            failed = tuple(failures.failure(self._work.name, task.chunk.start + offset, what) for offset, what in raised)
        task.done, task.finished = first + count, state != messages.GOING_ON
        values: Sequence[Any] = ()
        if count:
            try:
                values = _decode(body[header.size + length :], message)
            except codec.REFUSALS as error:
                codec.pass_on(error)
                task.unread.append(Unread((first, first + count), failed, seconds))
        if task.finished:
            assignment.short = seconds < SHORT_SECONDS
        if state == messages.GIVEN_BACK:
            self._share_out(assignment, task, count, seconds, whole=bool(raised) and self._work.return_at_failure)
        self._finish(assignment, task)
        if values:
            yield ChunkResult(task.chunk, values, failed, seconds, first)

    def _share_out(self, assignment: Assignment, task: Task, calls: int, seconds: float, *, whole: bool) -> None:
        """Puts back what a worker returned, for those that are idle; its last ``calls`` calls took ``seconds``.

        What goes back to the core is left ``whole``.
        """
        count = len(task.chunk)
        assignment.worker.calls -= count - task.done
        busy = sum(any(other is not task for other in each.tasks) for each in self._workers.assignments)
        left = count - task.done
        step = left if whole else part(left, calls, seconds, self._full, max(1, self._workers.size - busy))
        spans = [(start, min(start + step, count)) for start in range(task.done, count, step)]
        self._again.extend((chunk, 0) for chunk in parts(task.chunk, *spans))
        if task.done:
            (task.chunk,) = parts(task.chunk, (0, task.done))

    def _take_resent(self, assignment: Assignment, body: memoryview) -> Iterator[ChunkResult]:
        """Takes results one by one that together did not unpickle: only the calls whose results do not have failed."""
        number, first, _ = messages.RESEND_HEADER.unpack_from(body)
        task = assignment.task(number)
        _, reported, seconds = task.unread.pop(0)
        failed = {failure.index: failure for failure in reported}
        values: list[Any] = []
        for index, item in enumerate(codec.loads(body[messages.RESEND_HEADER.size :]), task.chunk.start + first):
            value = None
            if isinstance(item, messages.Raised):
                failed.setdefault(index, failures.failure(self._work.name, index, item))
            else:
                try:
                    value = codec.loads(item)
                except codec.REFUSALS as error:
                    codec.pass_on(error)
                    unreadable = failures.serialization.unreadable_result(self._work.name, index, error)
                    failed.setdefault(index, Failure(index, unreadable))
            values.append(value)
        self._finish(assignment, task)
        yield ChunkResult(task.chunk, values, tuple(failed[index] for index in sorted(failed)), seconds, first)

    def _finish(self, assignment: Assignment, task: Task) -> None:
        """Takes a task off its worker if nothing more is to come, and retires the worker if it has made its calls."""
        if task.finished and task.unread:
            header = messages.RESEND_HEADER.pack(task.number, *task.unread[0].span)
            assignment.tell(messages.RESEND, header)
        elif task.finished:
            assignment.tasks.remove(task)
            if not assignment.tasks and self._workers.calls_left(assignment) <= 0:
                self._workers.dismiss(assignment)

    def _take_back(self, assignment: Assignment, body: memoryview) -> Iterator[ChunkResult]:
        """Deals with a chunk that its worker could not unpickle; none of its calls has run."""
        (number,) = messages.CHUNK_NUMBER.unpack_from(body)
        report: messages.Unloadable = codec.loads(body[messages.CHUNK_NUMBER.size :])
        task = assignment.task(number)
        assignment.tasks.remove(task)
        chunk = task.chunk
        worker = assignment.worker
        worker.calls -= len(chunk)
        lacking = [module for module in report.modules if module not in self._by_value]
        if report.what == "files":
            # It may not open so many files (ulimit -n): large buffers go to it through the connection from now on.
            worker.takes_files = False
            self._workers.brief_again()
            self._learned = time.monotonic_ns()
        elif any([*map(codec.send_module_by_value, lacking)]):
            # The worker cannot import what this process has: it goes by value now, to all workers.
            self._by_value.update(lacking)
            self._learned = time.monotonic_ns()
            self._workers.brief_again()
        if task.sent < self._learned:
            self._again.appendleft((chunk, task.deaths))
        elif report.what == "function":
            worker.function = worker.orders = None  # it may load the next time, where what was missing has been put there
            raise failures.unloadable(self._work.name, chunk.start, report)
        elif not halves(chunk, self._again):
            error = failures.unloadable(self._work.name, chunk.start, report)
            yield ChunkResult(chunk, [None], (Failure(chunk.start, error),))


def _decode(data: memoryview, message: Message) -> Any:
    if message.buffers is None:
        raise FilesLostError("this process may not open more files")
    return codec.decode(data, message.buffers)
