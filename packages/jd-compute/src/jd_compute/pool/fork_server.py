"""The caller's side of `worker.fork_server`: starts servers, gives them orders, and notices when one has ended."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import sys
import threading
import time
import warnings
from collections.abc import Collection, Sequence

from jd_compute.codec.libraries import any_temporary_folder
from jd_compute.imports.places import places
from jd_compute.pool.worker import describe_exit
from jd_compute.transport import messages
from jd_compute.transport.channel import MESSAGE_SECONDS, Channel
from jd_compute.transport.shared_memory import identity
from jd_compute.worker import process
from jd_compute.worker.interpreter import start_fork_server

#: Seconds that a server has to end when its caller closes the connection.
_END_SECONDS = 2.0

#: So many servers are tried, one after the other, if each ends before it takes an order.
_ATTEMPTS = 3


class ForkServer:
    """A server that runs.

    Args:
        pid: its process id.
        connection: this end of the connection.

    Attributes:
        preloaded: the modules that it was told to import, in that order.
    """

    def __init__(self, pid: int, connection: socket.socket) -> None:
        self.preloaded: list[str] = []
        self._ordering = threading.RLock()
        self._end: str | None = None
        self._pid = pid
        self._control = Channel(connection, MESSAGE_SECONDS)
        self._identity = identity(self._control.fileno())

    @property
    def is_cut_off(self) -> bool:
        """Whether somebody has closed this end of the connection, as daemons close all files."""
        return identity(self._control.fileno()) != self._identity

    @property
    def has_ended(self) -> bool:
        """Whether it has ended; it never says anything, so what can be read is the end."""
        return self._control.fileno() < 0 or self._control.poll(0)

    def preload(self, modules: set[str]) -> None:
        """Has it import those modules that it was not told to import before.

        Raises:
            OSError: it has ended.
        """
        with self._ordering:
            wanted = sorted(modules - {*self.preloaded})
            if wanted:
                self.preloaded += wanted
                self.order(messages.PRELOAD, messages.pack((sys.path, wanted, places())))

    def order(self, kind: int, body: bytes = b"", files: Sequence[int] = ()) -> None:
        """Gives an order; the files are the server's then.

        Raises:
            OSError: the server has ended.
        """
        with self._ordering:
            self._control.send(kind, body)
            if files:
                self._control.send_files(files)

    def retire(self) -> None:
        """Gives the last order: it ends with its last worker."""
        with contextlib.suppress(OSError):
            self.order(messages.RETIRE)

    def close(self) -> str:
        """Ends it and its workers, and says how it ended."""
        self._control.close()
        deadline = time.monotonic() + _END_SECONDS
        try:
            while self._end is None:
                pid, status = os.waitpid(self._pid, os.WNOHANG)
                if pid:
                    self._end = describe_exit(os.waitstatus_to_exitcode(status))
                elif time.monotonic() > deadline:
                    os.kill(self._pid, signal.SIGKILL)
                else:
                    time.sleep(0.001)
        except OSError:  # somebody else has waited for it
            self._end = "an end that somebody else has seen"
        return self._end

    def abandon(self) -> None:
        """In a forked child: it is the parent's."""
        self._control.abandon()

    def forget(self) -> None:
        """Sees it end, for somebody has closed the connection, whose descriptor may be another file's now."""
        self._control.abandon(is_closed=True)
        self.close()


class ForkServers:
    """The servers of this process: one for each number of threads that BLAS may use, and those that take no more orders."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._running: dict[int | None, ForkServer] = {}
        self._retired: list[ForkServer] = []
        self._unsafe: set[str] = set()  # modules that start threads when they are imported

    def order(self, kind: int, threads: int | None, body: bytes, files: Sequence[int]) -> ForkServer:
        """Gives an order to the server for this number of threads, which is started if there is none.

        Returns:
            The server.

        Raises:
            OSError: the system allows no further process, or servers end as soon as they start.
        """
        for attempt in range(_ATTEMPTS):
            server = self._server(threads)
            try:
                server.order(kind, body, files)
                return server
            except OSError:
                if attempt == _ATTEMPTS - 1:
                    raise
        raise AssertionError

    def _server(self, threads: int | None) -> ForkServer:
        with self._lock:
            self._sweep()
            found = self._running.get(threads)
            if found is None:
                found = self._running[threads] = ForkServer(*start_fork_server(threads))
            return found

    def add(self, threads: int | None, server: ForkServer) -> None:
        """Takes on a server for this number of threads that was started elsewhere."""
        with self._lock:
            if threads in self._running:  # that of a run which has begun at the same time
                self._retired.append(server)
                server.retire()
            else:
                self._running[threads] = server

    def _sweep(self) -> None:
        """Closes those that have ended."""
        for threads, server in list(self._running.items()):
            if server.has_ended:
                del self._running[threads]
                server.close()
        for server in [server for server in self._retired if server.has_ended]:
            self._retired.remove(server)
            server.close()

    def preload(self, modules: Collection[str], threads: int | None) -> None:
        """Has the server import modules, once, before it forks further workers."""
        server = self._server(threads)
        with contextlib.suppress(OSError):  # it has ended; whoever gives the next order will see
            server.preload({*modules} - self._unsafe)

    def give_up(self, server: ForkServer, unsafe: int) -> None:
        """Records that a module starts threads on import: the server that has it forks no more, and no other imports it.

        Args:
            server: the server.
            unsafe: which of the modules that it was told to import has started threads.
        """
        with self._lock:
            self._unsafe.add(server.preloaded[unsafe])
            for threads, running in list(self._running.items()):
                if running is server:
                    self._retired.append(self._running.pop(threads))
                    server.retire()

    def fork(self) -> ForkServer:
        """Returns a server that is forked from this process as it is now, and that has no worker yet."""
        with any_temporary_folder():
            import pathos.helpers  # noqa: F401 - here, or each server would import it for itself

        server = ForkServer(*_fork())
        with self._lock:
            self._sweep()
            self._retired.append(server)
        return server

    def close(self) -> None:
        """Ends all."""
        with self._lock:
            servers = [*self._running.values(), *self._retired]
            self._running.clear()
            self._retired.clear()
        for server in servers:
            server.close()

    def are_cut_off(self) -> bool:
        """Whether somebody has closed the files of this process."""
        return any(server.is_cut_off for server in list(self._running.values()) or self._retired[-1:])

    def forget(self) -> None:
        """Forgets all, where somebody has closed the files of this process."""
        servers, self._running, self._retired = [*self._running.values(), *self._retired], {}, []
        for server in servers:
            server.forget()

    def abandon(self) -> None:
        """In a forked child: they are the parent's."""
        for server in (*self._running.values(), *self._retired):
            server.abandon()


def _fork() -> tuple[int, socket.socket]:
    """Forks a server; what other threads of this process hold may be held in it for ever, as its user has chosen."""
    from jd_compute.worker.fork_server import serve  # here, because only start_method="fork" needs it

    caller = os.getpid()
    here, there = socket.socketpair()
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", message=".*fork.*", category=DeprecationWarning)
            pid = os.fork()
        if pid == 0:
            here.close()
            process.forget_exit_handlers()
            serve(there, caller)
    except BaseException:
        here.close()
        raise
    finally:
        there.close()
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
    return pid, here
