"""The memory files of this process: what it sends large buffers in, kept and used again when the receivers are done.

::

    _free ──place──▶ Parcel ──Channel.send──▶ lent to the other end ──its arrays are gone: "released"──▶ _free
      │                                          │
      └── no room, idle: closed                  └── the other end died: closed

Pages that exist already are written five times as fast as fresh ones (8 MB: 1.1 ms against 3.9 ms), which the kernel must
find, clear and account for. A receiver says with its next message which files it uses no more. What it keeps it may keep:
when this process needs the room it closes its descriptor and forgets the file, whose memory is then the receiver's alone.
"""

from __future__ import annotations

import contextlib
import os
import socket
from collections.abc import Sequence

from jd_compute.transport.locks import new_lock
from jd_compute.transport.shared_memory import descriptors, layout, open_nameless, write

#: Bytes that this process keeps at most, those at the receivers included (row arrays-in: 2.30 if none are). What does not
#: fit gets a file for this one time.
MOST_KEPT = 128 << 20

#: Files that it keeps at most, and not more than an eighth of those that it may open (``ulimit -n``): each is a descriptor.
MOST_FILES = 64

#: A free file takes a buffer if it is at most so many times as large.
MOST_WASTE = 4

#: Whether open files can be handed to another process: what shared memory without a name needs.
CAN_PASS_FILES = hasattr(socket, "send_fds")


class MemoryFile:
    """An open file in memory.

    Attributes:
        file: its descriptor.
        capacity: how many bytes of memory it has.
        claims: parcels that it is in, and receivers that have not given it back.
        packed: whether one of the claims is a parcel that is not closed.
        kept: whether it is to be used again; if not, it is closed when the parcel is.
    """

    def __init__(self, file: int, capacity: int) -> None:
        self.file = file
        self.capacity = capacity
        self.claims = 1
        self.packed = self.kept = True

    def write(self, buffer: memoryview, offset: int) -> None:
        """Puts a buffer into the file, from ``offset`` on."""
        write(self.file, buffer, offset)

    def close(self) -> None:
        """Lets go of it; whoever else has mapped the memory keeps it."""
        os.close(self.file)


class Parcel:
    """The large buffers of one message, placed; to be closed when it is sent to all who shall get it.

    Attributes:
        places: for each buffer, in order: which of ``files`` it is in, or -1 if it must go through the connection; its
            offset there; its length.
        common: whether several processes get the files, so that each must see its own writes only.
        files: with how many bytes of each are used.
        inline: the buffers that must go through the connection, in order.
    """

    def __init__(self, *, common: bool) -> None:
        self.files: list[tuple[MemoryFile, int]] = []
        self.inline: list[memoryview] = []
        self.places: list[tuple[int, int, int]] = []
        self.common = common

    @property
    def weight(self) -> int:
        """About how many bytes of it go through the connection."""
        return 64 * len(self.places) + sum(buffer.nbytes for buffer in self.inline)

    def close(self) -> None:
        """Drops the claim on the files."""
        for file, _ in self.files:
            arena.unpack(file)
        self.files.clear()
        self.inline.clear()

    def __del__(self) -> None:
        """Closes, if Ctrl-C came where nobody else could."""
        self.close()


