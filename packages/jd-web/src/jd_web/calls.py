"""What a call of the user's function is here: an awaitable for the loop, or a plain call in a thread."""

from __future__ import annotations

import asyncio
import concurrent.futures
import inspect
import threading
from collections.abc import Awaitable, Callable
from typing import Any

from jd_core.backend import Work
from jd_core.worker import Bound, collect_async, innermost, plain, release

from jd_web.resources import Resources


def as_coroutine(work: Work, resources: Resources | None) -> Callable[..., Awaitable[Any]] | None:
    """Returns what gives the awaitable of one call's arguments; None if the function is a plain one.

    What an async generator yields becomes a list.

    Args:
        work: the run's.
        resources: its constants, if some are to be made on the loop.
    """
    kind = innermost(work.function)
    if resources is not None:
        if not (inspect.iscoroutinefunction(kind) or inspect.isasyncgenfunction(kind)):
            return None

        async def with_resources(*arguments: Any) -> Any:
            result = work.function(*arguments, **await resources.open())
            return await (collect_async(result) if inspect.isasyncgen(result) else result)

        return with_resources
    call = Bound(work.function, **work.constants) if work.constants else work.function
    if inspect.iscoroutinefunction(kind):
        return call
    if inspect.isasyncgenfunction(kind):
        return lambda *arguments: collect_async(call(*arguments))
    return None


class InThread:
    """A call of a plain function, for threads; what it returns is awaited on a loop where it can be.

    Lambdas and decorators around coroutine functions do not show that they give awaitables.
    """

    def __init__(self, work: Work, loop: asyncio.AbstractEventLoop) -> None:
        self._call = plain(work.function, work.constants)
        self._loop = loop
        self._pending: set[concurrent.futures.Future[Any]] = set()
        self._closed = False
        self._lock = threading.Lock()

    def __call__(self, *arguments: Any) -> Any:
        """Returns the result of one call."""
        value = self._call(*arguments)
        if not inspect.isawaitable(value):
            return value
        with self._lock:
            if self._closed:
                if inspect.iscoroutine(value):
                    value.close()
                raise concurrent.futures.CancelledError
            future = asyncio.run_coroutine_threadsafe(_result_of(value), self._loop)
            self._pending.add(future)
        try:
            return future.result()
        finally:
            self._pending.discard(future)

    def release(self) -> None:
        """Closes what this thread has made for the call."""
        release(self._call)

    def close(self) -> None:
        """Cancels what is awaited."""
        with self._lock:
            self._closed = True
            pending = list(self._pending)
        for future in pending:
            future.cancel()


async def _result_of(awaitable: Awaitable[Any]) -> Any:
    return await awaitable
