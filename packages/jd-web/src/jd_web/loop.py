"""The event loop that runs of the web backend share: one per process, in a daemon thread of its own.

It lives on between runs, so that clients bound to it stay valid. A forked child makes its own.
"""

from __future__ import annotations

import asyncio
import atexit
import contextlib
import importlib
import importlib.metadata
import os
import queue
import threading
from collections.abc import Callable, Iterator

from jd_core.worker import threads_are_greenlets

#: Seconds that tasks left on a loop have to end when the loop is closed.
CLOSING_SECONDS = 1.0


class LoopThread:
    """A running event loop: uvloop's where that is installed, else asyncio's."""

    def __init__(self) -> None:
        self._closing = False
        made: queue.SimpleQueue[asyncio.AbstractEventLoop | BaseException] = queue.SimpleQueue()
        self._thread = threading.Thread(target=self._run, args=(made,), name="just-distribute-web-loop", daemon=True)
        self._thread.start()
        loop = made.get()
        if isinstance(loop, BaseException):
            raise loop
        self.loop = loop

    def is_current(self) -> bool:
        """Returns whether the caller is on this loop's thread."""
        return threading.current_thread() is self._thread

    def close(self) -> None:
        """Cancels the tasks on the loop, closes it and ends the thread."""
        self._closing = True
        with contextlib.suppress(RuntimeError):  # it is closed
            self.loop.call_soon_threadsafe(self.loop.stop)
        self._thread.join(2 * CLOSING_SECONDS)

    def _run(self, made: queue.SimpleQueue[asyncio.AbstractEventLoop | BaseException]) -> None:
        try:
            self.loop = new_event_loop()  # here, where Ctrl-C cannot leave it half made
        except BaseException as error:
            made.put(error)
            return
        made.put(self.loop)
        asyncio.set_event_loop(self.loop)
        while not (self._closing or self.loop.is_closed()):
            # It ends early if a task of the user's raises SystemExit or KeyboardInterrupt, or stops the loop: that must end
            # neither the other calls nor the runs to come.
            with contextlib.suppress(BaseException):
                self.loop.run_forever()
        tasks = asyncio.all_tasks(self.loop)
        for task in tasks:
            task.cancel()
        with contextlib.suppress(BaseException):
            if tasks:
                self.loop.run_until_complete(asyncio.wait(tasks, timeout=CLOSING_SECONDS))
            self.loop.run_until_complete(self.loop.shutdown_asyncgens())
        self.loop.close()


def new_event_loop() -> asyncio.AbstractEventLoop:
    """Returns a new loop: uvloop's where that is installed, else asyncio's.

    Where gevent has replaced threads by greenlets, asyncio's: it waits in Python, where gevent lets other greenlets run.
    And where stdin, stdout or stderr is closed: uvloop ends the process when it closes a file in the place of one of them.
    """
    if threads_are_greenlets() or not _has_standard_files():
        return asyncio.new_event_loop()
    try:
        make: Callable[[], asyncio.AbstractEventLoop] = importlib.import_module("uvloop").new_event_loop
    except (ImportError, AttributeError, RuntimeError):
        # An uninstalled one may leave an empty folder behind; and once the main thread has ended, it cannot be imported.
        make = asyncio.new_event_loop
    return make()


def _has_standard_files() -> bool:
    try:
        return all(os.fstat(file) for file in range(3))
    except OSError:
        return False


def loop_name() -> str:
    """Returns the name and version of what `new_event_loop` takes its loops from."""
    try:
        return f"uvloop {importlib.metadata.version('uvloop')}"
    except importlib.metadata.PackageNotFoundError:
        return "asyncio (uvloop is not installed)"


_shared: LoopThread | None = None
_lock = threading.Lock()


@contextlib.contextmanager
def running_loop() -> Iterator[asyncio.AbstractEventLoop]:
    """Yields the process's loop, which is started at the first use.

    On that loop's own thread, which must not wait for itself, it yields another one that ends with the block.
    """
    global _shared
    with _lock:
        if _shared is None or _shared.loop.is_closed():
            _shared = LoopThread()
            atexit.register(_shared.close)
        shared = _shared
    if not shared.is_current():
        yield shared.loop
        return
    own = LoopThread()
    try:
        yield own.loop
    finally:
        own.close()


def abandon(loop: asyncio.AbstractEventLoop) -> None:
    """Abandons a loop that a call blocks for good; the next run gets a new one."""
    if _shared is not None and _shared.loop is loop:
        _forget()


def _forget() -> None:
    global _shared, _lock
    if _shared is not None:
        atexit.unregister(_shared.close)
    _shared, _lock = None, threading.Lock()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget)
