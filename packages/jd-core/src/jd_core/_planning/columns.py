"""Reads one positional argument in order, as elements or as batches, never further than asked.

Between binding and batching: a `Plan` holds one of these columns for each argument, and takes from all in lockstep.
"""

from __future__ import annotations

import itertools
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Sequence
from typing import Any, TypeAlias

from jd_core._collections import table
from jd_core._hints.signature import Parameter
from jd_core._planning.binding import Argument

#: Seconds after which reading an iterator stops with what there is: a slow one must not hold its first elements back.
READ_SECONDS = 0.01

#: Stands for the first element of what has none.
MISSING = object()


class Arriving(ABC):
    """An argument whose elements come when they come: an async iterable that `jd_core._planning.async_input` reads."""

    @property
    @abstractmethod
    def is_over(self) -> bool:
        """Whether no further element comes."""

    @abstractmethod
    def first(self) -> Any:
        """Returns the first element without taking it; `MISSING` if there is none."""

    @abstractmethod
    def ready(self, count: int) -> int | None:
        """Asks for ``count`` elements, and returns how many of them can be taken now.

        Returns:
            0 only if there are no more; None if there are none for now, but there may be later.

        Raises:
            BaseException: whatever reading raised, where fewer than ``count`` came before it.
        """

    @abstractmethod
    def take(self, count: int) -> list[Any]:
        """Returns the next elements, ``count`` of them or as many as can be taken now."""

    @abstractmethod
    def call_on_arrival(self, wake: Callable[[], None]) -> None:
        """Has ``wake`` called on the caller's event loop when elements that were asked for are there."""


class Column:
    """One positional argument, read in order: elements of what was passed, without copies where it can be sliced."""

    def __init__(self, argument: Argument) -> None:
        value = argument.value
        self.parameter: Parameter = argument.parameter
        self.value = value
        self.length = table.length(value)
        self.taken = 0
        self._slice: Callable[[int, int], Any] | None = table.slicer(value)
        self._rest: Iterator[Any] | None = None if self._slice else iter(value)

    def first(self) -> Any:
        """Returns the first element without taking it; `MISSING` if there is none."""
        if self._slice is not None:
            if not self.length:
                return MISSING
            # A frame's first element is its first row, as a frame; that of anything else is what iterating it gives.
            head = self._slice(0, 1)
            return head if table.is_frame(self.value) else next(iter(head))
        assert self._rest is not None
        first = next(self._rest, MISSING)
        if first is not MISSING:
            self._rest = itertools.chain((first,), self._rest)
        return first

    def ready(self, count: int) -> int | None:
        """Returns how many of the next ``count`` elements can be asked for now: all, for reading waits."""
        return count

    def take_ready(self, count: int) -> Sequence[Any]:
        """Like `take`, but at least one element may be all that a slow iterator has to give for now."""
        if self._slice is not None:
            return self.take(count)
        part: list[Any] = []
        patience = time.monotonic() + READ_SECONDS
        block = 1
        while len(part) < count and (fresh := self.take(min(block, count - len(part)))):
            part.extend(fresh)
            if time.monotonic() > patience:
                break
            block *= 2  # so that looking at the clock costs nothing per element
        return part

    def take(self, count: int) -> Sequence[Any]:
        """Returns the next elements, ``count`` of them or as many as there are, as a slice or a list."""
        part: Sequence[Any]
        if self._slice is not None:
            part = self._slice(self.taken, self.taken + count)
        else:
            assert self._rest is not None
            part = list(itertools.islice(self._rest, count))
        self.taken += table.length(part) or 0
        return part


class ArrivingColumn:
    """One positional argument whose elements come when they come; what can be taken now is asked for beforehand."""

    length = None

    def __init__(self, argument: Argument) -> None:
        self.parameter: Parameter = argument.parameter
        self.value: Arriving = argument.value
        self.taken = 0

    def first(self) -> Any:
        """Returns the first element without taking it; `MISSING` if there is none."""
        return self.value.first()

    def ready(self, count: int) -> int | None:
        """Asks for ``count`` elements and returns how many can be taken now; see `Arriving.ready`."""
        return self.value.ready(count)

    def take_ready(self, count: int) -> list[Any]:
        """As `take`."""
        return self.take(count)

    def take(self, count: int) -> list[Any]:
        """Returns the next elements, ``count`` of them or as many as can be taken now."""
        part = self.value.take(count)
        self.taken += len(part)
        return part


def column_of(argument: Argument) -> Column | ArrivingColumn:
    """Returns what reads an argument."""
    return ArrivingColumn(argument) if isinstance(argument.value, Arriving) else Column(argument)


class BatchColumn:
    """A column whose elements are cut into batches of the hinted type; counts elements in ``taken``."""

    def __init__(self, column: Column | ArrivingColumn, size: int) -> None:
        self.parameter = column.parameter
        self.length = column.length
        self._column = column
        self._size = size

    @property
    def taken(self) -> int:
        """Number of elements, not batches, that were read."""
        return self._column.taken

    def ready(self, count: int) -> int | None:
        """Asks for ``count`` batches and returns how many can be taken now, as `Arriving.ready` does for elements.

        Only the last batch may be shorter, so elements that do not fill one are none for now.
        """
        if not isinstance(self._column, ArrivingColumn):
            return count
        elements = self._column.ready(count * self._size)
        if elements is not None and self._column.value.is_over:
            return -(-elements // self._size)
        return (elements or 0) // self._size or None

    def take_ready(self, count: int) -> list[Any]:
        """Like `take`, but at least one batch may be all that a slow iterator has to give for now."""
        patience = time.monotonic() + READ_SECONDS
        return self._take(count, lambda: time.monotonic() > patience)

    def take(self, count: int) -> list[Any]:
        """Returns the next batches, ``count`` of them or as many as there are; the last one may be shorter."""
        return self._take(count, lambda: False)

    def _take(self, count: int, enough: Callable[[], bool]) -> list[Any]:
        batches: list[Any] = []
        while len(batches) < count and not (batches and enough()):
            part = self._column.take(self._size)
            if not table.length(part):
                break
            batches.append(self.parameter.build(part, self._column.value))
        return batches


class EmptyBatches:
    """The column of an empty collection beside elements: each call gets an empty batch."""

    taken = 0

    def __init__(self, column: Column | ArrivingColumn, calls: int) -> None:
        self.parameter = column.parameter
        self._empty = self.parameter.build(column.take(0), column.value)
        self._left = calls

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
        return [self._empty] * count


#: What a `Plan` takes from.
AnyColumn: TypeAlias = Column | ArrivingColumn | BatchColumn | EmptyBatches
