"""The pool of this process, its end, and what becomes of it in a forked child, or where somebody closes all files."""

from __future__ import annotations

import atexit
import os
import threading

from jd_compute.pool.pool import Pool
from jd_compute.pool.worker import Worker, living
from jd_compute.transport.arena import arena

_pool = Pool()
_renewing = threading.Lock()
_forgotten: list[Worker] = []  # whose memory, were it unmapped, would take a descriptor along that is not theirs


def shared_pool() -> Pool:
    """Returns the pool of this process: another one where somebody has closed its files, as daemons close all there are."""
    if _pool.servers.are_cut_off():
        with _renewing:
            if _pool.servers.are_cut_off():
                _forget()
    return _pool


def _forget() -> None:
    """Begins anew. What had been open may have become other files, so nothing of it is closed, read or written."""
    _forgotten.extend(living)
    for worker in _forgotten:
        worker.forget()
    arena.abandon(are_closed=True)
    _pool.servers.forget()
    _start_anew()


def _start_anew() -> None:
    """In a forked child: it has an empty pool, and does nothing to the parent's."""
    global _pool, _renewing
    _renewing = threading.Lock()
    _pool.abandon()
    _pool = Pool()


# Registered when the first run imports this: what registers later, as the user's libraries do, runs before.
atexit.register(lambda: shared_pool().end())
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_start_anew)
