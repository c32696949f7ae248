"""Workers that no run has."""

from __future__ import annotations

import select
from collections.abc import Callable, Iterator

from jd_compute.pool.worker import Worker
from jd_compute.transport import messages, output


class Idle:
    """The idle workers, in the order in which they became so."""

    def __init__(self) -> None:
        self._workers: dict[int, Worker] = {}  # by the file of their connection
        self._poller = select.poll()  # not epoll, whose set would be shared with forked children

    def __iter__(self) -> Iterator[Worker]:
        return iter(list(self._workers.values()))

    def __len__(self) -> int:
        return len(self._workers)

    def add(self, worker: Worker) -> None:
        """Adds a worker."""
        file = worker.channel.fileno()
        self._workers[file] = worker
        self._poller.register(file, select.POLLIN)

    def remove(self, worker: Worker) -> None:
        """Removes a worker."""
        file = worker.channel.fileno()
        del self._workers[file]
        self._poller.unregister(file)

    def last(self, can_use: Callable[[Worker], bool]) -> Worker | None:
        """Returns the worker of use that became idle last; what it needs is the most likely to be cached."""
        for worker in reversed(self._workers.values()):
            if can_use(worker):
                return worker
        return None

    def ready(self) -> list[Worker]:
        """Returns those that have said something, or have ended."""
        return [self._workers[file] for file, _ in self._poller.poll(0)]


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
