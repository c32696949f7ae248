"""A private two-way connection between the caller's process and one worker: whole messages of bytes, and open files.

Each worker has a connection of its own, so a dead worker shows as end-of-file at once, and no lock or queue is shared that
it could leave held.
"""

from __future__ import annotations

import itertools
import select
import socket
import struct
import threading
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeAlias

from jd_compute.transport.arena import MemoryFile, Parcel, arena
from jd_compute.transport.shared_memory import take_file

Buffer: TypeAlias = "bytes | bytearray | memoryview"

#: A message of at most this many bytes never blocks its sender while the receiver is busy: the kernel's buffer takes it.
#: Linux gives a Unix socket 208 KiB by default (net.core.wmem_default), of which its own bookkeeping takes about half.
NEVER_BLOCKS = 1 << 16

#: Length of the body, kind, number of large buffers, of files, and of files that are given back.
_HEADER = struct.Struct("!QBLLL")

#: Where a buffer is, as in `Parcel.places`.
_PLACE = struct.Struct("!lQQ")

#: A file: how many bytes of it are used, the number by which it is given back, whether other processes get it too.
_FILE = struct.Struct("!QQ?")

#: The number of a file that is given back.
_NUMBER = struct.Struct("!Q")

#: Files per system call; Linux takes 253 (SCM_MAX_FD).
_MOST_FILES = 128


@dataclass(frozen=True, slots=True)
class Message:
    """A message as it arrives.

    Attributes:
        kind: what it is.
        body: its bytes.
        buffers: the large buffers that came with it, in order. Their memory is given back when they, and what was made of
            them, are dropped.
    """

    kind: int
    body: bytearray
    buffers: list[memoryview]


class Channel:
    """One end of the connection."""

    def __init__(self, connection: socket.socket) -> None:
        self._socket = connection
        self._header = bytearray(_HEADER.size)
        self._sending = threading.Lock()  # a worker's threads print while its main thread sends results
        self._held = b""
        self._lent: dict[int, MemoryFile] = {}  # files that the other end has, by the number that it knows
        self._numbers = itertools.count(1)
        self._released: deque[int] = deque()  # numbers of files of the other end that are used no more

    def fileno(self) -> int:
        """Returns the file descriptor, for waiting."""
        return self._socket.fileno()

    @property
    def has_released(self) -> bool:
        """Whether the next message will give files back."""
        return bool(self._released)

    def send(self, kind: int, *parts: Buffer, parcel: Parcel | None = None, hold: bool = False) -> None:
        """Sends one message, and gives back files of the other end that are used no more.

        Args:
            kind: what it is, 0 to 255.
            *parts: its bytes; joined by the receiver, not here, so that nothing large is copied.
            parcel: the large buffers that go with it. Stays the caller's to close.
            hold: another message follows at once; a small one may wait for it, so that the receiver wakes up once.

        Raises:
            OSError: the other end is gone.
        """
        with self._sending:
            self._send(kind, parts, parcel, hold)

    def _send(self, kind: int, parts: Sequence[Buffer], parcel: Parcel | None, hold: bool) -> None:
        size = sum(map(len, parts))
        tables = [self._take_released()] if self._released else []
        released = len(tables[0]) // _NUMBER.size if tables else 0
        if parcel is None:
            header = self._held + _HEADER.pack(size, kind, 0, 0, released)
        else:
            header = self._held + _HEADER.pack(size, kind, len(parcel.places), len(parcel.files), released)
            tables += [_PLACE.pack(*place) for place in parcel.places]
            tables += [_FILE.pack(used, self._lend(file), parcel.common) for file, used in parcel.files]
        self._held = b""
        if size <= NEVER_BLOCKS:
            message = b"".join((header, *tables, *parts))
            if hold and parcel is None:
                self._held = message
            else:
                self._socket.sendall(message)
        else:
            self._socket.sendall(b"".join((header, *tables)))
            for part in parts:
                self._socket.sendall(part)
        if parcel is not None:
            for buffer in parcel.inline:
                self._socket.sendall(buffer)
            files = [file.file for file, _ in parcel.files]
            for first in range(0, len(files), _MOST_FILES):
                self.send_files(files[first : first + _MOST_FILES])

    def _lend(self, file: MemoryFile) -> int:
        """Returns the number by which the other end is to give a file back; 0 if it need not."""
        if not arena.lend(file):
            return 0
        number = next(self._numbers)
        self._lent[number] = file
        return number

    def _take_released(self) -> bytes:
        numbers = []
        while self._released:
            numbers.append(_NUMBER.pack(self._released.popleft()))
        return b"".join(numbers)

    def drop_held(self) -> bool:
        """Forgets a message that waits for another one that did not come, and returns whether there was one."""
        dropped, self._held = self._held, b""
        return bool(dropped)

    def receive(self) -> Message:
        """Waits for one message and returns it.

        Raises:
            EOFError: the other end is gone.
        """
        self._read_into(memoryview(self._header))
        size, kind, places, files, released = _HEADER.unpack(self._header)
        if released:
            for (number,) in _NUMBER.iter_unpack(self._read(released * _NUMBER.size)):
                arena.take_back(self._lent.pop(number))
        if not places:
            return Message(kind, self._read(size), [])
        where = list(_PLACE.iter_unpack(self._read(places * _PLACE.size)))
        table = list(_FILE.iter_unpack(self._read(files * _FILE.size)))
        body = self._read(size)
        inline = iter([self._read(length) for file, _, length in where if file < 0])
        memory: list[memoryview] = []
        for first in range(0, files, _MOST_FILES):
            part = table[first : first + _MOST_FILES]
            for file, (used, number, common) in zip(self.receive_files(len(part)), part, strict=True):
                taken = take_file(file, used, number=number, common=common, released=self._released)
                memory.append(memoryview(taken))
        buffers = [
            memoryview(next(inline)) if file < 0 else memory[file][start : start + length] for file, start, length in where
        ]
        return Message(kind, body, buffers)

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
        """Closes this end; the other end sees end-of-file. What it has of this process's memory is not used again."""
        self._socket.close()
        while self._lent:
            arena.take_back(self._lent.popitem()[1], lost=True)

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
