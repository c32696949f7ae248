"""One run: hands chunks to workers, takes their results, and deals with workers that die or take too long.

::

    chunks ──next──▶ ┌──────────┐ ──CHUNK──▶ worker 1 ──RESULT──▶ ┌──────────┐
    (of the core)    │ _assign  │ ──CHUNK──▶ worker 2 ──RESULT──▶ │ _receive │ ──ChunkResult──▶ core
           ┌───────▶ └──────────┘              ✝ ────EOF─────────▶ └──────────┘
           └──── _again: what a dead worker had, or what must travel in smaller parts ◀──┘

All of it happens in the thread that iterates; no thread is behind it. A worker has one chunk to run, and a second one at
hand only while chunks are so short that fetching the next would leave it idle.
"""

from __future__ import annotations

import contextlib
import itertools
import math
import mmap
import os
import selectors
import sys
import time
from collections import deque
from collections.abc import Generator, Iterator, Sequence
from typing import Any

from jd_compute import codec, outcome, output, protocol, status
from jd_compute.channel import CAN_PASS_FILES, NEVER_BLOCKS, Message
from jd_compute.launcher import Worker
from jd_compute.memory import MemoryFile
from jd_compute.pool import Pool, runs
from jd_compute.tasks import Lane, Task, blame, parts, was_at_work
from jd_core.backend import CANCEL_SECONDS, POLL_SECONDS, Chunk, ChunkResult, Failure, Work
from jd_core.errors import CallTimeoutError, WorkerDiedError

#: A second chunk is sent ahead to a worker whose last one took less than this: then the way there and back shows.
SHORT_SECONDS = 0.005

#: Seconds that workers of a run that was given up have to come to an end by themselves before they are killed.
GRACE_SECONDS = 0.05

#: So many workers may die with a chunk before any call of it ran; the next such death ends the run.
MOST_DEATHS = 3


