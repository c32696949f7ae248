"""Constants of `jd_core.per_worker` on an event loop: made once per run, for all its calls share the loop.

The counterpart of `jd_core.worker.resources.WithResources`, for who runs coroutines as tasks: the web
backend, and nested runs.
"""

from __future__ import annotations

import asyncio
import contextlib
import inspect
import logging
from collections.abc import Callable, Mapping
from typing import Any

from jd_core.inprocess.async_tasks import outlast
from jd_core.worker import is_per_worker


class Resources:
    """The constants of one run on an event loop, with those of `per_worker` made at the first call.

    One task makes, enters, leaves and closes them: some (task groups, timeouts) may only be left by who has entered them,
    and a call that is cancelled while it waits for them does not end their making, for which others wait too.

    Args:
        constants: of the run.
    """

    def __init__(self, constants: Mapping[str, Any]) -> None:
        self._constants = constants
        self._lock = asyncio.Lock()
        self._opened = None if self.are_in(constants) else constants
        self._opening: asyncio.Future[dict[str, Any]] | None = None
        self._closing = asyncio.Event()
        self._holder: asyncio.Task[None] | None = None

    @staticmethod
    def are_in(constants: Mapping[str, Any]) -> bool:
        """Whether any constant is to be made."""
        return any(is_per_worker(constant) for constant in constants.values())

    async def open(self) -> Mapping[str, Any]:
        """Returns the constants, made and entered once however many tasks ask at the same time.

        Raises:
            Exception: that of a factory; the next call tries again.
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
        """Leaves and closes them, the last first; returns when that is done, also to who is cancelled meanwhile.

        What goes wrong there concerns no call, and is logged.
        """
        self._closing.set()
        if self._holder is None:
            return
        if self._opened is None:
            self._holder.cancel()
        await outlast(self._holder)

    async def _hold(self, opening: asyncio.Future[dict[str, Any]]) -> None:
        try:
            async with contextlib.AsyncExitStack() as stack:
                opened = dict(self._constants)
                for name, constant in opened.items():
                    if is_per_worker(constant):
                        opened[name] = await _enter(stack, constant.factory())
                self._opened = opened
                opening.set_result(opened)
                await self._closing.wait()
        except asyncio.CancelledError:
            raise
        except BaseException as error:
            if opening.done():
                logging.getLogger("just_distribute").exception("closing a constant of per_worker failed")
            else:
                opening.set_exception(error)
                opening.exception()  # seen: the call that waited for it may be gone
        finally:
            opening.cancel()  # who waits for it must not wait for ever


async def _enter(stack: contextlib.AsyncExitStack, made: Any) -> Any:
    if inspect.iscoroutine(made):
        made = await made
    if hasattr(made, "__aenter__"):
        return await stack.enter_async_context(made)
    close = getattr(made, "aclose", None) or getattr(made, "close", None)
    if callable(close):
        stack.push_async_callback(_call, close)
    return stack.enter_context(made) if hasattr(made, "__enter__") else made


async def _call(close: Callable[[], Any]) -> None:
    closing = close()
    if inspect.iscoroutine(closing):
        await closing
