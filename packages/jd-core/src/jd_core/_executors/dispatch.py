"""One run on an executor: a bounded window of tasks in flight, collected as they finish.

::

    chunks ──► tasks waiting ──► submit ──► results
                     ▲                         │
                     └──── to be run again ────┘   a process lacks the function; a module is missing there; calls were left
"""

from __future__ import annotations

import asyncio
import concurrent.futures
import contextlib
import logging
import operator
import queue
import sys
import time
from collections import deque
from collections.abc import Generator, Iterator
from pathlib import Path
from typing import Any

from jd_core._executors import outcomes
from jd_core._executors.shipment import Shipment, Task, errors
from jd_core.backend import CANCEL_SECONDS, POLL_SECONDS, Chunk, ChunkResult, SettledChunk, Work
from jd_core.backend.splitting import PATIENCE, part
from jd_core.errors import BackendError

logger = logging.getLogger("just_distribute")

#: Seconds that an ended run waits for calls that may be about to end: an executor cannot end them.
PARTING_SECONDS = 0.5

#: Seconds between two looks where nothing but a result, or Ctrl-C, is waited for.
LOOK_SECONDS = 0.25

#: Constants of more bytes are warned of where each chunk has to carry them.
LARGE_BYTES = 10_000_000


#: What tasks return begins with one of these.
_OUTCOMES = ("here", "done", "lacking", "refused")