class Arena:
    """All memory files that this process keeps for sending. Any thread may use it.

    Args:
        most_bytes: how much is kept at most.
        most_files: how many files are kept at most.

    Attributes:
        is_held: whether the current thread is in the middle of one of these methods.
    """

    def __init__(self, most_bytes: int = MOST_KEPT, most_files: int = MOST_FILES) -> None:
        self._most_bytes = most_bytes
        self._most_files = most_files
        self._lock, self.is_held = new_lock()
        self._files: list[MemoryFile] = []  # those that are kept, the one that was used longest ago first

    def place(
        self, buffers: Sequence[memoryview], *, together: bool = False, common: bool = False, inline: bool = False
    ) -> Parcel:
        """Puts buffers into memory that can be handed over, as far as there is some to be had.

        Args:
            buffers: what to send.
            together: all in one file. That is cheaper, but none of its memory is free before all of it is.
            common: whether several processes will get the files.
            inline: all must go through the connection: the receiver can take no files.
        """
        parcel = Parcel(common=common)
        if inline:
            parcel.places += [(-1, 0, buffer.nbytes) for buffer in buffers]
            parcel.inline += buffers
            return parcel
        groups = [buffers] if together else [[buffer] for buffer in buffers]
        for group in groups:
            self._place(parcel, group)
        return parcel

    def _place(self, parcel: Parcel, group: Sequence[memoryview]) -> None:
        offsets, size = layout([buffer.nbytes for buffer in group])
        for _ in range(2 if CAN_PASS_FILES else 0):
            number = len(parcel.files)
            try:
                parcel.files.append((self._take(size), size))
                for buffer, offset in zip(group, offsets, strict=True):
                    parcel.files[number][0].write(buffer, offset)
            except OSError:  # no memory, or no descriptor, is left; there may be when what is kept is given up
                self.clear()
                for file, _ in parcel.files[number:]:
                    self.unpack(file)
                del parcel.files[number:]
                continue
            parcel.places += [(number, offset, buffer.nbytes) for buffer, offset in zip(group, offsets, strict=True)]
            return
        parcel.places += [(-1, 0, buffer.nbytes) for buffer in group]
        parcel.inline += group

    def _take(self, size: int) -> MemoryFile:
        """Returns a file for so many bytes, with the claim of a parcel."""
        with self._lock:
            fitting = [file for file in self._files if not file.claims and size <= file.capacity <= MOST_WASTE * size]
            if fitting:
                found = min(fitting, key=lambda file: file.capacity)
                found.claims, found.packed = 1, True
                self._files.remove(found)
                self._files.append(found)
                return found
            made = MemoryFile(open_nameless("just-distribute"), size)
            self._make_room(made)
            return made

    def _make_room(self, made: MemoryFile) -> None:
        """Keeps a new file, and forgets as many others for it as necessary: free ones first."""
        others = sorted((file for file in self._files if not file.packed), key=lambda file: file.claims > 0)
        left = sum(file.capacity for file in self._files)
        packed = [file for file in self._files if file.packed]
        most_files = min(self._most_files, descriptors() // 8)
        made.kept = made.capacity + sum(file.capacity for file in packed) <= self._most_bytes and len(packed) < most_files
        if not made.kept:
            return
        for file in others:
            if made.capacity + left <= self._most_bytes and len(self._files) < most_files:
                break
            left -= file.capacity
            self._forget(file)
        self._files.append(made)

    def lend(self, file: MemoryFile) -> bool:
        """Records that a receiver gets a file; returns whether it is to give it back."""
        with self._lock:
            file.claims += file.kept
            return file.kept

    def take_back(self, file: MemoryFile, *, lost: bool = False) -> None:
        """Records that a receiver does not use a file any more.

        Args:
            file: what was lent.
            lost: the receiver has gone without a word, and may have forked others that still use it.
        """
        with self._lock:
            file.claims -= 1
            if lost and file.kept:
                self._give_up(file)

    def unpack(self, file: MemoryFile) -> None:
        """Records that a parcel has been closed."""
        with self._lock:
            file.claims, file.packed = file.claims - 1, False
            if not file.kept:
                file.close()

    def clear(self) -> None:
        """Frees all that is kept. What is lent belongs to the receivers alone from now on."""
        with self._lock:
            for file in list(self._files):
                self._give_up(file)

    def _give_up(self, file: MemoryFile) -> None:
        if file.packed:  # closed with its parcel
            file.kept = False
            self._files.remove(file)
        else:
            self._forget(file)

    def _forget(self, file: MemoryFile) -> None:
        file.kept = False
        self._files.remove(file)
        file.close()

    def kept(self) -> tuple[int, int]:
        """Returns how many files are kept, and how many bytes they have together."""
        with self._lock:
            return len(self._files), sum(file.capacity for file in self._files)

    def abandon(self, *, are_closed: bool = False) -> None:
        """In a forked child: the memory is the parent's to write to. Or the descriptors are those of other files already."""
        files, self._files = self._files, []
        self._lock, self.is_held = new_lock()
        for file in files:
            file.kept = False
            with contextlib.suppress(OSError):  # another thread was about to close it
                if not are_closed:
                    file.close()


#: That of this process.
arena = Arena()

if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=arena.abandon)
