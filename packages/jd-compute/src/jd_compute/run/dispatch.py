"""One run: hands chunks to workers and takes their results; `losses` deals with workers that die or take too long.

::

    chunks ──next──▶ ┌──────────┐ ──CHUNK──▶ worker 1 ──RESULT──▶ ┌──────────┐
    (of the core)    │ _assign  │ ──CHUNK──▶ worker 2 ──RESULT──▶ │ _receive │ ──ChunkResult──▶ core
           ┌───────▶ └──────────┘              ✝ ────EOF─────────▶ └──────────┘
           └──── _again: what a dead worker had, or what must travel in smaller parts ◀──┘

All of it happens in the thread that iterates; no thread is behind it. A worker has one chunk to run, and a second one at
hand only while chunks are so short that fetching the next would leave it idle. When there is nothing more to hand out, a
worker that has nothing to do gets part of what another one has not begun: work is split where that turns out to be needed
(A. Tzannes et al., "Lazy Binary-Splitting: A Run-Time Adaptive Work-Stealing Scheduler", PPoPP 2010).
"""

from __future__ import annotations

import itertools
import time
from collections import deque
from collections.abc import Generator, Iterator, Sequence
from typing import Any

from jd_core.backend import CANCEL_SECONDS, POLL_SECONDS, Chunk, ChunkResult, Failure, Work
from jd_core.backend.splitting import part

from jd_compute.codec import codec
from jd_compute.codec import failures as outcome
from jd_compute.pool.pool import Pool
from jd_compute.run.lost_workers import Losses
from jd_compute.run.tasks import Lane, Task, Unread, parts
from jd_compute.run.workers import Crew
from jd_compute.transport import messages, output
from jd_compute.transport.arena import arena
from jd_compute.transport.channel import NEVER_BLOCKS

#: A second chunk is sent ahead to a worker whose last one took less than this: then the way there and back shows.
SHORT_SECONDS = 0.02

#: A message has no more bytes in large buffers than this, if it is of several calls: while one worker gets its first 16 MB,
#: which takes some ms, the other ones wait. Chunks are sized by how long calls run, not by what they carry.
MOST_BYTES = 1 << 24

_numbers = itertools.count(1)  # of all runs, see `Task`