class Dispatch:
    """The state of one run; used by one thread at a time.

    Args:
        executor: the user's.
        work: what the core handed over.
        chunks: the calls.
        full: seconds that the calls of a chunk are to take together at most.
    """

    def __init__(self, executor: Any, work: Work, chunks: Iterator[Chunk | None], full: float) -> None:
        self._executor = executor
        self._work = work
        self._chunks: Iterator[Chunk | None] | None = chunks
        self._full = full
        self._shipment = Shipment(work, PATIENCE * full)
        # Half as many again wait for a free worker, where it is not the user who says how many calls run at once.
        self._window = work.workers if work.workers_given else work.workers + (work.workers + 1) // 2
        self._waiting: deque[Task] = deque()
        self._in_flight: dict[Task, Any] = {}
        self._ended: queue.SimpleQueue[Task | None] = queue.SimpleQueue()
        self._carried = 0  # tasks that had function and constants with them
        self._lacking = 0  # tasks that had not, and whose process did not have them
        if work.on_input is not None:
            work.on_input(lambda: self._ended.put(None))

    def results(self) -> Generator[ChunkResult, None, None]:
        """Yields the results of all calls, as they come."""
        while self._work.cancelled is None or not self._work.cancelled():
            yield from self._fill()
            if not self._in_flight and self._chunks is None and not self._waiting:
                return
            with contextlib.suppress(queue.Empty):
                task = self._ended.get(timeout=self._patience())
                if task is not None:
                    yield from self._with_returned(self._take(task))

    def _with_returned(self, results: Iterator[ChunkResult]) -> Iterator[ChunkResult]:
        """Yields results, and after a failed call what has not begun, where the core is to say when it may."""
        for result in results:
            yield result
            if result.failures and self._work.return_at_failure:
                waiting, self._waiting = self._waiting, deque()
                yield from (task.unbegun() for task in waiting)

    def close(self) -> None:
        """Cancels what has not started, and waits a moment for what runs."""
        self._shipment.stopped.set()
        left = {task for task, future in self._in_flight.items() if not future.cancel()}
        self._in_flight.clear()
        until = time.monotonic() + PARTING_SECONDS
        while left and (seconds := until - time.monotonic()) > 0:
            with contextlib.suppress(queue.Empty):
                left.discard(self._ended.get(timeout=seconds))

    def _patience(self) -> float:
        if self._chunks is not None and len(self._in_flight) < self._window:
            return POLL_SECONDS
        return LOOK_SECONDS if self._work.cancelled is None else CANCEL_SECONDS

    def _fill(self) -> Iterator[ChunkResult]:
        """Starts tasks until the window is full or nothing is there to start."""
        while len(self._in_flight) < self._window:
            if not self._waiting:
                if (chunk := self._pull()) is None:
                    return
                if isinstance(chunk, SettledChunk):
                    yield chunk.result
                    continue
                # The first ones go to workers that have nothing yet.
                self._waiting.append(Task(self._shipment, chunk, 0, len(chunk), carries=self._carried < self._window))
            task = self._waiting.popleft()
            if not task.carries and self._always_carries():
                task.carries = True
            self._carried += task.carries
            task.submitted = time.perf_counter()
            try:
                future = self._executor.submit(operator.call, task)
            except Exception as error:
                yield from self._raised(task, error)
                continue
            if not hasattr(future, "add_done_callback"):
                raise BackendError(
                    f"distribute: submit() of job={type(self._executor).__name__} returned a {type(future).__name__}, "
                    f"and no future of concurrent.futures: pass an executor, such as Dask's client.get_executor()"
                )
            self._in_flight[task] = future
            future.add_done_callback(lambda _, task=task: self._ended.put(task))

    def _pull(self) -> Chunk | None:
        """Returns a chunk, if there is one for now."""
        for chunk in self._chunks or ():
            return chunk
        self._chunks = None
        return None

    def _take(self, task: Task) -> Iterator[ChunkResult]:
        future = self._in_flight.pop(task, None)
        if future is None:
            return
        try:
            error = future.exception()  # and not raised, for it may be a SystemExit of the executor's side
        except (Exception, asyncio.CancelledError, concurrent.futures.CancelledError) as cancelled:
            error = cancelled
        if error is not None:
            yield from self._raised(task, error)
            return
        outcome = future.result()
        if not (outcome is None or (isinstance(outcome, tuple) and outcome and outcome[0] in _OUTCOMES)):
            raise BackendError(
                f"distribute: a future of job={type(self._executor).__name__} has a {type(outcome).__name__}, and not what "
                f"its task returned: pass an executor that calls what it is given, and returns that"
            )
        if outcome is None or outcome[0] == "lacking":
            self._lacking += 1
            self._waiting.extendleft(task.again(carries=True))
        elif outcome[0] == "refused":
            yield from self._refused(task, *outcome[1:])
        else:
            _, count, _, failed, seconds, *_ = outcome
            if count < task.count and not (self._work.stop_at_failure and failed):
                whole = bool(failed) and self._work.return_at_failure  # it goes back to the core
                step = None if whole else part(task.count - count, count, seconds, self._full, self._work.workers)
                self._waiting.extend(task.again(count, step, carries=False))
            self._record(task, outcome)
            if count:
                yield outcomes.result(self._work, task, outcome)

    def _raised(self, task: Task, error: BaseException) -> Iterator[ChunkResult]:
        """Deals with a task that could not be sent, or with an executor that gave up."""
        refusal = task.refusal
        if isinstance(refusal, BackendError):  # about the function, its constants, or what is installed
            raise refusal
        if refusal is None:
            name = type(self._executor).__name__
            raise BackendError(
                f"distribute: job={name} could not run calls of {self._work.name}() ({type(error).__name__}: {error}); "
                f"an executor that is shut down or broken takes no more: make a new one"
            ) from error
        if task.count > 1:
            self._waiting.extendleft(reversed(task.again(0, 1)))
        else:
            yield task.failed(errors().arguments(self._work, task.chunk, task.offset, refusal))

    def _refused(
        self, task: Task, what: str, kind: str, message: str, traceback: str, missing: str | None
    ) -> Iterator[ChunkResult]:
        """Sends a task again, of which no call was run: with more by value, or each call alone to find the one."""
        if missing is not None and missing not in self._shipment.by_value and _is_own_code(missing):
            self._shipment.extend(missing)
            self._carried = 0
            self._waiting.extendleft(task.again(carries=True))
        elif what == "work":
            raise outcomes.refused_code(self._work, kind, message, traceback, missing)
        elif task.count > 1:
            self._waiting.extendleft(reversed(task.again(0, 1)))
        else:
            yield task.failed(outcomes.refused_argument(self._work, task.start, kind, message, traceback, missing))

    def _always_carries(self) -> bool:
        """Whether the executor's processes do not last, so that each task has to bring what it needs."""
        if self._lacking <= 2 * self._window:
            return False
        if self._lacking != sys.maxsize:
            self._lacking = sys.maxsize
            size = len(self._shipment.encoded())
            if size > LARGE_BYTES:
                logger.warning(
                    "%s(): function and constants, %.0f MB, are sent with each chunk, since the processes of %s do not last",
                    self._work.name,
                    size / 1e6,
                    type(self._executor).__name__,
                )
        return True

    def _record(self, task: Task, outcome: tuple[Any, ...]) -> None:
        recorder = self._work.recorder
        if recorder is None:
            return
        kind, _, values, _, _, spans, where = outcome
        if spans:
            # The performance counter of another machine has nothing to do with the one here: its last call ends now.
            first, last, now = spans[0][2], spans[-1][3], time.perf_counter()
            shift = 0.0 if task.submitted <= first <= last <= now else now - last
            moved = [(at, calls, began + shift, end + shift, cpu) for at, calls, began, end, cpu in spans]
            recorder.ran(where, task.start, moved)
        if kind == "done":
            recorder.moved(received=len(values) if isinstance(values, bytes) else sum(map(len, values)))


def _is_own_code(module: str) -> bool:
    """Whether a module is the user's own code, and no package that has to be installed where it is needed."""
    loaded = sys.modules.get(module)
    if loaded is None or module in ("__main__", __name__.partition(".")[0]) or module in sys.stdlib_module_names:
        return False
    places = [getattr(loaded, "__file__", None), *getattr(loaded, "__path__", [])]
    parts = {one for place in places if place for one in Path(place).parts}
    return bool(parts) and not parts & {"site-packages", "dist-packages"}
