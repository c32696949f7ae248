"""Which tasks have begun to run: Ray tells when a task ends, but not when it starts.

A task that was given a key sets it in Ray's key-value store when its calls begin. Used for ``timeout``, which counts
from then, and for the warning that nothing could be started; other tasks have no key, and no cost. The worker removes the
key when it has time.
"""

from __future__ import annotations

import contextlib
import itertools
import time
import uuid
from typing import Any

from jd_ray.connection import head

#: Seconds between two looks at which tasks have begun.
LOOK_SECONDS = 0.1


class Starts:
    """The starts of one run's tasks.

    Args:
        every_task: give each task a key; else only the first, which is the first that Ray starts, too.
    """

    def __init__(self, *, every_task: bool) -> None:
        self._prefix = f"just_distribute:{uuid.uuid4().hex}:".encode()
        self._numbers = itertools.count()
        self._every_task = every_task
        self._first_ended = False
        self._keys: dict[Any, bytes] = {}
        self._seen: dict[Any, float] = {}
        self._used = False
        self._looked = 0.0

    def key(self) -> bytes | None:
        """Returns the key for the next task, None if it needs none."""
        if self._used and not self._every_task:
            return None
        self._used = True
        return self._prefix + str(next(self._numbers)).encode()

    def submitted(self, ref: Any, key: bytes | None) -> None:
        """Notes that a task was submitted."""
        if key is not None:
            self._keys[ref] = key

    def ended(self, ref: Any) -> None:
        """Notes that a task ended."""
        self._first_ended = True
        self._seen.pop(ref, None)
        self._keys.pop(ref, None)

    def any(self) -> bool:
        """Whether any task has started."""
        return self._first_ended or bool(head.keys(self._prefix))

    def running_for(self, seconds: float) -> list[Any]:
        """Returns the tasks that were first seen running at least so many seconds ago; to be asked often.

        It looks for new ones at most every `LOOK_SECONDS`, so a task may be taken to have started that much later.
        """
        now = time.monotonic()
        if len(self._seen) < len(self._keys) and now - self._looked >= min(LOOK_SECONDS, seconds / 4):
            self._looked = now
            started = set(head.keys(self._prefix))
            for ref, key in self._keys.items():
                if key in started:
                    self._seen.setdefault(ref, now)
        return [ref for ref, since in self._seen.items() if now - since >= seconds]

    def close(self, abandoned: bool) -> None:
        """Removes the keys that no worker removes, since it was killed or never got to its task."""
        if self._used and (self._every_task or abandoned):
            with contextlib.suppress(Exception):
                head.remove(self._prefix)