class Dispatch:
    """One run of chunks on workers of a pool.

    Args:
        pool: where workers come from.
        work: what is done with each chunk.
        chunks: see `jd_core.backend.Backend.run`.
        full: seconds that the calls of a chunk are to take together at most.
    """

    def __init__(self, pool: Pool, work: Work, chunks: Iterator[Chunk | None], full: float) -> None:
        self._crew = Crew(pool, work)
        self._work = work
        self._chunks = chunks
        self._full = full
        self._again: deque[tuple[Chunk, int]] = deque()  # with the number of deaths
        self._losses = Losses(self._crew, work, self._again)
        self._exhausted = False
        self._paused = False  # the core has nothing to start just now
        self._by_value: set[str] = set()  # modules that workers of this run could not import
        self._learned = 0  # when, in monotonic nanoseconds, the last one was found

    def results(self) -> Generator[ChunkResult, None, None]:
        """Runs to the end, giving results as they come; see `jd_core.backend.Backend.run`."""
        try:
            while True:
                yield from self._assign()
                if any(lane.tasks for lane in self._crew.lanes):
                    self._spread()
                    for lane in self._wait():
                        yield from self._receive(lane)
                    if self._work.timeout is not None:
                        yield from self._losses.end_overdue(self._work.timeout)
                elif self._exhausted and not self._again:
                    return
                elif self._paused:
                    time.sleep(POLL_SECONDS)
                if self._work.cancelled is not None and self._work.cancelled():
                    return
        finally:
            self._crew.release()

    # Handing out.

    def _assign(self) -> Iterator[ChunkResult]:
        """Gives every worker that can take one a chunk, while there are any."""
        self._paused = False
        while (lane := self._free_lane()) is not None or not self._crew.is_complete:
            following = self._next_chunk()
            if following is None:
                return
            if lane is None:
                yield from self._enlist(*following)
            else:
                yield from self._send(lane, *following)

    def _free_lane(self) -> Lane | None:
        ahead: Lane | None = None
        for lane in self._crew.lanes:
            if not lane.tasks:
                return lane
            # The worker keeps the results of two chunks, in case they are asked for again.
            if lane.short and len(lane.tasks) == 1 and not lane.tasks[0].unread and self._crew.calls_left(lane) > 0:
                ahead = lane
        return ahead if self._crew.is_complete else None

    def _next_chunk(self) -> tuple[Chunk, int] | None:
        if self._again:
            return self._again.popleft()
        if self._exhausted or self._paused:
            return None
        try:
            chunk = next(self._chunks)
        except StopIteration:
            self._exhausted = True
            return None
        self._paused = chunk is None
        return None if chunk is None else (chunk, 0)

    def _enlist(self, chunk: Chunk, deaths: int) -> Iterator[ChunkResult]:
        """Gets workers for a chunk that has none."""
        raised = self._crew.enlist()
        if raised is None:
            self._again.appendleft((chunk, deaths))
            return
        # The initializer raised: what it raised is what happened to the calls that wait for it.
        what: messages.Raised = codec.loads(raised)
        failures = tuple(outcome.failure(self._work.name, chunk.start + offset, what) for offset in range(len(chunk)))
        yield ChunkResult(chunk, [None] * len(chunk), failures)

    def _send(self, lane: Lane, chunk: Chunk, deaths: int) -> Iterator[ChunkResult]:
        worker = lane.worker
        if len(chunk) > (left := self._crew.calls_left(lane)):
            chunk, rest = parts(chunk, (0, int(left)), (int(left), len(chunk)))
            self._again.appendleft((rest, deaths))
        try:
            encoded = codec.encode(chunk.columns)
            size = sum(buffer.nbytes for buffer in encoded.buffers)
            if size > MOST_BYTES and len(chunk) > 1 and self._work.chunksize is None:
                cut = max(1, len(chunk) * MOST_BYTES // size)
                chunk, rest = parts(chunk, (0, cut), (cut, len(chunk)))
                self._again.appendleft((rest, deaths))
                encoded = codec.encode(chunk.columns)
        except codec.REFUSALS as error:
            if not self._again_in_halves(chunk):
                unsendable = outcome.serialization.arguments(self._work, chunk, 0, error)
                yield ChunkResult(chunk, [None], (Failure(chunk.start, unsendable),))
            return
        parcel = arena.place(encoded.buffers, together=True) if encoded.buffers else None
        if lane.tasks and len(encoded.data) + (parcel.weight if parcel else 0) > NEVER_BLOCKS:
            # While the worker is busy nobody reads what it is sent, and it may be waiting for us to read.
            self._again.appendleft((chunk, deaths))
            lane.short = False
            return
        if lane.short is None:
            # The core lets calls go together only if earlier ones were short.
            lane.short = len(chunk) > 1 and self._work.chunksize is None
        task = Task(next(_numbers), chunk, deaths, time.monotonic_ns())
        lane.tasks.append(task)
        worker.calls += len(chunk)
        one_by_one = self._work.timeout is not None or self._work.chunksize == 1
        manner = self._work.stop_at_failure, one_by_one
        header = messages.CHUNK_HEADER.pack(self._crew.run, task.number, len(chunk), *manner)
        self._crew.tell(lane, messages.CHUNK, header, encoded.data, parcel=parcel)
        if parcel is not None:
            parcel.close()

    def _spread(self) -> None:
        """Asks the worker that has most calls left for some of them, where another one has nothing to do."""
        seconds = self._crew.help_seconds
        if seconds is not None and self._work.chunksize is None:
            for lane in sorted((lane for lane in self._crew.lanes if lane.calls > 1), key=lambda lane: -lane.calls):
                if lane.want_back(seconds):
                    return

    def _again_in_halves(self, chunk: Chunk) -> bool:
        """Puts a chunk back in two halves, to find the call in it that is at fault; false if it is but one call."""
        middle = len(chunk) // 2
        if middle:
            self._again.extendleft((half, 0) for half in reversed(parts(chunk, (0, middle), (middle, len(chunk)))))
        return bool(middle)

    # Taking back.

    def _wait(self) -> list[Lane]:
        """Waits for messages, or until it is time to look after something else, and returns the lanes that have any."""
        limits = []
        if self._paused and (self._free_lane() is not None or not self._crew.is_complete):
            limits.append(POLL_SECONDS)
        if self._work.cancelled is not None:
            limits.append(CANCEL_SECONDS)
        if self._work.timeout is not None:
            due = min(self._losses.due(lane, self._work.timeout) for lane in self._crew.lanes if lane.tasks)
            limits.append(max(0.001, due - time.monotonic()))
        return self._crew.wait(min(limits, default=None))

    def _receive(self, lane: Lane) -> Iterator[ChunkResult]:
        try:
            message = self._crew.hear(lane)
        except EOFError:
            yield from self._losses.bury(lane)
            return
        body = memoryview(message.body)
        if message.kind == messages.RESULT:
            yield from self._take_result(lane, body, message.buffers)
        elif message.kind == messages.RESENT:
            yield from self._take_resent(lane, body)
        elif message.kind == messages.OUTPUT:
            output.show(body)
        elif message.kind == messages.RELEASED:
            pass  # that of the run before, which the channel has taken note of
        else:
            yield from self._take_back(lane, body)

    def _take_result(self, lane: Lane, message: memoryview, buffers: Sequence[memoryview]) -> Iterator[ChunkResult]:
        header = messages.RESULT_HEADER
        number, first, count, state, seconds, length = header.unpack_from(message)
        task = lane.task(number)
        lane.spared = 0
        raised = codec.loads(message[header.size : header.size + length]) if length else ()
        failures = tuple(outcome.failure(self._work.name, task.chunk.start + offset, what) for offset, what in raised)
        task.done, task.finished = first + count, state != messages.GOING_ON
        values: Sequence[Any] = ()
        if count:
            try:
                values = codec.decode(message[header.size + length :], buffers)
            except codec.REFUSALS:
                task.unread.append(Unread((first, first + count), failures, seconds))
        if task.finished:
            lane.short = seconds < SHORT_SECONDS
        if state == messages.GIVEN_BACK:
            self._share_out(lane, task, count, seconds)
        self._finish(lane, task)
        if values:
            yield ChunkResult(task.chunk, values, failures, seconds, first)

    def _share_out(self, lane: Lane, task: Task, calls: int, seconds: float) -> None:
        """Puts what a worker gave back up for those that have nothing to do; its last ``calls`` calls took ``seconds``."""
        count = len(task.chunk)
        lane.worker.calls -= count - task.done
        busy = sum(any(other is not task for other in each.tasks) for each in self._crew.lanes)
        step = part(count - task.done, calls, seconds, self._full, max(1, self._crew.size - busy))
        spans = [(start, min(start + step, count)) for start in range(task.done, count, step)]
        self._again.extend((chunk, 0) for chunk in parts(task.chunk, *spans))
        if task.done:
            (task.chunk,) = parts(task.chunk, (0, task.done))

    def _take_resent(self, lane: Lane, message: memoryview) -> Iterator[ChunkResult]:
        """Takes results one by one that together did not unpickle: only the calls whose results do not have failed."""
        number, first, _ = messages.RESEND_HEADER.unpack_from(message)
        task = lane.task(number)
        _, reported, seconds = task.unread.pop(0)
        failures = {failure.index: failure for failure in reported}
        values: list[Any] = []
        for index, item in enumerate(codec.loads(message[messages.RESEND_HEADER.size :]), task.chunk.start + first):
            value = None
            if isinstance(item, messages.Raised):
                failures.setdefault(index, outcome.failure(self._work.name, index, item))
            else:
                try:
                    value = codec.loads(item)
                except codec.REFUSALS as error:
                    failures.setdefault(
                        index, Failure(index, outcome.serialization.unreadable_result(self._work.name, index, error))
                    )
            values.append(value)
        self._finish(lane, task)
        yield ChunkResult(task.chunk, values, tuple(failures[index] for index in sorted(failures)), seconds, first)

    def _finish(self, lane: Lane, task: Task) -> None:
        """Takes a task off its lane if nothing more is to come, and retires the worker if it has made its calls."""
        if task.finished and task.unread:
            self._crew.tell(lane, messages.RESEND, messages.RESEND_HEADER.pack(task.number, *task.unread[0].span))
        elif task.finished:
            lane.tasks.remove(task)
            if not lane.tasks and self._crew.calls_left(lane) <= 0:
                self._crew.dismiss(lane)

    def _take_back(self, lane: Lane, message: memoryview) -> Iterator[ChunkResult]:
        """Deals with a chunk that its worker could not unpickle; none of its calls has run."""
        (number,) = messages.CHUNK_NUMBER.unpack_from(message)
        report: messages.Unloadable = codec.loads(message[messages.CHUNK_NUMBER.size :])
        task = lane.task(number)
        lane.tasks.remove(task)
        chunk = task.chunk
        lane.worker.calls -= len(chunk)
        module = report.module
        if module is not None and module not in self._by_value and codec.send_module_by_value(module):
            # The worker cannot import what this process has: it goes by value now, to all workers.
            self._by_value.add(module)
            self._learned = time.monotonic_ns()
            self._crew.brief_again()
        if task.sent < self._learned:
            self._again.appendleft((chunk, task.deaths))
        elif report.what == "function":
            lane.worker.function = None  # it may load the next time, where what was missing has been put there
            raise outcome.unloadable(self._work.name, chunk.start, report)
        elif not self._again_in_halves(chunk):
            error = outcome.unloadable(self._work.name, chunk.start, report)
            yield ChunkResult(chunk, [None], (Failure(chunk.start, error),))
