"""Reads one positional argument as batches: cut from its elements, or its elements themselves, as the hinted type."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import Any, TypeAlias

from jd_core._collections import table
from jd_core._planning.columns import READ_SECONDS, ArrivingColumn, Column


class BatchColumn:
    """A column whose elements are cut into batches of the hinted type; counts elements in ``taken``.

    Attributes:
        size: elements per batch; the last one may have fewer.
    """

    def __init__(self, column: Column | ArrivingColumn, size: int) -> None:
        self.parameter = column.parameter
        self.length = column.length
        self._column = column
        self.size = size

    @property
    def taken(self) -> int:
        """Number of elements, not batches, that were read."""
        return self._column.taken

    def first(self) -> Any:
        """Returns the first element without taking it; `MISSING` if there is none."""
        return self._column.first()

    def ready(self, count: int) -> int | None:
        """Asks for ``count`` batches and returns how many can be taken now, as `Arriving.ready` does for elements.

        Only the last batch may be shorter, so elements that do not fill one are none for now.
        """
        if not isinstance(self._column, ArrivingColumn):
            return count
        elements = self._column.ready(count * self.size)
        if elements is not None and self._column.value.is_over:
            return -(-elements // self.size)
        return (elements or 0) // self.size or None

    def take_ready(self, count: int) -> list[Any]:
        """Like `take`, but does not wait for more than one batch where the iterator is slow."""
        patience = time.monotonic() + READ_SECONDS
        return self._take(count, lambda: time.monotonic() > patience)

    def take(self, count: int) -> list[Any]:
        """Returns the next batches, ``count`` of them or as many as there are; the last one may be shorter."""
        return self._take(count, lambda: False)

    def _take(self, count: int, enough: Callable[[], bool]) -> list[Any]:
        batches: list[Any] = []
        while len(batches) < count and not (batches and enough()):
            part = self._column.take(self.size)
            if not table.length(part):
                break
            batches.append(self.parameter.build(part, self._column.value))
        return batches


class ReadyBatches:
    """A column whose elements are batches already: each is converted to the hinted type where it is of another one."""

    def __init__(self, column: Column | ArrivingColumn) -> None:
        self.parameter = column.parameter
        self.length = column.length
        self._column = column
        self._hinted: set[type] = set()  # types of batches that are of the hinted type

    @property
    def taken(self) -> int:
        """Number of batches that were read."""
        return self._column.taken

    def first(self) -> Any:
        """Returns the first batch without taking it; `MISSING` if there is none."""
        return self._column.first()

    def ready(self, count: int) -> int | None:
        """Asks for ``count`` batches and returns how many can be taken now; see `Arriving.ready`."""
        return self._column.ready(count)

    def take_ready(self, count: int) -> Sequence[Any]:
        """Like `take`, but does not wait for more than one batch where the iterator is slow."""
        return self._as_hinted(self._column.take_ready(count))

    def take(self, count: int) -> Sequence[Any]:
        """Returns the next batches, ``count`` of them or as many as there are."""
        return self._as_hinted(self._column.take(count))

    def _as_hinted(self, part: Sequence[Any]) -> Sequence[Any]:
        if self._hinted.issuperset(map(type, part)):
            return part
        self._hinted.update(type(batch) for batch in part if self.parameter.holds(batch))
        return [batch if type(batch) in self._hinted else self.parameter.converted(batch) for batch in part]


class EmptyBatches:
    """The column of an empty collection beside elements: each call gets an empty batch."""

    taken = 0
    length = 0

    def __init__(self, column: Column | ArrivingColumn, calls: int) -> None:
        self.parameter = column.parameter
        self._column = column
        self._left = calls

    def first(self) -> Any:
        """Returns `MISSING`: there is none."""
        return self._column.first()

    def ready(self, count: int) -> int | None:
        """Returns ``count``: they are there."""
        return count

    def take_ready(self, count: int) -> list[Any]:
        """As `take`."""
        return self.take(count)

    def take(self, count: int) -> list[Any]:
        """Returns the next empty batches."""
        count = min(count, self._left)
        self._left -= count
        return [self.parameter.build(self._column.take(0), self._column.value) for _ in range(count)]


#: What a `Plan` takes from.
AnyColumn: TypeAlias = Column | ArrivingColumn | ReadyBatches | BatchColumn | EmptyBatches
