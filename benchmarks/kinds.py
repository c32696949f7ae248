"""Twelve functions of known kind, for `f.advise` and ``job="auto"``: what they do, and which job can be right for them.

They live in a module that every worker can import.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import re
import socket
import sqlite3
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy

#: A text to search, and a document to read.
TEXT = "the quick brown fox jumps over the lazy dog, " * 400
DOCUMENT = json.dumps([{"name": f"row {number}", "values": list(range(10))} for number in range(200)])


def pure_python(number: int) -> int:
    return sum(k * k for k in range(20_000 + number % 10))


def hashing(number: int) -> str:
    """Many small pieces, for which the interpreter's lock is kept; see `hashlib`."""
    digest = str(number).encode()
    for _ in range(2_000):
        digest = hashlib.sha256(digest).digest()
    return digest.hex()


def with_numpy(number: int) -> float:
    """Releases the interpreter's lock, and uses one CPU."""
    return float(numpy.sort(numpy.random.default_rng(number).random(60_000))[0])


def regex(number: int) -> int:
    return len(re.findall(r"\b(\w+) (\w+)\b", TEXT[number % 10 :]))


def read_json(number: int) -> int:
    return len(json.loads(DOCUMENT)) + number


def read_file(path: str) -> int:
    """Reads a file, which the system has in memory."""
    return len(Path(path).read_bytes())


def sleeping(seconds: float) -> float:
    time.sleep(seconds)
    return seconds


def ask(address: tuple[str, int]) -> int:
    """A request to a server that takes ten milliseconds for it, and serves many at once."""
    with socket.create_connection(address) as connection:
        connection.sendall(b"?")
        return len(connection.recv(1))


def query(number: int, *, path: str) -> int:
    """Counts rows of a table by sqlite3, which computes without the interpreter's lock."""
    with contextlib.closing(sqlite3.connect(path)) as database:
        (found,) = database.execute("SELECT count(*) FROM rows WHERE value % 7 = ?", (number % 7,)).fetchone()
    return int(found)


def program(seconds: float) -> int:
    """Another program, which waits."""
    return subprocess.run([sys.executable, "-S", "-E", "-c", f"import time; time.sleep({seconds})"], check=True).returncode


def tiny(number: int) -> int:
    return number * number


def tiny_with_data(data: bytes) -> int:
    """Looks at a few bytes of a megabyte."""
    return sum(data[::2048])


@contextlib.contextmanager
def _files(size: int) -> Iterator[tuple[Any, dict[str, Any]]]:
    with tempfile.TemporaryDirectory(prefix="jd-kinds-") as folder:
        paths = [Path(folder, str(number)) for number in range(20)]
        for path in paths:
            path.write_bytes(bytes(200_000))
        yield [str(paths[number % 20]) for number in range(size)], {}


@contextlib.contextmanager
def _server(size: int) -> Iterator[tuple[Any, dict[str, Any]]]:
    def answer(connection: socket.socket) -> None:
        with connection:
            connection.recv(1)
            time.sleep(0.01)
            connection.sendall(b"!")

    def serve() -> None:
        with contextlib.suppress(OSError):  # it was closed
            while True:
                threading.Thread(target=answer, args=(listener.accept()[0],), daemon=True).start()

    listener = socket.create_server(("127.0.0.1", 0), backlog=128)
    threading.Thread(target=serve, daemon=True).start()
    try:
        yield [listener.getsockname()] * size, {}
    finally:
        with contextlib.suppress(OSError):
            listener.shutdown(socket.SHUT_RDWR)
        listener.close()


@contextlib.contextmanager
def _table(size: int) -> Iterator[tuple[Any, dict[str, Any]]]:
    with tempfile.TemporaryDirectory(prefix="jd-kinds-") as folder:
        path = str(Path(folder, "rows.db"))
        with contextlib.closing(sqlite3.connect(path)) as database:
            database.execute("CREATE TABLE rows (value INTEGER)")
            database.executemany("INSERT INTO rows VALUES (?)", ((number,) for number in range(30_000)))
            database.commit()
        yield range(size), {"path": path}


def _megabytes(size: int) -> list[bytes]:
    return [bytes([number]) * 1_000_000 for number in range(20)] * (size // 20)


def _always(make: Callable[[int], Any]) -> Callable[[int], AbstractContextManager[tuple[Any, dict[str, Any]]]]:
    return lambda size: contextlib.nullcontext((make(size), {}))


@dataclass(frozen=True)
class Kind:
    """A function, with what it is called with.

    Attributes:
        function: the function.
        right: the jobs that can be right where there are two CPUs that nobody else uses.
        size: number of calls that take a loop about two seconds.
        inputs: a context that yields ``(items, constants)`` of a size.
    """

    function: Callable[..., Any]
    right: frozenset[str]
    size: int
    inputs: Callable[[int], AbstractContextManager[tuple[Any, dict[str, Any]]]]

    @property
    def name(self) -> str:
        """The function's."""
        return self.function.__name__


_COMPUTES, _WAITS, _BOTH, _STAYS = map(frozenset, (["compute"], ["io"], ["compute", "io"], ["serial"]))

KINDS = [
    Kind(pure_python, _COMPUTES, 2_000, _always(range)),
    Kind(hashing, _COMPUTES, 2_000, _always(range)),
    Kind(with_numpy, _BOTH, 1_000, _always(range)),
    Kind(regex, _COMPUTES, 2_000, _always(range)),
    Kind(read_json, _COMPUTES, 3_000, _always(range)),
    Kind(read_file, _BOTH, 5_000, _files),
    Kind(sleeping, _WAITS, 200, _always(lambda size: [0.01] * size)),
    Kind(ask, _WAITS, 200, _server),
    Kind(query, _BOTH, 1_000, _table),
    Kind(program, _WAITS, 60, _always(lambda size: [0.02] * size)),
    Kind(tiny, _STAYS, 100_000, _always(range)),
    Kind(tiny_with_data, _STAYS, 20_000, _always(_megabytes)),
]
