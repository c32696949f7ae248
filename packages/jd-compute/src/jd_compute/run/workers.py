"""The workers that serve one run: lent by the pool, told what the run is about, and given back at its end."""

from __future__ import annotations

import contextlib
import math
import os
import selectors
import sys
import time

from jd_core.backend import Work
from jd_core.backend.serialization import bare
from jd_core.worker import is_per_worker

from jd_compute.codec import codec, failures
from jd_compute.pool.launcher import Worker
from jd_compute.pool.pool import Pool, runs
from jd_compute.run.tasks import Lane
from jd_compute.transport import messages, output
from jd_compute.transport.arena import Parcel, arena
from jd_compute.transport.channel import Message
from jd_compute.worker.cpu_placement import homes

#: Seconds that workers of a run that was given up have to come to an end by themselves before they are killed.
GRACE_SECONDS = 0.05

#: Calls that take less time than this are not worth the messages that it takes to give them to another worker.
HELP_SECONDS = 0.001

#: And those that take less than this, not worth starting one.
START_SECONDS = 0.1


class Crew:
    """The workers of one run, each on a lane.

    Args:
        pool: where workers come from.
        work: what they are to do.

    Attributes:
        run: the run's number.
        lanes: the workers that serve it now.
        size: how many there are to be.
    """

    def __init__(self, pool: Pool, work: Work) -> None:
        self.run = next(runs)
        self.lanes: list[Lane] = []
        self.size = work.workers if work.calls is None else min(work.workers, work.calls)
        self._pool = pool
        self._homes = homes(self.size)
        self._work = work
        # Whether workers have something of the run that they are not to keep until the next one.
        self._must_end = any(is_per_worker(constant) for constant in work.constants.values())
        # Not epoll where there is a choice: a run has few workers, and often is over in less time than setting that up.
        self._selector: selectors.BaseSelector = getattr(selectors, "PollSelector", selectors.DefaultSelector)()
        self._surroundings: messages.Surroundings | None = None
        # A name alone is no work for either side, so a worker that was told it last needs not be told again.
        self._function = None if work.constants else codec.name_of(work.function)
        self._code: tuple[codec.Encoded, Parcel | None] | None = None

    @property
    def is_complete(self) -> bool:
        """Whether there are as many workers as there are to be."""
        return len(self.lanes) >= self.size

    @property
    def help_seconds(self) -> float | None:
        """How long calls must take to be worth giving to a worker that has nothing to do; None if there is no such one."""
        if not all(lane.tasks for lane in self.lanes):
            return HELP_SECONDS
        if self.is_complete:
            return None
        return HELP_SECONDS if self._pool.has_idle else START_SECONDS

    def calls_left(self, lane: Lane) -> float:
        """Returns how many more calls the worker may make before it is replaced."""
        most = self._pool.settings.most_calls
        return math.inf if most is None else most - lane.worker.calls

    def enlist(self) -> bytearray | None:
        """Adds an idle worker, or as many new ones as are missing, at once.

        Returns:
            What an initializer raised, encoded; None if all went well.
        """
        idle = self._pool.take_idle()
        if idle is not None:
            self._brief(self._add(idle))
            return None
        failed: bytearray | None = None
        added: list[Lane] = []
        for worker, raised in self._pool.start(self.size - len(self.lanes)):
            if raised:
                failed = raised
                self._pool.discard(worker)
            else:
                added.append(self._add(worker))
        for lane in added:  # not before all are in the run, which gives them back also when this raises
            self._brief(lane)
        return failed

    def dismiss(self, lane: Lane) -> None:
        """Ends a worker, and its lane."""
        self._remove(lane)
        self._pool.discard(lane.worker)

    def bury(self, lane: Lane) -> str:
        """Ends the lane of a dead worker, and says how that ended."""
        self._remove(lane)
        return self._pool.bury(lane.worker)

    def tell(
        self,
        lane: Lane,
        kind: int,
        *parts: bytes | memoryview,
        parcel: Parcel | None = None,
        hold: bool = False,
    ) -> None:
        """Sends a message to a worker. If it is dead, that shows as end-of-file in a moment, and not here."""
        lane.in_transit = True
        with contextlib.suppress(OSError):
            lane.worker.channel.send(kind, *parts, parcel=parcel, hold=hold)
        lane.in_transit = False

    def hear(self, lane: Lane) -> Message:
        """Receives a message from a worker; raises EOFError if it is dead."""
        lane.in_transit = True
        message = lane.worker.channel.receive()
        lane.in_transit = False
        return message

    def wait(self, seconds: float | None) -> list[Lane]:
        """Waits for messages, at most so long, and returns the lanes that have any."""
        return [key.data for key, _ in self._selector.select(seconds)]

    def brief_again(self) -> None:
        """Tells all workers once more what the run is about: it must be encoded in another way."""
        self._forget_code()
        self._function = None
        for lane in self.lanes:
            self._brief(lane)

    def release(self) -> None:
        """Gives the workers back; those that still do something for this run get a moment to stop, and are then killed."""
        if self._pool.ended:
            return  # a stream that was left unfinished is closed with the interpreter's last breath
        for lane in self.lanes:
            if lane.tasks and lane.worker.status is not None:
                lane.worker.status.cancel(self.run)
        try:
            self._drain(time.monotonic() + GRACE_SECONDS)
        finally:
            self._forget_code()
            self._selector.close()
            try:
                while self.lanes:
                    self._part_with(self.lanes[-1])
                    self.lanes.pop()
            finally:
                for lane in self.lanes:  # interrupted
                    self._pool.discard(lane.worker)

    def _part_with(self, lane: Lane) -> None:
        """Gives a worker back if it can serve another run."""
        worker = lane.worker
        if lane.tasks or lane.in_transit or self.calls_left(lane) <= 0:
            self._pool.discard(worker)
            return
        if worker.channel.drop_held():
            worker.surroundings = worker.function = None
        if self._must_end:
            worker.function = None
            self.tell(lane, messages.END)
        self._pool.give_back(worker)

    def _add(self, worker: Worker) -> Lane:
        lane = Lane(worker)
        self.lanes.append(lane)
        if worker.status is not None:
            worker.status.home = self._homes[len(self.lanes) - 1]
        self._selector.register(worker.channel, selectors.EVENT_READ, lane)
        return lane

    def _remove(self, lane: Lane) -> None:
        self.lanes.remove(lane)
        self._selector.unregister(lane.worker.channel)

    def _brief(self, lane: Lane) -> None:
        """Tells a worker what the run is about, as far as it does not know that from its last one."""
        worker = lane.worker
        if self._surroundings is None:
            self._surroundings = messages.Surroundings(os.getcwd(), list(sys.path), output.levels())
        changed, code, parcel = b"", codec.Encoded(b""), None
        if worker.surroundings != self._surroundings:
            changed = messages.pack(self._surroundings)
        if worker.function is None or worker.function != self._function:
            if self._code is None:
                self._code = self._encode_code()
            code, parcel = self._code
        elif not changed:
            return
        worker.surroundings = worker.function = None  # until it is told: Ctrl-C may come in between
        self.tell(lane, messages.WORK, messages.LENGTH.pack(len(changed)), changed, code.data, parcel=parcel, hold=True)
        worker.surroundings, worker.function = self._surroundings, self._function

    def _encode_code(self) -> tuple[codec.Encoded, Parcel | None]:
        """Returns what this run is about: code and constants. Large constants are shared by all workers."""
        work = self._work
        try:
            code = codec.encode((work.function, dict(work.constants)))
        except codec.REFUSALS as error:
            raise failures.serialization.code(work, error) from bare(error)
        parcel = None
        if code.buffers:
            self._must_end = True
            self._pool.hear_idle()  # so that the memory of the last run's constants is free for these
            parcel = arena.place(code.buffers, together=True, common=True)
        return code, parcel

    def _forget_code(self) -> None:
        if self._code is not None and self._code[1] is not None:
            self._code[1].close()
        self._code = None

    def _drain(self, deadline: float) -> None:
        """Reads and drops what workers still send for this run, until all are through or the deadline has come."""
        while any(lane.tasks for lane in self.lanes) and (left := deadline - time.monotonic()) > 0:
            for lane in self.wait(left):
                if lane.in_transit:
                    return  # interrupted within a message: what follows cannot be read
                try:
                    message = self.hear(lane)
                except EOFError:
                    self.bury(lane)
                    continue
                if message.kind == messages.OUTPUT:
                    output.show(memoryview(message.body))
                elif message.kind in (messages.RESULT, messages.RESENT, messages.UNLOADABLE):
                    lane.drop(message.kind, message.body)
