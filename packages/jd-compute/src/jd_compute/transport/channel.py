"""A private two-way connection between the caller's process and one worker: whole messages of bytes, and open files.

Each worker has a connection of its own, made by the caller and inherited by the worker, so that each end knows the other. A
dead worker shows as end-of-file at once, and no lock or queue is shared that it could leave held.

A message begins with a magic number and its own number, states its sizes, and once begun must go on. What breaks that rule
(a call that uses the connection, a process that is stopped within a message) is treated like the end of the other process.
"""

from __future__ import annotations

import contextlib
import itertools
import os
import select
import socket
import threading
from collections import deque
from collections.abc import Callable, Sequence
from typing import Any, TypeAlias

from jd_compute.transport import frame
from jd_compute.transport.arena import MemoryFile, Parcel, arena
from jd_compute.transport.frame import BrokenChannelError, FilesLostError, Message
from jd_compute.transport.shared_memory import take_file

Buffer: TypeAlias = "bytes | bytearray | memoryview"

#: A message of at most this many bytes never blocks its sender while the receiver is busy: the kernel's buffer takes it.
#: Linux gives a Unix socket 208 KiB by default (net.core.wmem_default), of which its own bookkeeping takes about half.
NEVER_BLOCKS = 1 << 16

#: Seconds without a byte after which the caller gives up a message that has begun. A call's thread may hold the GIL long.
MESSAGE_SECONDS = 30.0

#: Files per system call. Few, so that a receiver that may open few files (``ulimit -n``) has taken these before more come.
_MOST_FILES = 8


