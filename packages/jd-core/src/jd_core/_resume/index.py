"""Which rows of the file have a key, in 9 bytes of memory per row.

::

    entries, sorted:   │ 32 bits of a key │ 32 bits: the row's id │

What the bits say is only likely; the row itself has the whole key.
"""

from __future__ import annotations

from array import array
from bisect import bisect_left
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, TypeAlias

#: Reads rows by their ids; the first thing in a row is its key.
Read: TypeAlias = Callable[[Sequence[int]], Mapping[int, Any]]

_LOW = (1 << 32) - 1


class Index:
    """Rows of the file that no call has yet.

    Args:
        rows: (id, key) of each row.
    """

    def __init__(self, rows: Iterable[tuple[int, bytes]]) -> None:
        entries = [int.from_bytes(key[:4]) << 32 | number for number, key in rows]
        entries.sort()
        self._entries = array("Q", entries)
        self._claimed = bytearray(len(entries))
        self._first: dict[int, int] = {}  # by those bits of keys that several rows have: where to look for the next one

    def __len__(self) -> int:
        """Number of rows."""
        return len(self._entries)

    def may_have(self, key: bytes) -> bool:
        """Returns whether a row is likely to have a key; if one has it, True for certain."""
        entries, bits = self._entries, int.from_bytes(key[:4])
        place = bisect_left(entries, bits << 32)
        return place < len(entries) and entries[place] >> 32 == bits

    def claim(self, keys: Sequence[bytes], read: Read) -> list[Any]:
        """Returns a row for each key, None where there is none left; no later key gets the same row.

        Args:
            keys: of calls. Of equal ones each gets a row of its own.
            read: reads rows.
        """
        places = [self._claim(key) for key in keys]
        ids = [self._entries[place] & _LOW for place in places if place is not None]
        found = read(ids) if ids else {}
        rows = [None if place is None else found.get(self._entries[place] & _LOW) for place in places]
        wrong = [
            number
            for number, (row, place) in enumerate(zip(rows, places, strict=True))
            if place is not None and (row is None or row[0] != keys[number])
        ]
        if wrong:
            self._claim_anew(keys, places, rows, wrong, read)
        return rows

    def _claim(self, key: bytes) -> int | None:
        """Returns the place of the first entry that has the bits of a key and is free."""
        entries, claimed = self._entries, self._claimed
        bits = int.from_bytes(key[:4])
        first = place = self._first.get(bits) or bisect_left(entries, bits << 32)
        while place < len(entries) and entries[place] >> 32 == bits:
            if not claimed[place]:
                claimed[place] = True
                if place > first:
                    self._first[bits] = place
                return place
            place += 1
        return None

    def _claim_anew(
        self, keys: Sequence[bytes], places: Sequence[int | None], rows: list[Any], wrong: Sequence[int], read: Read
    ) -> None:
        """Looks again for the keys whose bits led to a row with another key, and for those that found none meanwhile."""
        for number in wrong:
            place = places[number]
            assert place is not None
            self._claimed[place] = False
            rows[number] = None
        self._first.clear()
        for number, row in enumerate(rows):
            if row is None:
                rows[number] = self._search(keys[number], read)

    def _search(self, key: bytes, read: Read) -> Any:
        bits = int.from_bytes(key[:4])
        place = bisect_left(self._entries, bits << 32)
        while place < len(self._entries) and self._entries[place] >> 32 == bits:
            if not self._claimed[place]:
                row = read([self._entries[place] & _LOW]).get(self._entries[place] & _LOW)
                if row is not None and row[0] == key:
                    self._claimed[place] = True
                    return row
            place += 1
        return None
