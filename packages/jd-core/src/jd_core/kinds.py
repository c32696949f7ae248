"""What a collection type is: recognised, cut, built and joined. One `Kind` per family, all in one table at the end.

`jd_core.hints` asks for the kind of a hint, `jd_core.batching` cuts values and builds batches with it, `jd_core.aggregation`
joins results. Another kind of collection is one more entry in the table.
"""

from __future__ import annotations

import functools
import sys
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from jd_core import libraries, standard
from jd_core.errors import BatchingError


def is_value(value: Any) -> bool:
    """Whether ``value`` is one value, never a collection of calls: text, bytes or a mapping."""
    return isinstance(value, (str, bytes, bytearray, memoryview, Mapping))


def is_frame(value: Any) -> bool:
    """Whether ``value`` has rows, but iterating it does not give them (a DataFrame, a Table)."""
    kind = kind_of_value(value)
    return kind is not None and kind.frame


def length(value: Any) -> int | None:
    """Returns the number of elements, rows for a frame; None if ``value`` has none or cannot tell."""
    try:
        return len(value)
    except (TypeError, OverflowError):
        return None


def slicer(value: Any) -> Callable[[int, int], Any] | None:
    """Returns what gives the elements [start:stop] of ``value`` without going through them one by one.

    Returns:
        A function of start and stop; None if ``value`` can only be iterated.
    """
    kind = kind_of_value(value)
    if kind is None or kind.cut is None or getattr(value, "ndim", 1) == 0:
        return None
    return functools.partial(kind.cut, value)


def is_collection(value: Any) -> bool:
    """Whether iterating ``value`` gives elements: it is iterable, and neither a value nor a frame."""
    iterable = hasattr(type(value), "__iter__") and getattr(value, "ndim", 1) != 0
    return iterable and not is_value(value) and not is_frame(value)


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Kind:
    """One family of collections.

    Attributes:
        name: where the type is found, as in ``collections.deque``; messages call it so.
        merge: makes one value of a list of parts, in order; of an empty list the empty value.
        make: makes a collection of this kind of a slice or a list of elements; None for what only results can be, such as
            mappings, which parameters take as values.
        cut: gives the elements [start:stop] of a value of exactly this type; None if that can only be iterated.
        accepts: whether a result may be a part to merge; None: if it is an instance of the type.
        frame: it has rows, but iterating it does not give them.
        nests: its elements may be of this kind themselves, as in a list of lists. If not, a value of this kind is flat
            and a list of such values is a list of batches.
        abstract: collections of all kinds fit, so results are joined as what they are.
    """

    name: str
    merge: Callable[[list[Any]], Any]
    make: Callable[[Any], Any] | None = None
    cut: Callable[[Any, int, int], Any] | None = None
    accepts: Callable[[Any], bool] | None = None
    frame: bool = False
    nests: bool = True
    abstract: bool = False

    @property
    def type(self) -> Any:
        """The type itself; None while its library is not imported."""
        module, _, attribute = self.name.rpartition(".")
        return getattr(sys.modules.get(module or "builtins"), attribute, None)

    def holds(self, value: Any) -> bool:
        """Whether ``value`` is an instance of this type; text, bytes and mappings are none of what parameters take."""
        of_type = self.type
        return of_type is not None and isinstance(value, of_type) and not (self.make is not None and is_value(value))

    def build(self, part: Any) -> Any:
        """Makes a batch: a collection of this kind with the elements of ``part``.

        Args:
            part: a slice of what was passed, or a list of its elements. If it is of this kind already, it is not copied.

        Raises:
            BatchingError: the elements do not make such a collection.
        """
        try:
            if self.make is None:
                raise TypeError("only results are joined into one")
            if is_frame(part) and not (self.holds(part) or self.name == "numpy.ndarray"):
                raise TypeError("a frame is not a collection of its rows")
            return self.make(part)
        except Exception as error:
            raise BatchingError(
                f"cannot make a {self.name} of a {type(part).__name__} for a parameter that is hinted so: {error}; "
                f"pass a {self.name}, or change the hint"
            ) from error

    def join(self, parts: list[Any]) -> Any:
        """Makes one collection of this kind out of the results of calls.

        Results that all are of one kind that is narrower than this one are joined as that: counters for ``dict`` are
        added up, arrays for ``Sequence`` become an array.

        Args:
            parts: one result per call, in order.

        Raises:
            BatchingError: a result is no such collection, or they do not fit together.
        """
        if not parts:
            return self.merge([])
        kind = self._common_kind(parts)
        accepts = kind.accepts or kind.holds
        for index, part in enumerate(parts):
            if not accepts(part):
                raise BatchingError(
                    f"cannot join the results into one {self.name}, as the return hint says: call {index} of {len(parts)} "
                    f"returned a {type(part).__name__}; return a {self.name}, or use aggregate='list' for one result per call"
                )
        try:
            return kind.merge(parts)
        except Exception as error:
            raise BatchingError(
                f"cannot join the results of {len(parts)} calls into one {self.name}, as the return hint says: {error}; "
                f"use aggregate='list' for one result per call"
            ) from error

    def _common_kind(self, parts: list[Any]) -> Kind:
        """Returns the kind of all parts where it is narrower than this one, else this one."""
        common = kind_of_value(parts[0])
        if common is None or common is self or any(type(part) is not type(parts[0]) for part in parts):
            return self
        narrower = self.type is not None and issubclass(common.type, self.type)
        return common if narrower or (self.abstract and common.make is not None) else self

    def __repr__(self) -> str:
        return f"<kind {self.name}>"

    def __reduce__(self) -> tuple[Any, ...]:
        return _named, (self.name,)


