"""Workers that end in the ordinary way: their exit handlers run, their own children are ended."""

from __future__ import annotations

import threading
import time

from jd_compute.pool.worker import Worker

#: Seconds after which a worker that has not ended is ended by force.
END_SECONDS = 2.0


class Endings:
    """The workers that are about to end."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._workers: list[tuple[Worker, float]] = []  # with when that must be over

    def begin(self, worker: Worker) -> None:
        """Has a worker end that has nothing to do."""
        worker.channel.close()
        with self._lock:
            self._workers.append((worker, time.monotonic() + END_SECONDS))

    def reap(self) -> None:
        """Reaps those that have ended, and by force those that should have."""
        if not self._workers:
            return
        with self._lock:
            workers, self._workers = self._workers, []
        for worker, deadline in workers:
            worker.read_report()
            if worker.end is None and worker.report >= 0 and time.monotonic() < deadline:
                with self._lock:
                    self._workers.append((worker, deadline))
                continue
            if worker.end is None:
                worker.kill()
            worker.reap()

    def wait(self) -> None:
        """Waits until all have ended."""
        self.reap()
        while self._workers:
            worker, deadline = self._workers[0]
            worker.read_report(max(0.0, deadline - time.monotonic()))
            self.reap()
