"""Turns a bound call into a plan: which calls there are, cut lazily from what was passed.

Third room of the house. A `Plan` reads the arguments in lockstep, never further than asked, and gives `Chunk`s; whatever
can be known before anything is read (lengths above all) is checked when the plan is made.
"""

from __future__ import annotations

import itertools
import time
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from jd_core import kinds
from jd_core.backend import Chunk
from jd_core.binding import Argument, BoundCall
from jd_core.errors import BatchingError, SignatureError
from jd_core.hints import Parameter, Role

#: Batches per worker where the user gives no ``batch_size``: several, so that workers that are done early take more.
BATCHES_PER_WORKER = 4

#: Elements per batch where neither ``batch_size`` nor the input's length is known.
UNKNOWN_LENGTH_BATCH = 1000

#: Seconds after which reading an iterator stops with what there is: a slow one must not hold its first elements back.
READ_SECONDS = 0.01

_MISSING = object()


class Column:
    """One positional argument, read in order: elements of what was passed, without copies where it can be sliced."""

    def __init__(self, argument: Argument) -> None:
        value = argument.value
        self.parameter: Parameter = argument.parameter
        self.value = value
        self.length = kinds.length(value)
        self.taken = 0
        self._slice: Callable[[int, int], Any] | None = kinds.slicer(value)
        self._rest: Iterator[Any] | None = None if self._slice else iter(value)

    def first(self) -> Any:
        """Returns the first element without taking it; `_MISSING` if there is none."""
        if self._slice is not None:
            if not self.length:
                return _MISSING
            # A frame's first element is its first row, as a frame; that of anything else is what iterating it gives.
            head = self._slice(0, 1)
            return head if kinds.is_frame(self.value) else next(iter(head))
        assert self._rest is not None
        first = next(self._rest, _MISSING)
        if first is not _MISSING:
            self._rest = itertools.chain((first,), self._rest)
        return first

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
        self.taken += kinds.length(part) or 0
        return part


class BatchColumn:
    """A column whose elements are cut into batches of the hinted type; counts elements in ``taken``."""

    def __init__(self, column: Column, size: int) -> None:
        self.parameter = column.parameter
        self.length = column.length
        self._column = column
        self._size = size

    @property
    def taken(self) -> int:
        """Number of elements, not batches, that were read."""
        return self._column.taken

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
            if not kinds.length(part):
                break
            batches.append(self.parameter.build(part, self._column.value))
        return batches


class EmptyBatches:
    """The column of an empty collection beside elements: each call gets an empty batch."""

    taken = 0

    def __init__(self, column: Column, calls: int) -> None:
        self.parameter = column.parameter
        self._empty = self.parameter.build(column.take(0), column.value)
        self._left = calls

    def take_ready(self, count: int) -> list[Any]:
        """As `take`."""
        return self.take(count)

    def take(self, count: int) -> list[Any]:
        """Returns the next empty batches."""
        count = min(count, self._left)
        self._left -= count
        return [self._empty] * count


class Plan:
    """The calls of one run, made from the arguments as they are asked for.

    Attributes:
        name: the function's qualified name.
        names: the distributed parameters' names, in order.
        calls: number of calls; None where an argument has no length.
        cut: whether autobatch cut an argument, so that results may be joined.
    """

    def __init__(
        self, name: str, columns: Sequence[Column | BatchColumn | EmptyBatches], calls: int | None, *, cut: bool
    ) -> None:
        self.name = name
        self.names = tuple(column.parameter.name for column in columns)
        self.calls = calls
        self.cut = cut
        self._columns = columns
        self._lockstep = [column for column in columns if not isinstance(column, (BatchColumn, EmptyBatches))] or columns
        self._start = 0

    def take(self, count: int) -> Chunk | None:
        """Returns the next ``count`` calls, or as many as there are, or as a slow iterator has; None when there are none.

        Raises:
            BatchingError: one argument turns out shorter than another.
            Exception: whatever reading an argument raises.
        """
        first, *others = self._columns
        head = first.take_ready(count)
        # Where the first argument has ended, one element of each other shows whether it has ended as well.
        columns = (head, *(column.take(len(head) or 1) for column in others))
        if len(self._lockstep) > 1:
            taken = [column.taken for column in self._lockstep]
            if min(taken) != max(taken):
                self._raise_unequal(taken)
        if not len(head):
            return None
        chunk = Chunk(self._start, columns)
        self._start += len(head)
        return chunk

    def _raise_unequal(self, taken: list[int]) -> None:
        ended = min(taken)
        shown = ", ".join(
            f"{column.parameter.name} has {count}" if count == ended else f"{column.parameter.name} has at least {count}"
            for column, count in zip(self._lockstep, taken, strict=True)
        )
        raise BatchingError(f"{self.name}() got collections of unequal length: {shown}; make them equally long")


