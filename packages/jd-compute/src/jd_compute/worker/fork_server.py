"""The fork server: a small process without threads that starts workers for the caller, and says how they end.

::

    caller ──START (connection, life, report)──▶ ┌────────────┐ ──fork──▶ worker
    caller ──PRELOAD (modules)─────────────────▶ │ ForkServer │ ──exec──▶ worker
    caller ◀──STARTED, FAILED, ENDED── report ── └────────────┘ ◀─SIGCHLD─ worker ✝

It imports the worker's code, and the libraries of the functions, once; what it forks has them. Forking a process that has
threads can leave locks held in the child for ever, and this one has none. It holds no name in any file system, and workers
share nothing with it but what they inherit. It ends with the caller, and ends all workers then.
"""

from __future__ import annotations

import contextlib
import importlib
import os
import pickle
import select
import signal
import socket
import sys
import threading
import warnings
from collections.abc import Mapping, Sequence
from typing import Any, NoReturn

from jd_compute.codec.libraries import any_temporary_folder
from jd_compute.imports.places import found_at
from jd_compute.transport import messages
from jd_compute.transport.channel import Channel
from jd_compute.transport.frame import FilesLostError, Message
from jd_compute.worker import process
from jd_compute.worker.interpreter import close_others, inherited, start_interpreter
from jd_compute.worker.server import serve as serve_caller


def main() -> None:
    """Runs the server as a program of its own."""
    close_others(1)
    serve(inherited(0), os.getppid(), is_program=True)


def serve(control: socket.socket, caller: int, *, is_program: bool = False) -> NoReturn:
    """Serves a caller until it has gone.

    Args:
        control: where orders come from.
        caller: the process id of the caller.
        is_program: whether it is an interpreter of its own, and not a copy of the caller's.
    """
    code = 1
    try:
        signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})  # what Ctrl-C ends is for the caller to say
        signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGCHLD})  # the caller may hold it back, for `signal.sigwait`
        for number in signal.valid_signals():
            if callable(signal.getsignal(number)):  # the caller's, if this was forked from it
                signal.signal(number, signal.SIG_DFL)
        # What libraries warn of when they are imported, or when a process is forked that has them, has no reader here: the
        # caller has imported the same, and a worker has the caller's filters.
        warnings.simplefilter("ignore")
        server = ForkServer(control, caller, is_program=is_program)
        server.serve()
        code = 0
    except Exception as error:
        sys.excepthook(type(error), error, error.__traceback__)
    finally:
        os._exit(code)  # not through what this process has in common with those that it was forked from


#: jemalloc, which pyarrow has, takes its locks before a fork, and its child starts such threads anew.
_SAFE_THREADS = {"jemalloc_bg_thd"}


class UnsafeError(Exception):
    """A module has started threads, which a fork would not have.

    Attributes:
        module: which of those that were imported by order.
    """

    def __init__(self, module: int) -> None:
        super().__init__(module)
        self.module = module


