"""Plain functions under the web backend: in threads; an awaitable that one returns is awaited on the run's event loop."""

from __future__ import annotations

import asyncio
import concurrent.futures
import threading
from collections.abc import Coroutine
from typing import Any, TypeAlias

from jd_core.backend import Work
from jd_core.backend.bridge import wait_until_done
from jd_core.inprocess.call_queue import CallQueue
from jd_core.inprocess.threads import ThreadWorkers
from jd_core.worker import plain, release, uncounted

from jd_web.calls import TimeLimits

#: What awaiting led to: a result, or else an error.
_Outcome: TypeAlias = tuple[Any, BaseException | None]

#: Seconds between two looks at whether the threads have ended, on the caller's loop.
_LOOK_SECONDS = 0.0005


class LoopThreadWorkers(ThreadWorkers):
    """The threads of one run of a plain function.

    Args:
        queue: the calls.
        work: what is the same for all of them.
        loop: where awaitables that the function returns are awaited.

    Attributes:
        closing: `close` has begun to run, so the loop is not blocked.
    """

    def __init__(self, queue: CallQueue, work: Work, loop: asyncio.AbstractEventLoop) -> None:
        self.closing = False
        self._awaiting = awaiting = AwaitingCall(work, loop)
        rate = work.options.get("max_per_second")
        super().__init__(queue, work, awaiting.call, rate, prefix="just-distribute-web", release=awaiting.release)

    @property
    def are_on_loop(self) -> bool:
        """Whether there is anything for `close` to end on the loop."""
        return self._awaiting.awaits

    def stop(self) -> None:
        """Lets nothing further start or be awaited."""
        super().stop()
        self._awaiting.stop()

    async def close(self) -> None:
        """Cancels what is awaited, and returns when that and the threads have ended; slow threads are left behind."""
        self.closing = True
        # The loop may be closed after this. A task that starts now has its turn after all that was handed over.
        await wait_until_done(*self._awaiting.cancel(), asyncio.ensure_future(self._end()))

    async def _end(self) -> None:
        while self.are_ending():
            await asyncio.sleep(_LOOK_SECONDS)


class AwaitingCall:
    """The calls of a plain function in threads. If one returns an awaitable, the loop awaits it.

    Lambdas and decorators around coroutine functions do not show that they return awaitables.

    Attributes:
        awaits: whether a call has returned an awaitable.
        call: makes one call, in the current thread.
    """

    def __init__(self, work: Work, loop: asyncio.AbstractEventLoop) -> None:
        self.awaits = False
        self.call = plain(work.function, work.constants, run=self._run)
        self._loop = loop
        self._limits = None if work.timeout is None else TimeLimits(work)
        self._tasks: set[asyncio.Task[_Outcome]] = set()  # belong to the loop's thread
        self._stopped = False
        self._handing_over = threading.Lock()  # held while an awaitable is, so that none is after `stop`

    def release(self) -> None:
        """Closes what this thread has made for the call."""
        release(self.call)

    def stop(self) -> None:
        """Lets nothing further be awaited. From any thread."""
        with self._handing_over:
            self._stopped = True

    def cancel(self) -> list[asyncio.Task[_Outcome]]:
        """Cancels what is awaited, and returns the tasks that await it. What was handed over after `stop` never begins."""
        for task in self._tasks:
            task.cancel()
        return [*self._tasks]

    def _run(self, coroutine: Coroutine[Any, Any, Any]) -> Any:
        outcome: concurrent.futures.Future[_Outcome] = concurrent.futures.Future()
        with self._handing_over:
            if self._stopped:
                coroutine.close()
                raise concurrent.futures.CancelledError
            self.awaits = True
            self._loop.call_soon_threadsafe(self._begin, coroutine, outcome)
        with uncounted():  # from here on its time is kept on the loop, which somebody may block
            result, error = outcome.result()
        if error is not None:
            raise error
        return result

    def _begin(self, coroutine: Coroutine[Any, Any, Any], outcome: concurrent.futures.Future[_Outcome]) -> None:
        limited = coroutine if self._limits is None else self._limits.limited(lambda: coroutine)()

        def end(task: asyncio.Task[_Outcome] | None) -> None:
            if task is not None:
                self._tasks.discard(task)
            for each in (limited, coroutine):
                each.close()  # one that never ran would cause a warning
            if task is None or task.cancelled():
                outcome.cancel()
            else:
                outcome.set_result(task.result())

        if self._stopped:
            end(None)
            return
        task = asyncio.Task(_outcome_of(limited), loop=self._loop)
        self._tasks.add(task)
        task.add_done_callback(end)


async def _outcome_of(coroutine: Coroutine[Any, Any, Any]) -> _Outcome:
    """Returns the result or the error: SystemExit and its like are the call's, and would end the loop as a task's."""
    try:
        return await coroutine, None
    except asyncio.CancelledError:
        raise
    except BaseException as error:
        return None, error
