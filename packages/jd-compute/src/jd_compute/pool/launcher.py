"""Starts worker processes: a pathos `ProcessPool` starts them and hands each its one task, `worker.serve`; then it goes.

A pool that stays would keep three threads, start processes that wait in its queue, and hang for ever once one that holds the
queue's lock is killed. What is left of it here are the processes, each with a private channel.
"""

from __future__ import annotations

import contextlib
import itertools
import signal
import sys
import threading
import time
import warnings
from collections.abc import Iterator
from typing import Any

import multiprocess
import multiprocess.connection
import multiprocess.context
import multiprocess.pool
import multiprocess.spawn
from jd_core.errors import WorkerDiedError
from pathos.pools import ProcessPool

from jd_compute.transport import messages
from jd_compute.transport.address import Address
from jd_compute.transport.arena import CAN_PASS_FILES
from jd_compute.transport.channel import Channel
from jd_compute.transport.status_page import Status
from jd_compute.worker import server as worker

#: Seconds a process may take from its start to its first message; a loaded machine may take many to import numpy.
START_SECONDS = 120.0

_numbers = itertools.count()
_starting = threading.Lock()


class Worker:
    """The caller's side of one worker process.

    Attributes:
        process: the process; its ``exitcode`` is negative for a signal.
        channel: the connection.
        status: what it is doing; None where memory cannot be shared.
        calls: how many calls it was given.
        surroundings: what it was told last of the caller's.
        function: what it was told last to call, as `jd_compute.codec.codec.name_of` gives it; None if it went by value or
            had
            constants.
    """

    def __init__(self, process: Any, channel: Channel, status: Status | None) -> None:
        self.process = process
        self.channel = channel
        self.status = status
        self.calls = 0
        self.surroundings: messages.Surroundings | None = None
        self.function: tuple[str, str, int] | None = None

    def kill(self) -> None:
        """Ends the process at once, waits until it is gone, and releases all that belongs to it."""
        with contextlib.suppress(OSError):
            self.process.kill()
        self.bury()

    def bury(self) -> str:
        """Waits for the dead process, releases all that belongs to it, and says how it ended."""
        try:
            self.process.join(1.0)
            if self.process.exitcode is None:  # it closed its channel, but lives on
                self.process.kill()
                self.process.join(5.0)
        finally:
            self.channel.close()
            if self.status is not None:
                self.status.close()
                self.status = None
        return describe_exit(self.process.exitcode)


def describe_exit(code: int | None) -> str:
    """Returns how a process ended, in words."""
    if code is None:
        return "does not end"
    if code >= 0:
        return f"exit code {code}"
    try:
        return f"signal {-code} ({signal.Signals(-code).name})"
    except ValueError:
        return f"signal {-code}"


def launch(count: int, method: str, startup: messages.Startup) -> list[tuple[Worker, bytearray]]:
    """Starts worker processes and waits until each has connected and run its initializer.

    Args:
        count: how many.
        method: the start method.
        startup: what they are told.

    Returns:
        Each worker with what its initializer raised: an encoded exception, or nothing. Fewer than ``count`` if some ended
        before.

    Raises:
        WorkerDiedError: all ended before they were ready.
    """
    address = Address()
    processes: dict[int, Any] = {}
    connected: dict[int, tuple[Channel, Status | None]] = {}
    ready: list[tuple[Worker, bytearray]] = []
    try:
        # The pool's semaphores must exist until each process has opened them, so it is kept until they are ready.
        pool = _start_pool(count, method, (address.name, address.key, startup))
        processes.update((process.pid, process) for process in pool._pool)
        _collect(address, processes, connected, ready)
    except BaseException:
        for process in processes.values():
            with contextlib.suppress(OSError):
                process.kill()
            process.join(5.0)
        for worker, _ in ready:
            worker.bury()
        raise
    finally:
        address.close()
        for channel, status in connected.values():  # of processes that did not get ready
            channel.close()
            if status is not None:
                status.close()
    if not ready:
        ends = {describe_exit(process.exitcode) for process in processes.values()}
        raise WorkerDiedError(
            f"no worker process got ready: {count} started and ended with {', '.join(sorted(ends))}. "
            f"Look for an initializer that ends the process, or too little memory; start_method={method!r}"
        )
    return ready


