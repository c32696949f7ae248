"""The tasks that run coroutines: N consumers on one event loop, each awaiting one call after the other."""

from __future__ import annotations

import asyncio
import contextvars
import time
from collections import deque
from collections.abc import Awaitable, Callable
from typing import Any

from jd_core.backend import Work
from jd_core.errors import CallTimeoutError
from jd_core.inprocess.async_tasks import outlast
from jd_core.inprocess.call_queue import Source
from jd_core.inprocess.loop_resources import Resources
from jd_core.inprocess.open_chunk import OpenChunk, unstarred
from jd_core.inprocess.rate_limit import Pacer
from jd_core.worker import inside_worker

#: Consumers that one consumer wakes.
SPREAD = 2


class Consumers:
    """The tasks of one run. All but `admit` belongs to the loop's thread.

    Args:
        source: the calls.
        work: what is the same for all of them.
        call: gives the awaitable of one call's arguments.
        loop: where the tasks run.
        resources: constants that are made on the loop, and closed with it; None if there are none.
        own_loop: whether the loop is this library's, so that nobody else cancels tasks on it.

    Attributes:
        closing: `close` has begun to run, so the loop is not blocked.
    """

    def __init__(
        self,
        source: Source,
        work: Work,
        call: Callable[..., Awaitable[Any]],
        loop: asyncio.AbstractEventLoop,
        resources: Resources | None,
        *,
        own_loop: bool,
    ) -> None:
        self._source = source
        self._work = work
        self._call = call
        self._unstarred = unstarred(call)
        self._loop = loop
        self._own_loop = own_loop
        self._resources = resources
        self._cancelled = False
        self.closing = False
        self._tasks: list[asyncio.Task[None]] = []
        self._idle: deque[asyncio.Future[None]] = deque()
        self._admitted = 0  # calls that the loop has not been told of yet
        self._demand = 0  # calls that no consumer was started or woken for yet
        self._scheduled = False
        self._context = contextvars.copy_context()
        self._context.run(inside_worker.set, True)

    def admit(self, calls: int) -> None:
        """Starts or wakes as many consumers as there are calls for; at most ``work.workers``. From any thread."""
        with self._source.lock:
            if len(self._tasks) == self._work.workers and not self._source.waiting:
                return  # all are busy, and look for themselves
            self._admitted += calls
            if self._scheduled:
                return
            self._scheduled = True
        self._loop.call_soon_threadsafe(self._begin)

    def overdue(self) -> float:
        """Nothing to do: the loop watches its own timeouts."""
        return float("inf")

    async def close(self) -> None:
        """Cancels what runs and returns when it has ended; after the normal end, there is nothing to cancel."""
        self.closing = True
        finished = self._source.is_finished()
        self._source.stopped = True
        while self._idle:
            self._wake()
        if not finished:
            self._cancel()
        try:
            await outlast(*self._tasks)
        finally:
            if self._resources is not None:
                await self._resources.close()

    def _cancel(self) -> None:
        if self._cancelled:
            return  # being told twice would interrupt their cleaning up
        self._cancelled = True
        for task in self._tasks:
            if task is not asyncio.current_task():
                task.cancel()

    def _begin(self) -> None:
        with self._source.lock:
            self._scheduled = False
            calls, self._admitted = self._admitted, 0
        self._demand = min(self._demand + calls, self._work.workers)
        self._spread()

    def _spread(self) -> None:
        """Wakes or starts a few consumers where there is demand; each does the same, so all take part in a few ticks.

        Were all woken at once, calls that never wait would cost a wake-up each: one consumer alone runs them all.
        """
        for _ in range(SPREAD):
            if not self._demand or self._source.stopped:
                return
            if not self._idle and len(self._tasks) == self._work.workers:
                self._demand = 0
                return
            self._demand -= 1
            if self._idle:
                self._wake()
            else:
                # Not by the loop's task factory: an eager one would run the consumer, which starts others, in here.
                task = asyncio.Task(self._consume(), loop=self._loop, context=self._context.copy())
                self._tasks.append(task)

    async def _consume(self) -> None:
        source = self._source
        opened: OpenChunk | None = None
        try:
            while True:
                with source.lock:
                    opened = source.following(opened)
                if opened is None:
                    if source.stopped or source.ended:
                        return
                    self._demand = 0
                    await self._more()
                    continue
                if self._demand:
                    self._spread()
                # All in one coroutine: each one more between the loop and the call costs at every step of every call.
                call = self._unstarred if opened.starred else self._call
                values = opened.values
                done = 0
                began = time.perf_counter()
                for offset, argument in opened.calls:
                    if source.stopped:
                        break
                    try:
                        values[offset] = await call(argument)
                    except BaseException as error:
                        self._failed(opened, offset, error)
                    done += 1
                source.account(opened, done, time.perf_counter() - began)
                if done == len(values):
                    # Calls that never wait do not let others run; between chunks they do.
                    await asyncio.sleep(0)
        except asyncio.CancelledError:
            raise
        except BaseException as error:
            source.crash(error)

    async def _more(self) -> None:
        future = self._loop.create_future()
        self._idle.append(future)
        await future

    def _wake(self) -> None:
        with self._source.lock:
            self._source.waiting -= 1
        future = self._idle.popleft()
        if not future.done():  # else its consumer was cancelled
            future.set_result(None)

    def _failed(self, opened: OpenChunk, offset: int, error: BaseException) -> None:
        task = asyncio.current_task()
        assert task is not None
        if isinstance(error, asyncio.CancelledError) and task.cancelling():
            if not (self._source.stopped or self._own_loop):
                self._source.crash(error)  # the loop is being shut down
            if self._source.stopped:
                raise error
            # The call cancelled the task that it runs in, which is not its own.
            task.uncancel()
        self._source.fail(opened, offset, error)
        if self._source.stopped:
            self._cancel()


def limited(call: Callable[..., Awaitable[Any]], work: Work) -> Callable[..., Awaitable[Any]]:
    """Returns ``call``, cancelled where it takes longer than ``work.timeout``."""

    async def run(*arguments: Any) -> Any:
        error: BaseException | None = None
        value = None
        limit = asyncio.timeout(work.timeout)
        try:
            async with limit:
                value = await call(*arguments)
        except BaseException as raised:
            error = raised
        if limit.expired():
            # Raised here, so that it has no context: a frame in it would hold the constants.
            raise CallTimeoutError(
                f"{work.name}(): a call took longer than timeout={work.timeout!r} seconds and was cancelled"
            )
        if error is not None:
            raise error
        return value

    return run


def paced(
    call: Callable[..., Awaitable[Any]], pacer: Pacer, ready: Callable[[], Awaitable[Any]] | None
) -> Callable[..., Awaitable[Any]]:
    """Returns ``call``, started when ``pacer`` lets it.

    Args:
        call: what to start.
        pacer: says when.
        ready: is awaited before each call is given its time. Calls that wait for what they all need, and are given their
            times before, would start all at once when it is there.
    """

    async def run(*arguments: Any) -> Any:
        if ready is not None:
            await ready()
        if delay := pacer.delay():
            await asyncio.sleep(delay)
        return await call(*arguments)

    return run
