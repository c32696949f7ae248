"""Warm workers: lent to one run at a time, kept for the next, ended when idle for long or with the interpreter."""

from __future__ import annotations

import atexit
import contextlib
import itertools
import os
import threading
from dataclasses import dataclass

from jd_compute.pool import launcher
from jd_compute.pool.launcher import Worker
from jd_compute.transport import messages, output


@dataclass(frozen=True, slots=True)
class Settings:
    """What all workers of a pool have in common.

    Attributes:
        method: the start method.
        initializer: an encoded callable, or None.
        threads: threads of BLAS and OpenMP per worker; None: as they like.
        idle_seconds: how long a worker waits for work before it ends.
        most_calls: after so many calls a worker is replaced; None: never.
    """

    method: str
    initializer: bytes | None
    threads: int | None
    idle_seconds: float
    most_calls: int | None


class Pool:
    """The workers of one kind. Each run has workers of its own while it lasts, so runs never wait for each other.

    Attributes:
        settings: what the workers have in common.
        ended: all workers have ended, because the interpreter does.
    """

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.ended = False
        self._lock = threading.Lock()
        self._idle: list[Worker] = []
        self._lent: set[Worker] = set()

    @property
    def has_idle(self) -> bool:
        """Whether there may be a worker that could be lent without starting one."""
        return bool(self._idle)

    def take_idle(self) -> Worker | None:
        """Lends an idle worker; None if there is none."""
        while True:
            with self._lock:
                if not self._idle:
                    return None
                worker = self._idle.pop()
                self._lent.add(worker)
            if self._is_alive(worker):
                return worker
            self.discard(worker)

    def _is_alive(self, worker: Worker) -> bool:
        """Whether an idle worker is still there. On the way, what a thread of the user's printed late is shown."""
        try:
            while worker.channel.poll(0):
                message = worker.channel.receive()
                if message.kind == messages.OUTPUT:
                    output.show(memoryview(message.body))
        except EOFError:  # it was idle for too long, or killed
            return False
        except BaseException:  # Ctrl-C, perhaps within a message
            self.discard(worker)
            raise
        return True

    def hear_idle(self) -> None:
        """Reads what idle workers have said since their last run: which memory they use no more."""
        heard: list[Worker] = []
        try:
            while (worker := self.take_idle()) is not None:
                heard.append(worker)
        finally:
            for worker in heard:
                self.give_back(worker)

    def start(self, count: int) -> list[tuple[Worker, bytearray]]:
        """Starts and lends new workers, each with what its initializer raised; see `launcher.launch`."""
        settings = self.settings
        startup = messages.Startup(settings.initializer, settings.threads, settings.idle_seconds, dict(os.environ))
        started = launcher.launch(count, settings.method, startup)
        with self._lock:
            self._lent.update(worker for worker, _ in started)
        return started

    def give_back(self, worker: Worker) -> None:
        """Takes a lent worker back that has nothing more to do."""
        with self._lock:
            self._lent.discard(worker)
            self._idle.append(worker)

    def discard(self, worker: Worker) -> None:
        """Ends a lent worker, also one whose giving back was interrupted."""
        with self._lock:
            self._lent.discard(worker)
            if worker in self._idle:
                self._idle.remove(worker)
        worker.kill()

    def bury(self, worker: Worker) -> str:
        """Says how a lent worker that is dead ended."""
        with self._lock:
            self._lent.discard(worker)
        return worker.bury()

    def end_idle(self) -> None:
        """Ends the workers that no run has; each ends by itself when its channel closes."""
        with self._lock:
            workers = [*self._idle]
            self._idle.clear()
        for worker in workers:
            worker.channel.close()
        for worker in workers:
            worker.bury()

    def end(self) -> None:
        """Ends all workers, also those that are lent: the interpreter ends."""
        self.ended = True
        with self._lock:
            workers = [*self._idle, *self._lent]
            self._idle.clear()
            self._lent.clear()
        for worker in workers:
            with contextlib.suppress(OSError):
                worker.process.kill()
        for worker in workers:
            worker.bury()

    def forget(self) -> None:
        """Closes the channels without ending the workers."""
        for worker in (*self._idle, *self._lent):
            worker.channel.close()


_pools: dict[Settings, Pool] = {}
_lock = threading.Lock()

#: Numbers the runs of this process; workers compare them.
runs = itertools.count(1)


def pool(settings: Settings) -> Pool:
    """Returns this process's pool with these settings."""
    with _lock:
        if settings not in _pools:
            if not _pools:
                # Registered after multiprocess's own, so run before it, which would wait for its processes to end.
                atexit.register(_end_all)
            _pools[settings] = Pool(settings)
        return _pools[settings]


def end_idle() -> None:
    """Ends the workers of this process that no run has."""
    for each in list(_pools.values()):
        each.end_idle()


def _end_all() -> None:
    for each in list(_pools.values()):
        each.end()


def _forget_all() -> None:
    """In a forked child: the workers are the parent's, and must see end-of-file when the parent has gone."""
    global _lock
    _lock = threading.Lock()
    for each in _pools.values():
        each.forget()
    _pools.clear()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget_all)
