"""A private two-way connection between the caller's process and one worker: whole messages of bytes, and open files.

Each worker has a connection of its own, so a dead worker shows as end-of-file at once, and no lock or queue is shared that
it could leave held.
"""

from __future__ import annotations

import contextlib
import hmac
import mmap
import os
import select
import shutil
import socket
import struct
import tempfile
import threading
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeAlias

from jd_compute.memory import MemoryFile, take_file

Buffer: TypeAlias = "bytes | bytearray | memoryview"

#: Whether open files can be handed to another process: what shared memory without a name needs.
CAN_PASS_FILES = hasattr(socket, "send_fds")

#: A message of at most this many bytes never blocks its sender while the receiver is busy: the kernel's buffer takes it.
#: Linux gives a Unix socket 208 KiB by default (net.core.wmem_default), of which its own bookkeeping takes about half.
NEVER_BLOCKS = 1 << 16

#: Length of the body, kind, number of buffers.
_HEADER = struct.Struct("!QBL")

#: Length of a buffer, and where it is.
_BUFFER = struct.Struct("!QB")
_INLINE, _OWN_FILE, _COMMON = range(3)

#: Files per system call; Linux takes 253 (SCM_MAX_FD).
_MOST_FILES = 128

_GREETING_SECONDS = 10.0


@dataclass(frozen=True, slots=True)
class Message:
    """A message as it arrives.

    Attributes:
        kind: what it is.
        body: its bytes.
        buffers: the large buffers that came with it, in order; each keeps its memory until it is dropped.
    """

    kind: int
    body: bytearray
    buffers: Sequence[mmap.mmap | bytearray]


class Channel:
    """One end of the connection."""

    def __init__(self, connection: socket.socket) -> None:
        self._socket = connection
        self._header = bytearray(_HEADER.size)
        self._sending = threading.Lock()  # a worker's threads print while its main thread sends results
        self._held = b""

    def fileno(self) -> int:
        """Returns the file descriptor, for waiting."""
        return self._socket.fileno()

    def send(self, kind: int, *parts: Buffer, buffers: Sequence[memoryview | MemoryFile] = (), hold: bool = False) -> None:
        """Sends one message.

        Args:
            kind: what it is, 0 to 255.
            *parts: its bytes; joined by the receiver, not here, so that nothing large is copied.
            buffers: large buffers: as shared memory, or through the connection where there is none to be had.
            hold: another message follows at once; a small one may wait for it, so that the receiver wakes up once.

        Raises:
            OSError: the other end is gone.
        """
        with self._sending:
            self._send(kind, parts, buffers, hold)

    def _send(self, kind: int, parts: Sequence[Buffer], buffers: Sequence[memoryview | MemoryFile], hold: bool) -> None:
        size = sum(len(part) for part in parts)
        header = self._held + _HEADER.pack(size, kind, len(buffers))
        self._held = b""
        if not buffers:
            if size <= NEVER_BLOCKS:
                message = b"".join((header, *parts))
                if hold:
                    self._held = message
                else:
                    self._socket.sendall(message)
            else:
                self._socket.sendall(header)
                for part in parts:
                    self._socket.sendall(part)
            return
        placed = [buffer if isinstance(buffer, MemoryFile) else _place(buffer) for buffer in buffers]
        try:
            table = (_BUFFER.pack(*_describe(buffer)) for buffer in placed)
            self._socket.sendall(b"".join((header, *table)))
            for part in parts:
                self._socket.sendall(part)
            for buffer in placed:
                if not isinstance(buffer, MemoryFile):
                    self._socket.sendall(buffer)
            files = [buffer.file for buffer in placed if isinstance(buffer, MemoryFile)]
            for first in range(0, len(files), _MOST_FILES):
                self.send_files(files[first : first + _MOST_FILES])
        finally:
            for buffer in placed:
                if isinstance(buffer, MemoryFile) and not buffer.common:
                    buffer.close()

    def drop_held(self) -> None:
        """Forgets a message that waits for another one that did not come."""
        self._held = b""

    def receive(self) -> Message:
        """Waits for one message and returns it.

        Raises:
            EOFError: the other end is gone.
        """
        self._read_into(memoryview(self._header))
        size, kind, count = _HEADER.unpack(self._header)
        table = self._read(count * _BUFFER.size)
        body = self._read(size)
        if not count:
            return Message(kind, body, ())
        places = list(_BUFFER.iter_unpack(table))
        inline = {number: self._read(length) for number, (length, place) in enumerate(places) if place == _INLINE}
        numbers = [number for number in range(count) if number not in inline]
        mapped: dict[int, mmap.mmap | bytearray] = {}
        for first in range(0, len(numbers), _MOST_FILES):
            group = numbers[first : first + _MOST_FILES]
            for number, file in zip(group, self.receive_files(len(group)), strict=True):
                length, place = places[number]
                mapped[number] = take_file(file, length, common=place == _COMMON)
        return Message(kind, body, [inline[k] if k in inline else mapped[k] for k in range(count)])

    def send_files(self, files: Sequence[int]) -> None:
        """Hands open files over; the receiver must expect them next."""
        socket.send_fds(self._socket, [b"f"], list(files))

    def receive_files(self, count: int) -> list[int]:
        """Waits for ``count`` open files and returns their descriptors, which are the receiver's to close.

        Raises:
            EOFError: the other end is gone.
        """
        data, files, _, _ = socket.recv_fds(self._socket, 1, count)
        if not data:
            raise EOFError("the other end of the channel is closed")
        return files

    def poll(self, seconds: float) -> bool:
        """Waits at most so long for something to read, an end-of-file too, and returns whether there is."""
        if not hasattr(select, "poll"):
            return bool(select.select([self], [], [], seconds)[0])
        poller = select.poll()  # unlike select(), it takes descriptors above 1023
        poller.register(self, select.POLLIN)
        return bool(poller.poll(seconds * 1000))

    def close(self) -> None:
        """Closes this end; the other end sees end-of-file."""
        self._socket.close()

    def _read(self, size: int) -> bytearray:
        data = bytearray(size)
        self._read_into(memoryview(data))
        return data

    def _read_into(self, view: memoryview) -> None:
        while view:
            try:
                count = self._socket.recv_into(view)
            except ConnectionError:
                count = 0
            if not count:
                raise EOFError("the other end of the channel is closed")
            view = view[count:]


def _place(buffer: memoryview) -> memoryview | MemoryFile:
    """Puts a buffer into shared memory if there is some to be had."""
    if CAN_PASS_FILES:
        with contextlib.suppress(OSError):
            return MemoryFile(buffer)
    return buffer


def _describe(buffer: memoryview | MemoryFile) -> tuple[int, int]:
    if isinstance(buffer, MemoryFile):
        return buffer.size, _COMMON if buffer.common else _OWN_FILE
    return buffer.nbytes, _INLINE


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
