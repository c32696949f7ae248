"""`jd_core._execution.retries`: when calls start again that a service has refused; time passes only when it is told to."""

from __future__ import annotations

import functools
import heapq
import itertools
import random
import types
from collections import deque
from typing import TYPE_CHECKING

import pytest
from jd_core import Retry
from jd_core._execution import retries
from jd_core.backend import Chunk

if TYPE_CHECKING:
    from collections.abc import Callable

STEP = 0.001  # seconds after which who may not start asks again


class RefusedError(Exception):
    """A service's answer."""

    def __init__(self, seconds: float) -> None:
        super().__init__("later")
        self.retry_after = seconds


class OutOfOrder:
    """A service of which each seventh page, or each with a chance, is out of order at first."""

    def __init__(self, seconds: float, chance: float = 0.0) -> None:
        self.seconds = seconds
        self.chance = chance
        self.random = random.Random(1)
        self.seen: set[int] = set()

    def wait(self, now: float, page: int) -> float | None:
        """Returns None if it answers a call, else the seconds that it asks to wait."""
        is_first = page not in self.seen
        self.seen.add(page)
        broken = self.random.random() < self.chance if self.chance else page % 7 == 3
        return self.seconds if broken and is_first else None


class Window:
    """A service that takes so many calls in any second."""

    def __init__(self, per_second: int, later: int | None = None) -> None:
        self.allowed = per_second, later or per_second
        self.taken: deque[float] = deque()

    def wait(self, now: float, page: int) -> float | None:
        while self.taken and self.taken[0] <= now - 1.0:
            self.taken.popleft()
        if len(self.taken) < self.allowed[now > 3.0]:
            self.taken.append(now)
            return None
        return self.taken[0] + 1.0 - now


class Second(Window):
    """A service that takes so many calls from each full second to the next."""

    def wait(self, now: float, page: int) -> float | None:
        while self.taken and int(self.taken[0]) < int(now):
            self.taken.popleft()
        if len(self.taken) < self.allowed[now > 3.0]:
            self.taken.append(now)
            return None
        return int(now) + 1.0 - now


class Run:
    """The calls of a run that a service gets, in simulated time.

    Attributes:
        seconds: how long it takes.
        starts: when calls started.
        refused: how many were refused.
    """

    def __init__(
        self, clock: types.SimpleNamespace, service: OutOfOrder | Window, calls: int, workers: int, *, paced: bool = False
    ) -> None:
        self.starts: list[float] = []
        self.refused = 0
        again = retries.Retries(Retry(50), workers, "f", shared=True, paced=paced)
        ended: list[tuple[float, int, Chunk, float | None]] = []
        numbers, began, jitter = itertools.count(), clock.now, random.Random(2)
        new = settled = 0
        while settled < calls:
            while len(ended) < workers and again.may_start():
                chunk = again.due()
                if chunk is None and new < calls and again.room(new - settled) > 0:
                    chunk = Chunk(new, ([new],))
                    new += 1
                if chunk is None:
                    break
                again.started()
                self.starts.append(clock.now)
                wait = service.wait(clock.now - began, chunk.start)
                heapq.heappush(ended, (clock.now + 0.02 * jitter.uniform(0.8, 1.2), next(numbers), chunk, wait))
            if not ended or ended[0][0] > clock.now + STEP:
                clock.now += STEP
                continue
            clock.now, _, chunk, wait = heapq.heappop(ended)
            if wait is None:
                again.settle(chunk.start, 1)
                settled += 1
            else:
                again.attempt(RefusedError(wait), chunk.start, chunk)
                self.refused += 1
        self.seconds = clock.now - began

    def worst_second(self, begin: float) -> int:
        """Returns the most starts in any second, from so many seconds after the beginning on."""
        starts = [start for start in self.starts if start >= self.starts[0] + begin]
        return max(sum(first <= start < first + 1.0 for start in starts) for first in starts)


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch) -> Callable[..., Run]:
    """Runs calls in simulated time."""
    clock = types.SimpleNamespace(now=1000.0)
    monkeypatch.setattr(retries, "time", types.SimpleNamespace(monotonic=lambda: clock.now))
    monkeypatch.setattr(random, "uniform", lambda least, most: most)
    return functools.partial(Run, clock)


@pytest.mark.parametrize(("workers", "chance", "seconds"), [(4, 0.0, 4.0), (20, 0.0, 2.0), (20, 0.1, 2.0)])
def test_single_refusals_do_not_lower_the_rate(run, workers: int, chance: float, seconds: float):
    """Section 5: pages that are out of order are none of the others' business, once their wait is over."""
    assert run(OutOfOrder(0.1, chance), 150, workers).seconds <= seconds


@pytest.mark.parametrize("workers", [1, 4])
def test_a_run_that_keeps_to_a_rate_has_no_other(run, workers: int):
    """Section 6: with max_per_second="auto" each refusal holds up the run once, and the rest is that rate's affair."""
    pauses = 150 / 7 * 0.1
    assert run(OutOfOrder(0.1), 150, workers, paced=True).seconds <= 1.2 * (150 * 0.02 / workers + pauses)


@pytest.mark.parametrize("workers", [1, 4, 20])
@pytest.mark.parametrize(
    ("kind", "per_second", "later"),
    [(Window, 20, 20), (Window, 50, 50), (Second, 20, 20), (Second, 50, 50), (Second, 100, 50)],
)
def test_a_service_that_counts(run, kind: type[Window], per_second: int, later: int, workers: int):
    """Promise 14: it gets little more than it takes, and nearly as much as it takes; also if that halves."""
    found = run(kind(per_second, later), 6 * per_second, workers)
    assert found.worst_second(0.0) <= 2 * per_second
    assert found.worst_second(5.0) <= 1.5 * later
    assert found.refused <= 0.2 * 6 * per_second
    assert found.seconds <= (3.0 + 3.0 * per_second / later) / 0.7
