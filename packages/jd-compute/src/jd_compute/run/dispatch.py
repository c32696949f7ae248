"""One run: sends chunks to workers. `received` takes their results, `lost_workers` deals with those that die.

::

    chunks ──next──▶ ┌──────────┐ ──CHUNK──▶ worker 1 ──RESULT──▶ ┌──────────┐
    (of the core)    │ _assign  │ ──CHUNK──▶ worker 2 ──RESULT──▶ │ Received │ ──ChunkResult──▶ core
           ┌───────▶ └──────────┘              ✝ ────EOF─────────▶ └──────────┘
           └──── _again: what a dead worker had, or what must be sent in smaller parts ◀──┘

All of it happens in the thread that iterates; no thread is behind it. A worker has one chunk to run, and a second one at
hand only while chunks are so short that fetching the next would leave it idle (row even-calls: 1.01 without). When there is
nothing more to send, an idle worker gets part of what another one has not begun: work is split where that turns out to be
needed (A. Tzannes et al., "Lazy Binary-Splitting: A Run-Time Adaptive Work-Stealing Scheduler", PPoPP 2010). It costs a run
of few tiny calls, which one worker has, nothing; where they turn out to be long, half the time is won.
"""

from __future__ import annotations

import itertools
import time
from collections import deque
from collections.abc import Callable, Generator, Iterator

from jd_core.backend import CANCEL_SECONDS, SIGNAL_SECONDS, Chunk, ChunkResult, Failure, SettledChunk, Work

from jd_compute.codec import codec, failures
from jd_compute.memory.gate import Gate
from jd_compute.pool.share import Settings
from jd_compute.pool.shared import shared_pool
from jd_compute.run.lost_workers import LostWorkers
from jd_compute.run.received import Received
from jd_compute.run.tasks import Assignment, Task, halves, parts
from jd_compute.run.workers import RunWorkers
from jd_compute.transport import messages
from jd_compute.transport.arena import arena
from jd_compute.transport.channel import NEVER_BLOCKS

#: A message has no more bytes in large buffers than this, if it is of several calls: while one worker gets its first 16 MB,
#: which takes some ms, the other ones wait (row arrays-in: 2.05 without). Chunks are sized by how long calls run, not by
#: what they carry.
MOST_BYTES = 1 << 24

#: Seconds between two looks for a worker that another run has finished with, by a run that has some.
LOOK_SECONDS = 0.02

_runs = itertools.count(1)  # workers compare these
_numbers = itertools.count(1)  # of the tasks of all runs, see `Task`


