"""Keeps calls to a rate: what ``max_per_second`` of the backends that run in this process does.

Why no library does it: threads and event loops can only share something that says when a call may start and waits for
nothing itself, so that whoever waits can be woken when the run ends. pyrate-limiter (4.5) lets all of a second's calls start
at once, and its wait in a thread cannot be ended; aiolimiter (1.3) is for event loops alone, and lags by a tenth at 1,000
calls per second. Either would be the only package that jd-core depends on.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

from jd_core.backend import Option

_PER_SECOND = Option("a number above 0", (int, float), lambda value: value > 0)

#: Seconds by which starts may lag behind and be made up for at once: about what a busy machine wakes a worker late.
LATENESS_SECONDS = 0.02


class Rate:
    """A limit to how many calls start per second, to be shared: by functions that call the same service.

    As in ``orders = Rate(50)`` and ``@distribute(job="web", max_per_second=orders)`` on each of them. It holds over all
    runs, threads and event loops of this process. ``max_per_second=50`` makes one for the function, and for the copies that
    ``.options`` makes of it without another ``max_per_second``.

    In any time of ``T`` seconds at most ``1 + per_second * (T + LATENESS_SECONDS)`` calls start, evenly spaced. It is the
    generic cell rate algorithm (ITU-T Recommendation I.371, Annex A, "virtual scheduling"). A start is granted at the moment
    of the start and never ahead of it: after an event loop was blocked, calls that waited meanwhile do not start together,
    and a run that is cancelled while it waits takes no other run's turn.

    Args:
        per_second: starts per second, above 0.

    Raises:
        TypeError, ValueError: ``per_second`` is not such a number.
    """

    def __init__(self, per_second: float) -> None:
        _PER_SECOND.check("Rate.per_second", per_second)
        self.per_second = per_second
        self._clock: Callable[[], float] = time.monotonic
        self._lock = threading.Lock()
        self._next = float("-inf")  # on the clock: when the next call is to start

    def delay(self) -> float:
        """Returns 0.0 if a call may start now, which then counts as started; else the seconds after which to ask again."""
        with self._lock:
            now = self._clock()
            if now < self._next:
                return self._next - now
            self._next = max(self._next, now - LATENESS_SECONDS) + 1.0 / self.per_second
            return 0.0

    def __repr__(self) -> str:
        return f"Rate({self.per_second!r})"

    def __reduce__(self) -> tuple[type[Rate], tuple[float]]:
        """Pickles as a rate of its own: in another process it cannot be shared with this one."""
        return Rate, (self.per_second,)


#: How ``max_per_second`` is declared by a backend that has it.
MAX_PER_SECOND = Option(
    "a number above 0, or a Rate",
    (int, float, Rate),
    lambda value: isinstance(value, Rate) or value > 0,
    lambda value: value if isinstance(value, Rate) else Rate(value),
)
