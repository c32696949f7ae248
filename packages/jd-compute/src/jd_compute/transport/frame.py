"""How a message looks on the connection, and what may be wrong with one."""

from __future__ import annotations

import struct
from typing import NamedTuple

#: What every message begins with.
MAGIC = b"jdc"

#: Magic number, the message's own number (from 1 on, modulo 256), its kind, the length of its body, and how many large
#: buffers, files, and files that are given back there are.
HEADER = struct.Struct("!3sBBQLLL")

#: Where a buffer is, as in `Parcel.places`.
PLACE = struct.Struct("!lQQ")

#: A file: how many bytes of it are used, the number by which it is given back, whether other processes get it too.
FILE = struct.Struct("!QQ?")

#: The number of a file that is given back.
NUMBER = struct.Struct("!Q")

#: No message has more bytes in its body or in one buffer, nor more buffers or files.
MOST_BYTES, MOST_ITEMS = 1 << 40, 1 << 24


class BrokenChannelError(EOFError):
    """The other end does not keep to the protocol; it is treated as one that has ended."""


class FilesLostError(OSError):
    """Open files were sent, but this process may not open so many; the kernel has dropped them."""


class Message(NamedTuple):
    """A message as it arrives.

    Attributes:
        kind: what it is.
        body: its bytes.
        buffers: the large buffers that came with it, in order; None if they were lost, see `FilesLostError`. Their memory is
            given back when they, and what was made of them, are dropped.
    """

    kind: int
    body: bytearray
    buffers: list[memoryview] | None
