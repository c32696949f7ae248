"""Workers of one run that die or take too long: which call is to blame, and what is to run again; for `dispatch`."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Iterator

from jd_core.backend import Chunk, ChunkResult, Failure, Work
from jd_core.errors import BackendError, CallTimeoutError, WorkerDiedError
from jd_core.worker import is_ending

from jd_compute.memory.gate import Gate
from jd_compute.memory.system import have_killed
from jd_compute.pool.worker import BROKEN, describe_exit
from jd_compute.run.tasks import Assignment, blame, blame_before, was_at_work, was_begun
from jd_compute.run.workers import RunWorkers
from jd_compute.transport import status_page

#: So many workers may die with a chunk before any call of it ran; the next such death ends the run.
MOST_DEATHS = 3

#: How workers end that have lost their connection: they go on until they want to send something.
_UNCONNECTED = (BROKEN, describe_exit(0))

#: So many messages are read from a worker whose call has had its time; a call that prints without end sends more.
MOST_SPARED = 100


class LostWorkers:
    """What a run does about workers that die or take too long.

    Args:
        workers: the run's workers.
        work: what they do.
        again: gets what is to run again, with the number of deaths.
        gate: knows how much memory workers had last; None: nobody does.

    Attributes:
        may_send_ahead: whether workers may be sent what they are to do later. Not once one has died with what it had not
            begun: a call may have read that from the connection, and would read the next.
        alone: indexes of calls whose worker was killed for memory; if they are attempted again, nothing else is to run.
    """

    def __init__(self, workers: RunWorkers, work: Work, again: deque[tuple[Chunk, int]], gate: Gate | None = None) -> None:
        self.may_send_ahead = True
        self.alone: set[int] = set()
        self._gate = gate
        self._workers = workers
        self._work = work
        self._again = again

    def put_back(self, assignment: Assignment) -> None:
        """Puts back what was sent to a worker that took no more: it was idle for too long just then."""
        self._workers.reap(assignment)
        for task in reversed(assignment.tasks):
            self._again.extendleft((rest, task.deaths) for rest in reversed(task.rest()))

    def check_all(self) -> None:
        """Raises a BackendError if there are no workers any more: the interpreter ends, or this is a forked child."""
        if self._workers.has_ended:
            why = "the interpreter is shutting down" if is_ending() else "this process was forked from the run's"
            raise BackendError(f"{self._work.name}(): its workers are gone: {why}") from None

    def reap(self, assignment: Assignment) -> Iterator[ChunkResult]:
        """Deals with a dead worker: blames the call that it was running, and puts all others back."""
        page = assignment.worker.status
        begun = [task for task in assignment.tasks if was_begun(task, page)]
        # Of several, the first is to blame: its results were sent before others began, and cannot be read. None runs twice
        # where that is promised.
        at_fault = begun if self._work.chunksize == 1 else begun[:1]
        blames = [(task, blame(task, page) if task in at_fault else None) for task in assignment.tasks]
        nobody_blamed = all(found is None for _, found in blames)
        self.may_send_ahead &= not nobody_blamed
        loading = page is not None and page.phase == status_page.LOADING
        how = self._workers.reap(assignment)
        self.check_all()  # or it ended as all do then
        if self._work.recorder is not None:
            self._work.recorder.died(assignment.worker.name)
        for task, found in reversed(blames):
            if found is None:
                if task.deaths + 1 > MOST_DEATHS:
                    raise WorkerDiedError(
                        f"{task.deaths + 1} worker processes, one after the other, ended with {how} before they could run "
                        f"call {task.chunk.start} of {self._work.name}()"
                        + (": unpickling the function ends the process" if loading else "")
                    )
                deaths = task.deaths + nobody_blamed
                self._again.extendleft((rest, deaths) for rest in reversed(task.rest()))
                continue
            found = blame_before(task, found) if how in _UNCONNECTED else found
            self._again.extendleft((rest, 0) for rest in reversed((*task.unread_parts(), *found.again)))
            if found.crashed_call is not None:
                index = task.chunk.start + found.crashed_call
                what = f"{self._work.name}(): the worker process ended with {how} while it ran call {index}"
                if how.startswith("signal 9 "):
                    self.alone.add(index)
                    yield _one_failed(task.chunk, index, WorkerDiedError(f"{what}: {self._why_killed(assignment)}"))
                else:
                    yield _one_failed(task.chunk, index, WorkerDiedError(what))

    def is_to_run_alone(self, chunk: Chunk) -> bool:
        """Whether a call of a chunk is to run while no other does."""
        return any(chunk.start <= index < chunk.start + len(chunk) for index in self.alone)

    def _why_killed(self, assignment: Assignment) -> str:
        last = None if self._gate is None else self._gate.last(assignment.worker.pid)
        size = "" if last is None else f", when it had {last / 1e6:,.0f} MB"
        if have_killed():
            why = f"the system has killed it for memory{size}"
        else:
            why = f"nothing here has killed it, so the system probably has, for memory{size}"
        return f"{why}. Use fewer workers, smaller batches, or memory= with what a call takes"

    def end_overdue(self, timeout: float) -> Iterator[ChunkResult]:
        """Kills workers whose present call has had its time.

        Each is judged just before, for while the consumer has a result the others go on; and not while it has sent
        something, which may be results of its calls before.
        """
        for assignment in list(self._workers.assignments):
            if not assignment.tasks or self.due(assignment, timeout) > time.monotonic():
                continue
            if assignment.spared < MOST_SPARED and assignment.worker.channel.poll(0):
                assignment.spared += 1
                continue
            page = assignment.worker.status
            task = next((task for task in assignment.tasks if was_at_work(task, page)), assignment.tasks[0])
            found = blame(task, page)
            self._workers.dismiss(assignment)
            if self._work.recorder is not None:
                self._work.recorder.died(assignment.worker.name)
            for other in reversed(assignment.tasks):
                rest = (*task.unread_parts(), *found.again) if other is task else other.rest()
                self._again.extendleft((later, 0) for later in reversed(rest))
            if found.crashed_call is not None:
                index = task.chunk.start + found.crashed_call
                error = CallTimeoutError(
                    f"{self._work.name}(): call {index} took longer than timeout={timeout:g} seconds, "
                    f"and its worker process was killed; allow more time, or None for no limit"
                )
                yield _one_failed(task.chunk, index, error)

    def due(self, assignment: Assignment, timeout: float) -> float:
        """Returns when, on the monotonic clock, the present call of a worker will have had its time."""
        page = assignment.worker.status
        if page is None:
            return assignment.tasks[0].sent / 1e9 + timeout
        at_work = any(was_at_work(task, page) for task in assignment.tasks)
        return (page.since / 1e9 if at_work else time.monotonic()) + timeout


def _one_failed(chunk: Chunk, index: int, error: Exception) -> ChunkResult:
    return ChunkResult(chunk, [None], (Failure(index, error),), offset=index - chunk.start)