def plan(call: BoundCall, *, autobatch: bool, batch_size: int | None, workers: Callable[[], int]) -> Plan:
    """Makes the plan of a call; reads at most the first element of an argument that a batch parameter gets.

    Args:
        call: the bound arguments.
        autobatch: whether flat collections for batch parameters are cut.
        batch_size: elements per batch; None: `BATCHES_PER_WORKER` batches per worker, or `UNKNOWN_LENGTH_BATCH`
            elements where the length is unknown. Beside elements the number of elements decides, and this is unused.
        workers: gives how many calls run at once; asked only where batches are cut from a known, nonzero length.

    Raises:
        BatchingError: known lengths that do not fit together.
        SignatureError: a frame for an element parameter.
    """
    columns = [Column(argument) for argument in call.distributed]
    cut = [autobatch and column.parameter.role is Role.BATCH and _is_flat(column) for column in columns]
    for column, is_cut in zip(columns, cut, strict=True):
        if not is_cut and kinds.is_frame(column.value):
            raise SignatureError(
                f"{call.name}() got a {type(column.value).__name__} for {column.parameter.name}, which is gone through "
                f"element by element, and a frame has no elements: pass a column or its rows, or hint it as a frame"
            )
    if not any(cut):
        return Plan(call.name, columns, _common_length(call.name, columns), cut=False)
    if all(cut):
        length = _common_length(call.name, columns)
        if batch_size is None:
            known = UNKNOWN_LENGTH_BATCH if length is None else 0
            batch_size = known or max(1, -(-length // (BATCHES_PER_WORKER * workers())) if length else 1)
        batched = [BatchColumn(column, batch_size) for column in columns]
        return Plan(call.name, batched, None if length is None else -(-length // batch_size), cut=True)
    return _plan_mixed(call.name, columns, cut)


def _is_flat(column: Column) -> bool:
    first = column.first()
    return first is _MISSING or not column.parameter.is_already_batched(column.value, first)


def _common_length(name: str, columns: Sequence[Column]) -> int | None:
    """Returns the length all columns share; None if one is unknown (its own end will show)."""
    known = [column for column in columns if column.length is not None]
    if len({column.length for column in known}) > 1:
        raise BatchingError(
            f"{name}() got collections of unequal length: {_lengths(known)}; "
            f"make them equally long, or pass a constant by keyword"
        )
    return known[0].length if len(known) == len(columns) else None


def _plan_mixed(name: str, columns: Sequence[Column], cut: Sequence[bool]) -> Plan:
    unknown = [column.parameter.name for column in columns if column.length is None]
    if unknown:
        raise BatchingError(
            f"{name}() mixes elements and batches, so every length must be known, and {', '.join(unknown)} has none: "
            f"pass a list instead of an iterator"
        )
    elements = [column for column, is_cut in zip(columns, cut, strict=True) if not is_cut]
    calls = _common_length(name, elements)
    assert calls is not None
    planned: list[Column | BatchColumn | EmptyBatches] = []
    for column, is_cut in zip(columns, cut, strict=True):
        assert column.length is not None
        if not is_cut:
            planned.append(column)
        elif column.length % calls if calls else column.length:
            raise BatchingError(
                f"{name}() makes one call per element of {elements[0].parameter.name} ({calls}), so the length of "
                f"{column.parameter.name} ({column.length}) must be a multiple of it: {_lengths(columns)}"
            )
        elif column.length:
            planned.append(BatchColumn(column, column.length // calls))
        else:
            planned.append(EmptyBatches(column, calls))
    return Plan(name, planned, calls, cut=True)


def _lengths(columns: Sequence[Column]) -> str:
    return ", ".join(f"{column.parameter.name} has {column.length}" for column in columns)