def _collect(
    address: Address,
    processes: dict[int, Any],
    connected: dict[int, tuple[Channel, Status | None]],
    ready: list[tuple[Worker, bytearray]],
) -> None:
    """Waits for every process: to connect and be ready, or to end. Those that are between the two are in ``connected``."""
    waiting = dict(processes)
    deadline = time.monotonic() + START_SECONDS
    while waiting:
        channels = [connected[pid][0] for pid in waiting if pid in connected]
        sources = [address, *channels, *(process.sentinel for process in waiting.values())]
        if not multiprocess.connection.wait(sources, max(0.0, deadline - time.monotonic())):
            raise WorkerDiedError(
                f"{len(waiting)} of {len(processes)} started worker processes were not ready within "
                f"{START_SECONDS:.0f} s; look for an initializer that hangs"
            )
        if multiprocess.connection.wait([address], 0) and (accepted := address.accept()) is not None:
            channel, pid = accepted
            status = Status() if CAN_PASS_FILES else None
            connected[pid] = channel, status
            if status is not None:
                channel.send_files([status.file])
        for pid, process in list(waiting.items()):
            ends = connected.get(pid)
            if ends is not None and multiprocess.connection.wait([ends[0]], 0):
                del waiting[pid]
                with contextlib.suppress(EOFError):
                    raised = ends[0].receive().body
                    ready.append((Worker(process, *ends), raised))
                    del connected[pid]
            elif ends is None and not process.is_alive():
                del waiting[pid]


def _start_pool(count: int, method: str, arguments: tuple[Any, ...]) -> Any:
    """Starts processes that run ``worker.serve(*arguments)``, and returns their pool, dismissed, which pathos has forgotten.

    A pool whose threads go on would start a new process for each that ends, for ever: whatever happens, none is left.
    """
    context = _context(method)
    name = f"just-distribute-{next(_numbers)}"
    try:
        with _starting, _without_main(), _interrupts_held(), warnings.catch_warnings():
            # Forking with threads is what `start_method="fork"` asks for.
            warnings.filterwarnings("ignore", message=".*fork.*", category=DeprecationWarning)
            pool = ProcessPool(nodes=count, id=name, context=context)
            for _ in range(count):
                pool.apipe(worker.serve, *arguments)
            _dismiss(ProcessPool.__state__[name])
    except BaseException:
        if (started := ProcessPool.__state__.pop(name, None)) is not None:
            _dismiss(started)
            for process in started._pool:
                process.kill()
        raise
    return ProcessPool.__state__.pop(name)


def _dismiss(pool: Any) -> None:
    """Ends a pool's threads, but not its processes. May be called again where it was interrupted.

    Its tasks are in the queue already, each process takes one, and none ever comes back for another.
    """
    pool._terminate.cancel()
    pool._state = multiprocess.pool.TERMINATE
    pool._worker_handler._state = multiprocess.pool.TERMINATE
    pool._result_handler._state = multiprocess.pool.TERMINATE
    pool._change_notifier.put(None)
    for thread in (pool._worker_handler, pool._task_handler, pool._result_handler):
        thread.join()
    pool._cache.clear()


def _context(method: str) -> Any:
    context = multiprocess.get_context(method)  # pyright: ignore[reportAttributeAccessIssue]
    if method == "forkserver":
        # All that a worker imports is there when the server forks it. Has no effect if the server runs already.
        context.set_forkserver_preload(["jd_compute.worker.server"])
        from multiprocess import forkserver

        forkserver.ensure_running()
    elif method == "spawn" and sys.platform != "win32":
        from multiprocess import resource_tracker

        resource_tracker.ensure_running()
    return context


@contextlib.contextmanager
def _interrupts_held() -> Iterator[None]:
    """Holds Ctrl-C back while processes start, which would print a traceback each; they unblock it when they are ready.

    Python's own helpers let it through when they start, so they are started before, see `_context`. Another thread of this
    process may take it, but Python then has the main thread call the handler, so that is held back as well.
    """
    if not hasattr(signal, "pthread_sigmask"):
        yield
        return
    handler = signal.getsignal(signal.SIGINT)
    handles = callable(handler) and threading.current_thread() is threading.main_thread()
    came: list[tuple[int, Any]] = []
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        if handles:
            signal.signal(signal.SIGINT, lambda number, frame: came.append((number, frame)))
        yield
    finally:
        if handles:
            signal.signal(signal.SIGINT, handler)
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
        if came and callable(handler):
            handler(*came[0])


@contextlib.contextmanager
def _without_main() -> Iterator[None]:
    """Keeps new processes from running the caller's main module again.

    So a script needs no ``if __name__ == "__main__"``: what it defines travels by value.
    """
    original = multiprocess.spawn.get_preparation_data

    def get_preparation_data(name: str) -> dict[str, Any]:
        data: dict[str, Any] = original(name)
        data.pop("init_main_from_name", None)
        data.pop("init_main_from_path", None)
        return data

    multiprocess.spawn.get_preparation_data = get_preparation_data
    try:
        yield
    finally:
        multiprocess.spawn.get_preparation_data = original
