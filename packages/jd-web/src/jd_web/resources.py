"""Constants of `jd_core.per_worker` on an event loop: made once per run, for its consumers share the loop."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Callable, Mapping
from typing import Any

from jd_core.worker import is_per_worker


class Resources:
    """The constants of one run on an event loop, with those of `per_worker` made at the first call.

    Args:
        constants: of the run.
    """

    def __init__(self, constants: Mapping[str, Any]) -> None:
        self._constants = constants
        self._stack = contextlib.AsyncExitStack()
        self._lock = asyncio.Lock()
        self._opened: dict[str, Any] | None = None

    @staticmethod
    def are_in(constants: Mapping[str, Any]) -> bool:
        """Whether any constant is to be made."""
        return any(is_per_worker(constant) for constant in constants.values())

    async def open(self) -> Mapping[str, Any]:
        """Returns the constants, made and entered once however many tasks ask at the same time."""
        if self._opened is None:
            async with self._lock:
                if self._opened is None:
                    opened = dict(self._constants)
                    for name, constant in opened.items():
                        if is_per_worker(constant):
                            opened[name] = await self._enter(constant.factory())
                    self._opened = opened
        return self._opened

    async def close(self) -> None:
        """Leaves and closes them, the last first. What goes wrong there concerns no call, and is logged."""
        try:
            await self._stack.aclose()
        except Exception:
            logging.getLogger("just_distribute").exception("closing a constant of per_worker failed")

    async def _enter(self, made: Any) -> Any:
        if hasattr(made, "__aenter__"):
            return await self._stack.enter_async_context(made)
        close = getattr(made, "aclose", None) or getattr(made, "close", None)
        if callable(close):
            self._stack.push_async_callback(_call, close)
        return self._stack.enter_context(made) if hasattr(made, "__enter__") else made


async def _call(close: Callable[[], Any]) -> None:
    closing = close()
    if asyncio.iscoroutine(closing):
        await closing
