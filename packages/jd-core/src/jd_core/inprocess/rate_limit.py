"""Keeps calls to a rate: what ``max_per_second`` of the backends that run in this process does.

Why no library does it: what threads and tasks can share is what here gives a time and waits for nothing, so that whoever
waits can be woken when the run ends. pyrate-limiter (4.5) lets all of a second's calls start at once, and its wait in a
thread cannot be ended; aiolimiter (1.3) is for event loops alone, and lags by a tenth at 1,000 calls per second. Either
would be the only thing that jd-core needs to have installed.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

from jd_core.backend import Option

#: How ``max_per_second`` is declared by a backend that has it.
MAX_PER_SECOND = Option("a number above 0", (int, float), lambda value: value > 0)

#: Seconds by which starts may lag behind and be made up for at once: about what a busy machine wakes a worker late.
LATENESS_SECONDS = 0.02


class Pacer:
    """Spaces the starts of the calls of one run evenly, over all its workers.

    In any time of ``T`` seconds at most ``1 + per_second * (T + LATENESS_SECONDS)`` calls start. It is the generic cell
    rate algorithm (ITU-T Recommendation I.371, Annex A, "virtual scheduling"): each call is given the moment at which
    it may start, so waiting calls do not race for a token, and whoever waits sleeps once, in whatever way it can.

    Args:
        per_second: starts per second, above 0.
        clock: gives seconds that never go back.
    """

    def __init__(self, per_second: float, clock: Callable[[], float] = time.monotonic) -> None:
        self._interval = 1.0 / per_second
        self._clock = clock
        self._lock = threading.Lock()
        self._next: float | None = None

    def delay(self) -> float:
        """Reserves the next start and returns the seconds until then; 0.0: now."""
        with self._lock:
            now = self._clock()
            start = now if self._next is None else max(self._next, now - LATENESS_SECONDS)
            self._next = start + self._interval
        return max(0.0, start - now)
