"""Lets a caller on an event loop iterate over a backend's blocking `run`: one thread per run, a bounded way between."""

from __future__ import annotations

import asyncio
import contextlib
import contextvars
import dataclasses
import threading
from collections.abc import AsyncGenerator, Callable, Generator, Iterator
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from jd_core.backend import Chunk, ChunkResult, Work

#: Results that may wait between the thread and the loop: one to be working on, one to be next.
_WAITING = 2

#: Seconds between two looks of a waiting thread at whether there still is a loop: one that is closed tells nobody.
_LOOK_SECONDS = 1.0

_END = object()


async def iterate_in_thread(
    run: Callable[[Work, Iterator[Chunk | None]], Generator[ChunkResult, None, None]],
    work: Work,
    chunks: Iterator[Chunk | None],
) -> AsyncGenerator[ChunkResult, None]:
    """Yields what ``run(work, chunks)`` yields, running it in a thread with the caller's contextvars.

    Ends only when the thread has: also when this generator is closed or its task cancelled, which cancels the run.
    """
    loop = asyncio.get_running_loop()
    arrived: asyncio.Queue[tuple[Any, BaseException | None]] = asyncio.Queue()
    room = threading.Semaphore(_WAITING)
    cancelled = threading.Event()
    work = dataclasses.replace(work, cancelled=cancelled.is_set)

    def deliver(result: Any, error: BaseException | None = None) -> None:
        with contextlib.suppress(RuntimeError):  # the loop was closed, and nobody waits any more
            loop.call_soon_threadsafe(arrived.put_nowait, (result, error))

    def is_wanted() -> bool:
        while not room.acquire(timeout=_LOOK_SECONDS):
            if loop.is_closed():
                return False
        return not (cancelled.is_set() or loop.is_closed())

    def iterate() -> None:
        error: BaseException | None = None
        results = run(work, chunks)
        try:
            for result in results:
                if not is_wanted():
                    break
                deliver(result)
        except BaseException as raised:
            error = raised
        finally:
            results.close()
            deliver(_END, error)

    context = contextvars.copy_context()
    thread = threading.Thread(target=context.run, args=(iterate,), name=f"just-distribute-aio-{work.name}", daemon=True)
    thread.start()
    ended = False
    try:
        while True:
            result, error = await arrived.get()
            ended = result is _END
            if error is not None:
                raise error
            if ended:
                return
            room.release()
            yield result
    finally:
        cancelled.set()
        room.release()
        while not (ended or loop.is_closed()):  # a closed one cannot wait, and ends the thread as well
            # A second cancellation must not leave the thread behind either, so its wait is shielded and repeated.
            try:
                result, _ = await asyncio.shield(asyncio.ensure_future(arrived.get()))
                ended = result is _END
            except asyncio.CancelledError:
                ended = not thread.is_alive()
        if ended:
            thread.join()
