"""Finds out how many calls per second a service takes, as TCP finds out what a network takes.

Additive increase, multiplicative decrease: the rate grows with every call that succeeds, and falls when one is refused.
"""

from __future__ import annotations

#: Calls per second at first: what the smallest services allow.
START_PER_SECOND = 10.0

#: Until the first refusal each success adds so much, so that the rate multiplies in each second: "slow start" (RFC 5681,
#: 3.1), with twice its step, since here a round takes a second and not a packet's way there and back.
SLOW_START_STEP = 2.0

#: A refusal before so many successes does not end it, since a service that is still starting says nothing of what it allows.
#: After the loss of its first packets TCP begins low, but still with a slow start (RFC 5681, 3.1, on a lost SYN).
PROVEN = 10

#: After it, the successes of a second together add so many calls per second, but at least such a part of the rate (the
#: additive increase of RFC 5681, 3.1, which must suit services of every size).
STEP, STEP_PART = 0.25, 0.02

#: With the seconds ``t`` since the last refusal that part grows, ``STEP_GROWTH * t**2``: a rate that is far too low, after a
#: refusal that had another reason, or for a service that allows more than before, is left ever faster (CUBIC, RFC 9438, 4.2,
#: whose rate grows by the square of the time, too).
STEP_GROWTH = 0.0002

#: What is left of the rate after the refusal that ends slow start, whose rate may be twice what is allowed (RFC 5681, 3.1),
#: and after a later one (CUBIC, RFC 9438, 4.6).
FIRST_DECREASE, DECREASE = 0.5, 0.7

#: Seconds after a decrease in which there is no other one, as TCP decreases once per round (RFC 5681, 3.2): services that
#: count by the second refuse all that comes until the second is over.
ROUND_SECONDS = 1.0

#: For so many successes one refusal is put down to the call and not to the rate, and at most so many in a row: services
#: refuse single calls for reasons of their own, at any rate. gRPC throttles retries by the same ratio (A6, "gRPC Retry
#: Design", tokenRatio).
SUCCESSES_PER_REFUSAL, MOST_SINGLE = 10, 2


class CongestionControl:
    """A rate that follows what becomes of the calls. Not thread-safe.

    Args:
        minimum: the lowest rate, in calls per second.
        maximum: the highest.

    Attributes:
        per_second: the rate.
        limits: whether a call had to wait for the rate since the last increase. A rate that holds up nobody says nothing of
            the service and does not grow (RFC 7661; Netflix's concurrency-limits have the same rule).
    """

    def __init__(self, minimum: float, maximum: float) -> None:
        self.per_second = min(max(START_PER_SECOND, minimum), maximum)
        self.limits = False
        self._minimum = minimum
        self._maximum = maximum
        self._slow_start = True
        self._succeeded = 0
        self._decreased = float("-inf")
        self._counted = 0  # successes, for refusals that say nothing of the rate

    def succeeded(self, now: float) -> None:
        """Records a call that succeeded."""
        self._succeeded += 1
        self._counted = min(self._counted + 1, MOST_SINGLE * SUCCESSES_PER_REFUSAL)
        if not self.limits:
            return
        self.limits = False
        step = SLOW_START_STEP
        if not self._slow_start:
            grown = STEP_GROWTH * (now - self._decreased) ** 2
            step = min(max(STEP / self.per_second, STEP_PART, grown), SLOW_START_STEP)
        self.per_second = min(self.per_second + step, self._maximum)

    def forgives(self) -> bool:
        """Records a call that was refused without a reason; returns whether that is put down to the call."""
        if self._counted < SUCCESSES_PER_REFUSAL:
            return False
        self._counted -= SUCCESSES_PER_REFUSAL
        return True

    def refused(self, began: float, now: float) -> None:
        """Records a call that was refused, since there were too many.

        Args:
            began: when it started. What started before the last decrease says nothing of the rate since.
            now: the time, by the same clock.
        """
        if began < self._decreased or now - self._decreased < ROUND_SECONDS:
            return
        self.per_second = max(self.per_second * (FIRST_DECREASE if self._slow_start else DECREASE), self._minimum)
        self._slow_start = self._slow_start and self._succeeded < PROVEN
        self._decreased = now
