"""Warm workers, shared by all runs of this process: a worker belongs to a run while it has something of it to do.

::

    run ──take──▶ ┌──────┐ ──idle worker──▶ run ──check_in──▶ ┌──────┐ ──▶ the run that waits, or idle
    run ──start─▶ └──────┘ ──new workers──▶ run ──discard, reap─▶ ✝

There are at most as many workers as the largest ``workers`` of the runs that there are. A run that has none waits for its
turn; when for 0.1 s no worker has changed hands (the calls are long, or a consumer stands still), it may start one of its
own. Idle workers of other settings make room for those that are needed. No thread is behind it.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Sequence

from jd_compute.pool.endings import Endings
from jd_compute.pool.fork_server import ForkServers
from jd_compute.pool.idle import Idle, hear
from jd_compute.pool.launcher import Launch
from jd_compute.pool.share import WAIT_SECONDS, Settings, Share, Shares
from jd_compute.pool.worker import Worker, living
from jd_compute.transport.arena import arena
from jd_compute.transport.locks import new_lock


class Pool:
    """All workers of this process.

    Attributes:
        servers: who starts workers.
        has_ended: the interpreter ends, or this is a forked child, which has a pool of its own.
    """

    def __init__(self) -> None:
        self.has_ended = False
        self._lock, self._is_held = new_lock()
        self.servers, self._idle = ForkServers(), Idle()
        self._lent: set[Worker] = set()
        self._endings, self._shares = Endings(), Shares()
        self._left: deque[Callable[[], None]] = deque()  # of runs that garbage collection has ended

    def has_idle(self) -> bool:
        """Returns whether workers wait for calls."""
        return len(self._idle) > 0

    def puts_off(self, release: Callable[[], None]) -> bool:
        """Whether ``release`` is called later, for garbage collection has ended a run in the middle of something here."""
        if not (self._is_held() or arena.is_held()):
            return False
        self._left.append(release)
        return True

    def join(self, settings: Settings, most: int) -> Share:
        """Returns the share of a new run, which may have ``most`` workers."""
        share = Share(settings, most)
        with self._lock:
            self._shares.add(share)
        return share

    def leave(self, share: Share) -> None:
        """Ends a share, and the workers that it still has: it was interrupted."""
        with self._lock:
            self._shares.remove(share)
            if share.granted is not None:
                self._put_back(share.granted)
            left = [worker for worker in self._lent if worker.share is share]
        self._drop(left)
        self._endings.reap()

    def take(self, share: Share) -> Worker | None:
        """Lends an idle worker; None if there is none for this run now."""
        self.hear_idle()
        with self._lock:
            worker, share.granted = share.granted, None
            if worker is not None:
                return worker
            if not self._shares.others_come_first(share) and (worker := self._idle.last(share.can_use)) is not None:
                self._idle.remove(worker)
                self._lend(worker, share)
                return worker
            if share.held:
                share.wanted_more = time.monotonic()
            return None

    def start(
        self, share: Share, places: Sequence[int], find: Callable[[], set[str]], is_given_up: Callable[[], bool] | None
    ) -> list[tuple[Worker, bytearray]]:
        """Starts and lends workers, at as many places as may be; ``find`` says what they import. See `launcher.Launch`."""
        count = self._allot(share, len(places))
        if not count:
            return []
        try:
            started = Launch(self.servers, share.settings, find(), is_given_up).workers(places[:count])
        finally:
            with self._lock:
                self._shares.starting[share.settings] -= count
                self._shares.turn()
        with self._lock:
            for worker, _ in started:
                self._lend(worker, share)
        self._endings.reap()
        return started

    def wait(self, share: Share, seconds: float) -> None:
        """Waits, at most so long, until a run that has no worker may take or start one."""
        with self._lock:
            if self._idle.last(share.can_use) is not None:  # another run has just parted with it
                return
            self._shares.wait(share)
        share.changed.wait(min(seconds, WAIT_SECONDS))
        with self._lock:
            # Where workers of the kind are just starting, it has one of those in a moment.
            waits = share in self._shares.waiting and not self._shares.starting[share.settings]
            if waits and (self._shares.stand_still(share, self._lent) or self._room() > 0):
                self._shares.let_start(share)

    def is_wanted(self, share: Share) -> bool:
        """Whether a run should check a worker in that has nothing to do just now, because it is another one's turn."""
        with self._lock:
            return len(self._shares) > 1 and self._shares.is_others_turn(share)

    def could_lend_more(self) -> bool:
        """Whether a run could have a further worker: an idle one, or one that is started, maybe in place of an idle one."""
        with self._lock:
            return len(self._idle) > 0 or self._room() > 0

    def check_in(self, share: Share, worker: Worker) -> None:
        """Takes a lent worker back that has nothing more to do."""
        with self._lock:
            if worker.share is share:
                share.held -= 1
                self._shares.turn()
                self._put_back(worker)

    def discard(self, share: Share, worker: Worker) -> None:
        """Ends a lent worker at once."""
        if worker.share is share:  # or checking it in was interrupted
            worker.kill()
            self.reap(share, worker)

    def reap(self, share: Share, worker: Worker) -> str:
        """Says how a lent worker that is dead has ended."""
        with self._lock:
            self._lent.discard(worker)
            worker.share = None
            share.held -= 1
            if self._shares.waiting and self._room() > 0:
                self._shares.let_start(self._shares.waiting[0])
        return worker.reap()

    def hear_idle(self, visit: Callable[[Worker], None] | None = None) -> None:
        """Reads what idle workers have said: memory that they use no more, or their end; visits those that live."""
        while self._left:
            self._left.popleft()()
        with self._lock:
            found = self._idle.ready() if visit is None else list(self._idle)
            for worker in found:
                self._idle.remove(worker)
                self._lent.add(worker)
        while found:
            worker = found.pop()
            try:
                lives = hear(worker)
                if lives and visit is not None:
                    visit(worker)
            except BaseException:  # Ctrl-C, perhaps within a message
                found.append(worker)
                self._drop(found)
                raise
            if lives:
                with self._lock:
                    self._put_back(worker)
            else:
                self._drop([worker])

    def _drop(self, workers: list[Worker]) -> None:
        with self._lock:
            self._lent.difference_update(workers)
        for worker in workers:
            worker.kill()
            worker.reap()

    def _room(self) -> int:  # this and the next three with the lock held
        """How many workers there may be more than there are."""
        return self._shares.room(len(self._idle) + len(self._lent))

    def _lend(self, worker: Worker, share: Share) -> None:
        self._lent.add(worker)
        self._shares.lend(worker, share)

    def _put_back(self, worker: Worker) -> None:
        """Passes a lent worker on to the run that has waited longest, or makes it idle."""
        worker.share = None
        waiting = self._shares.waiting
        if not waiting or self.has_ended:
            self._idle.add(worker)
            self._lent.discard(worker)
            return
        share = waiting[0]
        if share.settings != worker.settings:
            self._lent.discard(worker)
            self._endings.begin(worker)
            self._shares.let_start(share)
            return
        share.granted = worker
        self._lend(worker, share)
        share.changed.set()

    def _allot(self, share: Share, wanted: int) -> int:
        """Returns how many workers a run may start now; they count from here on."""
        with self._lock:
            count, share.to_start = share.to_start, 0
            if count:
                return count
            # Besides those that another run has just parted with, and in place of idle ones that it cannot use.
            count = max(0, min(wanted, self._shares.room(len(self._lent) + sum(map(share.can_use, self._idle)))))
            for worker in [worker for worker in self._idle if not share.can_use(worker)][: count - max(0, self._room())]:
                self._idle.remove(worker)
                self._endings.begin(worker)
            self._shares.starting[share.settings] += count
            return count

    def end(self, *, only_idle: bool = False) -> None:
        """Ends workers in the ordinary way, and those that have not ended after a while, or are at work, by force."""
        with self._lock:
            self.has_ended = not only_idle
            busy = [] if only_idle else list(self._lent)
            self._lent.difference_update(busy)
            for worker in self._idle:
                self._idle.remove(worker)
                self._endings.begin(worker)
        for worker in busy:
            worker.kill()
        self._endings.reap(waits=True)
        for worker in busy:
            worker.reap()
        if not self._lent:
            self.servers.close()

    def abandon(self) -> None:
        """In a forked child: all of it is the parent's, and must see its end when that has gone."""
        self.has_ended = True
        for worker in list(living):
            worker.abandon()
        self.servers.abandon()
