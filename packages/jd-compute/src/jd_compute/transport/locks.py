"""Whether the current thread holds a lock: garbage collection runs finalizers in the middle of whatever it interrupts."""

from __future__ import annotations

import threading


def is_held(lock: threading.RLock) -> bool:
    """Whether the current thread holds a lock. Only a condition's methods tell, by an error."""
    try:
        threading.Condition(lock).notify(0)
    except RuntimeError:
        return False
    return True
