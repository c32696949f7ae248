"""Workers that end in the ordinary way: their exit handlers run, their own children are ended."""

from __future__ import annotations

import time
from collections import deque

from jd_compute.pool.worker import Worker

#: Seconds after which a worker that has not ended is ended by force.
END_SECONDS = 2.0


class Endings:
    """The workers that are about to end. Any thread may use it; each worker is dealt with by one at a time."""

    def __init__(self) -> None:
        self._workers: deque[tuple[Worker, float]] = deque()  # with when that must be over

    def begin(self, worker: Worker) -> None:
        """Has a worker end that has nothing to do."""
        worker.channel.close()
        self._workers.append((worker, time.monotonic() + END_SECONDS))

    def reap(self, *, waits: bool = False) -> None:
        """Reaps those that have ended, and by force those that should have.

        Args:
            waits: waits until each has ended.
        """
        left = len(self._workers)
        while left:
            try:
                worker, deadline = self._workers.popleft()
            except IndexError:  # another thread has the others
                return
            worker.read_report(max(0.0, deadline - time.monotonic()) if waits else 0.0)
            if worker.end is None and worker.report >= 0 and time.monotonic() < deadline:
                self._workers.append((worker, deadline))
                left -= not waits
                continue
            if worker.end is None:
                worker.kill()
            worker.reap()
            left -= 1
