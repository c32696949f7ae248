"""What wakes a run that waits for messages of its workers, because there may be calls to start."""

from __future__ import annotations

import contextlib
import socket
from typing import ClassVar


class Bell:
    """Any thread can ring it; the run waits for its file, as for those of the workers."""

    # Garbage collection that ends a run would otherwise close the sockets before the run does.
    _open: ClassVar[set[Bell]] = set()

    def __init__(self) -> None:
        self._heard, self._rung = socket.socketpair()
        self._open.add(self)

    def fileno(self) -> int:
        """Returns the file that is readable once it was rung, until it is heard."""
        return self._heard.fileno()

    def ring(self) -> None:
        """Wakes the run, if there still is one."""
        with contextlib.suppress(OSError):  # full, so it was rung; or closed, so the run is over
            self._rung.send(b"\0", socket.MSG_DONTWAIT)

    def hear(self) -> None:
        """Takes in that it was rung."""
        self._heard.recv(1 << 12)

    def close(self) -> None:
        """Closes both ends."""
        self._heard.close()
        self._rung.close()
        self._open.discard(self)