def kind_of_type(origin: Any) -> Kind | None:
    """Returns the kind of a parameter's hint, given without its arguments; None if such a hint is a value.

    Only the very types count: a subclass of ``list`` is a value, as it may mean anything.
    """
    kind = kind_of_return(origin)
    return kind if kind is not None and kind.make is not None else None


def kind_of_return(origin: Any) -> Kind | None:
    """Returns the kind of a return hint, given without its arguments: as `kind_of_type`, and mappings too."""
    if not isinstance(origin, type):
        return None
    return _BY_TYPE.get(origin) or next((kind for kind in _of_library(origin) if kind.type is origin), None)


def kind_of_value(value: Any) -> Kind | None:
    """Returns the kind of a value: of a builtin collection exactly, of a library's also by inheritance."""
    known = _BY_TYPE.get(type(value))
    if known is not None:
        return known
    for base in type(value).__mro__[:-1]:
        for kind in _of_library(base):
            if kind.type is base:
                return kind
    return None


def _named(name: str) -> Kind:
    return KINDS[name]


def _of_library(cls: type) -> tuple[Kind, ...]:
    """Returns the kinds of the library that a class comes from, without importing it."""
    module = cls.__module__
    return _BY_LIBRARY.get(module.partition(".")[0], ()) if isinstance(module, str) else ()


def _abstract(
    name: str, make: Callable[[Any], Any] = standard.as_is, into: Any = list, *, any_kind: bool = True
) -> Kind:
    return Kind(f"collections.abc.{name}", standard.chained(into), make, accepts=is_collection, abstract=any_kind)


def _yielded(name: str, make: Callable[[Any], Any] | None) -> Kind:
    return Kind(f"collections.abc.{name}", standard.chained(list), make, accepts=is_collection)


_items = standard.items

