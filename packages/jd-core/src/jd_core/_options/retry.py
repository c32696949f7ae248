"""When and how often a failed call is attempted again, and how long to wait before."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from jd_core.backend import check_exceptions
from jd_core.backend.option import SECONDS, WHOLE
from jd_core.refusals import retry_after


@dataclass(frozen=True, slots=True)
class Retry:
    """When and how often a failed call is attempted again.

    The wait before the k-th further attempt is ``initial * 2**(k-1)`` seconds, at most ``maximum``, of which the upper
    half is random ("equal jitter" of Marc Brooker, "Exponential Backoff and Jitter", AWS Architecture Blog, 2015). If the
    exception says how long to wait (`jd_core.refusals`), it is at least so long, and no other call of the run starts
    meanwhile. A waiting call occupies no worker, but counts as one of the calls that are in flight: while a service is down,
    it gets no first attempts of ever more calls.

    Attributes:
        attempts: further attempts after the first, at least 1: ``retries=3`` is ``Retry(3)``, at most four runs.
        on: exception type or types that are worth another attempt, or a callable that says so of an exception. Deaths
            of workers and timeouts are `WorkerDiedError` and `CallTimeoutError`.
        initial: seconds before the first further attempt.
        maximum: the longest wait, in seconds, that is chosen here.
        maximum_retry_after: the longest wait, in seconds, that an exception can ask for.
    """

    attempts: int
    on: type[BaseException] | tuple[type[BaseException], ...] | Callable[[BaseException], bool] = Exception
    initial: float = 0.1
    maximum: float = 30.0
    maximum_retry_after: float = 300.0

    def __post_init__(self) -> None:
        """Raises a TypeError or ValueError that names the field, its value and what is allowed."""
        WHOLE.check("Retry.attempts", self.attempts)
        SECONDS.check("Retry.initial", self.initial)
        SECONDS.check("Retry.maximum", self.maximum)
        SECONDS.check("Retry.maximum_retry_after", self.maximum_retry_after)
        check_exceptions("Retry.on", self.on)

    def again(self, error: BaseException, attempts_made: int) -> bool:
        """Returns whether a call that failed ``attempts_made`` times, at last with ``error``, is attempted again."""
        if attempts_made > self.attempts:
            return False
        if isinstance(self.on, (type, tuple)):
            return isinstance(error, self.on)
        return bool(self.on(error))

    def wait(self, error: BaseException, attempts_made: int) -> float:
        """Returns the seconds to wait after a call failed ``attempts_made`` times, at last with ``error``."""
        import random  # here, because only waiting needs it, and it brings in hashlib

        # The exponent is bounded because 2.0**1024 overflows; every maximum is reached long before.
        longest = min(self.maximum, self.initial * 2.0 ** min(attempts_made - 1, 60))
        asked = min(retry_after(error) or 0.0, self.maximum_retry_after)
        return max(longest * random.uniform(0.5, 1.0), asked)
