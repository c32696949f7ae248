"""The objects of `jd_core.per_worker` on an event loop: opened once per run, since all its calls share the loop.

The order of the steps is that of `jd_core.worker.Resources`, as in threads.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, TypeVar

from jd_core.backend.bridge import wait_until_done
from jd_core.worker import Resources, is_per_worker, number_of_worker
from jd_core.worker.resources import Steps

T = TypeVar("T")


class LoopResources:
    """The constants of one run on an event loop, with those of `per_worker` opened at the first call.

    One task opens and closes them: some context managers (task groups, timeouts) may only be left by the task that entered
    them, and a call that is cancelled while it waits does not end the opening, for which other calls wait too.

    Args:
        constants: of the run.
    """

    def __init__(self, constants: Mapping[str, Any]) -> None:
        self._resources = Resources(constants, awaits=True)
        self._lock = asyncio.Lock()
        self._opened = None if self.are_in(constants) else constants
        self._opening: asyncio.Future[Mapping[str, Any]] | None = None
        self._closing = asyncio.Event()
        self._holder: asyncio.Task[None] | None = None

    @staticmethod
    def are_in(constants: Mapping[str, Any]) -> bool:
        """Whether any constant is to be made."""
        return any(is_per_worker(constant) for constant in constants.values())

    async def open(self) -> Mapping[str, Any]:
        """Returns the constants, opened once however many tasks ask at the same time.

        Raises:
            BaseException: that of a factory; the next call tries again.
        """
        if self._opened is not None:
            return self._opened
        async with self._lock:
            if self._opening is None:
                self._opening = asyncio.get_running_loop().create_future()
                self._holder = asyncio.create_task(self._hold(self._opening))
            opening = self._opening
            await asyncio.wait([opening])
            if opening.cancelled() or opening.exception() is not None:
                self._opening = None
            return opening.result()

    async def close(self) -> None:
        """Closes them, the last first; returns when that is done, even if the waiting task is cancelled."""
        self._closing.set()
        if self._holder is None:
            return
        if self._opened is None:
            self._holder.cancel()
        await wait_until_done(self._holder)

    async def _hold(self, opening: asyncio.Future[Mapping[str, Any]]) -> None:
        number_of_worker.set(0)  # and not that of the worker whose call came first
        try:
            self._opened = await _drive(self._resources.open())
        except asyncio.CancelledError:
            opening.cancel()
            raise
        except BaseException as error:
            opening.set_exception(error)
            opening.exception()  # seen: the call that waited for it may be gone
            return
        opening.set_result(self._opened)
        try:
            await self._closing.wait()
        finally:
            await _drive(self._resources.close())


async def _drive(steps: Steps[T]) -> T:
    step: Callable[[Any], Awaitable[Any]] = steps.send
    outcome: Any = None
    while True:
        try:
            awaitable = step(outcome)
        except StopIteration as end:
            return end.value  # type: ignore[no-any-return]
        try:
            step, outcome = steps.send, await awaitable
        except BaseException as error:
            step, outcome = steps.throw, error
