"""What a worker is doing, in shared memory: written by the worker as it goes, read by the caller when it has died.

The caller writes there, too, what it wants of a worker that is at work. Both cost a few tens of nanoseconds and no message.
The memory has no name in any file system: it is an open file that is handed over, so nothing is left behind whatever
happens, and no other user can reach it.
"""

from __future__ import annotations

import contextlib
import mmap
import os
import threading
import time
from collections.abc import Iterator

from jd_compute.transport.shared_memory import open_nameless

#: What a worker is doing. IDLE also while it waits for the rest of a message.
IDLE, LOADING, DECODING, RUNNING, ENCODING = range(5)

_SIZE = mmap.PAGESIZE

#: In nanoseconds; longer than any timeout.
_EVER = 1 << 60

# Places in the array of 64-bit integers.
_PHASE, _CHUNK, _FIRST, _BLOCK, _SINCE, _CANCELLED, _WANTED, _CPU = range(8)


class Status:
    """The shared page of one worker."""

    def __init__(self, file: int | None = None) -> None:
        """Makes a new page, whose file is to be handed over; or opens the one of a file that was, which is closed."""
        self._standing = threading.Lock()
        self.file = open_nameless("just-distribute-status") if file is None else file
        try:
            if file is None:
                os.ftruncate(self.file, _SIZE)
            self._memory = mmap.mmap(self.file, _SIZE)
        except OSError:
            self.close_file()
            raise
        if file is not None:
            self.close_file()
        self._numbers = memoryview(self._memory).cast("q")
        if file is None:
            self.enter(LOADING, 0, time.monotonic_ns())  # its worker is about to

    def enter(self, phase: int, chunk: int, nanoseconds: int) -> None:
        """Worker: says that it begins ``phase`` of the chunk with this number (0: of none), and the monotonic time."""
        numbers = self._numbers
        numbers[_SINCE] = nanoseconds
        if chunk:
            numbers[_CHUNK] = chunk
        numbers[_PHASE] = phase

    def begin_block(self, first: int, calls: int, nanoseconds: int) -> None:
        """Worker: says that it begins some calls: the offset of the first, how many, and the monotonic time."""
        numbers = self._numbers
        numbers[_SINCE] = nanoseconds
        numbers[_BLOCK] = calls
        numbers[_FIRST] = first
        numbers[_PHASE] = RUNNING

    @contextlib.contextmanager
    def time_stands_still(self) -> Iterator[None]:
        """Worker: does not count how long the block takes as time of the calls that run, nor while it lasts."""
        numbers = self._numbers
        with self._standing:  # each of the threads that print in one call
            since, began = numbers[_SINCE], time.monotonic_ns()
            numbers[_SINCE] = began + _EVER
            try:
                yield
            finally:
                if numbers[_SINCE] == began + _EVER:  # else another call has begun: this thread is not the worker's own
                    numbers[_SINCE] = since + time.monotonic_ns() - began

    def is_cancelled(self, run: int) -> bool:
        """Worker: whether the caller has given this run up."""
        # Not >=: of two threads' runs the one with the lower number may be served after the other.
        return bool(self._numbers[_CANCELLED] == run)

    def cancel(self, run: int) -> None:
        """Caller: gives this run up."""
        self._numbers[_CANCELLED] = run

    def is_wanted_back(self, chunk: int) -> bool:
        """Worker: whether the caller wants back what has not begun of this chunk."""
        return self._numbers[_WANTED] >= chunk

    def want_back(self, chunk: int) -> None:
        """Caller: wants back what has not begun of the chunks up to this one."""
        self._numbers[_WANTED] = chunk

    @property
    def cpu(self) -> int | None:
        """The CPU on which the worker is to wait for work, as the caller has said; None: any."""
        return self._numbers[_CPU] - 1 if self._numbers[_CPU] else None

    @cpu.setter
    def cpu(self, cpu: int | None) -> None:
        self._numbers[_CPU] = 0 if cpu is None else cpu + 1

    @property
    def phase(self) -> int:
        """What the worker is doing."""
        return self._numbers[_PHASE]

    @property
    def chunk(self) -> int:
        """The number of the chunk that it has begun last; greater than those before."""
        return self._numbers[_CHUNK]

    @property
    def block(self) -> tuple[int, int]:
        """Offset of the first call of those that run now, and their number."""
        return self._numbers[_FIRST], self._numbers[_BLOCK]

    @property
    def since(self) -> int:
        """When those began, in nanoseconds of the monotonic clock."""
        return self._numbers[_SINCE]

    def close(self) -> None:
        """Unmaps the page and closes the file."""
        self._numbers.release()
        self._memory.close()
        self.close_file()

    def close_file(self) -> None:
        """Closes the file, which nobody needs once both ends have mapped it."""
        if self.file >= 0:
            os.close(self.file)
            self.file = -1
