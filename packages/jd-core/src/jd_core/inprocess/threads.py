"""Threads that take the calls of a run one by one from a shared `jd_core.inprocess.call_queue.CallQueue`."""

from __future__ import annotations

import contextvars
import itertools
import threading
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from jd_core.backend import Work
from jd_core.errors import BackendError, CallTimeoutError
from jd_core.inprocess.call_queue import CallQueue
from jd_core.inprocess.open_chunk import OpenChunk, measured, unstarred
from jd_core.worker import Span, close_loop, is_async, open_loop, state, uncounted_seconds

if TYPE_CHECKING:
    from jd_core.inprocess.rate_limit import Rate

#: Seconds that an ended run waits for threads whose calls may be about to end. A thread cannot be killed.
PARTING_SECONDS = 0.05

#: Seconds that a run which came to its end waits for its threads, which have nothing left to do but to clean up.
CLEANUP_SECONDS = 5.0

_runs = itertools.count(1)


class ThreadWorkers:
    """The threads of one run: daemons, started only where there are calls for them.

    Each call runs in its own copy of the caller's context. A call that takes longer than ``work.timeout`` is abandoned: its
    thread is left behind, whatever it still returns is dropped, and a new thread takes its place.

    Args:
        queue: the calls.
        work: what is the same for all of them.
        call: the plain callable of one call's arguments.
        rate: the rate to keep starts to, or None.
        prefix: start of the threads' names.
        release: called in each thread at its end: closes what that has opened for the call.
    """

    def __init__(
        self,
        queue: CallQueue,
        work: Work,
        call: Callable[..., Any],
        rate: Rate | None,
        *,
        prefix: str,
        release: Callable[[], None],
    ) -> None:
        self._queue = queue
        self._work = work
        self._call = call
        self._unstarred = unstarred(call)
        self._rate = rate
        self._turn = threading.Lock()  # held by the thread whose call is the next to start
        self._release = release
        self._prefix = f"{prefix}-{next(_runs)}"
        self._started, self._free = itertools.count(1), list[int]()  # the numbers of those that were left behind are free
        self._watched = work.timeout is not None or rate is not None
        self._available = threading.Condition(queue.lock)
        self._stopped = threading.Event()
        self._workers: list[_Worker] = []
        self._due = self._patience = 0.0  # on the monotonic clock: when the next call may have taken too long; see `join`
        self._context = contextvars.copy_context()
        self._context.run(state.inside_worker.set, True)

    def admit(self, calls: int) -> None:
        """Starts threads, one by one, until idle ones and these take all calls; at most ``work.workers`` threads."""
        with self._queue.lock:
            idle = min(calls, self._queue.waiting)
            self._queue.waiting -= idle  # here, because a woken thread may come to run much later
            self._available.notify(idle)
        for _ in range(min(calls - idle, self._work.workers - len(self._workers))):
            if self._queue.is_taken():  # the first has made all calls, which are tiny, before there is a second
                break
            self._start()

    def overdue(self) -> float:
        """Abandons calls that took too long; returns in how many seconds the next one may have."""
        if (limit := self._work.timeout) is None:
            return threading.TIMEOUT_MAX
        now = time.monotonic()
        if now < self._due:  # what started since the last look is due later still
            return self._due - now
        self._due = now + limit
        for worker in list(self._workers):
            with self._queue.lock:
                if worker.current is None:
                    continue
                opened, offset, began = worker.current
                seconds = worker.time() - began
                if seconds < limit:
                    self._due = min(self._due, now + limit - seconds)
                    continue
                worker.left_behind = True
            self._workers.remove(worker)
            self._free.append(worker.number)
            self._record(worker, opened, offset, seconds, float("nan"))
            if self._work.recorder is not None:
                self._work.recorder.died(worker.name)
            self._queue.fail(opened, offset, self._timed_out(limit))
            self._queue.record(opened, 1, seconds)
            if not self._queue.stopped:
                self._start()
        return self._due - now

    def stop(self) -> None:
        """Lets nothing further start."""
        finished = self._queue.is_finished()
        with self._queue.lock:
            self._queue.stopped = True
            self._available.notify_all()
        self._stopped.set()
        self._patience = time.monotonic() + (CLEANUP_SECONDS if finished else PARTING_SECONDS)

    def join(self) -> None:
        """Waits for the threads after `stop`; those that do not end soon are left behind."""
        for worker in self._workers:
            worker.thread.join(max(0.0, self._patience - time.monotonic()))

    def are_ending(self) -> bool:
        """Returns whether `join` would still wait."""
        return time.monotonic() < self._patience and any(worker.thread.is_alive() for worker in self._workers)

    def _start(self) -> None:
        started = next(self._started)
        worker = _Worker(f"thread {started}", self._free.pop() if self._free else len(self._workers))
        run, name = self._context.copy().run, f"{self._prefix}-{started}"
        worker.thread = threading.Thread(target=run, args=(self._serve, worker), name=name, daemon=True)
        try:
            worker.thread.start()
        except RuntimeError as error:
            if state.is_ending() and self._workers:  # Python 3.12 starts none then: those that there are make all calls
                return
            raise BackendError(
                f"{self._work.name}(): after {len(self._workers)} threads the system started no further one "
                f"({error}): use fewer than workers={self._work.workers}, or raise its limit (ulimit -u)"
            ) from error
        self._workers.append(worker)

    def _serve(self, worker: _Worker) -> None:
        try:
            state.number_of_worker.set(worker.number)
            if is_async(self._work.function):
                open_loop()
            take = self._take_watched if self._watched else self._take
            opened: OpenChunk | None = None
            while not worker.left_behind and (opened := self._next(opened)) is not None:
                take(worker, opened)
            self._release()
            close_loop()
        except BaseException as error:
            if not worker.left_behind:
                self._queue.crash(error)

    def _next(self, previous: OpenChunk | None) -> OpenChunk | None:
        queue = self._queue
        with queue.lock:
            while (opened := queue.next_chunk(previous)) is None and not (queue.stopped or queue.ended):
                self._available.wait()
        return opened

    def _take(self, worker: _Worker, opened: OpenChunk) -> None:
        """Takes calls with nothing but a context around each: without clock, rate and lock (row io-tiny-calls)."""
        queue, values = self._queue, opened.values
        call = self._unstarred if opened.starred else self._call
        own_context = contextvars.copy_context
        spans: list[Span] = []
        timed = None if self._work.recorder is None else measured(opened.calls, spans)
        done, began = 0, time.perf_counter()
        for offset, argument in timed or opened.calls:
            if queue.stopped:
                break
            try:
                values[offset] = own_context().run(call, argument)
            except BaseException as error:
                queue.fail(opened, offset, error)
            done += 1
        if timed is not None and self._work.recorder is not None:
            timed.close()
            self._work.recorder.ran(worker.name, opened.chunk.start, spans)
        queue.record(opened, done, time.perf_counter() - began)

    def _take_watched(self, worker: _Worker, opened: OpenChunk) -> None:
        queue, limit = self._queue, self._work.timeout
        call = self._unstarred if opened.starred else self._call
        for offset, argument in opened.calls:
            if self._rate is not None:
                self._wait_for(self._rate)
            if queue.stopped:
                break
            value, failure = None, None
            cpu, began, by_worker = time.thread_time(), time.monotonic(), worker.time()
            worker.current = opened, offset, by_worker
            try:
                value = contextvars.copy_context().run(call, argument)
            except BaseException as error:
                failure = error
            seconds, counted = time.monotonic() - began, worker.time() - by_worker
            with queue.lock:
                if worker.left_behind:
                    break
                worker.current = None
            self._record(worker, opened, offset, seconds, time.thread_time() - cpu)
            # Nobody may have looked in time: the caller of a stream comes when it likes.
            if limit is not None and counted > limit:
                failure = self._timed_out(limit)
            if self._rate is not None:
                self._rate.hear(began, failure)
            if failure is None:
                opened.values[offset] = value
            else:
                queue.fail(opened, offset, failure)
            queue.record(opened, 1, seconds)

    def _record(self, worker: _Worker, opened: OpenChunk, offset: int, seconds: float, cpu: float) -> None:
        if self._work.recorder is not None:
            now = time.perf_counter()
            self._work.recorder.ran(worker.name, opened.chunk.start, [(offset, 1, now - seconds, now, cpu)])

    def _wait_for(self, rate: Rate) -> None:
        with self._turn:  # one thread asks for all, which would wake at the same moment
            while not self._stopped.is_set() and (delay := rate.delay()):
                self._stopped.wait(delay)

    def _timed_out(self, limit: float) -> CallTimeoutError:
        return CallTimeoutError(
            f"{self._work.name}(): a call took longer than timeout={limit!r} seconds; a thread cannot be ended, so the "
            f"call may go on unseen: give what it waits for a timeout of its own, or use job='compute'"
        )


class _Worker:
    """One thread, and the call that it runs: (chunk, offset, start on the worker's clock); None between calls."""

    thread: threading.Thread

    def __init__(self, name: str, number: int) -> None:
        self.name, self.number = name, number
        self.current: tuple[OpenChunk, int, float] | None = None
        self.left_behind = False

    def time(self) -> float:
        """Returns the worker's clock: the monotonic one, without what is not its calls' time. From any thread."""
        return time.monotonic() - uncounted_seconds(self.thread.ident or 0)
