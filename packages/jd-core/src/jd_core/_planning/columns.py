"""Reads one positional argument in order, never further than asked.

A `Plan` holds one of these, or one of `jd_core._planning.batches`, for each argument, and takes from all in lockstep.
"""

from __future__ import annotations

import itertools
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any, NoReturn

from jd_core._collections import table
from jd_core._hints.matching import MISSING
from jd_core._hints.parameter import Parameter
from jd_core._planning.arguments import is_iterator
from jd_core._planning.binding import Argument
from jd_core.errors import BatchingError

#: Seconds after which reading an iterator stops with what there is: calls for its first elements do not wait for more.
READ_SECONDS = 0.01

_GROUP = type(next(itertools.groupby([0]))[1])


class Arriving(ABC):
    """An argument whose elements arrive in their own time: a task (`async_input`) or a thread (`thread_input`) reads it.

    Attributes:
        length: number of elements; None if unknown.
    """

    length: int | None = None

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
        """Has ``wake`` called when elements that were asked for are there; on the caller's event loop if it has one."""


class Column:
    """One positional argument, read in order: elements of what was passed, without copies where it can be sliced.

    What ``len`` says is relied on before anything is read, so it is checked while reading.

    Attributes:
        parameter: which gets the elements.
        value: what was passed.
        length: number of elements, as ``len`` says; None where it does not.
        taken: number of elements that were read.
    """

    def __init__(self, argument: Argument) -> None:
        value = argument.value
        self.argument = argument
        self.parameter: Parameter = argument.parameter
        self.value = value
        self.length = table.length(value)
        self.taken = 0
        self._slice: Callable[[int, int], Any] | None = None
        if self.length is not None:  # it is, for a range of more elements than len can say
            self._slice = table.slicer(value) or argument.parameter.slicer(value)
        self._rest: Iterator[Any] | None = None if self._slice else self._iterator()

    def _iterator(self) -> Iterator[Any]:
        iterator: Iterator[Any] = iter(self.value)
        if self.length is None:
            return kept(self.argument, iterator)
        if hasattr(type(self.value), "__iter__"):
            return iterator
        # It is iterated by __getitem__, which may have a value for any index: its length is where it ends.
        return itertools.islice(iterator, self.length)

    def first(self) -> Any:
        """Returns the first element without taking it; `MISSING` if there is none."""
        if self._slice is not None:
            if not self.length:
                return MISSING
            # A frame's first element is its first row, as a frame; that of anything else is what iterating it yields.
            head = self._slice(0, 1)
            return head if table.is_frame(self.value) else next(iter(head))
        assert self._rest is not None
        first = next(self._rest, MISSING)
        if first is not MISSING:
            self._rest = itertools.chain((first,), self._rest)
        return first

    def check_empty(self) -> None:
        """Makes sure that an argument of length 0 has no elements: there will be no call that would read it.

        Raises:
            BatchingError: it has.
        """
        if self._slice is None and self.length == 0 and self.first() is not MISSING:
            self._raise_wrong_length(1)

    def ready(self, count: int) -> int | None:
        """Returns how many of the next ``count`` elements can be asked for now: all, for reading waits."""
        return count

    def take_ready(self, count: int) -> Sequence[Any]:
        """Like `take`, but does not wait for more than one element where the iterator is slow."""
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
        """Returns the next elements, ``count`` of them or as many as there are, as a slice or a list.

        Raises:
            BatchingError: there are more or fewer elements than ``len`` says, or it has changed meanwhile.
        """
        part: Sequence[Any]
        if self._slice is not None:
            assert self.length is not None
            count = min(count, self.length - self.taken)  # what is appended during the run is not part of it
            part = self._slice(self.taken, self.taken + count)
        else:
            assert self._rest is not None
            part = list(itertools.islice(self._rest, count))
        fresh = table.length(part) or 0
        self.taken += fresh
        if self.length is not None and (self.taken > self.length or (fresh < count and self.taken < self.length)):
            self._raise_wrong_length(self.taken)
        return part

    def _raise_wrong_length(self, found: int) -> NoReturn:
        assert self.length is not None
        number = f"at least {found}" if found > self.length else f"only {found}"
        raise BatchingError(
            f"parameter {self.parameter.name} got an object of type {type(self.value).__name__} whose len() is "
            f"{self.length}, but it has {number} elements: pass list(...) of it, and do not change it during the run"
        )


def kept(argument: Argument, elements: Iterator[Any]) -> Iterator[Any]:
    """Iterates elements; batches that are iterators, to be converted, as lists: they may be lost when the next one is read.

    So are the groups of `itertools.groupby`, which are lists for any parameter. The first element decides.
    """
    return itertools.chain.from_iterable(_parts(argument, elements))


def _parts(argument: Argument, elements: Iterator[Any]) -> Iterator[Iterable[Any]]:
    parameter, value = argument
    for first in elements:
        converts = is_iterator(first) and parameter.is_batched(value, first) and not parameter.holds(first)
        if not (converts or type(first) is _GROUP) or table.never_ends(first):
            yield (first,)
            yield elements
        else:
            yield (list(first),)


class ArrivingColumn:
    """One positional argument whose elements arrive in their own time; how many can be taken now is asked beforehand."""

    def __init__(self, argument: Argument) -> None:
        self.parameter: Parameter = argument.parameter
        self.value: Arriving = argument.value
        self.length = self.value.length
        self.taken = 0

    def first(self) -> Any:
        """Returns the first element without taking it; `MISSING` if there is none."""
        return self.value.first()

    def check_empty(self) -> None:
        """Does nothing: there is no length to compare with."""

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
