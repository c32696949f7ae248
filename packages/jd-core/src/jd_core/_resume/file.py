"""The results of a function in its file: found by the keys of calls, and added. docs/how-to/resume.md says what is in it.

Rows are only ever added, in the order in which results come: an index of the keys, which have no order, would cost ten times
as much (row resume-tiny-calls). `Rows` finds them without one.
"""

from __future__ import annotations

import contextlib
import json
import os
import pickle
import sqlite3
import threading
import time
import zlib
from collections.abc import Mapping, Sequence
from typing import Any

from jd_core._resume.database import DAMAGED, about, connect, opening, transaction, troubles
from jd_core._resume.identity.code import changes
from jd_core._resume.rows import Rows
from jd_core.errors import ResumeError
from jd_core.worker.unpicklable import REFUSALS, show

#: Stands for the result of a call that has none in the file.
MISSING: Any = object()

#: Parts of the code that are named where it has changed.
_SHOWN = 3


class ResumeFile:
    """The results of one function, by the keys of its calls. May be used from several threads.

    Args:
        path: of the file, which is made if there is none.
        function: the function's qualified name.
        module: its module.
        parts: the state of its code, by the names of its parts.
        changed: what to do with results of other code: "error", "use" or "drop".

    Attributes:
        there: how many results it had.

    Raises:
        ResumeError: the file cannot be used.
    """

    def __init__(self, path: str, function: str, module: str, parts: Mapping[str, str], changed: str) -> None:
        self._path = path
        self._function = function
        self._lock = threading.Lock()
        with troubles(path):
            self._connection = connect(path)
            try:
                with opening(self._connection, function, module):
                    self._code = self._code_of(parts, changed)
                self._rows = Rows(self._connection, self._lock, self._code)
                self._stat = os.stat(path)
                self._failed = {key for (key,) in self._connection.execute("SELECT key FROM failures")}
            except BaseException:
                self._connection.close()
                raise
        self.there = self._rows.count

    def find(self, keys: Sequence[bytes]) -> tuple[list[Any], int]:
        """Returns the result of each call, `MISSING` where there is none, and how many bytes all of them have.

        A result that was found is not found again: calls that are equal have one each.

        Raises:
            ResumeError: what is there cannot be read.
        """
        values: list[Any] = []
        size = 0
        checksum_of, loads = zlib.crc32, pickle.loads
        with troubles(self._path):
            for row in self._rows.claim(keys):
                if row is None:
                    values.append(MISSING)
                    continue
                _, call, value, checksum, _ = row
                if checksum_of(value) != checksum:
                    raise ResumeError(f"resume: {self._path} is damaged, at the result of call {call}: {DAMAGED}")
                size += len(value)
                try:
                    values.append(loads(value))
                except REFUSALS as error:
                    raise self._unloadable(call, error) from None
        return values, size

    def write(self, results: Sequence[tuple[bytes, int, bytes]], failures: Sequence[tuple[bytes, int, str]]) -> None:
        """Adds results and failures: all of them, or none.

        Args:
            results: key, index of the call, and result as bytes.
            failures: key, index of the call, and what it raised.

        Raises:
            sqlite3.Error: they cannot be written.
        """
        now, code = time.time(), self._code
        rows = [(key, code, call, now, value, zlib.crc32(value)) for key, call, value in results]
        with self._lock, transaction(self._connection):
            insert = "INSERT INTO results (key, code, call, at, value, crc32) VALUES (?, ?, ?, ?, ?, ?)"
            self._connection.executemany(insert, rows)
            if self._failed and (mended := [(row[0],) for row in rows if row[0] in self._failed]):
                self._connection.executemany("DELETE FROM failures WHERE key = ?", mended)
            if failures:
                insert = "INSERT OR REPLACE INTO failures (key, call, at, error) VALUES (?, ?, ?, ?)"
                self._connection.executemany(insert, [(key, call, now, error) for key, call, error in failures])

    def seed(self, drawn: int) -> int:
        """Returns the seed of the random numbers that the file's first run has drawn; ``drawn`` if this is the first."""
        with self._lock, troubles(self._path), transaction(self._connection):
            self._connection.execute("INSERT OR IGNORE INTO about VALUES ('seed', ?)", (str(drawn),))
            return int(about(self._connection)["seed"])

    def is_there(self) -> bool:
        """Whether its path still leads to this file: SQLite goes on writing to one that was deleted."""
        try:
            return os.path.samestat(os.stat(self._path), self._stat)
        except FileNotFoundError:
            return False
        except OSError:  # that says nothing of the file
            return True

    def close(self) -> None:
        """Closes the file."""
        with self._lock, contextlib.suppress(sqlite3.Error):
            self._connection.close()

    def _code_of(self, parts: Mapping[str, str], changed: str) -> int:
        """Returns the number of the code, after what there is of other code was dealt with."""
        connection = self._connection
        of = about(connection)["function"]
        if of != self._function:
            raise ResumeError(
                f"resume: {self._path} holds results of {of}(), not of {self._function}(): give each function its own file"
            )
        text = json.dumps(parts, sort_keys=True)
        others = connection.execute("SELECT id, parts FROM codes WHERE parts != ? ORDER BY id", (text,)).fetchall()
        connection.execute("INSERT OR IGNORE INTO codes (parts, since) VALUES (?, ?)", (text, time.time()))
        code: int = connection.execute("SELECT id FROM codes WHERE parts = ?", (text,)).fetchone()[0]
        if others:
            numbers = ", ".join(str(number) for number, _ in others)
            count = connection.execute(f"SELECT count(*) FROM results WHERE code IN ({numbers})").fetchone()[0]
            if count and changed == "error":
                raise ResumeError(self._changed(count, changes(json.loads(others[-1][1]), parts)))
            if changed == "use":
                connection.execute(f"UPDATE results SET code = ? WHERE code IN ({numbers})", (code,))
            else:
                connection.execute(f"DELETE FROM results WHERE code IN ({numbers})")
            connection.execute(f"DELETE FROM codes WHERE id IN ({numbers})")
        return code

    def _changed(self, count: int, names: Sequence[str]) -> str:
        more = f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else ""
        return (
            f"resume: {self._path} holds {count:,} results of {self._function}() as it was before "
            f'{", ".join(names[:_SHOWN])}{more} changed: Resume(path, changed="use") takes them as they are, changed="drop" '
            f"deletes them"
        )

    def _unloadable(self, call: int, error: BaseException) -> ResumeError:
        return ResumeError(
            f"resume: {self._path}: the result of call {call} of {self._function}() does not unpickle: {show(error)}; "
            f'restore what it needs, or run all calls again with Resume(path, changed="drop") or another file'
        )
