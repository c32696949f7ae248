"""The workers that serve one run: taken from the pool, told what the run is about, and checked in when they are idle."""

from __future__ import annotations

import functools
import math
import operator
import select
import time

from jd_core.backend import Work
from jd_core.errors import BackendError

from jd_compute.imports.libraries import libraries
from jd_compute.pool.pool import Pool
from jd_compute.pool.share import Settings
from jd_compute.pool.worker import Worker
from jd_compute.run.orders import Orders
from jd_compute.run.tasks import Assignment
from jd_compute.transport import messages, output
from jd_compute.transport.bell import Bell
from jd_compute.worker.cpu_placement import waiting_cpus

#: Seconds that workers of a run that was given up have to come to an end by themselves before they are killed.
GRACE_SECONDS = 0.05

_TASKS = operator.attrgetter("tasks")


class RunWorkers:
    """The workers of one run, each with its assignment.

    Args:
        pool: where workers come from.
        settings: what they have in common.
        work: what they are to do.
        number: the run's, which no other one has.

    Attributes:
        number: as given.
        assignments: those of the workers that serve it now.
        size: how many there are to be.
        orders: what they are told of the run.
    """

    def __init__(self, pool: Pool, settings: Settings, work: Work, number: int) -> None:
        self.number = number
        self.assignments: list[Assignment] = []
        self.size = work.workers if work.calls is None else min(work.workers, work.calls)
        self._pool = pool
        self._share = pool.join(settings, work.workers)
        self._bell: Bell | None = None
        self._places = len(settings.devices) or 1
        self._cpus = waiting_cpus(self.size)
        self._work = work
        self.orders = Orders(work, pool.hear_idle)
        # Not epoll (row ten-calls: 1.05 with it): a run has few workers, and is often over sooner than that is set up.
        self._poller = select.poll()
        self._by_file: dict[int, Assignment] = {}

    @property
    def is_complete(self) -> bool:
        """Whether there are as many workers as there are to be."""
        return len(self.assignments) >= self.size

    @property
    def are_at_work(self) -> bool:
        """Whether any of them has something to do."""
        return any(map(_TASKS, self.assignments))

    @property
    def has_ended(self) -> bool:
        """Whether there are no workers any more: the interpreter ends, or this is a forked child of the run's process."""
        return self._pool.has_ended

    @property
    def could_have_more(self) -> bool:
        """Whether there may be another worker to give calls to."""
        return not self.is_complete and self._pool.could_lend_more()

    def calls_left(self, assignment: Assignment) -> float:
        """Returns how many more calls the worker may make before it is replaced."""
        return (self._share.settings.most_calls or math.inf) - assignment.worker.calls

    def enlist(self) -> bytearray | None:
        """Adds an idle worker, or as many new ones as are missing and may be started; or none, if others have them all.

        Returns:
            What an initializer raised, encoded; None if all went well.

        Raises:
            BackendError: no worker can be started, and the run has none.
        """
        numbers = self._free_numbers()
        if self._places > 1:
            self._share.places = {number % self._places for number in numbers}
        idle = self._pool.take(self._share)
        if idle is not None:
            self.orders.give(self._add(idle, numbers))
            return None
        failed: bytearray | None = None
        added: list[Assignment] = []
        try:
            work, places = self._work, [number % self._places for number in numbers]
            started = self._pool.start(self._share, places, functools.partial(libraries, work), work.cancelled)
        except BackendError:
            if not self.assignments:
                raise
            self.size = len(self.assignments)  # it does with those that it has
            return None
        for worker, raised in started:
            if raised:
                failed = raised
                self._pool.discard(self._share, worker)
            else:
                added.append(self._add(worker, numbers))
        for assignment in added:  # not before all are in the run, which checks them in also when this raises
            self.orders.give(assignment)
        return failed

    def wait_for_one(self, seconds: float) -> None:
        """Waits, at most so long, until this run, which has no worker, may have one."""
        self._pool.wait(self._share, seconds)

    def dismiss(self, assignment: Assignment) -> None:
        """Ends a worker at once."""
        self._pool.discard(self._share, assignment.worker)
        self._remove(assignment)

    def reap(self, assignment: Assignment) -> str:
        """Says how a worker that is dead has ended."""
        end = self._pool.reap(self._share, assignment.worker)
        self._remove(assignment)
        return end

    def check_in(self, *, all_idle: bool) -> None:
        """Checks in the workers that are idle: all of them, or as many as other runs wait for."""
        for assignment in self.assignments[:]:
            if not assignment.tasks and (all_idle or self._pool.is_wanted(self._share)):
                self._part_with(assignment)

    def wait(self, seconds: float) -> list[Assignment]:
        """Waits for messages or input, at most so long, and returns the assignments of the workers that have sent any."""
        found = []
        for file, _ in self._poller.poll(1000 * seconds):
            if file in self._by_file:
                found.append(self._by_file[file])
            elif self._bell is not None and file == self._bell.fileno():
                self._bell.hear()
        if not found:
            for assignment in self.assignments:
                assignment.check()
        return found

    def learn_of_input(self) -> bool:
        """Has `wait` end when there may be calls to start; false if it does so already, or nobody can tell."""
        if self._bell is not None or self._work.on_input is None:
            return False
        self._bell = Bell()
        self._poller.register(self._bell, select.POLLIN)
        self._work.on_input(self._bell.ring)
        return True

    def brief_again(self) -> None:
        """Tells all workers once more what the run is about: it must be encoded in another way."""
        self.orders.revoke()
        for assignment in self.assignments:
            self.orders.give(assignment)

    def release(self) -> None:
        """Checks the workers in; those that still do something for this run get a moment to stop, and are then killed."""
        if self.has_ended:
            self._silence()
            return  # a stream that was left unfinished is closed with the interpreter's last breath, or in a forked child
        if self._pool.puts_off(self.release):
            return
        for assignment in self.assignments:
            if assignment.tasks and assignment.worker.status is not None:
                assignment.worker.status.cancel(self.number)
        try:
            self._drain(time.monotonic() + GRACE_SECONDS)
        finally:
            try:
                while self.assignments:
                    self._part_with(self.assignments[-1])
                if self.orders.must_end:
                    self._pool.hear_idle(self.orders.end)
            finally:
                self._pool.leave(self._share)
                self.orders.close()
                self._silence()

    def _silence(self) -> None:
        if self._bell is not None:
            self._bell.close()

    def _part_with(self, assignment: Assignment) -> None:
        """Checks a worker in if it can serve another run."""
        if assignment.tasks or assignment.in_transit or self.calls_left(assignment) <= 0:
            self.dismiss(assignment)
            return
        self._pool.check_in(self._share, assignment.worker)
        self._remove(assignment)

    def _free_numbers(self) -> list[int]:
        """Returns the numbers of the workers that are missing."""
        taken = {assignment.number for assignment in self.assignments}
        return [number for number in range(self._work.workers) if number not in taken][: self.size - len(taken)]

    def _add(self, worker: Worker, numbers: list[int]) -> Assignment:
        """Adds a worker, which takes one of the free numbers: if it can be, one of its place."""
        number = numbers[0]
        if self._places > 1:
            number = next((each for each in numbers if each % self._places == worker.place), number)
        numbers.remove(number)
        assignment = Assignment(worker, number, worker.channel.fileno())
        self.assignments.append(assignment)
        if worker.status is not None:
            worker.status.cpu = self._cpus[len(self.assignments) - 1]
        self._by_file[assignment.file] = assignment
        self._poller.register(assignment.file, select.POLLIN)
        return assignment

    def _remove(self, assignment: Assignment) -> None:
        try:  # a `suppress` takes a microsecond (row ten-calls)
            self.assignments.remove(assignment)
            self._poller.unregister(assignment.file)
            del self._by_file[assignment.file]
        except (ValueError, KeyError):  # it was removed, or adding it was interrupted
            pass

    def _drain(self, deadline: float) -> None:
        """Reads and drops what workers still send for this run, until all have finished or the deadline has come."""
        while self.are_at_work and (left := deadline - time.monotonic()) > 0:
            for assignment in self.wait(left):
                if assignment.in_transit:
                    return  # interrupted within a message: what follows cannot be read
                try:
                    message = assignment.hear()
                except EOFError:
                    self.reap(assignment)
                    continue
                if message.kind == messages.OUTPUT:
                    output.show(memoryview(message.body))
                elif message.kind in (messages.RESULT, messages.RESENT, messages.UNLOADABLE):
                    assignment.drop(message.kind, message.body)
