"""How many tasks of a run are in flight, as the cluster grows and shrinks; and the warning where none of them starts."""

from __future__ import annotations

import functools
import logging
import time
from collections.abc import Callable
from typing import Any

from jd_core.backend import Work

from jd_ray.cluster import capacity, waiting
from jd_ray.cluster.started_tasks import Starts
from jd_ray.connection.session import Session

logger = logging.getLogger("just_distribute.ray")

#: Seconds without any call having started after which a warning says what is asked for and what is there.
WAITING_SECONDS = 10.0

#: Outcomes that are expected within so many seconds are taken together.
TOGETHER_SECONDS = 0.25

#: Seconds between two looks at the size of the cluster.
GROWTH_SECONDS = 2.0


class Window:
    """How many tasks may be in flight, so that no more than the run's workers run at once.

    Where the cluster cannot run more than that anyway, half as many again wait there for a free worker. Once a cluster has
    changed its size, it may have an autoscaler, which starts nodes for as many calls as it sees waiting: then there are
    never fewer than for `capacity.EXPECTED` workers.

    Args:
        ray: the module, connected.
        work: what the core handed over.
        session: asks Ray.
        starts: tells whether any task has begun.

    Attributes:
        size: number of tasks.

    Raises:
        BackendError: no call can ever start.
    """

    def __init__(self, ray: Any, work: Work, session: Session, starts: Starts) -> None:
        self._ray = ray
        self._work = work
        self._session = session
        self._starts = starts
        waiting.check(ray, work.name, work.options)
        self._looked = time.monotonic()
        self._warn_at: float | None = self._looked + WAITING_SECONDS
        self._workers = work.workers
        self._offered = session.ask(self._offered_now) if work.workers_given else work.workers
        self._changes = False  # whether the cluster has changed its size
        self.size = self._size_for(self._offered)

    def look(self, dereferences: Callable[[], bool]) -> None:
        """Follows the size of the cluster, and warns where nothing could be started for long; to be called often.

        Args:
            dereferences: returns whether calls wait for objects that they are passed references to.
        """
        now = time.monotonic()
        if now - self._looked > GROWTH_SECONDS:
            self._looked = now
            self._follow()
        if self._warn_at is not None and now > self._warn_at:
            self._warn_at = None
            if not self._session.ask_head(self._starts.any, True) and self._session.answers():
                logger.warning(self._session.ask(functools.partial(self._warning, dereferences())))

    def together(self, in_flight: int, seconds: float) -> int:
        """Returns how many tasks to wait for where nobody waits for the first: tasks that wait for a worker bridge the time.

        Each time that the caller wakes up costs it more than a task.

        Args:
            in_flight: number of tasks that are.
            seconds: what the calls of a task take; 0 if that is not known.
        """
        workers = min(self._offered, self._workers)
        quick = TOGETHER_SECONDS * workers / seconds if seconds else 1
        # While others are submitted, workers have a quarter of those that wait.
        return int(max(1, min((in_flight - workers) * 3 // 4, quick)))

    def started(self) -> None:
        """Records that a task ended, so that there is nothing to warn of."""
        self._warn_at = None

    def _warning(self, dereferences: bool) -> str:
        work = self._work
        return waiting.warning(self._ray, work.name, work.options, WAITING_SECONDS, dereferences=dereferences)

    def _follow(self) -> None:
        offered = self._session.ask_head(self._offered_now, self._offered)
        self._changes = self._changes or offered != self._offered
        self._offered = offered
        workers = max(offered, capacity.EXPECTED) if self._changes else offered
        size, self.size = self.size, self._size_for(workers)
        if size != self.size and self._work.resized is not None and not self._work.workers_given:
            self._work.resized(workers)

    def _offered_now(self) -> int:
        return capacity.offered(self._ray, self._work.options)

    def _size_for(self, offered: int) -> int:
        if not self._work.workers_given:
            self._workers = offered
        return self._workers + (self._workers + 1) // 2 if self._workers >= offered else self._workers
