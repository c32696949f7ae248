"""The messages between the caller, workers and fork servers, and what is in them."""

from __future__ import annotations

import pickle
import struct
from typing import Any, NamedTuple

from jd_core.worker import surroundings

from jd_compute.transport.output import Look

# Caller to worker.
STARTUP = 1  # FILES, a pickled Startup; the open files follow
WORK = 2  # LENGTH, a pickled Surroundings of that length, the encoded (function, constants); each only if it has changed
CHUNK = 3  # CHUNK_HEADER, the encoded columns
RESEND = 4  # RESEND_HEADER: results of a finished chunk did not unpickle; send them one by one
END = 5  # nothing: the run is over, so drop its function and constants, and close what was made for it
CHECK = 6  # nothing: whoever has missed a message before this one, for a call has read it, sees so by its number, and ends

# Worker to caller.
HELLO = 16  # PROCESS: it runs, and will end with the caller
READY = 17  # a pickled Raised, or nothing: the initializer has run
RESULT = 18  # RESULT_HEADER, a pickled list of (offset, Raised) if there are any, SPANs, the encoded list of values
UNLOADABLE = 19  # CHUNK_NUMBER, a pickled Unloadable: nothing of that chunk has run
RESENT = 20  # RESEND_HEADER, a pickled list with each value encoded, or a Raised
OUTPUT = 21  # where it belongs (see output), what was printed or logged
RELEASED = 22  # nothing but what every message has: which files in memory the sender uses no more
ENDING = 23  # nothing: it was idle for long enough, and takes no more messages

# Caller to fork server.
FORK = 32  # nothing: fork a worker; its connection, life and report follow
SPAWN = 33  # names and values of environment variables, pickled, or nothing: the same, as a new interpreter
PRELOAD = 34  # the caller's sys.path, names of modules, and where the caller has found its own, pickled: import them
RETIRE = 35  # nothing: there are no more orders; the server ends with its last worker

#: What a fork server says of a worker, in the pipe that came with the order; and a number.
REPORT = struct.Struct("!Bq")
STARTED, FAILED, ENDED = range(3)  # process id; errno; exit code
UNSAFE = 3  # which of the modules that it was told to import has started threads, from 0 on: this server forks no more

PROCESS = struct.Struct("!Q")

#: Whether the file of a status page follows, and the pipe of multiprocessing's resource tracker.
FILES = struct.Struct("!??")

LENGTH = struct.Struct("!Q")

#: Run, number of the worker in it, number of the chunk, index of its first call, number of calls; what to do after a failed
#: call; whether to publish every call and not blocks of calls, to say when they ran.
CHUNK_HEADER = struct.Struct("!QIQQQB??")

#: After a failed call: go on, give the rest of the chunk back, or do nothing more for the run.
GO_ON, GIVE_BACK, STOP = range(3)

#: Number of the chunk, offset of the first value, number of values, how far the chunk is, seconds since the last such
#: message, length in bytes of the failures, and of the spans.
RESULT_HEADER = struct.Struct("!QQQBdQQ")

#: One of the spans of the calls (`jd_core.worker.Span`), whose offset counts from the chunk's first call.
SPAN = struct.Struct("!QQddd")

#: How far a chunk is: more results will come, none will, or none will and the rest is given back.
GOING_ON, DONE, GIVEN_BACK = range(3)

#: Number of the chunk, offsets of the first value and of the one after the last.
RESEND_HEADER = struct.Struct("!QQQ")

CHUNK_NUMBER = struct.Struct("!Q")


class Startup(NamedTuple):
    """What a worker is told when it starts.

    Attributes:
        initializer: an encoded callable that is called once, the user's modules, and names of those that it uses; or None.
        threads: how many threads BLAS and OpenMP may use; None: as they like.
        idle_seconds: how long the worker waits for work before it ends.
        environment: the caller's environment variables.
        own: environment variables that are this worker's own.
        path: the caller's ``sys.path``, with which the initializer is unpickled.
        arguments: the caller's ``sys.argv``.
        authkey: the key by which processes of the caller's ``multiprocessing`` know each other.
    """

    initializer: tuple[bytes, surroundings.Modules, frozenset[str]] | None
    threads: int | None
    idle_seconds: float
    environment: dict[str, str]
    own: dict[str, str]
    path: list[str]
    arguments: list[str]
    authkey: bytes


class Surroundings(NamedTuple):
    """What a call may see of the caller's process.

    Attributes:
        folder: the caller's working directory; None if it was deleted.
        path: the caller's ``sys.path``.
        levels: the caller's logging levels, by logger.
        streams: how the caller's stdout and stderr look.
        others: all that is the same for every kind of worker.
        modules: the user's modules.
        used: names of those that functions of which the worker is told use.
        variables: the values of context variables in these.
    """

    folder: str | None
    path: list[str]
    levels: dict[str, int]
    streams: list[Look]
    others: surroundings.Surroundings
    modules: surroundings.Modules
    used: frozenset[str]
    variables: dict[tuple[str, str], bytes]


class Raised(NamedTuple):
    """An exception as sent from the worker to the caller.

    Attributes:
        encoded: the exception itself; None if it cannot be serialized, or is not the user's but says that a result cannot.
        type: its type's qualified name.
        message: its message.
        traceback: the worker's traceback.
        refused: whether it says that the call's result cannot be serialized.
    """

    encoded: bytes | None
    type: str
    message: str
    traceback: str
    refused: bool = False


class Unloadable(NamedTuple):
    """Why a worker could not decode what it was sent.

    Attributes:
        what: "function" or "arguments"; "files" if open files were lost on the way, see `channel.FilesLostError`.
        modules: the names of the module that it could not import, or does not have the name in, and of those that import
            it; empty for other errors.
        error: the error, shown as its type and message.
        traceback: the worker's traceback.
    """

    what: str
    modules: tuple[str, ...]
    error: str
    traceback: str


def pack(value: Any) -> bytes:
    """Returns a message part of our own classes as bytes."""
    return pickle.dumps(value, protocol=5)
