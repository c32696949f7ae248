"""Memory that two processes share, as open files without a name.

A large buffer is written to such a file once, by the sender, and mapped by the receiver: no pipe, no copy on arrival. The
kernel frees it when the last mapping and descriptor are gone, whatever happened to the processes in between, so nothing can
be left behind; and since it has no name, no other user can open it.
"""

from __future__ import annotations

import mmap
import os
import sys
import tempfile
import weakref
from typing import Any

#: A buffer of at least this many bytes travels as a file. Below, the few system calls cost more than the pipe.
LARGE = 1 << 18

# Python's mmap keeps a descriptor open for as long as it lives, unless told otherwise, which is possible from 3.13 on.
_WITHOUT_DESCRIPTOR: dict[str, Any] = {"trackfd": False} if sys.version_info >= (3, 13) else {}

#: So many received buffers are mapped at a time, and further ones copied: a process may commonly have 1,024 descriptors
#: open (RLIMIT_NOFILE) and 65,530 mappings (vm.max_map_count).
MOST_MAPPED = 16384 if _WITHOUT_DESCRIPTOR else 256

_mapped: weakref.WeakSet[mmap.mmap] = weakref.WeakSet()


class MemoryFile:
    """An open file in memory with the bytes of one buffer.

    Attributes:
        file: its descriptor.
        size: its length in bytes.
        common: whether several processes map it, so that each must see its own writes only.
    """

    def __init__(self, data: memoryview, *, common: bool = False) -> None:
        """Writes ``data`` to a new file.

        Raises:
            OSError: there is no memory, or no descriptor, left for it.
        """
        self.file = open_nameless("just-distribute")
        self.size = data.nbytes
        self.common = common
        try:
            # Written, not mapped and copied: that would take a page fault for each page, and was measured at half the speed.
            written = 0
            while written < self.size:
                written += os.pwrite(self.file, data[written:], written)
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        """Closes the descriptor; whoever has mapped the memory keeps it."""
        os.close(self.file)


def take_file(file: int, size: int, *, common: bool) -> mmap.mmap | bytearray:
    """Returns the memory of a file that was received, and closes its descriptor.

    It is mapped; but where too many mappings live already, it is copied.

    Args:
        file: the descriptor.
        size: length in bytes, above 0.
        common: whether other processes map it too; then a page that is written to is copied first.
    """
    try:
        if len(_mapped) >= MOST_MAPPED:
            copy = bytearray(size)
            os.preadv(file, [copy], 0)
            return copy
        # All pages of an own file will be used, so they are mapped at once where the kernel can. Those of a common one are
        # not: in a private mapping that would copy them all.
        flags = mmap.MAP_PRIVATE if common else mmap.MAP_SHARED | getattr(mmap, "MAP_POPULATE", 0)
        memory = mmap.mmap(file, size, flags=flags, prot=mmap.PROT_READ | mmap.PROT_WRITE, **_WITHOUT_DESCRIPTOR)
        _mapped.add(memory)
        return memory
    finally:
        os.close(file)


def open_nameless(name: str) -> int:
    """Returns the descriptor of a new file that lives in memory; ``name`` only shows in lists of open files."""
    if hasattr(os, "memfd_create"):
        return os.memfd_create(name, os.MFD_CLOEXEC)
    with tempfile.TemporaryFile(prefix=name) as file:  # has no name any more either, but lives on a disk
        return os.dup(file.fileno())
