"""Lets calls start only while they fit into the memory that is left.

A worker that makes calls is reckoned to need what one call takes, less what it has got since its first: memory that it keeps
from earlier calls is there for the next one. The calls of all runs of this process count. One may always run alone.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Collection
from typing import Literal, NamedTuple

from jd_compute.memory.system import forget_peak, memory_left, memory_of


class _Promise(NamedTuple):
    """How many bytes a worker may come to have, and whether it has still something to do."""

    most: int
    is_at_work: Callable[[], bool]


#: By the process ids of workers that make calls.
_promised: dict[int, _Promise] = {}
_lock = threading.Lock()


class Gate:
    """The memory of one run's calls.

    Args:
        memory: bytes that a call takes at most; or "auto": as many as the calls so far have taken at most. Until one has
            ended, one runs at a time.
    """

    def __init__(self, memory: float | Literal["auto"]) -> None:
        self._learns = memory == "auto"
        self._call = 0 if memory == "auto" else int(memory)
        self._knows = not self._learns
        self._base: dict[int, int] = {}  # by process id, as the others: what a worker had before its first call
        self._last: dict[int, int] = {}  # what it had when it was looked at last

    def opens(self, process: int, is_at_work: Callable[[], bool]) -> bool:
        """Whether a worker may start a call now; then its memory is promised to it, until it is not at work, or `settle`."""
        with _lock:
            # A run whose consumer stands still does not look at what its workers have done.
            for other in [other for other, promise in _promised.items() if other != process and not promise.is_at_work()]:
                del _promised[other]
            if self._learns and process not in _promised:
                forget_peak(process)  # it may be of another run's calls
            has = 0
            if (size := memory_of(process)) is not None:
                has = self._last[process] = size.now
            most = self._base.setdefault(process, has) + self._call
            if _promised.keys() - {process} and not (self._knows and self._fits(process, most - has)):
                return False
            _promised[process] = _Promise(most, is_at_work)
            return True

    def settle(self, busy: Collection[int]) -> None:
        """Looks at how much memory workers have, and takes back what was promised to those that are not busy any more."""
        ours = self._base.keys() & _promised.keys()
        for process in ours:
            if (size := memory_of(process)) is not None:
                self._last[process] = size.now
                if self._learns:
                    self._call = max(self._call, size.most - self._base[process])
        with _lock:
            for process in ours - set(busy):
                _promised.pop(process, None)
                self._knows = True

    def last(self, process: int) -> int | None:
        """Returns how many bytes a worker had when it was looked at last."""
        return self._last.get(process)

    def close(self) -> None:
        """Takes back all that was promised to workers of this run."""
        with _lock:
            for process in self._base:
                _promised.pop(process, None)

    def _fits(self, process: int, bytes_: int) -> bool:
        outstanding = 0
        for other, promise in _promised.items():
            if other != process and (size := memory_of(other)) is not None:
                outstanding += max(0, promise.most - size.now)
        return max(0, bytes_) <= memory_left() - outstanding