class ForkServer:
    """The loop, and the workers that live."""

    def __init__(self, control: socket.socket, caller: int, *, is_program: bool) -> None:
        self._control = Channel(control)
        self._is_program = is_program
        self._workers: dict[Any, int] = {}  # a `multiprocess.Process` or `Spawned`, and where its end is reported
        self._is_retired = False
        self._preloaded = 0  # so many modules were imported by order
        self._unsafe: int | None = None  # which of these has started threads
        # A signal of a child that ends makes this readable, so that one wait is for everything.
        self._wake_up, wakes_up = socket.socketpair()
        self._wake_up.setblocking(False)
        wakes_up.setblocking(False)
        self._wakes_up = wakes_up
        signal.set_wakeup_fd(wakes_up.fileno(), warn_on_full_buffer=False)
        signal.signal(signal.SIGCHLD, lambda *_: None)
        self._caller = _watch(caller)

    def serve(self) -> None:
        """Follows orders and reports ends, until the caller has gone or, once retired, the last worker."""
        with any_temporary_folder():
            from pathos.helpers import mp

        self._context: Any = mp.get_context("fork")  # pyright: ignore[reportAttributeAccessIssue]
        poller = select.poll()
        poller.register(self._control, select.POLLIN)
        poller.register(self._wake_up, select.POLLIN)
        if self._caller is not None:
            poller.register(self._caller, select.POLLIN)
        while self._workers or not self._is_retired:
            ready = {file for file, _ in poller.poll()}
            if self._wake_up.fileno() in ready:
                with contextlib.suppress(BlockingIOError):
                    while self._wake_up.recv(4096):
                        pass
            self._reap()
            if self._caller in ready:
                break
            if self._control.fileno() in ready:
                try:
                    self._follow(self._control.receive())
                except EOFError:
                    break
        for worker in self._workers:
            os.kill(worker.pid, signal.SIGKILL)  # it has not been waited for, so the id is still its own

    def _follow(self, order: Message) -> None:
        if order.kind == messages.RETIRE:
            self._is_retired = True
            return
        if order.kind == messages.PRELOAD:
            sys.path[:], modules, places = pickle.loads(order.body)
            with found_at(places):
                self._preload(modules)
            return
        try:
            connection, life, report = files = self._control.receive_files(3)
        except FilesLostError:  # and with them where to say so; the caller takes silence for it
            return
        try:
            variables = pickle.loads(order.body) if order.body else {}
            started: Any = self._fork(*files) if order.kind == messages.FORK else Spawned(connection, life, variables)
        except OSError as error:
            _report(report, messages.FAILED, error.errno or 0)
            os.close(report)
        except UnsafeError as error:
            _report(report, messages.UNSAFE, error.module)
            os.close(report)
        else:
            _report(report, messages.STARTED, started.pid)
            self._workers[started] = report
        finally:
            os.close(connection)
            os.close(life)

    def _preload(self, modules: Sequence[str]) -> None:
        """Imports what can be imported, up to what starts threads."""
        for module in modules:
            if self._unsafe is None:
                with contextlib.suppress(Exception):  # a worker that needs it will say what is wrong
                    importlib.import_module(module)
                if _threads() > 1:
                    self._unsafe = self._preloaded
            self._preloaded += 1

    def _fork(self, *files: int) -> Any:
        if self._unsafe is not None:
            raise UnsafeError(self._unsafe)
        started = self._context.Process(target=self._become_a_worker, args=files, daemon=False)
        started.start()
        os.set_blocking(started.sentinel, False)  # later workers inherit it, and a call that reads from it must not wait
        return started

    def _become_a_worker(self, connection: int, life: int, report: int) -> None:
        """In the forked child: lets go of all that is the server's, and is a worker from here on."""
        process.end_with(life)
        if self._is_program:
            process.collect_garbage()
        signal.set_wakeup_fd(-1)
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        self._control.abandon()
        self._wake_up.close()
        self._wakes_up.close()
        for file in (report, *self._workers.values(), *([] if self._caller is None else [self._caller])):
            os.close(file)
        self._workers.clear()
        os.set_blocking(self._context.parent_process().sentinel, False)  # the same
        serve_caller(socket.socket(fileno=connection))
        process.run_exit_handlers()

    def _reap(self) -> None:
        for worker, report in list(self._workers.items()):
            code = worker.exitcode
            if code is not None:
                _report(report, messages.ENDED, code)
                os.close(report)
                del self._workers[worker]
                worker.close()


class Spawned:
    """A worker that is a new interpreter; the part of `multiprocess.Process` that the server needs."""

    def __init__(self, connection: int, life: int, variables: Mapping[str, str]) -> None:
        self.pid = start_interpreter("jd_compute.worker.spawned", [connection, life], variables)

    @property
    def exitcode(self) -> int | None:
        """The exit code, negative for a signal; None while it lives."""
        pid, status = os.waitpid(self.pid, os.WNOHANG)
        return os.waitstatus_to_exitcode(status) if pid else None

    def close(self) -> None:
        """There is nothing to close."""


def _watch(pid: int) -> int | None:
    """Returns a descriptor that is readable once a process has ended, whoever has its files then; None if there is none."""
    if hasattr(os, "pidfd_open"):
        with contextlib.suppress(OSError):  # a kernel before 5.3, or forbidden here
            return os.pidfd_open(pid)
    return None


def _threads() -> int:
    """Returns how many threads this process has that a fork would not have, the main one included."""
    names: list[str] = []
    try:
        for thread in os.listdir("/proc/self/task"):
            with open(f"/proc/self/task/{thread}/comm", encoding="utf-8") as file:
                names.append(file.read().strip())
    except OSError:
        return threading.active_count()
    return sum(name not in _SAFE_THREADS for name in names)


def _report(file: int, what: int, number: int) -> None:
    with contextlib.suppress(OSError):  # the caller wants to know no more
        os.write(file, messages.REPORT.pack(what, number))
