"""Waits for tasks to the end, whoever is in a hurry: what structured cancellation comes down to."""

from __future__ import annotations

import asyncio
from typing import Any


async def outlast(*tasks: asyncio.Task[Any]) -> None:
    """Waits until all tasks have ended. What becomes of them is not looked at.

    Raises:
        asyncio.CancelledError: who waits was cancelled meanwhile; raised when they have ended.
    """
    cancelled: asyncio.CancelledError | None = None
    while pending := [task for task in tasks if not task.done()]:
        try:
            await asyncio.wait(pending)
        except asyncio.CancelledError as error:
            cancelled = error
    if cancelled is not None:
        raise cancelled
