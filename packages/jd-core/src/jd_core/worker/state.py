"""Tells whether a worker runs the current code, since a distributed call made there runs its calls in place; and which.

It also knows what is not the time of the call that a thread makes, though it passes meanwhile.
"""

from __future__ import annotations

import contextvars
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import Any

#: True in code that a worker runs: a distributed call made there runs its calls one after the other, in place.
inside_worker: contextvars.ContextVar[bool] = contextvars.ContextVar("just_distribute_inside_worker", default=False)

#: The random numbers of the call that the current code is part of, a `Stream` of `jd_core.worker.wrappers.seeded`; or None.
call_stream: contextvars.ContextVar[Any] = contextvars.ContextVar("just_distribute_call_stream", default=None)

#: Which of its run's workers runs the current code; None: the process's worker, if any.
number_of_worker: contextvars.ContextVar[int | None] = contextvars.ContextVar("just_distribute_worker", default=None)

#: By thread: seconds that were not its calls' time (see `uncounted`), and since when more of them pass.
_uncounted: dict[int, float] = {}
_uncounted_since: dict[int, float] = {}

#: Returns what `uncounted` also enters, where another process keeps the time.
_stops_time: Callable[[], AbstractContextManager[object]] = nullcontext

_whole_process = False
_process_number = 0


def share(installed: Any) -> None:
    """Takes the context variables of another copy of this module, where this one was sent to a machine that has it, too.

    Distributed calls that are made there must see that they are in a worker, in which call, and in which worker.
    """
    for name in ("inside_worker", "call_stream", "number_of_worker"):
        globals()[name] = getattr(installed, name, globals()[name])


def mark_process() -> None:
    """Marks all code of this process as run by a worker, also in threads that the user's function starts."""
    global _whole_process
    _whole_process = True
    inside_worker.set(True)


def is_inside_worker() -> bool:
    """Whether a worker runs the calling code."""
    return _whole_process or inside_worker.get()


def set_process_number(number: int) -> None:
    """Records which of its run's workers this process is, also for threads that the user's function starts."""
    global _process_number
    _process_number = number


def worker_number() -> int:
    """Returns which of the run's workers makes the call that runs this code: 0 to ``workers`` - 1.

    No two calls of a run that run at the same time get the same number (but for "ray", where the cluster decides what runs
    at the same time). A worker that takes another one's place, because that died or its call took too long, has its number.

    Returns:
        The number; 0 outside of distributed calls, under "serial", and on an executor, which does not say to which of its
        workers a task goes. A distributed call made inside a worker is made by that worker, and has its number.
    """
    number = number_of_worker.get()
    return _process_number if number is None else number


def is_ending() -> bool:
    """Whether the interpreter is shutting down, as in ``atexit`` and ``__del__``: no thread can be started any more."""
    return sys.is_finalizing() or not threading.main_thread().is_alive()


@contextmanager
def as_worker(number: int | None = None) -> Iterator[None]:
    """Marks the code inside the ``with`` block, in this context only, as run by a worker; its random numbers end with it.

    Args:
        number: which of its run's workers that is; None: that of the code around, if any.
    """
    token = inside_worker.set(True)
    numbered = number_of_worker.set(number_of_worker.get() if number is None else number)
    stream = call_stream.set(call_stream.get())
    try:
        yield
    finally:
        call_stream.reset(stream)
        number_of_worker.reset(numbered)
        inside_worker.reset(token)


def keep_time_by(stops: Callable[[], AbstractContextManager[object]]) -> None:
    """Has `uncounted` also enter what ``stops`` returns, in a process whose calls' time is kept by another one."""
    global _stops_time
    _stops_time = stops


@contextmanager
def uncounted() -> Iterator[None]:
    """Has the time that the block takes not count as that of the calls that run in this thread, see `uncounted_seconds`."""
    thread = threading.get_ident()
    if thread in _uncounted_since:
        yield
        return
    began = _uncounted_since[thread] = time.monotonic()
    try:
        with _stops_time():
            yield
    finally:
        _uncounted[thread] = _uncounted.get(thread, 0.0) + time.monotonic() - began
        del _uncounted_since[thread]


def uncounted_seconds(thread: int) -> float:
    """Returns how many seconds a thread has spent on what is not its calls' time, such as printing: up to now.

    Args:
        thread: its identifier.
    """
    since = _uncounted_since.get(thread)  # first: it is dropped after its time was added
    return _uncounted.get(thread, 0.0) + (0.0 if since is None else time.monotonic() - since)
