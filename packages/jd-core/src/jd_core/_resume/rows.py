"""The rows of the file that no call has yet, found by the keys of calls.

A run that goes on mostly makes the calls that it made before, in the same order. So rows are read in the order of the calls
that they are of, a window of them at a time, and most keys are found there. Where one is not, and there are more rows, the
keys of all these are read into an `Index`: mostly to learn that the call has no result, because it failed. Where it has one,
the order is another one, and rows are found by the index from then on.

::

    rows, by call:   │ claimed │ window: claimed or not │ not read: known to the index, if to anybody │
"""

from __future__ import annotations

import itertools
import sqlite3
import threading
from array import array
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from jd_core._resume.index import Index

#: Rows that are read by one query; SQLite allowed 999 parameters for long.
_AT_ONCE = 900

#: So many rows, or bytes of results, may wait in the window: those of calls that this run does not make, or makes later.
_MOST_ROWS, _MOST_BYTES = 1 << 14, 1 << 22

_LOW = (1 << 32) - 1


class Rows:
    """The rows that were there when the file was opened; not those that are added since.

    Args:
        connection: to the file.
        lock: for the connection.
        code: the number of the code whose results they are.

    Attributes:
        count: how many there were.
    """

    def __init__(self, connection: sqlite3.Connection, lock: threading.Lock, code: int) -> None:
        self._connection = connection
        self._lock = lock
        self._code = code
        found = connection.execute("SELECT call, id FROM results WHERE code = ?", (code,))
        # Sorted as one number each, for they nearly are (row resume-all-there).
        self._order = array("Q", sorted([call << 32 | number for call, number in found]))
        self.count = len(self._order)
        self._next = 0  # in that order, the first that is not read
        self._block = 1  # how many are read together: ever more of them while they are small
        self._window: dict[bytes, tuple[Any, ...]] = {}
        self._equal: dict[bytes, deque[tuple[Any, ...]]] = {}  # further rows of the window with the same key
        self._bytes = 0  # of results in the window
        self._index: Index | None = None
        self._are_in_order = True

    def claim(self, keys: Sequence[bytes]) -> list[Any]:
        """Returns a row for each key, None where there is none left; no later key gets the same row.

        Args:
            keys: of calls. Of equal ones each gets a row of its own.

        Returns:
            For each key None, or a key, index of the call, result as bytes, checksum and id.
        """
        rows: list[Any] = []
        if self._are_in_order:
            window, equal = self._window, self._equal
            for key in keys:
                while (row := window.pop(key, None)) is None and self._read_on():
                    pass
                if row is not None:
                    self._bytes -= len(row[2])
                    if equal and key in equal:
                        self._next_equal(key)
                elif self._is_further_on(key):
                    self._leave_order()
                    break
                rows.append(row)
        if len(rows) < len(keys):
            assert self._index is not None
            rows += self._index.claim(keys[len(rows) :], lambda ids: {row[4]: row for row in self._read(ids)})
        return rows

    def _read_on(self) -> bool:
        """Reads some more rows into the window; returns False if there are none, or it is full."""
        window = self._window
        if self._next >= self.count or len(window) >= _MOST_ROWS or self._bytes >= _MOST_BYTES:
            return False
        some = self._order[self._next : self._next + self._block]
        self._next += len(some)
        size = 0
        for row in self._read([entry & _LOW for entry in some]):
            if window.setdefault(row[0], row) is not row:
                self._equal.setdefault(row[0], deque()).append(row)
            size += len(row[2])
        self._bytes += size
        self._block = min(2 * self._block, _AT_ONCE) if 4 * size < _MOST_BYTES else max(1, self._block // 2)
        return True

    def _next_equal(self, key: bytes) -> None:
        rows = self._equal[key]
        self._window[key] = rows.popleft()
        if not rows:
            del self._equal[key]

    def _is_further_on(self, key: bytes) -> bool:
        """Whether a row that was not read yet has a key, as far as the index tells."""
        if self._next >= self.count:
            return False
        if self._index is None:
            self._index = self._index_of(())
        return self._index.may_have(key)

    def _leave_order(self) -> None:
        self._index = self._index_of(itertools.chain(self._window.values(), *self._equal.values()))
        self._are_in_order = False
        self._window.clear()
        self._equal.clear()

    def _index_of(self, rows: Iterable[tuple[Any, ...]]) -> Index:
        """Returns an index of some rows, and those that are not read."""
        left = {row[4] for row in rows}
        left.update(entry & _LOW for entry in self._order[self._next :])
        with self._lock:
            found = self._connection.execute("SELECT id, key FROM results WHERE code = ?", (self._code,))
            return Index(one for one in found if one[0] in left)

    def _read(self, ids: Sequence[int]) -> Iterator[tuple[Any, ...]]:
        """Yields rows by their ids, in any order."""
        select = "SELECT key, call, value, crc32, id FROM results WHERE id"
        for start in range(0, len(ids), _AT_ONCE):
            some = ids[start : start + _AT_ONCE]
            lowest, highest = min(some), max(some)
            query, values = f"{select} IN ({', '.join('?' * len(some))})", tuple(some)
            if highest - lowest < 2 * len(some):  # nearly always: they came together
                query, values = f"{select} BETWEEN ? AND ?", (lowest, highest)
            with self._lock:
                rows = self._connection.execute(query, values).fetchall()
            wanted = {*some}
            yield from [row for row in rows if row[4] in wanted]
