"""Files of ``resume=`` as SQLite has them: opened, checked, and its errors in words that say what to do."""

from __future__ import annotations

import contextlib
import os
import sqlite3
import time
from collections.abc import Iterator

from jd_core.errors import ResumeError

#: SQLite's ``application_id`` of these files, "jdRS", by which ``file`` and others may tell them.
APPLICATION = 0x6A645253

#: SQLite's ``user_version`` of these files. A version of this library reads all formats up to its own.
FORMAT = 1

#: Seconds to wait while another process writes, which takes milliseconds.
BUSY_SECONDS = 5.0

_TABLES = """
CREATE TABLE about (name TEXT PRIMARY KEY, value TEXT NOT NULL);
CREATE TABLE codes (id INTEGER PRIMARY KEY AUTOINCREMENT, parts TEXT NOT NULL UNIQUE, since REAL NOT NULL);
CREATE TABLE results (
    id INTEGER PRIMARY KEY, key BLOB NOT NULL, code INTEGER NOT NULL, call INTEGER NOT NULL, at REAL NOT NULL,
    value BLOB NOT NULL, crc32 INTEGER NOT NULL
);
CREATE TABLE failures (key BLOB PRIMARY KEY, call INTEGER NOT NULL, at REAL NOT NULL, error TEXT NOT NULL);
"""

#: What to do with a file that is damaged.
DAMAGED = "move it away, or save what can be read with the command .recover of sqlite3"

_NO_LOCKS = "cannot be locked, as on some network file systems: keep it on a local disk"

#: What is wrong with a file, by the beginning of SQLite's name of the error.
_TROUBLES = {
    "SQLITE_READONLY": "cannot be written: allow it, or copy the file",
    "SQLITE_PERM": "cannot be written: allow it, or copy the file",
    "SQLITE_CANTOPEN": "cannot be opened: it must be a file, and its folder must exist and be writable, too",
    "SQLITE_NOTADB": "is no file of resume=, or damaged: move it away, or pass another path",
    "SQLITE_CORRUPT": f"is damaged: {DAMAGED}",
    "SQLITE_BUSY": f"has been locked by another program for {BUSY_SECONDS:g} seconds: end that, or pass another path",
    "SQLITE_FULL": "cannot be written, because the disk is full: make room",
    "SQLITE_IOERR_LOCK": _NO_LOCKS,
    "SQLITE_IOERR_SHM": _NO_LOCKS,
    "SQLITE_PROTOCOL": _NO_LOCKS,
    "SQLITE_IOERR": "cannot be read or written: its disk failed, or is full",
}


def trouble(error: sqlite3.Error) -> str:
    """Returns what is wrong with a file and the remedy, as the end of a sentence."""
    kind = getattr(error, "sqlite_errorname", "")
    text = next((text for name, text in _TROUBLES.items() if kind.startswith(name)), "cannot be used")
    return f"{text} ({error})"


@contextlib.contextmanager
def troubles(path: str) -> Iterator[None]:
    """Turns SQLite's errors in the block, and what follows from damage that it does not see, into a `ResumeError`."""
    try:
        yield
    except sqlite3.Error as error:
        raise ResumeError(f"resume: {path} {trouble(error)}") from error
    except (ArithmeticError, AttributeError, LookupError, TypeError, ValueError) as error:
        raise ResumeError(f"resume: {path} is damaged: {DAMAGED} ({type(error).__name__}: {error})") from error


def connect(path: str) -> sqlite3.Connection:
    """Opens a file, which is made if there is none; may be used from several threads, by one at a time.

    Raises:
        ResumeError: it is another program's, or of a newer format.
        sqlite3.Error: it cannot be opened.
    """
    connection = sqlite3.connect(path, timeout=BUSY_SECONDS, isolation_level=None, check_same_thread=False)
    try:
        if not _is_new(connection):
            _check(path, connection)
    except BaseException:
        connection.close()
        raise
    return connection


@contextlib.contextmanager
def opening(connection: sqlite3.Connection, function: str, module: str) -> Iterator[None]:
    """Makes a file ready to be written, and runs the block in the transaction in which a new file gets its tables.

    Others may read and write it, too. What is committed survives any ``kill -9``.

    Args:
        connection: to the file.
        function: the function's qualified name.
        module: its module.
    """
    if _is_new(connection):
        # There is nothing to lose yet, and each step until the disk has it takes 30 ms (row resume-calls).
        connection.execute("PRAGMA synchronous = OFF")
    # https://sqlite.org/wal.html. Not waited for by SQLite itself: it takes a lock that nobody may hold for long.
    until = time.monotonic() + BUSY_SECONDS
    while True:
        try:
            connection.execute("PRAGMA journal_mode = WAL").fetchone()
            break
        except sqlite3.OperationalError as error:
            if error.sqlite_errorcode != sqlite3.SQLITE_BUSY or time.monotonic() > until:
                raise
            time.sleep(0.01)
    with transaction(connection):
        if _is_new(connection):  # still, and no other process has made it meanwhile
            for statement in _TABLES.split(";"):
                connection.execute(statement)
            connection.execute(f"PRAGMA application_id = {APPLICATION}")
            connection.execute(f"PRAGMA user_version = {FORMAT}")
            connection.executemany("INSERT INTO about VALUES (?, ?)", [("function", function), ("module", module)])
        yield
    connection.execute("PRAGMA synchronous = NORMAL")


@contextlib.contextmanager
def transaction(connection: sqlite3.Connection) -> Iterator[None]:
    """Writes all of what the block does, or nothing."""
    connection.execute("BEGIN IMMEDIATE")
    try:
        yield
        connection.execute("COMMIT")
    except BaseException:
        with contextlib.suppress(sqlite3.Error):  # SQLite may have done so itself
            connection.execute("ROLLBACK")
        raise


def about(connection: sqlite3.Connection) -> dict[str, str]:
    """Returns what the file says of itself: its ``function`` and that one's ``module``."""
    return dict(connection.execute("SELECT name, value FROM about").fetchall())


def _is_new(connection: sqlite3.Connection) -> bool:
    return not connection.execute("SELECT count(*) FROM sqlite_master").fetchone()[0]


def _check(path: str, connection: sqlite3.Connection) -> None:
    application = connection.execute("PRAGMA application_id").fetchone()[0]
    found = connection.execute("PRAGMA user_version").fetchone()[0]
    if application != APPLICATION:
        raise ResumeError(f"resume: {path} is a SQLite file of another program: pass another path")
    if found > FORMAT:
        raise ResumeError(
            f"resume: {path} has format {found}, and this version reads formats up to {FORMAT}: it was written by a newer "
            f"version of just-distribute; install that, or pass another path"
        )


def size(path: str) -> int:
    """Returns the bytes that a file takes on the disk, with the log of what was written last."""
    return sum(os.path.getsize(path + end) for end in ("", "-wal") if os.path.exists(path + end))
