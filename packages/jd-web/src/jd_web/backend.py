"""The web backend: calls on an asyncio event loop, thousands in flight; plain functions in threads."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
from collections.abc import AsyncGenerator, Awaitable, Callable, Generator, Iterator, Mapping
from typing import Any

from jd_core import driving
from jd_core.backend import Backend, Chunk, ChunkResult, Work
from jd_core.pacing import MAX_PER_SECOND, Pacer
from jd_core.sharing import Source
from jd_core.threads import ThreadWorkers

from jd_web.calls import InThread, as_coroutine
from jd_web.consumers import Consumers, limited, paced
from jd_web.loop import abandon, loop_name, running_loop
from jd_web.resources import Resources

#: Seconds that cancelled calls have to clean up before `run` returns; they go on cleaning up behind it.
CLEANUP_SECONDS = 5.0

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
        signal = driving.Signal()
        with running_loop() as loop:
            resources = _resources(work)
            call = as_coroutine(work, resources)
            if call is None:
                yield from _run_in_threads(work, chunks, signal, loop)
                return
            source = Source(work, chunks, _once_per_tick(loop, signal.set))
            consumers = Consumers(source, work, _mannered(call, work), loop, resources, own_loop=True)
            patience = CLEANUP_SECONDS
            try:
                yield from driving.run(source, consumers, work, signal)
            except KeyboardInterrupt:
                patience = INTERRUPTED_SECONDS
                raise
            finally:
                _close(source, consumers, loop, patience)

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
                async with contextlib.aclosing(driving.arun(source, threads, work, event)) as results:
                    async for result in results:
                        yield result
            finally:
                parting = threads.stop()
                in_thread.close()
                while threads.are_alive() and loop.time() < parting:
                    await asyncio.sleep(0.001)
            return
        source = Source(work, chunks, event.set)
        consumers = Consumers(source, work, _mannered(call, work), loop, resources, own_loop=False)
        try:
            async with contextlib.aclosing(driving.arun(source, consumers, work, event)) as results:
                async for result in results:
                    yield result
        finally:
            await consumers.close()

    def doctor(self) -> list[tuple[str, str]]:
        """Returns which event loop runs are on."""
        return [("event loop", loop_name())]


def _run_in_threads(
    work: Work, chunks: Iterator[Chunk | None], signal: driving.Signal, loop: asyncio.AbstractEventLoop
) -> Generator[ChunkResult, None, None]:
    source = Source(work, chunks, signal.set)
    in_thread = InThread(work, loop)
    threads = ThreadWorkers(source, work, in_thread, _pacer(work), prefix=_THREADS, release=in_thread.release)
    try:
        yield from driving.run(source, threads, work, signal)
    finally:
        parting = threads.stop()
        in_thread.close()
        threads.join(parting)


def _mannered(call: Callable[..., Awaitable[Any]], work: Work) -> Callable[..., Awaitable[Any]]:
    """Returns ``call`` with the run's timeout and rate, without which it stays what it is."""
    if work.timeout is not None:
        call = limited(call, work)
    pacer = _pacer(work)
    return call if pacer is None else paced(call, pacer)


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


def _close(source: Source, consumers: Consumers, loop: asyncio.AbstractEventLoop, seconds: float) -> None:
    if not source.is_finished():
        source.stopped = True  # at once, should the loop be busy
    if loop.is_closed():
        return  # the interpreter is ending, and has cancelled all that was on the loop
    closing = asyncio.run_coroutine_threadsafe(consumers.close(), loop)
    try:
        closing.result(seconds)
    except TimeoutError:
        if not consumers.closing:
            abandon(loop)
