"""Memory that two processes share, as open files without a name.

A large buffer is written to such a file, by the sender, and mapped by the receiver: no pipe, no copy on arrival. The kernel
frees it when the last mapping and descriptor are gone, whatever happened to the processes in between, so nothing can be left
behind; and since it has no name, no other user can open it. Which file a buffer goes to is
for `jd_compute.transport.arena` to say.
"""

from __future__ import annotations

import contextlib
import mmap
import os
import sys
import weakref
from collections import deque
from collections.abc import Sequence
from typing import Any, TypeAlias

try:
    import resource
except ImportError:  # Windows
    resource = None  # type: ignore[assignment]

#: A buffer of at least this many bytes is sent as a file. Below, the few system calls cost more than the pipe.
LARGE = 1 << 18

#: Buffers in one file begin at multiples of this: what the vector instructions of numpy and arrow like best (bytes).
ALIGNMENT = 64

# Python's mmap keeps a descriptor open for as long as it lives, unless told otherwise, which is possible from 3.13 on.
_WITHOUT_DESCRIPTOR: dict[str, Any] = {"trackfd": False} if sys.version_info >= (3, 13) else {}

#: So many received files are mapped at a time, and further ones copied: Linux allows a process 65,530 mappings
#: (vm.max_map_count). Where each takes a descriptor, they take a quarter of those that this process may open at most.
MOST_MAPPED = 16384 if _WITHOUT_DESCRIPTOR else 256

_mapped: weakref.WeakSet[Mapped] = weakref.WeakSet()

#: What was received: the memory of a file, or a copy of it.
Memory: TypeAlias = "Mapped | bytearray"


def descriptors() -> int:
    """Returns how many files this process may have open (``ulimit -n``), at least as far as is known."""
    if resource is None:
        return 512  # as Windows' C library allows
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return 1 << 20 if soft == resource.RLIM_INFINITY else soft


def identity(file: int) -> tuple[int, int] | None:
    """Returns what tells an open file from another one that has its number later; None if it is closed."""
    try:
        status = os.fstat(file)
    except OSError:
        return None
    return status.st_dev, status.st_ino


def _may_map() -> bool:
    """Whether one more received file may be mapped."""
    if len(_mapped) >= MOST_MAPPED:
        return False
    return bool(_WITHOUT_DESCRIPTOR) or len(_mapped) < descriptors() // 4


def layout(sizes: Sequence[int]) -> tuple[list[int], int]:
    """Returns where in a file buffers of these sizes begin, and the size of the file."""
    offsets, end = [], 0
    for size in sizes:
        start = -(-end // ALIGNMENT) * ALIGNMENT
        offsets.append(start)
        end = start + size
    return offsets, end


def write(file: int, data: memoryview, offset: int) -> None:
    """Writes all of ``data`` to a file, from ``offset`` on.

    Written, not mapped and copied: in fresh pages that was measured to take 1.6 times as long, for it costs a page fault for
    each; and where memory is short this is an OSError, and that the end of the process.
    """
    done = 0
    while done < data.nbytes:  # one system call writes 2 GB at most
        done += os.pwrite(file, data[done:], offset + done)


class Mapped(mmap.mmap):
    """The memory of a file that was received. Says when nothing in this process uses it any more.

    Attributes:
        number: by which the sender knows the file; 0 if it does not want it back.
        released: gets the number then.
    """

    number = 0
    released: deque[int]

    def __del__(self) -> None:
        """Called when the last array in it is gone."""
        if self.number:
            self.released.append(self.number)


def take_file(file: int, size: int, *, number: int, common: bool, released: deque[int]) -> Memory:
    """Returns the memory of a file that was received, and closes its descriptor.

    It is mapped; but where too many mappings live already, or no descriptor is left for it, it is copied.

    Args:
        file: the descriptor.
        size: length in bytes, above 0.
        number: by which the sender knows it; 0 if it does not want it back.
        common: whether other processes map it too; then a page that is written to is copied first.
        released: gets the number when the memory is no longer used here.
    """
    try:
        if _may_map():
            with contextlib.suppress(OSError):  # no descriptor or mapping is left
                return _map(file, size, number, common, released)
        copy = bytearray(size)
        view, done = memoryview(copy), 0
        while done < size and (count := os.preadv(file, [view[done:]], done)):  # 2 GB at most, as for writing
            done += count
        if number:
            released.append(number)
        return copy
    finally:
        os.close(file)


def _map(file: int, size: int, number: int, common: bool, released: deque[int]) -> Mapped:
    flags = mmap.MAP_PRIVATE if common else mmap.MAP_SHARED
    memory = Mapped(file, size, flags=flags, prot=mmap.PROT_READ | mmap.PROT_WRITE, **_WITHOUT_DESCRIPTOR)
    memory.number, memory.released = number, released
    _mapped.add(memory)
    return memory


def _keep_all() -> None:
    """A forked child sees the same memory, and may use it for longer than this process: none of it is given back."""
    for memory in _mapped:
        memory.number = 0


if hasattr(os, "register_at_fork"):
    os.register_at_fork(before=_keep_all, after_in_parent=_keep_all)


def open_nameless(name: str) -> int:
    """Returns the descriptor of a new file that lives in memory; ``name`` only shows in lists of open files."""
    if hasattr(os, "memfd_create"):
        return os.memfd_create(name, os.MFD_CLOEXEC)
    import tempfile  # here, because few systems need it, and it is slow to import

    with tempfile.TemporaryFile(prefix=name) as file:  # has no name any more either, but lives on a disk
        return os.dup(file.fileno())
