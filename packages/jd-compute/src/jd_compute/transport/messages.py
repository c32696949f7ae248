"""The messages between the caller and a worker, and what is in them."""

from __future__ import annotations

import pickle
import struct
from dataclasses import dataclass
from typing import Any

# Caller to worker.
WORK = 1  # LENGTH, a pickled Surroundings of that length, the encoded (function, constants); each only if it has changed
CHUNK = 2  # CHUNK_HEADER, the encoded columns
RESEND = 3  # RESEND_HEADER: results of a chunk that is through did not unpickle; send them one by one
END = 4  # nothing: the run is over, so drop its function and constants, and close what was made for it

# Worker to caller.
READY = 16  # a pickled Raised, or nothing: the initializer has run
RESULT = 17  # RESULT_HEADER, a pickled list of (offset, Raised) if there are any, the encoded list of values
UNLOADABLE = 18  # CHUNK_NUMBER, a pickled Unloadable: nothing of that chunk has run
RESENT = 19  # RESEND_HEADER, a pickled list with each value encoded, or a Raised
OUTPUT = 20  # where it belongs (see output), what was printed or logged
RELEASED = 21  # nothing but what every message has: which files in memory the sender uses no more

LENGTH = struct.Struct("!Q")

#: Run, number of the chunk, number of calls; whether to end with the first failed call, to publish every call and not blocks
#: of calls.
CHUNK_HEADER = struct.Struct("!QQQ??")

#: Number of the chunk, offset of the first value, number of values, how far the chunk is, seconds since the last such
#: message, length of the failures in bytes.
RESULT_HEADER = struct.Struct("!QQQBdQ")

#: How far a chunk is: more results will come, none will, or none will and the rest is given back.
GOING_ON, DONE, GIVEN_BACK = range(3)

#: Number of the chunk, offsets of the first value and of the one after the last.
RESEND_HEADER = struct.Struct("!QQQ")

CHUNK_NUMBER = struct.Struct("!Q")


@dataclass(frozen=True, slots=True)
class Startup:
    """What a worker is told when it starts.

    Attributes:
        initializer: an encoded callable that is called once, or None.
        threads: how many threads BLAS and OpenMP may use; None: as they like.
        idle_seconds: how long the worker waits for work before it ends.
        environment: the caller's environment variables.
    """

    initializer: bytes | None
    threads: int | None
    idle_seconds: float
    environment: dict[str, str]


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What a call may see of the caller's process.

    Attributes:
        folder: the caller's working directory.
        path: the caller's ``sys.path``.
        levels: the caller's logging levels, by logger.
    """

    folder: str
    path: list[str]
    levels: dict[str, int]


@dataclass(frozen=True, slots=True)
class Raised:
    """An exception on its way home.

    Attributes:
        encoded: the exception itself; None where it cannot travel, or is not the user's but says that a result cannot.
        type: its type's qualified name.
        message: its message.
        traceback: the worker's traceback.
        refused: whether it says that the call's result cannot travel.
    """

    encoded: bytes | None
    type: str
    message: str
    traceback: str
    refused: bool = False


@dataclass(frozen=True, slots=True)
class Unloadable:
    """Why a worker could not decode what it was sent.

    Attributes:
        what: "function" or "arguments".
        module: the name of the module that it could not import, or does not have the name in; None for other errors.
        error: the error, shown as its type and message.
        traceback: the worker's traceback.
    """

    what: str
    module: str | None
    error: str
    traceback: str


def pack(value: Any) -> bytes:
    """Returns a message part of our own classes as bytes."""
    return pickle.dumps(value, protocol=5)