class Dispatch:
    """One run of chunks on workers of the pool.

    Args:
        settings: what the workers have in common.
        work: what is done with each chunk.
        chunks: see `jd_core.backend.Backend.run`.
        full: seconds that the calls of a chunk are to take together at most.
    """

    def __init__(self, settings: Settings, work: Work, chunks: Iterator[Chunk | None], full: float) -> None:
        self._workers = RunWorkers(shared_pool(), settings, work, next(_runs))
        memory = work.options.get("memory")
        self._gate = None if memory is None else Gate(memory)
        self._work = work
        self._chunks = chunks
        self._again: deque[tuple[Chunk, int]] = deque()  # with the number of deaths
        self._lost = LostWorkers(self._workers, work, self._again, self._gate)
        self._received = Received(self._workers, work, self._again, self._lost, full)
        self._exhausted = False
        self._paused = False  # the core has nothing to start just now
        self._lacks_workers = False  # other runs have them
        self._after_failure = messages.STOP if work.stop_at_failure else messages.GO_ON
        self._with_returned: Callable[[Iterator[ChunkResult]], Iterator[ChunkResult]] = iter
        if work.return_at_failure:
            self._after_failure = messages.GIVE_BACK
            self._with_returned = self._received.with_returned

    def results(self) -> Generator[ChunkResult, None, None]:
        """Runs to the end, yielding results as they come; see `jd_core.backend.Backend.run`."""
        try:
            while True:
                self._lost.check_all()
                yield from self._assign()
                if self._workers.are_at_work:
                    self._spread()
                    for assignment in self._wait():
                        yield from self._with_returned(self._received.take(assignment))
                    if self._work.timeout is not None:
                        yield from self._with_returned(self._lost.end_overdue(self._work.timeout))
                elif self._exhausted and not self._again:
                    return
                elif self._paused:
                    self._workers.wait(min(self._work.poll_seconds, SIGNAL_SECONDS))
                elif self._lacks_workers:
                    self._workers.wait_for_one(CANCEL_SECONDS)
                if self._work.cancelled is not None and self._work.cancelled():
                    return
        finally:
            self._workers.release()
            if self._gate is not None:
                self._gate.close()

    def _assign(self) -> Iterator[ChunkResult]:
        """Sends every worker that can take one a chunk, while there are any."""
        self._paused = self._lacks_workers = False
        if self._gate is not None:
            self._gate.settle({each.worker.pid for each in self._workers.assignments if each.tasks})
        if self._exhausted and not self._again:
            self._workers.check_in(all_idle=True)
            return
        self._workers.check_in(all_idle=False)
        while True:
            assignment = self._free()
            if assignment is None and (self._lacks_workers or self._workers.is_complete):
                return
            following = self._next_chunk()
            if following is None:
                self._workers.check_in(all_idle=True)
                return
            if isinstance(following[0], SettledChunk):
                yield following[0].result
                continue
            if assignment is not None and not self._may_start(assignment, *following):
                if self._paused:
                    return
                continue
            if assignment is None:
                yield from self._enlist(*following)
            else:
                yield from self._send(assignment, *following)

    def _free(self) -> Assignment | None:
        ahead: Assignment | None = None
        for assignment in self._workers.assignments:
            tasks = assignment.tasks
            if not tasks:
                return assignment
            # The worker keeps the results of two chunks, in case they are asked for again.
            if assignment.short and len(tasks) == 1 and not tasks[0].unread and self._workers.calls_left(assignment) > 0:
                ahead = assignment if self._lost.may_send_ahead else None
        return ahead if self._lacks_workers or self._workers.is_complete else None

    def _may_start(self, assignment: Assignment, chunk: Chunk, deaths: int) -> bool:
        """Whether a worker may start a chunk now. If not it is put back, and in parts if a call in it is to run alone."""
        is_alone, worker = False, assignment.worker
        if self._lost.alone:
            is_alone = self._lost.is_to_run_alone(chunk)
            running = [task.chunk for each in self._workers.assignments for task in each.tasks]
            self._paused = bool(running) and (is_alone or any(map(self._lost.is_to_run_alone, running)))
        if not self._paused and self._gate is not None:
            self._paused = not self._gate.opens(worker.pid, assignment.is_at_work)
        if self._paused:
            self._again.appendleft((chunk, deaths))
            return False
        if not is_alone or len(chunk) == 1:
            return True
        spans = [(offset, offset + 1) for offset in range(len(chunk))]
        self._again.extendleft((part, deaths) for part in reversed(parts(chunk, *spans)))
        return False

    def _next_chunk(self) -> tuple[Chunk, int] | None:
        if self._again:
            return self._again.popleft()
        if self._exhausted or self._paused:
            return None
        try:
            chunk = next(self._chunks)
            if chunk is None and self._workers.learn_of_input():
                chunk = next(self._chunks)  # it may have come before
        except StopIteration:
            self._exhausted = True
            return None
        self._paused = chunk is None
        return None if chunk is None else (chunk, 0)

    def _enlist(self, chunk: Chunk, deaths: int) -> Iterator[ChunkResult]:
        """Gets workers for a chunk that has none."""
        before = len(self._workers.assignments)
        raised = self._workers.enlist()
        if raised is None:
            self._again.appendleft((chunk, deaths))
            self._lacks_workers = len(self._workers.assignments) == before
            return
        # The initializer raised: what it raised is what happened to the calls that wait for it.
        what: messages.Raised = codec.loads(raised)
        failed = tuple(failures.failure(self._work.name, chunk.start + offset, what) for offset in range(len(chunk)))
        yield ChunkResult(chunk, [None] * len(chunk), failed)

    def _send(self, assignment: Assignment, chunk: Chunk, deaths: int) -> Iterator[ChunkResult]:
        worker = assignment.worker
        if len(chunk) > (left := self._workers.calls_left(assignment)):
            chunk, rest = parts(chunk, (0, int(left)), (int(left), len(chunk)))
            self._again.appendleft((rest, deaths))
        try:
            encoded = codec.encode(chunk.columns, passed=lambda: itertools.chain(*chunk.columns))
            size = sum(buffer.nbytes for buffer in encoded.buffers) if encoded.buffers else 0
            if size > MOST_BYTES and len(chunk) > 1 and self._work.chunksize is None:
                cut = max(1, len(chunk) * MOST_BYTES // size)
                chunk, rest = parts(chunk, (0, cut), (cut, len(chunk)))
                self._again.appendleft((rest, deaths))
                encoded = codec.encode(chunk.columns, passed=lambda: itertools.chain(*chunk.columns))
        except codec.REFUSALS as error:
            codec.pass_on(error)
            if not halves(chunk, self._again):
                unsendable = failures.serialization.arguments(self._work, chunk, 0, error)
                yield ChunkResult(chunk, [None], (Failure(chunk.start, unsendable),))
            return
        # A long pickle is a buffer, too (row tiny-calls: 1.09 to 1.15 if it is not).
        parcel = arena.place(encoded.buffers, together=True, inline=not worker.takes_files) if encoded.buffers else None
        is_long = len(encoded.data) + (parcel.weight if parcel else 0) > NEVER_BLOCKS
        if (assignment.tasks and is_long) or (encoded.named and not self._workers.orders.cover(assignment, encoded.named)):
            # While the worker is busy nobody reads what it is sent, and it may be waiting for us to read.
            self._again.appendleft((chunk, deaths))
            assignment.short = False
            return
        if assignment.short is None:
            # The core lets calls go together only if earlier ones were short.
            assignment.short = len(chunk) > 1 and self._work.chunksize is None
        assignment.tasks.append(task := Task(next(_numbers), chunk, deaths, time.monotonic_ns()))
        worker.calls += len(chunk)
        recorder = self._work.recorder
        manner = self._after_failure, self._work.timeout is not None or self._work.chunksize == 1, recorder is not None
        if recorder is not None:
            recorder.moved(sent=len(encoded.data) + sum(buffer.nbytes for buffer in encoded.buffers))
        numbers = self._workers.number, assignment.number, task.number
        header = messages.CHUNK_HEADER.pack(*numbers, chunk.start, len(chunk), *manner)
        assignment.tell(messages.CHUNK, header, encoded.data, parcel=parcel)
        if parcel is not None:
            parcel.close()

    def _spread(self) -> None:
        """Asks the worker that has most calls left for some of them, where another one has nothing to do."""
        if self._work.chunksize is None and self._workers.could_have_more:
            for assignment in sorted(self._workers.assignments, key=Assignment.calls, reverse=True):
                if assignment.calls() <= 1 or assignment.want_back():
                    return

    def _wait(self) -> list[Assignment]:
        """Waits for messages, or until it is time to look after something else."""
        limits = [SIGNAL_SECONDS]
        if self._paused and (self._free() is not None or not self._workers.is_complete):
            limits.append(self._work.poll_seconds)
        if self._lacks_workers:
            limits.append(LOOK_SECONDS)
        if self._work.cancelled is not None:
            limits.append(CANCEL_SECONDS)
        if self._work.timeout is not None:
            due = min(self._lost.due(each, self._work.timeout) for each in self._workers.assignments if each.tasks)
            limits.append(max(0.001, due - time.monotonic()))
        return self._workers.wait(min(limits))
