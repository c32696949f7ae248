"""Awaits a coroutine in a context of its own."""

from __future__ import annotations

import contextvars
import types
from collections.abc import Callable, Coroutine, Generator
from typing import Any, TypeVar

T = TypeVar("T")


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
