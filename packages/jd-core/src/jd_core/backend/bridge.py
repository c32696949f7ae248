"""For callers on an event loop: iterates over a backend's blocking `run` in a thread, and waits for what must be done."""

from __future__ import annotations

import asyncio
import contextlib
import contextvars
import sys
import threading
from collections.abc import AsyncGenerator, Awaitable, Callable, Generator, Iterator
from typing import TYPE_CHECKING, Any, Generic, Self, TypeVar

from jd_core.errors import BackendError

if TYPE_CHECKING:
    from jd_core.backend import Chunk, ChunkResult, Work

#: Results that may wait between the thread and the loop: one to be working on, one to be next.
_WAITING = 2

#: Seconds after which a waiting thread looks again whether there is a loop still: one that is closed tells nobody.
_LOOK_SECONDS = 1.0

_END = object()

T = TypeVar("T")

#: The generators in `nested` blocks.
_nested: set[AsyncGenerator[Any, None]] = set()


def running_loop(name: str) -> asyncio.AbstractEventLoop:
    """Returns the loop that the caller of a function's ``aio`` or ``astream`` is on.

    Args:
        name: the function's, for messages.

    Raises:
        BackendError: there is none.
    """
    try:
        return asyncio.get_running_loop()
    except RuntimeError:
        raise BackendError(
            f"{name}(): .aio and .astream need asyncio, and no loop of asyncio runs here. Under trio, call it in a "
            f"thread: await trio.to_thread.run_sync({name}, ...), or anyio.to_thread.run_sync, which suits both"
        ) from None


class nested(Generic[T]):  # noqa: N801 - as contextlib.aclosing
    """As `contextlib.aclosing`, for an async generator within another one: the outer one alone closes it.

    What a consumer drops in a cycle, as exceptions make them, garbage collection finalizes all at once, and the end of a
    loop closes all generators at once: one that is being closed by the one around it would be closed a second time,
    "aclose(): asynchronous generator is already running". So the loop is not told of it (`sys.set_asyncgen_hooks`), and it
    is kept until it is closed.

    Args:
        generator: the inner generator, which nobody has iterated over yet.
    """

    def __init__(self, generator: AsyncGenerator[T, None]) -> None:
        self._generator = generator
        self._begun = False

    async def __aenter__(self) -> Self:
        """Returns itself, to be iterated over."""
        _nested.add(self._generator)
        return self

    async def __aexit__(self, *error: object) -> None:
        """Closes the generator."""
        try:
            if self._begun:
                await self._generator.aclose()
        finally:
            _nested.discard(self._generator)

    def __aiter__(self) -> Self:
        """Returns itself."""
        return self

    def __anext__(self) -> Awaitable[T]:
        """Returns what the generator yields next."""
        if self._begun:
            return self._generator.__anext__()
        self._begun = True
        hooks = sys.get_asyncgen_hooks()
        sys.set_asyncgen_hooks(None, None)
        try:
            return self._generator.__anext__()
        finally:
            sys.set_asyncgen_hooks(*hooks)


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
    ended = loop.create_future()  # by the thread, however often who waits for it is cancelled
    room = threading.Semaphore(_WAITING)
    closed = threading.Event()
    cancelled = work.cancelled or closed.is_set
    work = work.replace(cancelled=lambda: closed.is_set() or cancelled())

    def deliver(result: Any, error: BaseException | None = None) -> None:
        arrived.put_nowait((result, error))
        if result is _END:
            ended.set_result(None)

    def send(result: Any, error: BaseException | None = None) -> None:
        with contextlib.suppress(RuntimeError):  # the loop was closed, and nobody waits any more
            loop.call_soon_threadsafe(deliver, result, error)

    def is_wanted() -> bool:
        while not room.acquire(timeout=_LOOK_SECONDS):
            if loop.is_closed():
                return False
        return not (closed.is_set() or loop.is_closed())

    def iterate() -> None:
        error: BaseException | None = None
        results = run(work, chunks)
        try:
            for result in results:
                if not is_wanted():
                    break
                send(result)
        except BaseException as raised:
            error = raised
        try:
            results.close()
        except BaseException as raised:
            error = error or raised
        send(_END, error)

    context = contextvars.copy_context()
    thread = threading.Thread(target=context.run, args=(iterate,), name=f"just-distribute-aio-{work.name}", daemon=True)
    thread.start()
    try:
        while True:
            result, error = await arrived.get()
            if error is not None:
                raise error
            if result is _END:
                return
            room.release()
            yield result
    finally:
        closed.set()
        room.release()
        if not loop.is_closed():  # a closed one cannot wait, and ends the thread as well
            await wait_until_done(ended)
            thread.join()


async def wait_until_done(*tasks: asyncio.Future[Any]) -> None:
    """Waits until all tasks are done, even if the waiting task is cancelled, as often as that may be.

    It waits for one future, which the last of the tasks completes: a framework that cancels at every turn of the loop (as
    anyio does) costs neither a task nor a look at all the tasks each time. What becomes of them is not looked at.

    Raises:
        asyncio.CancelledError: the waiting task was cancelled meanwhile; raised when all are done.
    """
    pending = {task for task in tasks if not task.done()}
    if not pending:
        return
    all_done = asyncio.get_running_loop().create_future()

    def finish(task: asyncio.Future[Any]) -> None:
        pending.discard(task)
        if not pending:
            all_done.set_result(None)

    for task in tuple(pending):
        task.add_done_callback(finish)
    cancelled: asyncio.CancelledError | None = None
    while not all_done.done():
        try:
            await asyncio.wait([all_done])
        except asyncio.CancelledError as error:
            cancelled = error
    if cancelled is not None:
        raise cancelled
