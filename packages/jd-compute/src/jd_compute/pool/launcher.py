"""Starts workers, and sees each through to its first orders, its death, or the limit.

::

    order ──▶ fork server ──▶ worker ──HELLO──▶ launch ──STARTUP──▶ worker ──READY──▶ launched
                   └──▶ FAILED, ENDED ──▶ started once more, or an error that says how each ended
"""

from __future__ import annotations

import contextlib
import errno
import os
import selectors
import sys
import time
from collections import Counter
from collections.abc import Callable, Collection, Sequence

from jd_core.backend import CANCEL_SECONDS
from jd_core.errors import BackendError, WorkerDiedError

from jd_compute.memory.system import note_kills
from jd_compute.pool.fork_server import ForkServer, ForkServers
from jd_compute.pool.share import Settings
from jd_compute.pool.worker import Worker
from jd_compute.transport import messages
from jd_compute.transport.status_page import Status
from jd_compute.worker.interpreter import introduction
from jd_compute.worker.process import tracker_file

#: Seconds that a worker has from its start until its initializer has run: a loaded machine may take many to import numpy.
START_SECONDS = 120.0

#: So many workers that die while they start are started once more.
MOST_ATTEMPTS = 3


class Launch:
    """Starts workers of one kind.

    Args:
        servers: who starts them.
        settings: the kind.
        modules: what their functions need, to be imported once before they are forked.
        is_given_up: whether nobody wants them any more; None: that does not happen.
    """

    def __init__(
        self,
        servers: ForkServers,
        settings: Settings,
        modules: Collection[str] = (),
        is_given_up: Callable[[], bool] | None = None,
    ) -> None:
        self._servers = servers
        self._settings = settings
        self._modules = modules
        self._is_given_up = is_given_up or (lambda: False)
        self._forked: ForkServer | None = None  # the server that was forked for this launch
        self._selector = selectors.DefaultSelector()
        self._starting: dict[Worker, ForkServer] = {}  # with the server that starts it
        self._ready: list[tuple[Worker, bytearray]] = []
        self._ends: list[str] = []
        self._refused: OSError | None = None
        self._attempts = MOST_ATTEMPTS

    def workers(self, places: Sequence[int]) -> list[tuple[Worker, bytearray]]:
        """Starts a worker at each place and waits until each has run its initializer.

        Returns:
            Each worker with what its initializer raised: an encoded exception, or nothing. Fewer if others
            died, or the system allows no more, or they were given up; those that were not ready then are killed.

        Raises:
            BackendError: the system allows none.
            WorkerDiedError: all died before they were ready.
        """
        deadline = time.monotonic() + START_SECONDS
        note_kills()
        try:
            for place in places:
                self._start(place)
            self._tracker = tracker_file()  # while they start
            while self._starting and not self._is_given_up():
                left = deadline - time.monotonic()
                if left <= 0:
                    self._ends.append(f"no sign of being ready within {START_SECONDS:.0f} s")
                    break
                # Briefly, also since another thread may have taken Ctrl-C, which this one then handles.
                for key, _ in self._selector.select(min(left, CANCEL_SECONDS)):
                    if key.data in self._starting:
                        self._hear(key.data)
        except BaseException:
            for worker, _ in self._ready:
                worker.kill()
                worker.reap()
            raise
        finally:
            self._selector.close()
            for worker in self._starting:
                worker.kill()
                worker.reap()
            if self._forked is not None:
                self._forked.retire()
        if not self._ready and not self._is_given_up():
            raise self._error(len(places))
        return self._ready

    def _start(self, place: int) -> None:
        try:
            server, worker = self._order(place)
        except ConnectionError:  # the server ended just now
            self._try_again("the process that starts workers ended", place)
            return
        except OSError as error:
            self._refused = error
            return
        self._starting[worker] = server
        self._selector.register(worker.channel, selectors.EVENT_READ, worker)
        self._selector.register(worker.report, selectors.EVENT_READ, worker)

    def _order(self, place: int) -> tuple[ForkServer, Worker]:
        settings, servers = self._settings, self._servers
        if settings.method == "fork":
            if self._forked is None or self._forked.has_ended:
                self._forked = servers.fork()
            forked = self._forked
            return forked, Worker(lambda files: forked.order(messages.FORK, files=files), settings, place)
        found: list[ForkServer] = []
        # What a server has imported may have looked at the devices.
        spawns = settings.method == "spawn" or settings.devices
        if not spawns:
            servers.preload(self._modules, settings.threads)
        kind = messages.SPAWN if spawns else messages.FORK
        body = messages.pack({**os.environ, **settings.variables(place)}) if spawns else b""
        worker = Worker(lambda files: found.append(servers.order(kind, settings.threads, body, files)), settings, place)
        if spawns:
            worker.channel.introduce(introduction())
        return found[0], worker

    def _hear(self, worker: Worker) -> None:
        """Takes what a starting worker, or its server, says."""
        had_report = worker.report
        worker.read_report()
        if had_report >= 0 and worker.report < 0:
            self._selector.unregister(had_report)
        is_dead = worker.end is not None
        if not is_dead and worker.channel.poll(0):
            try:
                message = worker.channel.receive()
                if message.kind == messages.HELLO:
                    (worker.pid,) = messages.PROCESS.unpack(message.body)
                    self._introduce(worker)
                elif message.kind == messages.READY:
                    self._forget(worker)
                    self._ready.append((worker, message.body))
            except (EOFError, OSError):
                is_dead = True
        if is_dead:
            self._lose(worker)

    def _forget(self, worker: Worker) -> ForkServer:
        self._selector.unregister(worker.channel)
        if worker.report >= 0:
            self._selector.unregister(worker.report)
        return self._starting.pop(worker)

    def _lose(self, worker: Worker) -> None:
        """Deals with a worker that did not get ready."""
        server = self._forget(worker)
        end = worker.reap()
        if worker.unsafe is not None:
            self._servers.give_up(server, worker.unsafe)
            self._start(worker.place)
        elif worker.refused is not None:
            self._refused = OSError(worker.refused, worker.end)
        elif not (worker.end or worker.pid or server.has_ended):  # the server may not open more files, see `fork_server`
            self._refused = OSError(errno.EMFILE, os.strerror(errno.EMFILE))
        else:
            if worker.end is None and server.has_ended:
                end = f"{server.close()} (the process that starts workers)"
            self._try_again(end, worker.place)

    def _try_again(self, end: str, place: int) -> None:
        """Starts another worker for one that has ended, unless too many have."""
        self._ends.append(end)
        if self._attempts:
            self._attempts -= 1
            self._start(place)

    def _introduce(self, worker: Worker) -> None:
        with contextlib.suppress(OSError):  # no memory or descriptor for it: it works without
            worker.status = Status()
        files = [] if worker.status is None else [worker.status.file]
        tracker = self._tracker
        header = messages.FILES.pack(worker.status is not None, tracker is not None)
        worker.channel.send(messages.STARTUP, header, self._tell(worker.place))
        for file in (*files, *([] if tracker is None else [tracker])):
            worker.channel.send_files([file])
        if worker.status is not None:
            worker.status.close_file()

    def _tell(self, place: int) -> bytes:
        from multiprocessing import process

        settings = self._settings
        return messages.pack(
            messages.Startup(
                initializer=settings.beginning(),
                threads=settings.threads,
                idle_seconds=settings.idle_seconds,
                environment=dict(os.environ),
                own=settings.variables(place),
                path=list(sys.path),
                arguments=list(getattr(sys, "argv", ())),
                authkey=bytes(process.current_process().authkey),
            )
        )

    def _error(self, count: int) -> BackendError:
        if self._ends:
            ends = ", ".join(f"{times} with {end}" for end, times in Counter(self._ends).items())
            other = "" if self._settings.method == "fork" else f"a sys.executable that is no Python ({sys.executable!r}), "
            return WorkerDiedError(
                f"no worker process got ready: {len(self._ends)} were started and ended, {ends}. Look for an initializer or "
                f"a sitecustomize that ends the process, {other}or too little memory; start_method={self._settings.method!r}"
            )
        error = self._refused or OSError()
        why = f"{error.strerror} ({errno.errorcode.get(error.errno, error.errno)})" if error.errno else str(error)
        return BackendError(f"no worker process could be started, of {count} wanted: {why}. {_remedy(error.errno)}")


def _remedy(code: int | None) -> str:
    if code in (errno.EMFILE, errno.ENFILE):
        return "Allow this process more open files (ulimit -n), or close some"
    if code == errno.EAGAIN:
        return "Allow this user more processes (ulimit -u, or the container's limit of pids), or use job='io'"
    if code is None:
        return "Look for what refuses it in this program, such as an audit hook"
    run = f"Workers are started as sys.executable, {sys.executable!r}: set that to a Python, or use start_method='fork'"
    return "Free some memory" if code == errno.ENOMEM else run
