"""Keeps calls to a rate: what ``max_per_second`` of the backends that run in this process does.

Why no library does it: threads and event loops can only share something that says when a call may start and waits for
nothing itself, so that whoever waits can be woken when the run ends. pyrate-limiter (4.5) lets all of a second's calls start
at once, and its wait in a thread cannot be ended; aiolimiter (1.3) is for event loops alone, and lags by a tenth at 1,000
calls per second. Either would be the only package that jd-core depends on.
"""

from __future__ import annotations

import functools
import threading
import time
from collections.abc import Callable
from typing import Any, Literal

from jd_core.backend import Option, check_exceptions
from jd_core.backend.option import PER_SECOND
from jd_core.inprocess.congestion import CongestionControl
from jd_core.refusals import is_refusal, retry_after

_NUMBER = Option("a number above 0", (int, float), lambda value: value > 0)

#: Seconds by which starts may lag behind and be made up for at once: about what a busy machine wakes a worker late.
LATENESS_SECONDS = 0.02

#: The longest time that a refusal's ``Retry-After`` holds up a rate, in seconds.
LONGEST_PAUSE = 300.0


class Rate:
    """A limit to how many calls start per second, to be shared: by functions that call the same service.

    As in ``orders = Rate(50)`` and ``@distribute(job="web", max_per_second=orders)`` on each of them. It holds over all
    runs, threads and event loops of this process. ``max_per_second=50`` makes one for the function, and for the copies that
    ``.options`` makes of it without another ``max_per_second``.

    In any time of ``T`` seconds at most ``1 + per_second * (T + LATENESS_SECONDS)`` calls start, evenly spaced. It is the
    generic cell rate algorithm (ITU-T Recommendation I.371, Annex A, "virtual scheduling"). A start is granted at the moment
    of the start and never ahead of it: after an event loop was blocked, calls that waited meanwhile do not start together,
    and a run that is cancelled while it waits takes no other run's turn.

    ``Rate("auto")`` finds the rate: it grows with the calls that succeed, and falls when the service refuses one
    (`jd_core.inprocess.congestion` has the figures and their sources). A call is refused if it raises an exception with the
    status 429 or 503, or with a ``Retry-After``, which holds up the next start; or one of ``slow_down_on``. One without a
    ``Retry-After``, for ten successes, is put down to the call.

    Args:
        per_second: starts per second, above 0, or "auto".
        slow_down_on: what else is a refusal, for "auto": an exception type, a tuple of them, or a callable of an exception.
        minimum: the lowest rate that "auto" falls to, per second.
        maximum: the highest that it grows to.

    Raises:
        TypeError, ValueError: a value that is not allowed.
    """

    def __init__(
        self,
        per_second: float | Literal["auto"],
        *,
        slow_down_on: type[BaseException] | tuple[type[BaseException], ...] | Callable[[BaseException], bool] = (),
        minimum: float = 1.0,
        maximum: float = 10_000.0,
    ) -> None:
        PER_SECOND.check("Rate.per_second", per_second)
        _NUMBER.check("Rate.minimum", minimum)
        Option(f"a number, at least minimum={minimum!r}", (int, float), lambda value: value >= minimum).check(
            "Rate.maximum", maximum
        )
        check_exceptions("Rate.slow_down_on", slow_down_on)
        self._copy = functools.partial(Rate, per_second, slow_down_on=slow_down_on, minimum=minimum, maximum=maximum)
        self._slow_down_on = slow_down_on
        self._control = CongestionControl(minimum, maximum) if isinstance(per_second, str) else None
        self._given = per_second
        self._per_second = 0.0 if isinstance(per_second, str) else per_second
        self._clock: Callable[[], float] = time.monotonic
        self._lock = threading.Lock()
        self._next = float("-inf")  # on the clock: when the next call is to start

    @property
    def finds_itself(self) -> bool:
        """Whether it follows what becomes of the calls: "auto"."""
        return self._control is not None

    @property
    def per_second(self) -> float:
        """Starts per second; with "auto", at present."""
        return self._per_second if self._control is None else self._control.per_second

    def delay(self) -> float:
        """Returns 0.0 if a call may start now, which then counts as started; else the seconds after which to ask again."""
        with self._lock:
            now = self._clock()
            if now < self._next:
                if self._control is not None:
                    self._control.limits = True
                return self._next - now
            self._next = max(self._next, now - LATENESS_SECONDS) + 1.0 / self.per_second
            return 0.0

    def hear(self, began: float, error: BaseException | None) -> None:
        """Takes in what became of a call, which matters for "auto" alone.

        Args:
            began: when it started, on the monotonic clock.
            error: what it raised; None if it succeeded.
        """
        if self._control is None:
            return
        refused = error is not None and (self._slows_down(error) or is_refusal(error))
        seconds = (retry_after(error) or 0.0) if refused and error is not None else 0.0
        with self._lock:
            now = self._clock()
            if error is None:
                self._control.succeeded(now)
            elif refused and (seconds or not self._control.forgives()):  # one that says when limits the rate
                self._control.refused(began, now)
                self._next = max(self._next, now + min(seconds, LONGEST_PAUSE))

    def _slows_down(self, error: BaseException) -> bool:
        if isinstance(self._slow_down_on, (type, tuple)):
            return isinstance(error, self._slow_down_on)
        return bool(self._slow_down_on(error))

    def __repr__(self) -> str:
        return f"Rate({self._given!r})"

    def __reduce__(self) -> tuple[Any, ...]:
        """Pickles as a rate of its own: in another process it cannot be shared with this one."""
        return self._copy, ()
