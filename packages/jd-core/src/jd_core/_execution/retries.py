"""The calls of a run that are attempted again: which wait, for how long, and what may start meanwhile.

A service that fails must not get a first attempt at the whole input. So calls that wait count as in flight: no more than
``workers`` are being retried, beside as many others. Where a worker runs whole chunks, each of which ends with its first
failed call, that holds from the first failure to the next success: calls that fail now and then do not stop the others.

And if a failure says when to come back (``Retry-After``), nothing of the run starts before. Afterwards calls start one after
the other, at the rate at which they succeeded before; it grows until the service refuses again. All goes on as before where
``max_per_second="auto"`` keeps to a rate already, and where calls succeed that were under way: it was one call's affair.
"""

from __future__ import annotations

import heapq
import sys
import threading
import time
from collections import deque
from typing import NamedTuple

from jd_core._options.retry import Retry
from jd_core.backend import Chunk
from jd_core.refusals import retry_after

#: Calls per worker that may be retried at once while others succeed, where a worker runs whole chunks: with fewer, a run of
#: short calls of which one in a hundred fails would mostly wait.
MOST_PER_WORKER = 16

#: What waited for a service is spread over at most so many seconds after the pause.
SPREAD_SECONDS = 1.0

#: How the rate grows after a pause, per second, and for how many seconds; then it is no limit any more.
GROWTH = 1.25
GROWING_SECONDS = 60.0

#: A refusal is one call's affair if more than so many calls that were under way succeed for each that is refused, too. TCP
#: takes a single packet for lost when three that were sent later have arrived (RFC 5681, 3.2).
SUCCESSES_FOR_EACH_REFUSAL = 3

#: A start that is late by at most so many seconds is made up for: a backend that has nothing to start asks that often.
LATE_SECONDS = 0.02


class _Waiting(NamedTuple):
    """A call that waits for another attempt.

    Attributes:
        due: when, in monotonic seconds.
        number: the call's index.
        made: how many attempts were made.
        chunk: holds that one call.
    """

    due: float
    number: int
    made: int
    chunk: Chunk


class Retries:
    """The calls of one run that are attempted again.

    Args:
        rule: which, when and how often.
        workers: how many calls run at once.
        name: the function's, for the log.
        shared: whether workers share the calls of a chunk, so that it costs little to have chunks of one call.
        paced: whether the calls keep to a rate that falls when one is refused.
    """

    def __init__(self, rule: Retry, workers: int, name: str, *, shared: bool, paced: bool) -> None:
        self._rule = rule
        self._workers = workers
        self._shared = shared
        self._attempts: dict[int, int] = {}  # failed attempts of each call that is being retried
        self._waiting: list[_Waiting] = []  # heap, of those of them that are not with the backend
        self._queued: deque[_Waiting] = deque()  # until fewer are being retried
        self._succeeded = 0
        self._failed_in_a_row = 0
        self._pause = Pause(name, paced=paced)

    @property
    def waiting(self) -> int:
        """How many calls wait for another attempt."""
        return len(self._waiting) + len(self._queued)

    def resize(self, workers: int, *, shared: bool) -> None:
        """Has so many calls run at once from here on; see the class."""
        self._workers = workers
        self._shared = shared

    def attempt(self, error: Exception, index: int, chunk: Chunk) -> bool:
        """Keeps a failed call for another attempt.

        Args:
            error: its exception.
            index: the call's.
            chunk: the chunk that holds it.

        Returns:
            Whether there will be one.
        """
        made = self._attempts.pop(index, 0) + 1
        asked = retry_after(error)
        if asked is not None:
            self._pause.ask(asked, self._rule.maximum_retry_after, self._succeeded)
        again = self._rule.again(error, made)
        if again:
            columns = tuple([argument] for argument in chunk.arguments(index - chunk.start))
            call = _Waiting(time.monotonic() + self._rule.wait(error, made), index, made, Chunk(index, columns))
            # One that is being retried goes on: what fails for good is to be known soon.
            (self._queued.appendleft if made > 1 else self._queued.append)(call)
        else:
            self._succeeded -= 1  # it will be settled, without having succeeded
        self._retry_next()
        self._failed_in_a_row += 1
        return again

    def settle(self, start: int, calls: int) -> None:
        """Records that ``calls`` calls from ``start`` on need no further attempt."""
        self._succeeded += calls
        self._failed_in_a_row = 0
        self._attempts.pop(start, None)  # what is attempted again is alone in its chunk
        self._retry_next()

    def room(self, in_flight: int) -> int:
        """Returns how many new calls may start, given how many started and are not settled, those that wait included."""
        waiting = self.waiting
        if self._shared or self._pause.is_set:
            return min(1, 2 * self._workers - in_flight, self._workers - (in_flight - waiting))
        if self._failed_in_a_row:
            return 2 * self._workers - self._failed_in_a_row - (in_flight - waiting)
        return sys.maxsize if waiting < MOST_PER_WORKER * self._workers else 0

    def may_start(self) -> bool:
        """Returns whether calls may start now, as far as the service has said."""
        return not self._pause.is_set or self._pause.lets_start(self._succeeded, self.waiting)

    def due(self) -> Chunk | None:
        """Returns a call whose wait is over; None if there is none."""
        if self._waiting and self._waiting[0].due <= time.monotonic():
            return heapq.heappop(self._waiting).chunk
        return None

    def started(self) -> None:
        """Records that a chunk was handed out."""
        if self._pause.is_set:
            self._pause.started()

    def _retry_next(self) -> None:
        """Retries as many of those that are queued as may be retried at once."""
        succeeding = not self._shared and self._failed_in_a_row < self._workers
        most = (MOST_PER_WORKER if succeeding else 1) * self._workers
        while self._queued and len(self._attempts) < most:
            call = self._queued.popleft()
            self._attempts[call.number] = call.made
            heapq.heappush(self._waiting, call)


