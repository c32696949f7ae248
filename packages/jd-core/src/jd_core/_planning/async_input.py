"""Reads async iterables for a run: on the caller's event loop, just as far as the run asks.

`Distributed.aio` and `Distributed.astream` put an `AsyncInput` in the place of each async iterable, and from there on a run
takes from it as from anything else, on the loop or in a thread that runs it for the loop::

     task on the caller's loop                    whoever pulls chunks
    ─────────────────────────────────────────────────────────────────────────────
    async for element in source ◀──ask──────────── ready(count) ─▶ None: not yet
            └──▶ elements ────────────────────────▶ take(count)
                     └──tell──▶ call_on_arrival

Results never wait for the source: where nothing has arrived there is nothing to start for now.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import threading
from collections import deque
from collections.abc import AsyncIterable, AsyncIterator, Callable
from typing import Any

from jd_core._hints.matching import MISSING
from jd_core._hints.parameter import Role
from jd_core._planning.arguments import is_asynchronous
from jd_core._planning.binding import BoundCall
from jd_core._planning.columns import Arriving
from jd_core._planning.thread_input import Reader
from jd_core.backend import CANCEL_SECONDS
from jd_core.backend.bridge import running_loop, wait_until_done

#: Seconds for which elements that arrive one by one gather before the run is told of them.
GATHER_SECONDS = 0.001

#: Seconds for which a thread that asks waits for the loop to answer: about what a source needs that has elements at hand.
ANSWER_SECONDS = 0.002


class AsyncInput(Arriving):
    """The elements of an async iterable. Made on the event loop that reads it; the rest is for any one thread at a time.

    One task reads, from the first element to closing the iterator: what the source opens it closes in the same task.

    Args:
        source: the async iterable; nothing is read of it before the first `ready`.
    """

    def __init__(self, source: AsyncIterable[Any]) -> None:
        self._source = source
        self._elements: deque[Any] = deque()  # read and not taken yet; never more than was asked for
        self._wanted = 0
        self._over = False
        self._closing = False
        self._error: BaseException | None = None
        self._loop = asyncio.get_running_loop()
        self._thread = threading.get_ident()
        self._asked = asyncio.Event()
        self._told = threading.Event()
        self._wake: Callable[[], None] = _nobody
        self._gathering: asyncio.TimerHandle | None = None
        self._task = self._loop.create_task(self._read())

    @property
    def is_over(self) -> bool:
        """Whether no further element comes."""
        return self._over

    def call_on_arrival(self, wake: Callable[[], None]) -> None:
        """Has ``wake`` called on the loop when elements that were asked for are there, or it turns out that none come."""
        self._wake = wake

    def first(self) -> Any:
        """Returns the first element, which `arrival` has waited for, without taking it; `MISSING` if there is none."""
        return self._elements[0] if self._elements else MISSING

    def ready(self, count: int) -> int | None:
        """Asks for ``count`` elements; see `Arriving.ready`. In a thread, waits a moment for the loop to answer."""
        if len(self._elements) < count and not self._over:
            self._ask(count)
        over = self._over  # before looking at what is there: nothing comes after it
        there = min(len(self._elements), count)
        if over and not there and self._error is not None:
            raise self._error
        return there if there or over else None

    def take(self, count: int) -> list[Any]:
        """Returns the next elements, ``count`` of them or as many as have arrived."""
        elements = self._elements
        part = [elements.popleft() for _ in range(min(count, len(elements)))]
        self._wanted = 0
        return part

    async def close(self) -> None:
        """Ends the reading and closes the source's iterator; returns when that is done, even if cancelled meanwhile."""
        self._closing = True
        if not self._over:
            self._task.cancel()
        await wait_until_done(self._task)

    def _ask(self, count: int) -> None:
        self._wanted = count
        if threading.get_ident() == self._thread:
            self._asked.set()
            return
        self._told.clear()
        self._loop.call_soon_threadsafe(self._asked.set)
        if not self._elements:
            self._told.wait(ANSWER_SECONDS)

    async def _read(self) -> None:
        iterator: AsyncIterator[Any] | None = None
        try:
            await self._enough()
            iterator = aiter(self._source)
            async for element in iterator:
                self._elements.append(element)
                if self._closing:
                    break
                if len(self._elements) >= self._wanted:
                    self._tell()
                    await self._enough()
                elif self._gathering is None:
                    self._gathering = self._loop.call_later(GATHER_SECONDS, self._tell)
        except GeneratorExit:
            raise  # the loop is gone
        except BaseException as error:
            if not self._closing:
                self._error = error
        self._over = True
        self._tell()
        await _close(iterator)

    async def _enough(self) -> None:
        """Waits as long as what was asked for is there."""
        while len(self._elements) >= self._wanted:
            await self._asked.wait()
            self._asked.clear()

    def _tell(self) -> None:
        if self._gathering is not None:
            self._gathering.cancel()
            self._gathering = None
        self._told.set()
        self._wake()


async def opened(
    stack: contextlib.AsyncExitStack, call: BoundCall, is_given_up: Callable[[], bool] = lambda: False
) -> BoundCall:
    """Returns a call with an `AsyncInput` in the place of each async iterable, and a `ThreadInput` for what may block.

    Waits for the first element where it decides how the argument is cut, unless it is given up. They are closed with the
    stack.
    """
    loop = running_loop(call.name)

    def tell(wake: Callable[[], None]) -> None:
        with contextlib.suppress(RuntimeError):  # the loop is closed, and nobody waits any more
            loop.call_soon_threadsafe(wake)

    distributed = []
    for argument in call.distributed:
        if is_asynchronous(argument.value):
            input_ = AsyncInput(argument.value)
            stack.push_async_callback(input_.close)
            argument = argument._replace(value=input_)
        distributed.append(argument)
    reader = stack.enter_context(Reader(call._replace(distributed=tuple(distributed)), tell))
    for argument in reader.call.distributed:
        if isinstance(argument.value, Arriving) and argument.parameter.role is Role.BATCH:
            await arrival(argument.value, is_given_up)
    return reader.call


async def arrival(arriving: Arriving, is_given_up: Callable[[], bool] = lambda: False) -> None:
    """Waits until the first element is there, it turns out that there is none, or nobody wants it any more."""
    arrived = asyncio.Event()
    arriving.call_on_arrival(arrived.set)
    while arriving.ready(1) is None and not is_given_up():
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(CANCEL_SECONDS):
                await arrived.wait()
        arrived.clear()


async def _close(iterator: AsyncIterator[Any] | None) -> None:
    close = getattr(iterator, "aclose", None)
    try:
        if close is not None:
            await close()
    except Exception:
        # It concerns no call, and must not stand in the way of what does.
        logging.getLogger("just_distribute").exception("closing an async iterable failed")


def _nobody() -> None:
    """Is told of arrivals before anybody wants to know."""
