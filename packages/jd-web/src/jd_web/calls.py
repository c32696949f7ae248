"""What a call of the user's function is here: an awaitable for the loop, or a plain call in a thread."""

from __future__ import annotations

import asyncio
import concurrent.futures
import inspect
import threading
from collections.abc import Awaitable, Callable
from typing import Any, TypeAlias

from jd_core.backend import Work
from jd_core.inprocess.async_tasks import outlast
from jd_core.inprocess.loop_resources import Resources
from jd_core.worker import Bound, collect_async, innermost, is_async, plain, release

#: What awaiting gave: a result, or else an error.
_Outcome: TypeAlias = tuple[Any, BaseException | None]


def as_coroutine(work: Work, resources: Resources | None) -> Callable[..., Awaitable[Any]] | None:
    """Returns what gives the awaitable of one call's arguments; None if the function is a plain one.

    What an async generator yields becomes a list.

    Args:
        work: the run's.
        resources: its constants, if some are to be made on the loop.
    """
    if resources is not None:
        if not is_async(work.function):
            return None

        async def with_resources(*arguments: Any) -> Any:
            result = work.function(*arguments, **await resources.open())
            return await (collect_async(result) if inspect.isasyncgen(result) else result)

        return with_resources
    call = Bound(work.function, **work.constants) if work.constants else work.function
    kind = innermost(work.function)
    if inspect.iscoroutinefunction(kind):
        return call
    if inspect.isasyncgenfunction(kind):
        return lambda *arguments: collect_async(call(*arguments))
    return None


class InThread:
    """A call of a plain function, for threads; what it returns is awaited on a loop where it can be.

    Lambdas and decorators around coroutine functions do not show that they give awaitables.

    Attributes:
        awaits: an awaitable came.
    """

    def __init__(self, work: Work, loop: asyncio.AbstractEventLoop) -> None:
        self.awaits = False
        self._call = plain(work.function, work.constants)
        self._loop = loop
        self._tasks: set[asyncio.Task[_Outcome]] = set()  # belong to the loop's thread
        self._stopped = False
        self._handing_over = threading.Lock()  # held while an awaitable is, so that none is after `stop`

    def __call__(self, *arguments: Any) -> Any:
        """Returns the result of one call."""
        value = self._call(*arguments)
        if not inspect.isawaitable(value):
            return value
        outcome: concurrent.futures.Future[_Outcome] = concurrent.futures.Future()
        with self._handing_over:
            if self._stopped:
                _discard(value)
                raise concurrent.futures.CancelledError
            self.awaits = True
            self._loop.call_soon_threadsafe(self._begin, value, outcome)
        result, error = outcome.result()
        if error is not None:
            raise error
        return result

    def release(self) -> None:
        """Closes what this thread has made for the call."""
        release(self._call)

    def stop(self) -> None:
        """Lets nothing further be awaited. From any thread."""
        with self._handing_over:
            self._stopped = True

    async def close(self) -> None:
        """Cancels what is awaited, and returns when it has ended."""
        for task in self._tasks:
            task.cancel()
        # The loop may be closed after this: what was handed over and has not begun gets its turn before an empty task.
        await outlast(*self._tasks, self._loop.create_task(asyncio.sleep(0)))

    def _begin(self, awaitable: Awaitable[Any], outcome: concurrent.futures.Future[_Outcome]) -> None:
        def end(task: asyncio.Task[_Outcome] | None) -> None:
            if task is not None:
                self._tasks.discard(task)
            _discard(awaitable)
            if task is None or task.cancelled():
                outcome.cancel()
            else:
                outcome.set_result(task.result())

        if self._stopped:
            end(None)
            return
        task = asyncio.Task(_outcome_of(awaitable), loop=self._loop)
        self._tasks.add(task)
        task.add_done_callback(end)


async def _outcome_of(awaitable: Awaitable[Any]) -> _Outcome:
    """Returns the result or the error: SystemExit and its like are the call's, and would end the loop as a task's."""
    try:
        return await awaitable, None
    except asyncio.CancelledError:
        raise
    except BaseException as error:
        return None, error


def _discard(awaitable: Awaitable[Any]) -> None:
    """Closes a coroutine, for one that never ran would be warned of."""
    if inspect.iscoroutine(awaitable):
        awaitable.close()
