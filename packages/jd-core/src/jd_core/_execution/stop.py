"""How a run is ended, or woken, from outside."""

from __future__ import annotations

from collections.abc import Callable

from jd_core._planning.plan import Plan


class Stop:
    """Ends a run from any thread, as closing its generator does from the thread that takes results.

    Attributes:
        thread: takes the results of the run, since it was asked for them last.
        wake: wakes the run.
    """

    def __init__(self) -> None:
        self.thread = 0
        self._is_set = False
        self.wake: Callable[[], None] = _nobody

    def is_set(self) -> bool:
        """Returns whether the run is to end."""
        return self._is_set

    def set(self) -> None:
        """Ends the run; returns at once."""
        self._is_set = True
        self.wake()


def _nobody() -> None:
    """Is woken before anybody waits."""


def waking(plan: Plan, stop: Stop | None) -> Callable[[Callable[[], None]], None] | None:
    """Returns what takes the callable that wakes a backend's run; None if nothing ever has reason to."""
    if stop is None:
        return plan.call_on_arrival if plan.arriving else None

    def on_input(wake: Callable[[], None]) -> None:
        plan.call_on_arrival(wake)
        stop.wake = wake

    return on_input
