"""Whether the current thread holds a lock: garbage collection runs finalizers in the middle of whatever it interrupts."""

from __future__ import annotations

import threading
from collections.abc import Callable


def new_lock() -> tuple[threading.RLock, Callable[[], bool]]:
    """Returns a lock, and what tells whether the current thread holds it: only a condition's methods do, by an error."""
    lock = threading.RLock()
    condition = threading.Condition(lock)

    def is_held() -> bool:
        try:
            condition.notify(0)
        except RuntimeError:
            return False
        return True

    return lock, is_held
