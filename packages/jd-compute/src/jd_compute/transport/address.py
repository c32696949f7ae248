"""Where workers connect to, and how: nobody but the processes that this one has started gets in."""

from __future__ import annotations

import contextlib
import hmac
import os
import shutil
import socket
import tempfile

from jd_compute.transport.channel import Channel

#: Seconds that who connects has to show the key.
_GREETING_SECONDS = 10.0


class Address:
    """Where workers connect to: a socket that only this user can reach, and a key that they must show.

    A Unix socket in a folder of mode 0700 where there are any, else TCP on loopback.
    """

    def __init__(self) -> None:
        self.key = os.urandom(32)
        self._folder: str | None = None
        if hasattr(socket, "AF_UNIX"):
            self._folder = tempfile.mkdtemp(prefix="jd-")
            self._listener = socket.socket(socket.AF_UNIX)
            self._listener.bind(os.path.join(self._folder, "s"))
        else:
            self._listener = socket.socket()
            self._listener.bind(("127.0.0.1", 0))
        self._listener.listen(128)
        self.name: str | tuple[str, int] = self._listener.getsockname()

    def fileno(self) -> int:
        """Returns the file descriptor, for waiting."""
        return self._listener.fileno()

    def accept(self) -> tuple[Channel, int] | None:
        """Takes one waiting connection and returns its channel and process id; None if it did not show the key."""
        connection, _ = self._listener.accept()
        connection.settimeout(_GREETING_SECONDS)
        channel = Channel(connection)
        try:
            greeting = channel.receive().body
        except (OSError, EOFError):
            greeting = bytearray()
        if not hmac.compare_digest(bytes(greeting[: len(self.key)]), self.key):
            channel.close()
            return None
        connection.settimeout(None)
        return channel, int.from_bytes(greeting[len(self.key) :], "big")

    def close(self) -> None:
        """Stops listening and leaves nothing on the disk."""
        self._listener.close()
        if self._folder is not None:
            with contextlib.suppress(OSError):
                shutil.rmtree(self._folder)


def connect(name: str | tuple[str, int], key: bytes) -> Channel:
    """Connects a worker to an `Address`, given its name and key."""
    connection = socket.socket(socket.AF_UNIX if isinstance(name, str) else socket.AF_INET)
    connection.connect(name)
    if not isinstance(name, str):
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    channel = Channel(connection)
    channel.send(0, key, os.getpid().to_bytes(8, "big"))
    return channel