_STANDARD = (
    Kind("list", standard.chained(list), standard.converted(list), _items, is_collection),
    Kind("tuple", standard.chained(tuple), standard.converted(tuple), _items, is_collection),
    Kind("range", standard.join_ranges, standard.make_range, _items, is_collection, nests=False),
    Kind("set", standard.chained(set), standard.converted(set), None, is_collection),
    Kind("frozenset", standard.chained(frozenset), standard.converted(frozenset), None, is_collection),
    Kind("collections.deque", standard.chained(deque), standard.converted(deque), None, is_collection),
    Kind("array.array", standard.join_arrays, standard.make_array, _items, nests=False),
    _abstract("Iterable"),
    _abstract("Collection"),
    _abstract("Reversible"),
    _abstract("Sequence"),
    _abstract("MutableSequence", standard.converted(list)),
    _abstract("Set", standard.converted(set), set, any_kind=False),
    _abstract("MutableSet", standard.converted(set), set, any_kind=False),
    _abstract("KeysView"),
    _abstract("ValuesView"),
    _abstract("ItemsView"),
    _yielded("Iterator", iter),
    _yielded("Generator", iter),
    _yielded("AsyncIterable", None),
    _yielded("AsyncIterator", None),
    _yielded("AsyncGenerator", None),
    Kind("dict", standard.merge_mappings, accepts=standard.is_mapping),
    Kind("collections.OrderedDict", standard.merge_ordered, accepts=standard.is_mapping),
    Kind("collections.defaultdict", standard.merge_defaults, accepts=standard.is_mapping),
    Kind("collections.Counter", standard.merge_counters, accepts=standard.is_mapping),
    Kind("collections.abc.Mapping", standard.merge_mappings, accepts=standard.is_mapping),
    Kind("collections.abc.MutableMapping", standard.merge_mappings, accepts=standard.is_mapping),
)

_LIBRARIES = (
    Kind("numpy.ndarray", libraries.join_arrays, libraries.make_array, _items, libraries.is_array, nests=False),
    Kind(
        "pandas.DataFrame",
        libraries.join_pandas_frames,
        libraries.made("pandas.DataFrame"),
        libraries.rows,
        frame=True,
        nests=False,
    ),
    Kind("pandas.Series", libraries.join_pandas_series, libraries.made("pandas.Series"), libraries.rows, nests=False),
    Kind("pandas.Index", libraries.join_pandas_indexes, libraries.made("pandas.Index"), _items, nests=False),
    Kind(
        "polars.DataFrame",
        libraries.join_polars_frames,
        libraries.make_polars_frame,
        libraries.sliced,
        frame=True,
        nests=False,
    ),
    Kind("polars.Series", libraries.join_polars_series, libraries.make_polars_series, libraries.sliced, nests=False),
    Kind(
        "pyarrow.Table",
        libraries.join_arrow_tables,
        libraries.made("pyarrow.Table", "from_pylist"),
        libraries.sliced,
        frame=True,
        nests=False,
    ),
    Kind(
        "pyarrow.RecordBatch",
        libraries.join_arrow_record_batches,
        libraries.made("pyarrow.RecordBatch", "from_pylist"),
        libraries.sliced,
        frame=True,
        nests=False,
    ),
    Kind("pyarrow.Array", libraries.join_arrow_arrays, libraries.make_arrow_array, libraries.sliced, nests=False),
    Kind(
        "pyarrow.ChunkedArray",
        libraries.join_arrow_chunked_arrays,
        libraries.make_arrow_chunked_array,
        libraries.sliced,
        nests=False,
    ),
)

#: Every kind, by name.
KINDS = {kind.name: kind for kind in (*_STANDARD, *_LIBRARIES)}

#: What slices best: a batch is the slice or the list that it was cut as.
ANY = KINDS["collections.abc.Iterable"]

_BY_TYPE: dict[type, Kind] = {kind.type: kind for kind in _STANDARD}
_BY_LIBRARY: dict[str, tuple[Kind, ...]] = {
    name: tuple(kind for kind in _LIBRARIES if kind.name.startswith(f"{name}."))
    for name in ("numpy", "pandas", "polars", "pyarrow")
}
