"""What `Distributed.stream`, `.as_completed` and `.astream` return: the results of a run, one after the other."""

from __future__ import annotations

import contextlib
import functools
import threading
import time
import warnings
from collections.abc import AsyncGenerator, Callable, Generator
from typing import Any, Generic, TypeVar

from jd_core._execution.feed import Stop
from jd_core._execution.run import Run, Target
from jd_core._planning.arguments import is_asynchronous
from jd_core._planning.binding import BoundCall
from jd_core._planning.thread_input import Reader, may_any_block
from jd_core.worker import is_inside_worker

#: Seconds between two looks of who closes a stream at whether another thread or task has left it.
LOOK_SECONDS = 0.002

R_co = TypeVar("R_co", covariant=True)
Results_co = TypeVar("Results_co", bound="Generator[Any, None, None] | AsyncGenerator[Any, None]", covariant=True)


class _Once(Generic[Results_co]):
    """Results that can be iterated once, and a warning if they never are: then no call was made.

    Args:
        name: the function's.
        results: the run's.
        stop: ends the run from another thread or task than that which waits for a result.
    """

    def __init__(self, name: str, results: Results_co, stop: Stop) -> None:
        self._name = name
        self._results = results
        self._stop = stop
        self._asked = False

    def _ask(self) -> Results_co:
        self._asked = True
        return self._results

    def __del__(self) -> None:
        """Warns if nothing was ever asked of it."""
        if not self._asked:
            warnings.warn(
                f"a stream of {self._name}() was never iterated, so none of its calls were made",
                RuntimeWarning,
                stacklevel=2,
                source=self,
            )


class Stream(_Once[Generator[R_co, None, None]], Generator[R_co, None, None]):
    """The results of a run, one after the other. Closing it, leaving its ``with`` block or dropping it cancels the rest."""

    def __iter__(self) -> Generator[R_co, None, None]:  # noqa: PYI058 - as Generator has it
        """Returns the results themselves: a loop over them then costs no Python call per result."""
        return self._ask()

    def __next__(self) -> R_co:
        """Returns the next result, waiting for it."""
        return next(self._ask())

    def send(self, value: None) -> R_co:
        """As `__next__`: nothing can be sent."""
        return next(self._ask())

    def throw(self, *error: Any) -> R_co:
        """Raises an exception inside, which cancels the run."""
        return self._ask().throw(*error)

    def close(self) -> None:
        """Cancels what has not finished; does nothing if all has. From any thread; a loop over the results then ends."""
        results: Any = self._ask()
        self._stop.set()
        # Not closed while it runs in another thread: Python 3.11 and 3.12 may crash then, instead of raising ValueError. No
        # thread switch comes between looking and closing.
        while results.gi_running:
            if self._stop.thread == threading.get_ident() or is_inside_worker():
                return  # it is called by the run itself, or by one of its calls, for which the run may wait
            time.sleep(LOOK_SECONDS)  # another thread is waiting for a result, and is about to leave
        results.close()

    def __enter__(self) -> Stream[R_co]:
        """Returns itself."""
        return self

    def __exit__(self, *error: object) -> None:
        """Closes."""
        self.close()


class AsyncStream(_Once[AsyncGenerator[R_co, None]], AsyncGenerator[R_co, None]):
    """As `Stream`, for ``async for``. Closing it, or leaving its ``async with`` block, returns when the run has ended."""

    def __aiter__(self) -> AsyncGenerator[R_co, None]:  # noqa: PYI058 - as AsyncGenerator has it
        """Returns the results themselves."""
        return self._ask()

    async def __anext__(self) -> R_co:
        """Returns the next result, waiting for it."""
        return await anext(self._ask())

    async def asend(self, value: None) -> R_co:
        """As `__anext__`: nothing can be sent."""
        return await anext(self._ask())

    async def athrow(self, *error: Any) -> R_co:
        """Raises an exception inside, which cancels the run."""
        return await self._ask().athrow(*error)

    async def aclose(self) -> None:
        """Cancels what has not finished; does nothing if all has. From any task; a loop over the results then ends."""
        import asyncio  # here, because the other ways do not need it

        results: Any = self._ask()
        self._stop.set()
        while results.ag_running:  # another task is waiting for a result, and is about to leave
            await asyncio.sleep(LOOK_SECONDS)
        await results.aclose()

    async def __aenter__(self) -> AsyncStream[R_co]:
        """Returns itself."""
        return self

    async def __aexit__(self, *error: object) -> None:
        """Closes."""
        await self.aclose()


def stream(name: str, target: Target, call: BoundCall, *, ordered: bool) -> Stream[Any]:
    """Returns the results of a call, in the order of the calls or as they finish; what may block is read in a thread."""
    stop = Stop()
    if not may_any_block(call):
        return Stream(name, target.start(call, stop=stop, ordered=ordered).stream(), stop)
    reader = Reader(call)
    start = functools.partial(target.start, reader.call, stop=stop, ordered=ordered)
    run = None if reader.decides else start()  # where no first element is needed for it, all is checked at once
    return Stream(name, _read_in_thread(reader, stop, run, start), stop)


def astream(name: str, target: Target, call: BoundCall) -> AsyncStream[Any]:
    """Returns the results of a call in the order of the calls, for a caller on an event loop."""
    stop = Stop()
    if may_any_block(call) or any(is_asynchronous(argument.value) for argument in call.distributed):
        return AsyncStream(name, _opened_stream(target, call, stop), stop)
    return AsyncStream(name, target.start(call, stop=stop).astream(), stop)


def _read_in_thread(reader: Reader, stop: Stop, run: Run | None, start: Callable[[], Run]) -> Generator[Any, None, None]:
    """Yields the results of a run whose input a thread reads; starts it if the first elements were needed for that."""
    with reader:
        stop.thread = threading.get_ident()
        for one in reader.decides:
            one.wait(stop.is_set)
        if not stop.is_set():
            yield from (run or start()).stream()


async def _opened_stream(target: Target, call: BoundCall, stop: Stop) -> AsyncGenerator[Any, None]:
    """Yields the results of a run whose input is read on the running loop."""
    from jd_core._planning.async_input import opened  # here, because it imports asyncio, which the other ways do not need
    from jd_core.backend.bridge import nested

    async with contextlib.AsyncExitStack() as stack:
        run = target.start(await opened(stack, call, stop.is_set), stop=stop)
        async for result in await stack.enter_async_context(nested(run.astream())):
            yield result
