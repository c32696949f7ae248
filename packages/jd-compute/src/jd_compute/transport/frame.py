"""The format of a message on the connection, and the errors of a bad one."""

from __future__ import annotations

import struct
from typing import NamedTuple

#: The first bytes of every message.
MAGIC = b"jdc"

#: Magic number, the message's own number (from 1 on, modulo 256), its kind, the length of its body, and the numbers of large
#: buffers, of files, and of returned files.
HEADER = struct.Struct("!3sBBQLLL")

#: Where a buffer is, as in `Parcel.places`.
PLACE = struct.Struct("!lQQ")

#: A file: how many bytes of it are used, the number by which it is returned, whether other processes get it, too.
FILE = struct.Struct("!QQ?")

#: The number of a returned file.
NUMBER = struct.Struct("!Q")

#: No message has more bytes in its body or in one buffer, nor more buffers or files.
MOST_BYTES, MOST_ITEMS = 1 << 40, 1 << 24


class BrokenChannelError(EOFError):
    """The other end violates the protocol; it is treated as if it had ended."""


class FilesLostError(OSError):
    """Open files were sent, but this process may not open so many; the kernel has dropped them."""


class Message(NamedTuple):
    """A message as it arrives.

    Attributes:
        kind: what it is.
        body: its bytes.
        buffers: the large buffers that came with it, in order; None if they were lost, see `FilesLostError`. Their memory is
            returned when they, and the objects made from them, are dropped.
    """

    kind: int
    body: bytearray
    buffers: list[memoryview] | None
