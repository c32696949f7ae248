"""The web backend: calls on an asyncio event loop, thousands in flight; plain functions in threads."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import sys
import time
from collections.abc import AsyncGenerator, Awaitable, Callable, Coroutine, Generator, Iterator, Mapping
from typing import Any

from jd_core.backend import Backend, Chunk, ChunkResult, Work
from jd_core.inprocess import driver
from jd_core.inprocess.call_queue import Source
from jd_core.inprocess.loop_resources import Resources
from jd_core.inprocess.rate_limit import MAX_PER_SECOND, Pacer
from jd_core.inprocess.threads import ThreadWorkers

from jd_web.calls import InThread, as_coroutine
from jd_web.loop import abandon, loop_name, running_loop
from jd_web.tasks import Consumers, limited, paced

#: Seconds that cancelled calls have to clean up before `run` returns; they go on cleaning up behind it. With what else ends
#: a run it stays below the five seconds in which any fault is to be reported.
CLEANUP_SECONDS = 3.0

#: The same after Ctrl-C.
INTERRUPTED_SECONDS = 1.0

_THREADS = "just-distribute-web"
_END: Any = object()


class WebBackend(Backend):
    """Runs coroutines on one loop of the process, in a thread of its own, or with `arun` on the caller's loop.

    Options:
        max_per_second: at most so many calls start per second, over all workers of the run.
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
        chunks = itertools.chain((first,), chunks)
        signal = driver.Signal()
        with running_loop() as loop:
            resources = _resources(work)
            call = as_coroutine(work, resources)
            if call is None:
                yield from _run_in_threads(work, chunks, signal, loop)
                return
            source = Source(work, chunks, _once_per_tick(loop, signal.set))
            consumers = Consumers(source, work, _mannered(call, work, resources), loop, resources, own_loop=True)
            try:
                yield from driver.run(source, consumers, work, signal)
            finally:
                if not source.is_finished():
                    source.stopped = True  # at once, should the loop be busy
                if not _wait_for(consumers.close, loop) and not consumers.closing:
                    abandon(loop)

    async def arun(self, work: Work, chunks: Iterator[Chunk | None]) -> AsyncGenerator[ChunkResult, None]:
        """Runs the calls on the running loop, where ``chunks`` is pulled too; no thread but for plain functions.

        Closing it, or cancelling who waits for it, cancels what runs and returns when that has ended.
        """
        loop = asyncio.get_running_loop()
        event = asyncio.Event()
        resources = _resources(work)
        call = as_coroutine(work, resources)
        if call is None:

            def wake() -> None:
                with contextlib.suppress(RuntimeError):  # a thread was left behind, and the loop is closed
                    loop.call_soon_threadsafe(event.set)

            source = Source(work, chunks, wake)
            in_thread = InThread(work, loop)
            threads = ThreadWorkers(source, work, in_thread, _pacer(work), prefix=_THREADS, release=in_thread.release)
            try:
                async with contextlib.aclosing(driver.arun(source, threads, work, event)) as results:
                    async for result in results:
                        yield result
            finally:
                threads.stop()
                in_thread.stop()
                try:
                    await in_thread.close()
                finally:
                    parting = threads.stop()
                    while threads.are_alive() and time.monotonic() < parting:
                        await asyncio.sleep(0.001)
            return
        source = Source(work, chunks, event.set)
        consumers = Consumers(source, work, _mannered(call, work, resources), loop, resources, own_loop=False)
        try:
            async with contextlib.aclosing(driver.arun(source, consumers, work, event)) as results:
                async for result in results:
                    yield result
        finally:
            await consumers.close()

    def doctor(self) -> list[tuple[str, str]]:
        """Returns which event loop runs are on."""
        return [("event loop", loop_name())]


def _run_in_threads(
    work: Work, chunks: Iterator[Chunk | None], signal: driver.Signal, loop: asyncio.AbstractEventLoop
) -> Generator[ChunkResult, None, None]:
    source = Source(work, chunks, signal.set)
    in_thread = InThread(work, loop)
    threads = ThreadWorkers(source, work, in_thread, _pacer(work), prefix=_THREADS, release=in_thread.release)
    try:
        yield from driver.run(source, threads, work, signal)
    finally:
        threads.stop()
        in_thread.stop()
        if in_thread.awaits:
            _wait_for(in_thread.close, loop)
        threads.join(threads.stop())


def _mannered(call: Callable[..., Awaitable[Any]], work: Work, resources: Resources | None) -> Callable[..., Awaitable[Any]]:
    """Returns ``call`` with the run's timeout and rate, without which it stays what it is."""
    ready: Callable[[], Awaitable[Any]] | None = None if resources is None else resources.open
    if work.timeout is not None:
        call = limited(call, work)
        ready = ready and limited(ready, work)
    pacer = _pacer(work)
    return call if pacer is None else paced(call, pacer, ready)


def _resources(work: Work) -> Resources | None:
    return Resources(work.constants) if Resources.are_in(work.constants) else None


def _pacer(work: Work) -> Pacer | None:
    rate = work.options.get("max_per_second")
    return None if rate is None else Pacer(rate)


def _once_per_tick(loop: asyncio.AbstractEventLoop, wake: Callable[[], None]) -> Callable[[], None]:
    """Returns a function that has ``wake`` called once after the loop's present tick, however often it is called."""
    scheduled = False

    def flush() -> None:
        nonlocal scheduled
        scheduled = False
        wake()

    def schedule() -> None:
        nonlocal scheduled
        if not scheduled:
            scheduled = True
            loop.call_soon(flush)

    return schedule


def _wait_for(close: Callable[[], Coroutine[Any, Any, None]], loop: asyncio.AbstractEventLoop) -> bool:
    """Runs ``close`` on a loop; returns whether it has ended in time. It goes on if it has not."""
    if loop.is_closed():
        return True  # the interpreter is ending, and has cancelled all that was on the loop
    interrupted = isinstance(sys.exc_info()[1], KeyboardInterrupt)
    try:
        asyncio.run_coroutine_threadsafe(close(), loop).result(INTERRUPTED_SECONDS if interrupted else CLEANUP_SECONDS)
    except TimeoutError:
        return False
    return True
