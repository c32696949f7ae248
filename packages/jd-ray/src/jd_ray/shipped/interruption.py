"""Notices that the task which runs was cancelled; sent to workers as source."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Self


class Cancellation:
    """Whether this task was cancelled, which Ray does with an interrupt of its main thread.

    A call that runs then sees a KeyboardInterrupt, as any program would; no further call may start. Code that unpickles
    is not interrupted: it may be importing a module that cannot be imported a second time.

    Attributes:
        requested: whether it was.
    """

    def __init__(self) -> None:
        self.requested = False
        self._interrupts = False
        self._before: Any = None

    def __enter__(self) -> Self:
        if threading.current_thread() is threading.main_thread():
            self._before = signal.signal(signal.SIGINT, self._on_interrupt)
        return self

    def __exit__(self, *_: object) -> None:
        if self._before is not None:
            signal.signal(signal.SIGINT, self._before)

    @contextmanager
    def interrupting(self) -> Iterator[None]:
        """Lets code in the block be interrupted."""
        self._interrupts = True
        try:
            yield
        finally:
            self._interrupts = False

    def _on_interrupt(self, *_: object) -> None:
        self.requested = True
        if self._interrupts:
            raise KeyboardInterrupt
