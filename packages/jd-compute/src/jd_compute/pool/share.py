"""What one run has of the pool."""

from __future__ import annotations

import threading
from dataclasses import dataclass, field

from jd_compute.pool.launcher import Settings
from jd_compute.pool.worker import Worker


@dataclass(slots=True, eq=False)
class Share:
    """A run's part of the pool; the pool's lock guards it.

    Attributes:
        settings: what its workers have in common.
        most: how many workers the run may have.
        held: how many it has.
        granted: a worker that it waited for, and has not taken yet.
        to_start: how many workers it waited for, and may start now.
        turn_began: when it got the first of those that it has, on the monotonic clock.
        waits_since: when it began to wait for a worker, having none.
        wanted_more: when it last asked for a worker and got none, having some.
        changed: set when it is given what it waits for.
    """

    settings: Settings
    most: int
    held: int = 0
    granted: Worker | None = None
    to_start: int = 0
    turn_began: float = 0.0
    waits_since: float = 0.0
    wanted_more: float = float("-inf")
    changed: threading.Event = field(default_factory=threading.Event)
