"""Workers that no run has."""

from __future__ import annotations

import selectors
from collections.abc import Callable, Iterator

from jd_compute.pool.worker import Worker
from jd_compute.transport import messages, output


class Idle:
    """The idle workers, in the order in which they became so."""

    def __init__(self) -> None:
        self._workers: list[Worker] = []
        # Not epoll, whose set would be shared with forked children.
        self._selector: selectors.BaseSelector = getattr(selectors, "PollSelector", selectors.DefaultSelector)()

    def __iter__(self) -> Iterator[Worker]:
        return iter(list(self._workers))

    def __len__(self) -> int:
        return len(self._workers)

    def add(self, worker: Worker) -> None:
        """Adds a worker."""
        self._workers.append(worker)
        self._selector.register(worker.channel, selectors.EVENT_READ, worker)

    def remove(self, worker: Worker) -> None:
        """Removes a worker."""
        self._workers.remove(worker)
        self._selector.unregister(worker.channel)

    def last(self, can_use: Callable[[Worker], bool]) -> Worker | None:
        """Returns the worker of use that became idle last; what it needs is the most likely to be cached."""
        return next((worker for worker in reversed(self._workers) if can_use(worker)), None)

    def ready(self) -> list[Worker]:
        """Returns those that have said something, or have ended."""
        return [key.data for key, _ in self._selector.select(0)]


def hear(worker: Worker) -> bool:
    """Whether an idle worker still lives. On the way, what a thread of the user's printed late is shown."""
    try:
        while worker.channel.poll(0):
            message = worker.channel.receive()
            if message.kind == messages.ENDING:
                return False
            if message.kind == messages.OUTPUT:
                output.show(memoryview(message.body))
    except EOFError:
        return False
    return True
