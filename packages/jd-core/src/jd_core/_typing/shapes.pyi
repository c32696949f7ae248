"""Which types are collections, to a type checker: batches, arrays and frames, and what is joined.

The static side of `jd_core._collections.table`: checkers cannot ask that table. Libraries are told by a method that no
other has, since what is not installed cannot be imported, and what cannot be imported is everything to a checker.
"""

from collections import deque
from collections.abc import AsyncIterable, Iterable, MutableMapping, Sequence
from collections.abc import Set as AbstractSet
from random import Random
from typing import Any, Protocol, TypeAlias, TypeVar

from numpy.random import Generator  # noqa: TID251 - see RandomNumbers

A = TypeVar("A")
V = TypeVar("V")
Self_co = TypeVar("Self_co", covariant=True)

class Batch(list[V], set[V], frozenset[V], tuple[V, ...], deque[V]):  # type: ignore
    """All that a parameter hinted as a collection may be; a parameter that accepts it is hinted so."""

class RandomNumbers(Random, Generator):  # type: ignore
    """Both generators of which each call may get its own; a parameter that accepts it is hinted as one of them.

    No protocol can stand for numpy's: it would have to be a part of that class. Where numpy is not installed, any parameter
    accepts this, and a checker overlooks that the last argument is missing, which is an error at run time.
    """

class Array(Protocol[Self_co]):
    """A numpy array of type ``Self_co``, told by what tensors of other libraries lack."""

    def __array_finalize__(self, obj: Any, /) -> None:
        """Numpy's hook for subclasses."""

    def copy(self) -> Self_co:
        """Returns the same type."""


class Pandas(Protocol[Self_co]):
    """A frame or series of pandas."""

    @property
    def iloc(self) -> Any:
        """Rows by position."""

    def copy(self) -> Self_co:
        """Returns the same type."""


class Polars(Protocol[Self_co]):
    """A frame or series of polars."""

    def rechunk(self) -> Self_co:
        """Returns the same type."""


class Arrow(Protocol[Self_co]):
    """A table of pyarrow."""

    def combine_chunks(self) -> Self_co:
        """Returns the same type."""

Own: TypeAlias = Array[A] | Pandas[A] | Polars[A] | Arrow[A]
Given: TypeAlias = Own[A] | Iterable[A]
Source: TypeAlias = Iterable[A] | AsyncIterable[A]

#: What never is a collection, though a checker thinks so: text, bytes and tuples of a fixed length; or one of them or None.
Value = TypeVar("Value", bound=str | bytes | bytearray | memoryview | tuple[()] | tuple[Any, *tuple[Any, ...]] | None)

#: What is joined where the input was cut. No ``Mapping``, ``Iterable`` or ``Collection``: a ``TypedDict`` is the first, and
#: many a class of one's own the others. Or None beside it, which is taken off where the rest is joined.
Join = TypeVar("Join", bound=Sequence[Any] | AbstractSet[Any] | MutableMapping[Any, Any] | Own[Any] | None)
