"""The web backend: calls on an asyncio event loop, thousands in flight; plain functions in threads."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import sys
from collections.abc import AsyncGenerator, Callable, Generator, Iterator, Mapping
from typing import Any, TypeAlias

from jd_core.backend import Backend, Chunk, ChunkResult, Work
from jd_core.backend.bridge import nested
from jd_core.inprocess import MAX_PER_SECOND, driver
from jd_core.inprocess.call_queue import CallQueue
from jd_core.worker import is_async

from jd_web.loop import abandon, loop_name, running_loop
from jd_web.tasks import TaskWorkers
from jd_web.threads import LoopThreadWorkers

#: Seconds that cancelled calls have to clean up before `run` returns; they go on cleaning up behind it. With what else ends
#: a run it stays below the five seconds in which any fault is to be reported.
CLEANUP_SECONDS = 3.0

#: The same after Ctrl-C.
INTERRUPTED_SECONDS = 1.0

_END: Any = object()

_Workers: TypeAlias = TaskWorkers | LoopThreadWorkers


class WebBackend(Backend):
    """Runs coroutines on one loop of the process, in a thread of its own, or with `arun` on the caller's loop.

    Options:
        max_per_second: at most so many calls start per second, over all runs and threads: a number, "auto", or a
            `jd_core.Rate` to share it between functions.
    """

    name = "web"
    message_seconds = 2e-5
    shares_calls = True
    options = {"max_per_second": MAX_PER_SECOND}

    def default_workers(self, options: Mapping[str, Any]) -> int:
        """Returns 100, the connection limit of aiohttp's and httpx's clients."""
        return 100

    def run(self, work: Work, chunks: Iterator[Chunk | None]) -> Generator[ChunkResult, None, None]:
        """Runs the calls on the process's loop; see `Backend`. ``chunks`` is pulled in the calling thread."""
        first = next(chunks, _END)
        if first is _END:
            return
        signal = driver.Signal()
        queue = CallQueue(work, itertools.chain((first,), chunks), signal.set)
        with running_loop() as loop:
            workers = _workers(work, queue, loop, own_loop=True)
            try:
                yield from driver.run(queue, workers, work, signal)
            finally:
                workers.stop()
                if workers.are_on_loop:
                    _close(workers, loop)
                workers.join()

    async def arun(self, work: Work, chunks: Iterator[Chunk | None]) -> AsyncGenerator[ChunkResult, None]:
        """Runs the calls on the running loop, where ``chunks`` is pulled too; no thread but for plain functions.

        Closing it, or cancelling the task that waits for it, cancels what runs and returns when that has ended.
        """
        loop = asyncio.get_running_loop()
        event = asyncio.Event()
        queue = CallQueue(work, chunks, event.set if is_async(work.function) else _from_threads(loop, event.set))
        workers = _workers(work, queue, loop, own_loop=False)
        try:
            async with nested(driver.arun(queue, workers, work, event)) as results:
                async for result in results:
                    yield result
        finally:
            workers.stop()
            await workers.close()

    def doctor(self) -> list[tuple[str, str]]:
        """Returns which event loop runs are on."""
        return [("event loop", loop_name())]


def _workers(work: Work, queue: CallQueue, loop: asyncio.AbstractEventLoop, *, own_loop: bool) -> _Workers:
    if is_async(work.function):
        return TaskWorkers(queue, work, loop, own_loop=own_loop)
    return LoopThreadWorkers(queue, work, loop)


def _from_threads(loop: asyncio.AbstractEventLoop, wake: Callable[[], object]) -> Callable[[], None]:
    def call() -> None:
        with contextlib.suppress(RuntimeError):  # a thread was left behind, and the loop is closed
            loop.call_soon_threadsafe(wake)

    return call


def _close(workers: _Workers, loop: asyncio.AbstractEventLoop) -> None:
    """Closes workers on their loop, from another thread. What takes too long goes on behind; a blocked loop is abandoned."""
    if loop.is_closed():
        return  # the interpreter is ending, and has cancelled all that was on the loop
    interrupted = isinstance(sys.exc_info()[1], KeyboardInterrupt)
    closing = asyncio.run_coroutine_threadsafe(workers.close(), loop)
    try:
        closing.result(INTERRUPTED_SECONDS if interrupted else CLEANUP_SECONDS)
    except TimeoutError:
        if not workers.closing:
            abandon(loop)
