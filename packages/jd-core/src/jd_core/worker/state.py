"""Tells whether a worker runs the current code: a distributed call made there runs its calls in place."""

from __future__ import annotations

import contextvars
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

#: True in code that a worker runs: a distributed call made there runs its calls one after the other, in place.
inside_worker: contextvars.ContextVar[bool] = contextvars.ContextVar("just_distribute_inside_worker", default=False)

#: The random numbers of the call that the current code is part of, a `Stream` of `jd_core.worker.wrappers.seeded`; or None.
call_stream: contextvars.ContextVar[Any] = contextvars.ContextVar("just_distribute_call_stream", default=None)

_whole_process = False


def mark_process() -> None:
    """Marks all code of this process as run by a worker, also in threads that the user's function starts."""
    global _whole_process
    _whole_process = True
    inside_worker.set(True)


def is_inside_worker() -> bool:
    """Whether a worker runs the calling code."""
    return _whole_process or inside_worker.get()


def is_ending() -> bool:
    """Whether the interpreter is shutting down, as in ``atexit`` and ``__del__``: no thread can be started any more."""
    return sys.is_finalizing() or not threading.main_thread().is_alive()


@contextmanager
def as_worker() -> Iterator[None]:
    """Marks the code inside the ``with`` block, in this context only, as run by a worker; its random numbers end with it."""
    token = inside_worker.set(True)
    stream = call_stream.set(call_stream.get())
    try:
        yield
    finally:
        call_stream.reset(stream)
        inside_worker.reset(token)
