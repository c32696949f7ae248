"""Waits until tasks are done, and awaits a coroutine in a context of its own."""

from __future__ import annotations

import asyncio
import contextvars
import types
from collections.abc import Callable, Coroutine, Generator
from typing import Any, TypeVar

T = TypeVar("T")


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


@types.coroutine
def in_context(
    coroutine: Coroutine[Any, Any, T], context: contextvars.Context, waits: Callable[[], object] = bool
) -> Generator[Any, Any, T]:
    """Awaits a coroutine in a context of its own, in the awaiting task: what it sets there stays there.

    Args:
        coroutine: what to await.
        context: the context, which nothing else may have entered.
        waits: called whenever the coroutine has to wait.
    """
    step: Callable[[Any], Any] = coroutine.send
    outcome: Any = None
    try:
        while True:
            future = context.run(step, outcome)
            waits()
            try:
                step, outcome = coroutine.send, (yield future)
            except GeneratorExit:
                context.run(coroutine.close)
                raise
            except BaseException as error:
                step, outcome = coroutine.throw, error
    except StopIteration as end:
        return end.value  # type: ignore[no-any-return]