class Dispatch:
    """One run of chunks on workers of a pool.

    Args:
        pool: where workers come from.
        work: what is done with each chunk.
        chunks: see `jd_core.backend.Backend.run`.
    """

    def __init__(self, pool: Pool, work: Work, chunks: Iterator[Chunk | None]) -> None:
        self._pool = pool
        self._work = work
        self._chunks = chunks
        self._run = next(runs)
        self._numbers = itertools.count(1)
        self._lanes: list[Lane] = []
        self._most_lanes = work.workers if work.calls is None else min(work.workers, work.calls)
        self._selector = selectors.DefaultSelector()
        self._again: deque[tuple[Chunk, int]] = deque()  # with the number of deaths
        self._exhausted = False
        self._paused = False  # the core has nothing to start just now
        self._orders: tuple[list[bytes | memoryview], list[MemoryFile | memoryview]] | None = None
        self._learned = 0  # when, in monotonic nanoseconds, a module was last found to need sending by value

    def results(self) -> Generator[ChunkResult, None, None]:
        """Runs to the end, giving results as they come; see `jd_core.backend.Backend.run`."""
        try:
            while True:
                yield from self._assign()
                if any(lane.tasks for lane in self._lanes):
                    for lane in self._wait():
                        yield from self._receive(lane)
                    if self._work.timeout is not None:
                        yield from self._end_overdue(self._work.timeout)
                elif self._exhausted and not self._again:
                    return
                elif self._paused:
                    time.sleep(POLL_SECONDS)
                if self._work.cancelled is not None and self._work.cancelled():
                    return
        finally:
            self._release()

    # Handing out.

    def _assign(self) -> Iterator[ChunkResult]:
        """Gives every worker that can take one a chunk, while there are any."""
        self._paused = False
        while (lane := self._free_lane()) is not None or len(self._lanes) < self._most_lanes:
            following = self._next_chunk()
            if following is None:
                return
            if lane is None:
                yield from self._add_lanes(*following)
            else:
                yield from self._send(lane, *following)

    def _free_lane(self) -> Lane | None:
        ahead: Lane | None = None
        for lane in self._lanes:
            if not lane.tasks:
                return lane
            if lane.short and len(lane.tasks) == 1 and self._calls_left(lane) > 0:
                ahead = lane
        return ahead if len(self._lanes) >= self._most_lanes else None

    def _calls_left(self, lane: Lane) -> float:
        """Returns how many more calls the worker may make before it is replaced."""
        most = self._pool.settings.most_calls
        return math.inf if most is None else most - lane.worker.calls

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

    def _add_lanes(self, chunk: Chunk, deaths: int) -> Iterator[ChunkResult]:
        """Gets a worker for a chunk that has none: an idle one, or as many new ones as are missing, at once."""
        worker = self._pool.take_idle()
        if worker is not None:
            yield from self._send(self._add_lane(worker), chunk, deaths)
            return
        failed: protocol.Raised | None = None
        for started, raised in self._pool.start(self._most_lanes - len(self._lanes)):
            if raised:
                failed = codec.loads(raised)
                self._pool.discard(started)
            else:
                self._add_lane(started)
        if failed is None:
            self._again.appendleft((chunk, deaths))
        else:
            # The initializer raised: what it raised is what happened to the calls that wait for it.
            failures = tuple(outcome.failure(chunk.start + offset, failed) for offset in range(len(chunk)))
            yield ChunkResult(chunk, [None] * len(chunk), failures)

    def _add_lane(self, worker: Worker) -> Lane:
        lane = Lane(worker)
        self._lanes.append(lane)
        self._selector.register(worker.channel, selectors.EVENT_READ, lane)
        self._send_orders(lane)
        return lane

    def _remove_lane(self, lane: Lane) -> None:
        self._lanes.remove(lane)
        self._selector.unregister(lane.worker.channel)

    def _send_orders(self, lane: Lane) -> None:
        if self._orders is None:
            self._orders = self._encode_orders()
        parts, buffers = self._orders
        self._tell(lane, protocol.WORK, *parts, buffers=buffers)

    def _tell(
        self, lane: Lane, kind: int, *parts: bytes | memoryview, buffers: Sequence[MemoryFile | memoryview] = ()
    ) -> None:
        lane.in_transit = True
        # A dead worker shows as end-of-file in a moment.
        with contextlib.suppress(OSError):
            lane.worker.channel.send(kind, *parts, buffers=buffers)
        lane.in_transit = False

    def _hear(self, lane: Lane) -> Message:
        lane.in_transit = True
        message = lane.worker.channel.receive()
        lane.in_transit = False
        return message

    def _encode_orders(self) -> tuple[list[bytes | memoryview], list[MemoryFile | memoryview]]:
        """Returns the message that tells a worker what this run is about; its large constants are shared by all workers."""
        work = self._work
        try:
            code = codec.encode((work.function, dict(work.constants)))
        except codec.REFUSALS as error:
            raise outcome.unsendable_code(work, error) from error
        one_by_one = work.timeout is not None or work.chunksize == 1
        orders = protocol.pack(
            protocol.Orders(
                self._run, work.stop_at_failure, one_by_one, os.getcwd(), list(sys.path), output.levels()
            )
        )
        parts = [protocol.ORDERS_HEADER.pack(len(orders)), orders, code.data]
        return parts, [self._share(buffer) for buffer in code.buffers]

    def _forget_orders(self) -> None:
        for buffer in self._orders[1] if self._orders else ():
            if isinstance(buffer, MemoryFile):
                buffer.close()
        self._orders = None

    def _share(self, buffer: memoryview) -> MemoryFile | memoryview:
        if CAN_PASS_FILES:
            with contextlib.suppress(OSError):
                return MemoryFile(buffer, common=True)
        return buffer

    def _send(self, lane: Lane, chunk: Chunk, deaths: int) -> Iterator[ChunkResult]:
        worker = lane.worker
        if len(chunk) > (left := self._calls_left(lane)):
            chunk, rest = parts(chunk, (0, int(left)), (int(left), len(chunk)))
            self._again.appendleft((rest, deaths))
        try:
            encoded = codec.encode(chunk.columns)
        except codec.REFUSALS as error:
            if not self._again_in_halves(chunk):
                unsendable = outcome.unsendable_arguments(self._work, chunk, error)
                yield ChunkResult(chunk, [None], (Failure(chunk.start, unsendable),))
            return
        if lane.tasks and (encoded.buffers or len(encoded.data) > NEVER_BLOCKS):
            # While the worker is busy nobody reads what it is sent, and it may be waiting for us to read.
            self._again.appendleft((chunk, deaths))
            lane.short = False
            return
        task = Task(next(self._numbers), chunk, deaths, time.monotonic_ns())
        lane.tasks.append(task)
        worker.calls += len(chunk)
        header = protocol.CHUNK_HEADER.pack(self._run, task.number, len(chunk))
        self._tell(lane, protocol.CHUNK, header, encoded.data, buffers=encoded.buffers)

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
        if self._paused and self._free_lane() is not None:
            limits.append(POLL_SECONDS)
        if self._work.cancelled is not None:
            limits.append(CANCEL_SECONDS)
        if self._work.timeout is not None:
            due = min(self._due(lane, self._work.timeout) for lane in self._lanes if lane.tasks)
            limits.append(max(0.001, due - time.monotonic()))
        return [key.data for key, _ in self._selector.select(min(limits, default=None))]

    def _receive(self, lane: Lane) -> Iterator[ChunkResult]:
        try:
            message = self._hear(lane)
        except EOFError:
            yield from self._bury(lane)
            return
        body = memoryview(message.body)
        if message.kind == protocol.RESULT:
            yield from self._take_result(lane, body, message.buffers)
        elif message.kind == protocol.RESENT:
            yield from self._take_resent(lane, body)
        elif message.kind == protocol.OUTPUT:
            output.show(body)
        else:
            yield from self._take_back(lane, body)

    def _take_result(
        self, lane: Lane, message: memoryview, buffers: Sequence[mmap.mmap | bytearray]
    ) -> Iterator[ChunkResult]:
        header = protocol.RESULT_HEADER
        number, first, count, done, seconds, length = header.unpack_from(message)
        task = lane.task(number)
        raised = codec.loads(message[header.size : header.size + length]) if length else ()
        failures = tuple(outcome.failure(task.chunk.start + offset, what) for offset, what in raised)
        task.done, task.finished = first + count, done
        values: list[Any] = []
        if count:
            try:
                values = codec.loads(message[header.size + length :], buffers=buffers)
            except codec.REFUSALS:
                task.unread.append((first, failures, seconds))
                self._tell(lane, protocol.RESEND, protocol.RESEND_HEADER.pack(number, first, first + count))
        if done:
            lane.short = seconds < SHORT_SECONDS
        self._finish(lane, task)
        if values:
            yield ChunkResult(task.chunk, values, failures, seconds, first)

    def _take_resent(self, lane: Lane, message: memoryview) -> Iterator[ChunkResult]:
        """Takes results one by one that together did not unpickle: only the calls whose results do not have failed."""
        number, _, _ = protocol.RESEND_HEADER.unpack_from(message)
        task = lane.task(number)
        first, reported, seconds = task.unread.pop(0)
        failures = {failure.index: failure for failure in reported}
        values: list[Any] = []
        for index, item in enumerate(codec.loads(message[protocol.RESEND_HEADER.size :]), task.chunk.start + first):
            value = None
            if isinstance(item, protocol.Raised):
                failures.setdefault(index, outcome.failure(index, item))
            else:
                try:
                    value = codec.loads(item)
                except codec.REFUSALS as error:
                    failures.setdefault(index, Failure(index, outcome.unreadable_result(index, error)))
            values.append(value)
        self._finish(lane, task)
        yield ChunkResult(task.chunk, values, tuple(failures[index] for index in sorted(failures)), seconds, first)

    def _finish(self, lane: Lane, task: Task) -> None:
        """Takes a task off its lane if nothing more is to come, and retires the worker if it has made its calls."""
        if task.finished and not task.unread:
            lane.tasks.remove(task)
            if not lane.tasks and self._calls_left(lane) <= 0:
                self._remove_lane(lane)
                self._pool.discard(lane.worker)

    def _take_back(self, lane: Lane, message: memoryview) -> Iterator[ChunkResult]:
        """Deals with a chunk that its worker could not unpickle; none of its calls has run."""
        (number,) = protocol.CHUNK_NUMBER.unpack_from(message)
        report: protocol.Unloadable = codec.loads(message[protocol.CHUNK_NUMBER.size :])
        task = lane.task(number)
        lane.tasks.remove(task)
        chunk = task.chunk
        if report.module is not None and codec.send_module_by_value(report.module):
            # The worker cannot import what this process has: it goes by value now, to all workers.
            self._learned = time.monotonic_ns()
            self._forget_orders()
            for each in self._lanes:
                self._send_orders(each)
        if task.sent < self._learned:
            self._again.appendleft((chunk, task.deaths))
        elif report.what == "function":
            raise outcome.unloadable(self._work.name, chunk.start, report)
        elif not self._again_in_halves(chunk):
            error = outcome.unloadable(self._work.name, chunk.start, report)
            yield ChunkResult(chunk, [None], (Failure(chunk.start, error),))

    # Workers that die or take too long.

    def _bury(self, lane: Lane) -> Iterator[ChunkResult]:
        """Deals with a dead worker: blames the call that it was running, and puts all others back."""
        self._remove_lane(lane)
        page = lane.worker.status
        for task in lane.tasks:
            task.reopen()
        verdicts = [(task, blame(task, page) if was_at_work(task, page) else None) for task in lane.tasks]
        nobody_blamed = all(verdict is None for _, verdict in verdicts)
        loading = page is not None and page.phase == status.LOADING
        how = self._pool.bury(lane.worker)
        for task, verdict in reversed(verdicts):
            if verdict is None:
                if task.deaths + 1 > MOST_DEATHS:
                    raise WorkerDiedError(
                        f"{task.deaths + 1} worker processes, one after the other, ended ({how}) before they could run "
                        f"call {task.chunk.start} of {self._work.name}()"
                        + (": unpickling the function ends the process" if loading else "")
                    )
                deaths = task.deaths + nobody_blamed
                self._again.extendleft((rest, deaths) for rest in parts(task.chunk, (task.done, len(task.chunk))))
                continue
            self._again.extendleft((rest, 0) for rest in reversed(verdict.again))
            if verdict.culprit is not None:
                index = task.chunk.start + verdict.culprit
                yield self._one_failed(
                    task.chunk,
                    index,
                    WorkerDiedError(
                        f"the worker process ended ({how}) while it ran call {index}; calls that shared its message are "
                        f"run again. If it was out of memory, use fewer workers or smaller batches"
                    ),
                )

    def _end_overdue(self, timeout: float) -> Iterator[ChunkResult]:
        """Kills workers whose present call has had its time."""
        now = time.monotonic()
        for lane in [lane for lane in self._lanes if lane.tasks and self._due(lane, timeout) <= now]:
            page = lane.worker.status
            for each in lane.tasks:
                each.reopen()
            task = next((task for task in lane.tasks if was_at_work(task, page)), lane.tasks[0])
            verdict = blame(task, page)
            self._remove_lane(lane)
            self._pool.discard(lane.worker)
            for other in reversed(lane.tasks):
                rest = verdict.again if other is task else parts(other.chunk, (other.done, len(other.chunk)))
                self._again.extendleft((later, 0) for later in reversed(rest))
            if verdict.culprit is not None:
                index = task.chunk.start + verdict.culprit
                error = CallTimeoutError(
                    f"call {index} took longer than timeout={timeout:g} seconds; its worker process was killed. "
                    f"Allow more with timeout=..., or None for no limit"
                )
                yield self._one_failed(task.chunk, index, error)

    def _due(self, lane: Lane, timeout: float) -> float:
        """Returns when, on the monotonic clock, the present call of a lane will have had its time."""
        page = lane.worker.status
        if page is None:
            return lane.tasks[0].sent / 1e9 + timeout
        at_work = any(was_at_work(task, page) for task in lane.tasks)
        return (page.since / 1e9 if at_work else time.monotonic()) + timeout

    def _one_failed(self, chunk: Chunk, index: int, error: Exception) -> ChunkResult:
        return ChunkResult(chunk, [None], (Failure(index, error),), offset=index - chunk.start)

    # The end.

    def _release(self) -> None:
        """Gives workers back; those that still run something of this run get a moment to stop, and are then killed."""
        for lane in self._lanes:
            if lane.tasks and lane.worker.status is not None:
                lane.worker.status.cancel(self._run)
        try:
            self._drain(time.monotonic() + GRACE_SECONDS)
        finally:
            self._forget_orders()
            self._selector.close()
            for lane in self._lanes:
                if lane.tasks or lane.in_transit:
                    self._pool.discard(lane.worker)
                else:
                    self._pool.give_back(lane.worker)
            self._lanes.clear()

    def _drain(self, deadline: float) -> None:
        """Reads and drops what workers still send for this run, until all are through or the deadline has come."""
        while any(lane.tasks for lane in self._lanes) and (left := deadline - time.monotonic()) > 0:
            for key, _ in self._selector.select(left):
                lane: Lane = key.data
                if lane.in_transit:
                    return  # interrupted within a message: what follows cannot be read
                try:
                    message = self._hear(lane)
                except EOFError:
                    self._remove_lane(lane)
                    self._pool.bury(lane.worker)
                    continue
                if message.kind == protocol.OUTPUT:
                    output.show(memoryview(message.body))
                elif message.kind == protocol.UNLOADABLE or (
                    message.kind == protocol.RESULT and protocol.RESULT_HEADER.unpack_from(message.body)[3]
                ):
                    lane.tasks.popleft()
