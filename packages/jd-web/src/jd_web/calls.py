"""What one call of a coroutine function is: its constants, its turn by the rate, its time limit."""

from __future__ import annotations

import asyncio
import inspect
import threading
import time
from collections.abc import Callable, Coroutine
from typing import Any, TypeAlias

from jd_core.backend import Work
from jd_core.errors import CallTimeoutError
from jd_core.inprocess.loop_resources import LoopResources
from jd_core.inprocess.rate_limit import Rate
from jd_core.worker import Bound, finish_async, innermost, returned_by, uncounted_seconds

_Call: TypeAlias = Callable[..., Coroutine[Any, Any, Any]]

#: The longest time between two looks at which calls took too long, and the part of the limit that it is at most.
LOOK_SECONDS, LOOK_PART = 0.05, 0.05


def as_coroutine(work: Work, resources: LoopResources | None, began: dict[Any, float] | None = None) -> _Call:
    """Returns a callable of one call's arguments that returns the coroutine of its result.

    What a generator yields becomes a list, that of an async generator and one that a coroutine function returns.

    Args:
        work: the run's; its function is a coroutine function or an async generator function.
        resources: its constants, if some are to be opened on the loop.
        began: gets, by task, when its present call began: after it waited for its turn.
    """
    function: _Call = work.function if returned_by(work.function).as_is else _finished(work.function)
    if began is not None:
        function = _noted(function, began)
    ready: _Call | None = None
    if resources is not None:
        call, ready = _with_resources(function, resources), resources.open
    else:
        call = Bound(function, **work.constants) if work.constants else function
    if work.timeout is not None:
        limits = TimeLimits(work)
        call, ready = limits.limited(call), limits.limited(ready) if ready is not None else None
    rate: Rate | None = work.options.get("max_per_second")
    return call if rate is None else _rated(call, rate, ready)


def _finished(function: Callable[..., Any]) -> _Call:
    if not inspect.iscoroutinefunction(innermost(function)):
        return lambda *arguments, **constants: finish_async(function(*arguments, **constants))
    results, left = returned_by(function), set[type]()  # types of results that are taken as they are

    async def call(*arguments: Any, **constants: Any) -> Any:
        value = await function(*arguments, **constants)
        if type(value) in left:
            return value
        if results.leaves(value):
            left.add(type(value))
        return await finish_async(value)

    return call


def _noted(function: _Call, began: dict[Any, float]) -> _Call:
    async def call(*arguments: Any, **constants: Any) -> Any:
        began[asyncio.current_task()] = time.perf_counter()
        return await function(*arguments, **constants)

    return call


def _with_resources(function: _Call, resources: LoopResources) -> _Call:
    async def call(*arguments: Any) -> Any:
        return await function(*arguments, **await resources.open())

    return call


def _rated(call: _Call, rate: Rate, ready: _Call | None) -> _Call:
    """Returns ``call``, started when ``rate`` lets it.

    Args:
        call: what to start.
        rate: says when.
        ready: is awaited before each call's turn: calls that waited together for what they all need would start together.
    """
    turn = asyncio.Lock()  # held by the call that is the next to start: only one asks, for all would wake at once

    async def run(*arguments: Any) -> Any:
        if ready is not None:
            await ready()
        async with turn:
            while delay := rate.delay():
                await asyncio.sleep(delay)
        began = time.monotonic()
        try:
            value = await call(*arguments)
        except BaseException as error:
            rate.hear(began, error)
            raise
        rate.hear(began, None)
        return value

    return run


class TimeLimits:
    """Cancels the calls of one run that take longer than ``work.timeout``.

    A clock of the run's own says how long that is. It runs while the event loop does: time for which somebody blocks the
    loop (the consumer of a stream, another task of the caller's, a call that prints) is not the calls'.

    Args:
        work: the run's, with a timeout.
    """

    def __init__(self, work: Work) -> None:
        assert work.timeout is not None
        self._name = work.name
        self._seconds = work.timeout
        self._step = min(LOOK_SECONDS, LOOK_PART * work.timeout)
        self._running: dict[asyncio.Timeout, float] = {}  # when each began, on the run's clock; the first began first
        self._elapsed = 0.0  # the run's clock at the last look
        self._looked = 0.0  # `_clock` then
        self._looks = False

    def limited(self, call: _Call) -> _Call:
        """Returns ``call``, cancelled where it takes too long."""

        async def run(*arguments: Any) -> Any:
            error: BaseException | None = None
            value = None
            limit = asyncio.timeout(None)
            try:
                async with limit:
                    self._running[limit] = self._begin()
                    value = await call(*arguments)
            except BaseException as raised:
                error = raised
            self._running.pop(limit, None)
            if limit.expired():
                # Raised here, so that it has no context: a frame in it would hold the constants.
                raise CallTimeoutError(
                    f"{self._name}(): a call took longer than timeout={self._seconds!r} seconds and was cancelled"
                )
            if error is not None:
                raise error
            return value

        return run

    def _begin(self) -> float:
        now = _clock()
        if not self._looks:
            self._looks, self._looked = True, now
            loop = asyncio.get_running_loop()
            loop.call_later(self._step, self._look, loop)
        return self._time(now)

    def _time(self, now: float) -> float:
        """Returns the run's clock; the loop was blocked for what is beyond the time of the next look."""
        return self._elapsed + min(now - self._looked, 2.0 * self._step)

    def _look(self, loop: asyncio.AbstractEventLoop) -> None:
        now = _clock()
        self._elapsed, self._looked = self._time(now), now
        for limit, began in list(self._running.items()):
            if self._elapsed - began < self._seconds:
                break
            del self._running[limit]
            limit.reschedule(loop.time())
        self._looks = bool(self._running)
        if self._looks:
            loop.call_later(self._step, self._look, loop)


def _clock() -> float:
    """Returns the monotonic clock without what this thread has spent on printing."""
    return time.monotonic() - uncounted_seconds(threading.get_ident())
