"""The life of a run whose workers share its calls: pull, admit, collect, wait; for callers in a thread or on a loop.

A `CallQueue` holds the calls, and `Workers` take them: `jd_core.inprocess.threads`, or the web backend's tasks.
"""

from __future__ import annotations

import time
from collections.abc import AsyncGenerator, Generator
from queue import Empty, SimpleQueue
from typing import TYPE_CHECKING, Protocol

from jd_core.backend import ChunkResult, Work
from jd_core.inprocess.call_queue import QUIET_SECONDS, CallQueue
from jd_core.inprocess.output import shown

if TYPE_CHECKING:
    import asyncio

    class Workers(Protocol):
        """Threads or tasks that take the calls of a queue."""

        def admit(self, calls: int) -> None:
            """Makes sure that workers take ``calls`` further calls, which are open now."""
            ...

        def overdue(self) -> float:
            """Ends calls that took too long; returns the seconds after which to look again, at the latest."""
            ...


class Signal:
    """Lets the caller's thread wait until a worker has something for it; Ctrl-C ends the wait at once."""

    def __init__(self) -> None:
        # A SimpleQueue waits in C, is interrupted by signals, and may be put to from anywhere.
        self._queue: SimpleQueue[None] = SimpleQueue()
        self._set = False

    def set(self) -> None:
        """Ends the wait, or the next one."""
        if not self._set:
            self._set = True
            self._queue.put(None)

    def wait(self, seconds: float) -> None:
        """Waits until `set` was called since the last wait, at most so many seconds."""
        try:
            self._queue.get(timeout=seconds)
        except Empty:
            pass
        finally:
            self._set = False


def drive(queue: CallQueue, workers: Workers, work: Work) -> Generator[ChunkResult | float, None, None]:
    """Feeds workers and yields their results: the life of a run, for a caller that waits in its own way.

    Yields:
        A `ChunkResult`; or the seconds for which to wait, unless a worker wakes the caller.
    """
    with shown(timed=work.timeout is not None):
        yield from _drive(queue, workers, work)


def _drive(queue: CallQueue, workers: Workers, work: Work) -> Generator[ChunkResult | float, None, None]:
    while work.cancelled is None or not work.cancelled():
        began = time.monotonic()
        while queue.wants_more() and (calls := queue.pull()):
            workers.admit(calls)
            if queue.has_results() and time.monotonic() - began > QUIET_SECONDS:
                break  # results are not to wait for an input that takes its time
        due = workers.overdue()
        results = queue.collect()
        yield from results
        if results:
            continue
        if queue.is_over():
            return
        yield min(queue.longest_wait(), due)


def run(queue: CallQueue, workers: Workers, work: Work, signal: Signal) -> Generator[ChunkResult, None, None]:
    """Yields the results of `drive`, waiting in the calling thread."""
    if work.on_input is not None:
        work.on_input(signal.set)
    for item in drive(queue, workers, work):
        if isinstance(item, ChunkResult):
            yield item
        else:
            signal.wait(item)


async def arun(queue: CallQueue, workers: Workers, work: Work, event: asyncio.Event) -> AsyncGenerator[ChunkResult, None]:
    """Yields the results of `drive`, waiting on the running event loop."""
    import asyncio  # here, because it costs more to import than all of this package

    loop = asyncio.get_running_loop()
    if work.on_input is not None:
        work.on_input(event.set)
    for item in drive(queue, workers, work):
        if isinstance(item, ChunkResult):
            yield item
            continue
        alarm = loop.call_later(item, event.set)
        try:
            await event.wait()
        finally:
            alarm.cancel()
        event.clear()
