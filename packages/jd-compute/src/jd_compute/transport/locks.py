"""Whether the current thread holds a lock: garbage collection runs finalizers in the middle of whatever it interrupts."""

from __future__ import annotations

import threading
from collections.abc import Callable


def new_lock() -> tuple[threading.RLock, Callable[[], bool]]:
    """Returns a lock, and a function that returns whether the current thread holds it, which only conditions can tell."""
    lock = threading.RLock()
    condition = threading.Condition(lock)

    def is_held() -> bool:
        try:
            condition.notify(0)
        except RuntimeError:
            return False
        return True

    return lock, is_held