class Pause:
    """What a service has asked of a run: nothing starts for a while, and then calls at a limited rate.

    All times are on the monotonic clock.

    Args:
        name: the function's, for the log.
        paced: whether calls keep to a rate of their own.

    Attributes:
        is_set: whether there was such a wish, and it still matters.
    """

    def __init__(self, name: str, *, paced: bool) -> None:
        self.is_set = False
        self._name = name
        self._paced = paced
        self._logged = False
        self._began = self._until = self._seconds = 0.0
        self._refused = 0  # wishes in this pause
        self._by_then = 0  # calls that had succeeded when it began
        self._before: float | None = None  # the rate when it began; None: there was no limit
        self._since = time.monotonic()  # when the run began, or the last pause ended
        self._succeeded = 0  # calls by then
        self._rate: float | None = None  # calls per second just after the pause; None while it lasts
        self._next = 0.0  # when the next call may start
        self._lock = threading.Lock()  # the service may ask while a backend pulls in another thread

    def ask(self, seconds: float, most: float, succeeded: int) -> None:
        """Lets nothing start for so many seconds, at most ``most``; ``succeeded`` calls of the run have succeeded by now."""
        self._log(seconds, most)
        with self._lock:
            now = time.monotonic()
            if not self.is_set or self._rate is not None:
                self._began, self._until = now, 0.0
                self._refused, self._by_then = 0, succeeded
                self._before = None if self._rate is None else self._grown(self._rate, now)
            self.is_set, self._rate = True, None
            self._refused += 1
            self._seconds = min(seconds, most)
            self._until = max(self._until, now + self._seconds)

    def lets_start(self, succeeded: int, waiting: int) -> bool:
        """Returns whether a call may start now.

        Args:
            succeeded: calls of the run that have succeeded.
            waiting: calls that wait for another attempt.
        """
        with self._lock:
            now = time.monotonic()
            if now < self._until:
                return False
            if self._rate is None:
                self._rate = self._resumed(succeeded, waiting)
                self._since, self._succeeded = self._until, succeeded
            if now - self._since >= GROWING_SECONDS:
                self._rate = None
            self.is_set = self._rate is not None
            return not self.is_set or now >= self._next

    def _resumed(self, succeeded: int, waiting: int) -> float | None:
        """Returns the rate after a pause; None if there is to be no limit."""
        if self._paced or succeeded - self._by_then > SUCCESSES_FOR_EACH_REFUSAL * (self._refused - 1):
            return self._before
        seconds = self._began - self._since + min(self._seconds, SPREAD_SECONDS)
        return max(succeeded - self._succeeded or waiting, 1) / max(seconds, LATE_SECONDS)

    def _grown(self, rate: float, now: float) -> float:
        return float(rate * GROWTH ** (now - self._since))

    def started(self) -> None:
        """Records that a call started: the next one has to wait."""
        rate, now = self._rate, time.monotonic()
        if rate is None:
            return  # the service has asked again since it let the call start, in the thread that takes results
        self._next = max(self._next, now - LATE_SECONDS) + 1 / self._grown(rate, now)

    def _log(self, seconds: float, most: float) -> None:
        if not self._logged:
            import logging  # here, because it costs more to import than all of this folder

            self._logged = True
            capped = f"; Retry(maximum_retry_after={most:g}) makes it {most:g} s" if seconds > most else ""
            logging.getLogger("just_distribute").warning(
                "%s(): what it calls asks to be left alone for %g s (Retry-After)%s; no call of the run starts before that",
                self._name,
                seconds,
                capped,
            )
