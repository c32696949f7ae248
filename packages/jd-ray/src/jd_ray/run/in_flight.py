"""The tasks of a run that are in flight: which worker's number each has, and waiting until some of them have ended."""

from __future__ import annotations

import contextlib
import functools
import queue
from collections import deque
from typing import Any

from jd_core.backend import Work

from jd_ray.connection.session import Session
from jd_ray.run.submission import Sent

#: The outcomes of more tasks in flight are taken together, since Ray looks at each task for every answer.
MANY = 32


class InFlight:
    """Tasks that were submitted and have not ended; used by one thread.

    Args:
        ray: the module, connected.
        work: what the core handed over.
        session: asks Ray.
    """

    def __init__(self, ray: Any, work: Work, session: Session) -> None:
        self._ray = ray
        self._work = work
        self._session = session
        self._sent: dict[Any, Sent] = {}
        self._numbers: deque[int] = deque()  # of workers; that whose task ended first comes first
        self._told: queue.SimpleQueue[Any] = queue.SimpleQueue()  # a task that has ended; None: there may be input
        self._tell: set[Any] = set()  # tasks whose end is told
        if work.on_input is not None:
            work.on_input(lambda: self._told.put(None))

    def __len__(self) -> int:
        return len(self._sent)

    def __contains__(self, ref: Any) -> bool:
        return ref in self._sent

    def next_number(self) -> int:
        """Returns the number of the worker that is to run the next task."""
        if not self._numbers:
            self._numbers.extend(range(self._work.workers))
        return self._numbers.popleft()

    def add(self, sent: Sent) -> None:
        """Records that a task was submitted."""
        self._sent[sent.outcome] = sent

    def remove(self, ref: Any) -> Sent:
        """Records that a task ended, or is about to; returns what was submitted."""
        sent = self._sent.pop(ref)
        self._tell.discard(ref)
        self._numbers.append(sent.number)
        return sent

    def clear(self) -> list[Any]:
        """Forgets all tasks; returns them."""
        left = list(self._sent)
        self._sent.clear()
        return left

    def dereferences(self) -> bool:
        """Returns whether any task waits for objects that it is passed references to."""
        return any(sent.dereferences for sent in self._sent.values())

    def ended(self, seconds: float, together: int = 1) -> list[Any]:
        """Waits at most so long for so many tasks; returns those that have ended."""
        refs = list(self._sent)
        count = min(together, len(refs))
        ready, _ = self._session.ask(lambda: self._ray.wait(refs, num_returns=count, timeout=seconds))
        if ready and len(refs) > MANY:
            ready, _ = self._session.ask(lambda: self._ray.wait(refs, num_returns=len(refs), timeout=0))
        return list(ready)

    def ended_unless_input(self, seconds: float) -> list[Any]:
        """As `ended`, but input that may have come ends the wait, too; then there may be no task that has ended.

        ``ray.wait`` cannot be woken, and would have to be asked again every few milliseconds.
        """
        if self._work.on_input is None and self._sent:
            return self.ended(seconds)
        self._session.check()
        for ref in self._sent.keys() - self._tell:
            self._session.ask(functools.partial(self._tell_of, ref))
        found: list[Any] = []
        with contextlib.suppress(queue.Empty):
            found.append(self._told.get(timeout=seconds))
            while True:
                found.append(self._told.get_nowait())
        return [ref for ref in dict.fromkeys(found) if ref in self._sent]

    def _tell_of(self, ref: Any) -> None:
        self._tell.add(ref)
        ref.future().add_done_callback(lambda _: self._told.put(ref))
