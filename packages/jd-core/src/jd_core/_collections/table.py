"""The kinds of collections, all in one table, and what can be asked about a value.

`jd_core._hints.signature` asks for the kind of a hint, `jd_core._planning.plan` cuts values and builds batches with it,
`jd_core._execution.aggregation` joins results. Another kind of collection is one more entry in the table.
"""

from __future__ import annotations

import functools
import itertools
from collections import deque
from collections.abc import Callable, Sequence
from typing import Any

from jd_core._collections import libraries, standard
from jd_core._collections.kind import (
    Kind,
    is_frame,
    is_reference,
    is_value,
    kind_of_return,
    kind_of_type,
    kind_of_value,
    named,
    register,
)

__all__ = [
    "ANY",
    "Kind",
    "is_collection",
    "is_frame",
    "is_reference",
    "is_value",
    "kind_of_return",
    "kind_of_type",
    "kind_of_value",
    "length",
    "named",
    "never_ends",
    "slicer",
]


def length(value: Any) -> int | None:
    """Returns what ``len`` says: the number of elements, of rows for a frame; None if it raises, whatever that is.

    A sparse matrix, which has no ``len``, has as many elements as rows.
    """
    try:
        return len(value)
    except Exception:
        return value.shape[0] if kind_of_value(value) in _SPARSE else None


def never_ends(value: Any) -> bool:
    """Whether ``value`` is one of the iterators of `itertools` that have no end."""
    if isinstance(value, itertools.repeat):
        try:
            value.__length_hint__()
        except TypeError:
            return True
    return isinstance(value, (itertools.count, itertools.cycle))


def slicer(value: Any) -> Callable[[int, int], Any] | None:
    """Returns a function of start and stop that returns these elements of ``value`` without iterating it.

    None if ``value`` can only be iterated.
    """
    kind = kind_of_value(value)
    if kind is None or kind.cut is None or kind in _SPARSE or (kind.name == "numpy.ndarray" and value.ndim == 0):
        return None
    return functools.partial(kind.cut, value)


def cut(column: Sequence[Any], start: int, stop: int) -> Any:
    """Returns the elements [start:stop] of a column of a chunk; a slice of its own kind where there is such."""
    # Not column[start:stop] for all: that may look for labels in a pandas series.
    slice_of = slicer(column)
    return slice_of(start, stop) if slice_of else list(column)[start:stop]


def is_collection(value: Any) -> bool:
    """Whether iterating ``value`` yields elements: it is iterable, and neither a value nor a frame."""
    of_type = type(value)  # which is asked, for an object's own __getattr__ may do anything
    iterable = hasattr(of_type, "__iter__") and not (hasattr(of_type, "ndim") and value.ndim == 0)
    return iterable and not is_value(value) and not is_frame(value)


def _library(name: str, merge: Any, make: Any, cut: Any, accepts: Any = None, *, frame: bool = False) -> Kind:
    return Kind(name, merge, make, cut, accepts, frame=frame, nests=False)


def _abstract(name: str, make: Callable[[Any], Any] = standard.as_is, into: Any = list, *, any_kind: bool = True) -> Kind:
    return Kind(f"collections.abc.{name}", standard.chained(into), make, accepts=is_collection, abstract=any_kind)


def _yielded(name: str, make: Callable[[Any], Any] | None) -> Kind:
    return Kind(f"collections.abc.{name}", standard.chained(list), make, accepts=is_collection)


_items = standard.items
_slice = libraries.sliced

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
    _library("numpy.ndarray", libraries.join_arrays, libraries.make_array, _items, libraries.is_array),
    _library("pandas.DataFrame", libraries.join_pandas_frames, libraries.make_pandas_frame, libraries.rows, frame=True),
    _library("pandas.Series", libraries.join_pandas_series, libraries.make_pandas_series, libraries.rows),
    _library("pandas.Index", libraries.join_pandas_indexes, libraries.make_pandas_index, _items),
    _library("polars.DataFrame", libraries.join_polars_frames, libraries.make_polars_frame, _slice, frame=True),
    _library("polars.Series", libraries.join_polars_series, libraries.make_polars_series, _slice),
    _library("pyarrow.Table", libraries.join_tables, libraries.make_table, _slice, frame=True),
    _library("pyarrow.RecordBatch", libraries.join_record_batches, libraries.make_record_batch, _slice, frame=True),
    _library("pyarrow.Array", libraries.join_arrow_arrays, libraries.make_arrow_array, _slice),
    _library("pyarrow.ChunkedArray", libraries.join_chunked_arrays, libraries.make_chunked_array, _slice),
)

#: Cut where they are read as batches; where they are read as elements, each row is one, as in a loop.
_SPARSE = tuple(
    _library(f"scipy.sparse.{name}", libraries.join_sparse, libraries.make_sparse(name), _items)
    for name in ("csr_matrix", "csr_array", "csc_matrix", "csc_array")
)

register(_STANDARD, (*_LIBRARIES, *_SPARSE))

#: What slices best: a batch is the slice or the list that it was cut as.
ANY = named("collections.abc.Iterable")
