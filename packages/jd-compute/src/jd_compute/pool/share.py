"""What runs have of the pool: who may have how many workers, and whose turn it is."""

from __future__ import annotations

import threading
import time
import weakref
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from typing import TYPE_CHECKING, Any, NamedTuple

from jd_core.errors import BackendError, SerializationError

if TYPE_CHECKING:
    from jd_core.worker.surroundings import Modules

    from jd_compute.codec.codec import Encoded
    from jd_compute.pool.worker import Worker

#: Seconds in which no worker changes hands until a run that has none may start one of its own.
WAIT_SECONDS = 0.1

#: Seconds for which a worker that loads its function, and what that imports, counts as one that is about to change hands:
#: another one would have to import the same.
LOAD_SECONDS = 2.0

#: Seconds after which a run that has one worker lets one have it that has none.
TURN_SECONDS = 0.02


class Settings(NamedTuple):
    """What all workers of one kind have in common.

    Attributes:
        method: the start method.
        initializer: an encoded callable, or None.
        threads: threads of BLAS and OpenMP per worker; None: as they like.
        idle_seconds: how long a worker waits for work before it ends.
        most_calls: after so many calls a worker is replaced; None: never.
        devices: what ``CUDA_VISIBLE_DEVICES`` is in the workers at each place, from 0 on; none: there is but one place, and
            it is the caller's.
    """

    method: str
    initializer: Encoded | None
    threads: int | None
    idle_seconds: float
    most_calls: int | None
    devices: tuple[str, ...] = ()

    def beginning(self) -> tuple[bytes, Modules, frozenset[str]] | None:
        """Returns the initializer, with the user's modules as they are now and the names of those that it uses; or None."""
        if self.initializer is None:
            return None
        from jd_core.worker.surroundings import record_modules

        from jd_compute.codec import codec

        return self.initializer.data, *record_modules(self.initializer.named, codec.dumps)

    def variables(self, place: int) -> dict[str, str]:
        """Returns the environment variables that a worker at a place has of its own."""
        return {"CUDA_VISIBLE_DEVICES": self.devices[place]} if self.devices else {}


def settings(options: Mapping[str, Any], devices: tuple[str, ...], *, method: str, idle_seconds: float) -> Settings:
    """Returns the settings of a run's workers.

    Args:
        options: the backend's own ones, as the user gave them.
        devices: see `Settings`.
        method: the start method where they name none.
        idle_seconds: the same for how long a worker waits for work.

    Raises:
        SerializationError: the initializer cannot be sent.
        BackendError: workers that are to see devices of their own would be copies of this process.
    """
    method = options.get("start_method") or method
    if devices and method == "fork":
        raise BackendError("option devices=... needs new processes, and start_method='fork' copies this one")
    initializer = options.get("initializer")
    return Settings(
        method,
        None if initializer is None else _encoded(initializer),
        options.get("threads_per_worker", 1),
        float(options.get("idle_seconds", idle_seconds)),
        options.get("max_calls_per_worker"),
        devices,
    )


def _encoded(initializer: Callable[[], object]) -> Encoded:
    # Here, because these import cloudpickle, for which the process that forks workers need not wait.
    from jd_core.backend.serialization import bare

    from jd_compute.codec import codec

    try:
        return codec.encode(initializer, large=None)
    except codec.REFUSALS as error:
        codec.pass_on(error)
        raise SerializationError(
            f"option initializer={initializer!r} cannot be sent to a worker process: {error}"
        ) from bare(error)


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
        changed: set when it is given what it waits for; made when it begins to wait, which few do.
        places: where it can use another worker; None: anywhere.
    """

    changed: threading.Event

    def __init__(self, settings: Settings, most: int) -> None:
        self.settings = settings
        self.most = most
        self.held = self.to_start = 0
        self.granted: Worker | None = None
        self.turn_began = self.waits_since = 0.0
        self.wanted_more = float("-inf")
        self.places: set[int] | None = None

    def can_use(self, worker: Worker) -> bool:
        """Whether the run can use a worker."""
        return worker.settings == self.settings and (self.places is None or worker.place in self.places)


class Shares:
    """Those of all runs. The pool's lock guards them.

    Attributes:
        waiting: those that have no worker and wait for one, the one that came first is the first.
        starting: how many workers are being started, or may be.
    """

    def __init__(self) -> None:
        self.waiting: list[Share] = []
        self.starting: Counter[Settings] = Counter()
        # Weakly, for Ctrl-C may come when a run has a share and nobody has the run.
        self._all: weakref.WeakSet[Share] = weakref.WeakSet()
        self._last_turn = 0.0  # when a worker changed hands, on the monotonic clock

    def __len__(self) -> int:
        return len(self._all)

    def add(self, share: Share) -> None:
        """Adds the share of a new run."""
        self._all.add(share)

    def remove(self, share: Share) -> None:
        """Removes the share of a run that has ended."""
        self._all.discard(share)
        self.wait_no_more(share)
        if share.to_start:
            self.starting[share.settings] -= share.to_start

    def room(self, there: int) -> int:
        """Returns how many workers there may be more than those that are ``there`` and those that start."""
        return max((share.most for share in self._all), default=0) - there - self.starting.total()

    def turn(self) -> None:
        """Records that a worker changes hands."""
        self._last_turn = time.monotonic()

    def stand_still(self, share: Share, lent: Iterable[Worker]) -> bool:
        """Whether no worker that is lent has changed hands for so long that a run that waits need wait no longer."""
        if any(worker.loads_for_less_than(LOAD_SECONDS) for worker in lent):
            self.turn()
        return time.monotonic() - max(self._last_turn, share.waits_since) >= WAIT_SECONDS

    def wait(self, share: Share) -> None:
        """Records that a run that has no worker waits for one."""
        if share not in self.waiting:
            self.waiting.append(share)
            share.waits_since = time.monotonic()
            share.changed = threading.Event()

    def wait_no_more(self, share: Share) -> None:
        """Records that a run waits no longer."""
        if share in self.waiting:
            self.waiting.remove(share)

    def let_start(self, share: Share) -> None:
        """Lets a run that waits start a worker of its own."""
        self.wait_no_more(share)
        share.to_start += 1
        self.starting[share.settings] += 1
        self.turn()
        share.changed.set()

    def lend(self, worker: Worker, share: Share) -> None:
        """Records that a run has a worker."""
        worker.share = share
        if not share.held:
            share.turn_began = time.monotonic()
        share.held += 1
        share.wanted_more = float("-inf")
        self.wait_no_more(share)

    def is_others_turn(self, share: Share) -> bool:
        """Whether a run should part with a worker that has nothing to do just now."""
        if self.waiting and (share.held > 1 or time.monotonic() - share.turn_began > TURN_SECONDS):
            return True
        return self.others_come_first(share, by=2)

    def others_come_first(self, share: Share, by: int = 1) -> bool:
        """Whether another run wants more workers, and has at least ``by`` fewer than this one."""
        if len(self._all) == 1:
            return False
        lately = time.monotonic() - WAIT_SECONDS
        return any(
            other.held + by <= share.held and other.wanted_more > lately and other.settings == share.settings
            for other in self._all
        )
