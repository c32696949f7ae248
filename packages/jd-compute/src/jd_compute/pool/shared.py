"""The pool of this process, its end, and what becomes of it in a forked child."""

from __future__ import annotations

import atexit
import os

from jd_compute.pool.pool import Pool

_pool = Pool()


def shared_pool() -> Pool:
    """Returns the pool of this process."""
    return _pool


def _start_anew() -> None:
    """In a forked child: it has an empty pool, and does nothing to the parent's."""
    global _pool
    _pool.abandon()
    _pool = Pool()


# Registered when the first run imports this: what registers later, as the user's libraries do, runs before.
atexit.register(lambda: _pool.end())
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_start_anew)