class Channel:
    """One end of the connection.

    Args:
        connection: the socket.
        patience: seconds without a single byte, either way, after which a message that has begun is given up; None: never.
    """

    def __init__(self, connection: socket.socket, patience: float | None = None) -> None:
        self._socket = connection
        self._patience, self._sent, self._received = patience, 0, 0  # numbers of messages, modulo 256
        connection.set_inheritable(False)  # or what a call starts keeps the connection open when the worker has ended
        connection.setblocking(False)  # or a call that reads from it would wait for ever: it gets an error
        self._header = bytearray(frame.HEADER.size)
        self._sending = threading.Lock()  # a worker's threads print while its main thread sends results
        self._lent: dict[int, MemoryFile] = {}  # files that the other end has, by the number that it knows
        self._numbers = itertools.count(1)
        self._released: deque[int] = deque()  # numbers of files of the other end that are used no more

    def fileno(self) -> int:
        """Returns the file descriptor, for waiting; -1 when closed."""
        return self._socket.fileno()

    @property
    def has_released(self) -> bool:
        """Whether the next message will give files back."""
        return bool(self._released)

    def send(self, kind: int, *parts: Buffer, parcel: Parcel | None = None) -> None:
        """Sends one message, and returns files of the other end that are used no more.

        Args:
            kind: what it is, 0 to 255.
            *parts: its bytes; joined by the receiver, not here, so that nothing large is copied.
            parcel: the large buffers that go with it. Stays the caller's to close.

        Raises:
            OSError: the other end is gone, or does not read; both ends see end-of-file from now on.
        """
        with self._sending:
            try:
                self._send(kind, parts, parcel)
            except OSError:
                self.end()
                raise

    def _send(self, kind: int, parts: Sequence[Buffer], parcel: Parcel | None) -> None:
        size = sum(map(len, parts))
        self._sent = number = self._sent + 1 & 255
        tables = [self._take_released()] if self._released else []
        released = len(tables[0]) // frame.NUMBER.size if tables else 0
        if parcel is None:
            header = frame.HEADER.pack(frame.MAGIC, number, kind, size, 0, 0, released)
        else:
            header = frame.HEADER.pack(frame.MAGIC, number, kind, size, len(parcel.places), len(parcel.files), released)
            tables += [frame.PLACE.pack(*place) for place in parcel.places]
            tables += [frame.FILE.pack(used, self._lend(file), parcel.common) for file, used in parcel.files]
        if size <= NEVER_BLOCKS:
            self._write(b"".join((header, *tables, *parts)))
        else:
            self._write(b"".join((header, *tables)))
            for part in parts:
                self._write(part)
        if parcel is not None:
            for buffer in parcel.inline:
                self._write(buffer)
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
        return b"".join(frame.NUMBER.pack(self._released.popleft()) for _ in range(len(self._released)))

    def receive(self) -> Message:
        """Waits for one message and returns it.

        Raises:
            EOFError: the other end is gone, or does not keep to the protocol.
        """
        self._read_into(memoryview(self._header))
        magic, number, kind, size, places, files, released = frame.HEADER.unpack(self._header)
        self._received = self._received + 1 & 255
        if magic != frame.MAGIC or size > frame.MOST_BYTES or max(places, files, released) > frame.MOST_ITEMS:
            raise BrokenChannelError("what came is no message")
        if number != self._received:
            raise BrokenChannelError("a message is missing, for somebody else has read it")
        if released:
            for (number,) in frame.NUMBER.iter_unpack(self._read(released * frame.NUMBER.size)):
                if number not in self._lent:
                    raise BrokenChannelError(f"file {number} is given back, which was not lent")
                arena.take_back(self._lent.pop(number))
        if not places:
            return Message(kind, self._read(size), [])
        where = list(frame.PLACE.iter_unpack(self._read(places * frame.PLACE.size)))
        table = list(frame.FILE.iter_unpack(self._read(files * frame.FILE.size)))
        if any(length > frame.MOST_BYTES or not -1 <= file < files for file, _, length in where):
            raise BrokenChannelError("what came is no message")
        body = self._read(size)
        inline = iter([self._read(length) for file, _, length in where if file < 0])
        memory = self._take_files(table)
        if memory is None:
            return Message(kind, body, None)
        buffers = [
            memoryview(next(inline)) if file < 0 else memory[file][start : start + length] for file, start, length in where
        ]
        return Message(kind, body, buffers)

    def _take_files(self, table: Sequence[tuple[int, int, bool]]) -> list[memoryview] | None:
        """Returns the memory of the files of a message; None if some were lost, and then all are given back."""
        memory: list[memoryview] = []
        lost = False
        for first in range(0, len(table), _MOST_FILES):
            part = table[first : first + _MOST_FILES]
            try:
                received = self.receive_files(len(part))
            except FilesLostError:
                lost = True
                self._released.extend(number for _, number, _ in part if number)
                continue
            for file, (used, number, common) in zip(received, part, strict=True):
                memory.append(memoryview(take_file(file, used, number=number, common=common, released=self._released)))
        return None if lost else memory

    def introduce(self, data: bytes) -> None:
        """Sends what a process reads before it knows of messages; if it is dead, that shows as end-of-file."""
        with contextlib.suppress(OSError):
            self._write(data)

    def send_files(self, files: Sequence[int]) -> None:
        """Hands open files over; the receiver must expect them next."""
        self._when(select.POLLOUT, socket.send_fds, self._socket, [b"f"], list(files))

    def receive_files(self, count: int) -> list[int]:
        """Waits for ``count`` open files and returns their descriptors, which are the receiver's to close.

        Raises:
            EOFError: the other end is gone.
            FilesLostError: this process may not open so many more files; it has none of them.
        """
        try:
            data, files, _, _ = self._when(select.POLLIN, socket.recv_fds, self._socket, 1, count)
        except ConnectionError:
            data, files = b"", []
        if not data:
            raise EOFError("the other end of the channel is closed")
        if len(files) != count:  # the kernel says so by MSG_CTRUNC, and hands over as many as it can
            for file in files:
                os.close(file)
            raise FilesLostError("too many open files")
        for file in files:
            os.set_inheritable(file, False)  # what arrives is inheritable, unlike all that Python opens
        return list(files)

    def poll(self, seconds: float | None, event: int = select.POLLIN) -> bool:
        """Waits at most so long for something to read, an end-of-file too, and returns whether there is."""
        poller = select.poll()  # unlike select(), it takes descriptors above 1023
        poller.register(self, event)
        return bool(poller.poll(None if seconds is None else seconds * 1000))

    def end(self) -> None:
        """Has both ends see end-of-file from now on, once what was sent is read."""
        with contextlib.suppress(OSError):
            self._socket.shutdown(socket.SHUT_RDWR)

    def close(self) -> None:
        """Closes this end; the other end sees end-of-file. What it has of this process's memory is not used again."""
        self.end()  # for a process that a C library has forked from this one may have this end, too
        self.abandon()
        while self._lent:
            arena.take_back(self._lent.popitem()[1], lost=True)

    def abandon(self, *, is_closed: bool = False) -> None:
        """Closes this process's descriptor, unless that is another file's, and no more: a forked child's parent goes on."""
        (self._socket.detach if is_closed else self._socket.close)()

    def _read(self, size: int) -> bytearray:
        data = bytearray(size)
        self._read_into(memoryview(data))
        return data

    def _read_into(self, view: memoryview) -> None:
        while view:
            try:
                count = self._when(select.POLLIN, self._socket.recv_into, view)
            except ConnectionError:
                count = 0  # it is gone, or has stopped within a message
            if not count:
                raise EOFError("the other end of the channel is closed")
            view = view[count:]

    def _write(self, data: Buffer) -> None:
        view = memoryview(data)
        while view:
            view = view[self._when(select.POLLOUT, self._socket.send, view) :]

    def _when(self, event: int, operation: Callable[..., Any], *arguments: Any) -> Any:
        """Does what may be possible only after a while, when the other end has gone on. TimeoutError is for time limits."""
        while True:
            try:
                return operation(*arguments)
            except BlockingIOError:
                if not self.poll(self._patience, event):
                    raise ConnectionError("the other end stopped within a message") from None
