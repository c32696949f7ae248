"""When and how often a failed call is attempted again, and how long to wait before."""

from __future__ import annotations

import contextlib
import math
import random
import time
from collections.abc import Callable
from dataclasses import dataclass

from jd_core.backend import Option

WHOLE = Option("a whole number of at least 1", (int,), lambda n: n >= 1)
SECONDS = Option("a number of seconds above 0", (int, float), lambda seconds: seconds > 0)


@dataclass(frozen=True, slots=True)
class Retry:
    """When and how often a failed call is attempted again.

    The wait before the k-th further attempt is ``initial * 2**(k-1)`` seconds, at most ``maximum``, of which the upper
    half is random ("equal jitter" of Marc Brooker, "Exponential Backoff and Jitter", AWS Architecture Blog, 2015). If the
    exception says how long to wait (see `retry_after`), it is at least so long. A waiting call occupies no worker.

    Attributes:
        attempts: further attempts after the first, at least 1: ``retries=3`` is ``Retry(3)``, at most four runs.
        on: exception type or types that are worth another attempt, or a callable that says so of an exception. Deaths
            of workers and timeouts are `WorkerDiedError` and `CallTimeoutError`.
        initial: seconds before the first further attempt.
        maximum: the longest wait, in seconds.
    """

    attempts: int
    on: type[BaseException] | tuple[type[BaseException], ...] | Callable[[BaseException], bool] = Exception
    initial: float = 0.1
    maximum: float = 30.0

    def __post_init__(self) -> None:
        """Raises a TypeError or ValueError that names the field, its value and what is allowed."""
        WHOLE.check("Retry.attempts", self.attempts)
        SECONDS.check("Retry.initial", self.initial)
        SECONDS.check("Retry.maximum", self.maximum)
        types = self.on if isinstance(self.on, tuple) else (self.on,)
        if not callable(self.on) and not all(isinstance(one, type) and issubclass(one, BaseException) for one in types):
            raise TypeError(f"distribute: Retry.on={self.on!r} must be exception types, or a callable of an exception")

    def again(self, error: BaseException, attempts_made: int) -> bool:
        """Returns whether a call that failed ``attempts_made`` times, at last with ``error``, is attempted again."""
        if attempts_made > self.attempts:
            return False
        if isinstance(self.on, (type, tuple)):
            return isinstance(error, self.on)
        return bool(self.on(error))

    def wait(self, error: BaseException, attempts_made: int) -> float:
        """Returns the seconds to wait after a call failed ``attempts_made`` times, at last with ``error``."""
        # The exponent is bounded because 2.0**1024 overflows; every maximum is reached long before.
        longest = min(self.maximum, self.initial * 2.0 ** min(attempts_made - 1, 60))
        return max(longest * random.uniform(0.5, 1.0), retry_after(error) or 0.0)


def retry_after(error: BaseException) -> float | None:
    """Returns how many seconds a server asks to wait, as far as its client's exception tells; None if it does not.

    Looks for an attribute ``retry_after`` in seconds, then for the header ``Retry-After`` (RFC 9110, 10.2.3: seconds or a
    date) among the ``headers`` of the exception (aiohttp, urllib) or of its ``response`` (httpx, requests).
    """
    seconds = getattr(error, "retry_after", None)
    if isinstance(seconds, (int, float)) and not isinstance(seconds, bool):
        return max(0.0, float(seconds))
    for holder in (error, getattr(error, "response", None)):
        get = getattr(getattr(holder, "headers", None), "get", None)
        value = get("Retry-After") if callable(get) else None
        if isinstance(value, str):
            return _seconds_until(value)
    return None


def _seconds_until(value: str) -> float | None:
    with contextlib.suppress(ValueError):
        seconds = float(value)  # whole ones, says the RFC; not every server does
        return max(0.0, seconds) if math.isfinite(seconds) else None
    import datetime  # here, because they are seldom needed and import much
    import email.utils

    try:
        date = email.utils.parsedate_to_datetime(value)
    except ValueError:
        return None
    if date.tzinfo is None:
        date = date.replace(tzinfo=datetime.UTC)  # as RFC 9110, 5.6.7, has it for dates that name none
    return max(0.0, date.timestamp() - time.time())
