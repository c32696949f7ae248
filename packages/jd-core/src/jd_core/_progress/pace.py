"""How long the rest of a run will take."""

from __future__ import annotations

import time
from collections.abc import Callable

_clock = time.monotonic


class Pace:
    """Estimates the remaining time of a run from what its calls took, and not from the time that workers took to start.

    Args:
        workers: how many calls run at once.
        calls_in: returns how many calls take so many seconds, as was measured lately; None if nothing was.
    """

    def __init__(self, workers: int, calls_in: Callable[[float], int | None]) -> None:
        self._workers = workers
        self._calls_in = calls_in
        self._first: tuple[float, int] | None = None  # when the first results came, and how many

    def remaining(self, done: int, total: int) -> float | None:
        """Returns about how many seconds the calls that are left will take; None if nothing is known.

        That is what they take one by one, shared by the workers. It is longer where results come more slowly than that: when
        workers wait for input, for a rate, or for whoever takes the results.

        Args:
            done: calls that are done.
            total: number of calls of the run.
        """
        left = total - done
        if left <= 0:
            return 0.0
        now = _clock()
        if self._first is None and done:
            self._first = now, done
        # Of so many seconds that the number of calls in them, a whole one, is exact enough.
        seconds, calls = 1e3, self._calls_in(1e3)
        if calls is None:
            return None
        by_calls = left * seconds / calls / self._workers
        if self._first is None or done == self._first[1]:
            return by_calls
        return max(by_calls, left * (now - self._first[0]) / (done - self._first[1]))
