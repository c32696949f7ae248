"""What the workers on an event loop keep between calls."""

from __future__ import annotations

import asyncio
import contextvars
import time
from collections.abc import Callable, Coroutine, Iterable
from typing import Any

from jd_core.inprocess.open_chunk import OpenChunk
from jd_core.worker import number_of_worker


class Worker:
    """What one worker of a run makes calls of, and what it has made.

    Attributes:
        opened: the chunk that it takes calls from; None if it has none.
        calls: the calls of that chunk, shared with the other workers.
        values: the results of that chunk.
        call: makes a call of that chunk.
        context: what its calls run in copies of.
        name: unique in the run.
        done: calls of the chunk that it has made.
        began: when it began with the chunk, on the performance counter.
        task: the last task that it has started.
        waits: that task goes on with the worker's calls when its own has ended.
    """

    __slots__ = ("began", "call", "calls", "context", "done", "name", "opened", "task", "values", "waits")

    def __init__(self, call: Callable[[Any], Coroutine[Any, Any, Any]], number: int, context: contextvars.Context) -> None:
        self.context = context.copy()
        self.context.run(number_of_worker.set, number)
        self.name = f"task {number + 1}"
        self.task: asyncio.Task[None] | None = None
        self.waits = False
        self.take_from(None, call)

    def take_from(self, opened: OpenChunk | None, call: Callable[[Any], Coroutine[Any, Any, Any]]) -> None:
        """Begins with a chunk."""
        self.opened = opened
        self.calls: Iterable[tuple[int, Any]] = () if opened is None else opened.calls
        self.values: list[Any] = [] if opened is None else opened.values
        self.call = call
        self.done = 0
        self.began = time.perf_counter()


def is_current(context: contextvars.Context) -> bool:
    """Returns whether the current context holds what another one does; at once if it is a copy and nothing was set since."""
    try:
        return contextvars.copy_context() == context
    except Exception:  # what was set cannot be compared, as arrays cannot
        return False
