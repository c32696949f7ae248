"""The workers that run coroutines on an event loop, each making one call after the other.

A worker is no task of its own. Each call runs in a context of its own, and from Python 3.12 on in a task of its own: one
that starts at once, so that a call that never waits costs the loop nothing. A call that had to wait ends by making its
worker's next calls::

    _serve ──▶ call, call, call … one waits ──▶ (the loop) ──▶ it ends, _serve ──▶ call, call …

Before 3.12 a task would have to wait for a turn of the loop, which costs more than ten calls that never wait (row
web-tiny-calls). There a worker has a task while it has calls, and a new one, with a new context, after a call that has
changed its context (row web-sleeps: 1.3 with a context for each call).
"""

from __future__ import annotations

import asyncio
import contextvars
import math
import sys
import time
from collections import deque
from typing import Any

from jd_core.backend import Work
from jd_core.backend.bridge import wait_until_done
from jd_core.inprocess.call_queue import CallQueue
from jd_core.inprocess.loop_resources import LoopResources
from jd_core.inprocess.open_chunk import unstarred
from jd_core.worker import inside_worker

from jd_web.calls import as_coroutine
from jd_web.worker import Worker, is_current


class TaskWorkers:
    """The workers of one run of a coroutine function. Made in any thread; all but `admit` and `stop` is for the loop's.

    Args:
        queue: the calls.
        work: what is the same for all of them.
        loop: where the calls run.
        own_loop: whether the loop is this library's, so that nobody else cancels tasks on it.

    Attributes:
        closing: `close` has begun to run, so the loop is not blocked.
        are_on_loop: there is something for `close` to end on the loop.
    """

    are_on_loop = True

    def __init__(self, queue: CallQueue, work: Work, loop: asyncio.AbstractEventLoop, *, own_loop: bool) -> None:
        self.closing = False
        self._queue = queue
        self._work = work
        self._resources = LoopResources(work.constants) if LoopResources.are_in(work.constants) else None
        self._recorder = work.recorder
        self._calls_began: dict[Any, float] = {}  # by task, if they are recorded
        self._call = as_coroutine(work, self._resources, None if work.recorder is None else self._calls_began)
        self._unstarred = unstarred(self._call)
        self._loop = loop
        self._own_loop = own_loop
        self._cancelled = False
        self._workers: list[Worker] = []
        self._idle: deque[Worker] = deque()
        self._admitted = 0  # calls that the loop has not been told of yet
        self._demand = 0  # calls that no worker was added or woken for yet
        self._scheduled = False
        self._context = contextvars.copy_context()
        self._context.run(inside_worker.set, True)

    def admit(self, calls: int) -> None:
        """Adds or wakes as many workers as there are calls for; at most ``work.workers``. From any thread."""
        with self._queue.lock:
            if len(self._workers) == self._work.workers and not self._queue.waiting:
                return  # all are busy, and look for themselves
            self._admitted += calls
            if self._scheduled:
                return
            self._scheduled = True
        self._loop.call_soon_threadsafe(self._begin)

    def overdue(self) -> float:
        """Nothing to do: the loop watches the calls' time."""
        return float("inf")

    def stop(self) -> None:
        """Lets nothing further start, also while the loop is busy. From any thread."""
        self._queue.stopped = True

    async def close(self) -> None:
        """Cancels what runs and returns when it has ended; after the normal end, there is nothing to cancel."""
        self.closing = True
        self.stop()
        self._cancel()
        try:
            await wait_until_done(*[worker.task for worker in self._workers if worker.task is not None])
        finally:
            if self._resources is not None:
                await self._resources.close()

    def join(self) -> None:
        """Nothing to do: `close` has waited for the calls."""

    def _cancel(self) -> None:
        if self._cancelled:
            return  # being told twice would interrupt their cleaning up
        self._cancelled = True
        for worker in self._workers:
            if worker.task is not None and worker.task is not asyncio.current_task():
                worker.task.cancel()

    def _begin(self) -> None:
        with self._queue.lock:
            self._scheduled = False
            calls, self._admitted = self._admitted, 0
        self._demand = min(self._demand + calls, self._work.workers)
        self._add_worker()

    def _add_worker(self) -> None:
        """Wakes or adds one worker, if there is demand. The others follow when one of its calls has to wait.

        Were all woken at once, calls that never wait would cost a wake-up each; one makes them all (row web-tiny-calls).
        """
        if not self._demand or self._queue.stopped:
            return
        if self._idle:
            worker = self._idle.popleft()
            with self._queue.lock:
                self._queue.waiting -= 1
        elif len(self._workers) < self._work.workers:
            worker = Worker(self._call, len(self._workers), self._context)
            self._workers.append(worker)
        else:
            self._demand = 0
            return
        self._demand -= 1
        self._loop.call_soon(self._serve, worker, context=worker.context)

    def _add_workers(self) -> None:
        """Wakes or adds workers for all the demand there is. Called whenever a call has to wait."""
        while self._demand and not self._queue.stopped:
            self._add_worker()

    if sys.version_info >= (3, 12):

        def _serve(self, worker: Worker) -> None:
            """Makes calls until one has to wait, which goes on with the next ones when it has ended."""
            queue, loop = self._queue, self._loop
            worker.waits = False
            try:
                while True:
                    for offset, argument in worker.calls:
                        if queue.stopped:
                            break
                        # In a copy of the current context, which is the worker's.
                        worker.task = asyncio.Task(self._make(worker, offset, argument), loop=loop, eager_start=True)
                        if not worker.task.done():
                            worker.waits = True
                            self._add_workers()
                            return
                    if not self._next_chunk(worker):
                        return
            except BaseException as error:
                queue.crash(error)

        async def _make(self, worker: Worker, offset: int, argument: Any) -> None:
            """Makes one call. It raises only its cancellation: SystemExit and its like would go through the loop."""
            try:
                worker.values[offset] = await worker.call(argument)
            except BaseException as error:
                self._failed(worker, offset, error)
            if self._recorder is not None:
                self._record(worker, offset)
            worker.done += 1
            if worker.waits:
                worker.context.run(self._serve, worker)

    else:

        def _serve(self, worker: Worker) -> None:
            """Starts the task that makes calls until there are none for now."""
            # Not by the loop's task factory, which may start it in here.
            task = asyncio.Task(self._serve_in_task(worker), loop=self._loop, context=worker.context.copy())
            worker.task = task
            if self._demand:  # after the task's first step: calls that never wait need no others
                self._loop.call_soon(lambda: None if task.done() else self._add_workers())

        async def _serve_in_task(self, worker: Worker) -> None:
            queue, unchanged = self._queue, contextvars.copy_context()
            try:
                while True:
                    call, values = worker.call, worker.values
                    for offset, argument in worker.calls:
                        if queue.stopped:
                            break
                        try:
                            values[offset] = await call(argument)
                        except BaseException as error:
                            self._failed(worker, offset, error)
                        if self._recorder is not None:
                            self._record(worker, offset)
                        worker.done += 1
                        if not (is_current(unchanged) or queue.stopped):
                            self._serve(worker)
                            return
                    if not self._next_chunk(worker):
                        return
            except asyncio.CancelledError:
                raise
            except BaseException as error:
                queue.crash(error)

    def _next_chunk(self, worker: Worker) -> bool:
        """Records the calls that a worker has made, and finds it a chunk; returns whether it may go on at once."""
        queue, previous, done = self._queue, worker.opened, worker.done
        if previous is not None:
            queue.record(previous, done, time.perf_counter() - worker.began)
        with queue.lock:
            opened = queue.next_chunk(previous)
        worker.take_from(opened, self._call if opened is None or not opened.starred else self._unstarred)
        if opened is None:
            if queue.stopped:
                self._cancel()
            elif not queue.ended:
                self._demand = 0
                self._idle.append(worker)
            return False
        if previous is not None and done == len(previous.values):
            # Calls that never wait do not let others run; between chunks they do.
            self._loop.call_soon(self._serve, worker, context=worker.context)
            return False
        return True

    def _record(self, worker: Worker, offset: int) -> None:
        began = self._calls_began.pop(asyncio.current_task(), None)  # None: it was ended before it began
        if began is not None and self._recorder is not None and worker.opened is not None:
            self._recorder.ran(worker.name, worker.opened.chunk.start, [(offset, 1, began, time.perf_counter(), math.nan)])

    def _failed(self, worker: Worker, offset: int, error: BaseException) -> None:
        task = asyncio.current_task()
        assert task is not None
        if isinstance(error, asyncio.CancelledError) and task.cancelling():
            if not (self._queue.stopped or self._own_loop):
                self._queue.crash(error)  # the loop is being shut down
            if self._queue.stopped:
                raise error
            # The call cancelled the task that it runs in, which before Python 3.12 is not its own.
            task.uncancel()
        assert worker.opened is not None
        self._queue.fail(worker.opened, offset, error)
