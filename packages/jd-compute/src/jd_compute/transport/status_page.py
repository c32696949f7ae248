"""What a worker is doing, in shared memory: written by the worker while it runs, read by the caller when it has died.

The caller also writes requests to a busy worker there. Both cost a few tens of nanoseconds and no message.
The memory has no name in any file system: it is an open file that is passed on, so nothing is left behind whatever
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
        """Makes a new page, whose file can be passed on; or opens the page of a received file, and closes the file."""
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

    def enter(self, phase: int, chunk: int, nanoseconds: int) -> None:
        """Worker: states that it begins ``phase`` of the chunk with this number (0: of none), and the monotonic time."""
        numbers = self._numbers
        numbers[_SINCE] = nanoseconds
        if chunk:
            numbers[_CHUNK] = chunk
        numbers[_PHASE] = phase

    def begin_block(self, first: int, calls: int, nanoseconds: int) -> None:
        """Worker: states that it begins some calls: the offset of the first, their number, and the monotonic time."""
        numbers = self._numbers
        numbers[_SINCE] = nanoseconds
        numbers[_BLOCK] = calls
        numbers[_FIRST] = first
        numbers[_PHASE] = RUNNING

    @contextlib.contextmanager
    def time_stands_still(self) -> Iterator[None]:
        """Worker: excludes the time of the block from the time of the running calls, also while the block lasts."""
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
        """Worker: whether the caller has cancelled this run."""
        # Not >=: of two threads' runs the one with the lower number may be served after the other.
        return bool(self._numbers[_CANCELLED] == run)

    def cancel(self, run: int) -> None:
        """Caller: cancels this run."""
        self._numbers[_CANCELLED] = run

    def is_wanted_back(self, chunk: int) -> bool:
        """Worker: whether the caller requests the calls of this chunk that have not begun."""
        return self._numbers[_WANTED] >= chunk

    def want_back(self, chunk: int) -> None:
        """Caller: requests the calls that have not begun of the chunks up to this one."""
        self._numbers[_WANTED] = chunk

    @property
    def cpu(self) -> int | None:
        """The CPU on which the caller wants the worker to wait for work; None: any."""
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
        """The offset of the first call that is running now, and the number of these calls."""
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
        """Closes the file, which is not needed once both ends have mapped it."""
        if self.file >= 0:
            os.close(self.file)
            self.file = -1
