"""How numpy, pandas, polars and pyarrow make a batch out of elements and one value out of parts.

Nothing here imports a library that is not imported already: these functions run only for a hint that names a class of
the library, or for a value of it. `jd_core._collections.table` has the table that uses them.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Any


def library(name: str) -> Any:
    """Returns the imported module ``name``; the class that led here came from it."""
    return sys.modules[name]


def _filled(parts: list[Any]) -> list[Any]:
    """Returns the parts that have elements, or one of them if none has.

    What an empty part is made of (its dtype, its shape beyond the first axis) is often a default, as in
    ``np.array([])``, and would turn the joined integers into floats.
    """
    return [part for part in parts if len(part)] or parts[:1]


def made(name: str, constructor: str = "") -> Callable[[Any], Any]:
    """Returns a function that makes the type ``name`` of a part, without a copy if it is one.

    Args:
        name: the type, as in ``pandas.DataFrame``.
        constructor: the class method that takes a list of elements; by default the type itself does.
    """
    module, _, attribute = name.partition(".")

    def make(part: Any) -> Any:
        of_type = getattr(library(module), attribute)
        if isinstance(part, of_type):
            return part
        return getattr(of_type, constructor)(part) if constructor else of_type(part)

    return make


def make_sparse(name: str) -> Callable[[Any], Any]:
    """Returns a function that makes a class of `scipy.sparse` of a part: of one of it, another matrix, or a list of rows."""

    def make(part: Any) -> Any:
        sparse = library("scipy.sparse")
        of_type = getattr(sparse, name)
        if isinstance(part, of_type):
            return part
        rows = [row.reshape(1, -1) for row in part] if isinstance(part, list) and all(map(sparse.issparse, part)) else None
        return of_type(sparse.vstack(rows) if rows else part)

    return make


make_pandas_frame = made("pandas.DataFrame")
make_pandas_series = made("pandas.Series")
make_pandas_index = made("pandas.Index")
make_table = made("pyarrow.Table", "from_pylist")
make_record_batch = made("pyarrow.RecordBatch", "from_pylist")


def rows(value: Any, start: int, stop: int) -> Any:
    """Returns the rows [start:stop] of a pandas frame or series, by position."""
    return value.iloc[start:stop]


def sliced(value: Any, start: int, stop: int) -> Any:
    """Returns the elements [start:stop] of what polars or pyarrow made, without copying them."""
    return value.slice(start, max(min(stop, len(value)) - start, 0))


def make_array(part: Any) -> Any:
    """Returns a numpy array of the elements; a slice of an array stays the view that it is."""
    numpy = library("numpy")
    if isinstance(part, numpy.ndarray):
        return part
    if isinstance(part, range):
        return numpy.arange(part.start, part.stop, part.step)
    return numpy.asarray(part)


def join_arrays(parts: list[Any]) -> Any:
    """Returns the parts concatenated on axis 0; parts without an axis (``array.sum()``) are one element each."""
    numpy = library("numpy")
    if not parts:
        return numpy.empty(0)
    filled = _filled([numpy.atleast_1d(part) for part in parts])
    masked = sys.modules.get("numpy.ma")
    if masked is not None and any(isinstance(part, masked.MaskedArray) for part in filled):
        return masked.concatenate(filled)
    return numpy.concatenate(filled)


def is_array(value: Any) -> bool:
    """Whether ``value`` can be a part of an array: an array, a numpy number or a list of rows."""
    numpy = library("numpy")
    return isinstance(value, (numpy.ndarray, numpy.generic, list, tuple)) and not isinstance(value, (str, bytes))


def join_pandas_frames(parts: list[Any]) -> Any:
    """Returns the rows of all parts with the index that each part had."""
    pandas = library("pandas")
    return pandas.concat(_filled(parts)) if parts else pandas.DataFrame()


def join_pandas_series(parts: list[Any]) -> Any:
    """Returns the elements of all parts with the index that each part had."""
    pandas = library("pandas")
    return pandas.concat(_filled(parts)) if parts else pandas.Series(dtype=object)


def join_pandas_indexes(parts: list[Any]) -> Any:
    """Returns the labels of all parts."""
    if not parts:
        return library("pandas").Index([])
    first, *others = _filled(parts)
    return first.append(others)


def make_polars_frame(part: Any) -> Any:
    """Returns a polars frame of the rows."""
    polars = library("polars")
    if isinstance(part, polars.DataFrame):
        return part
    first = part[0] if len(part) else None
    in_rows = hasattr(first, "__len__") and not isinstance(first, (str, bytes, dict))
    return polars.DataFrame(part, orient="row") if in_rows else polars.DataFrame(part)


def make_polars_series(part: Any) -> Any:
    """Returns a polars series of the elements."""
    polars = library("polars")
    return part if isinstance(part, polars.Series) else polars.Series(values=part)


def join_polars_frames(parts: list[Any]) -> Any:
    """Returns the rows of all parts; a column takes the wider type where parts differ."""
    polars = library("polars")
    return polars.concat(_filled(parts), how="vertical_relaxed") if parts else polars.DataFrame()


def join_polars_series(parts: list[Any]) -> Any:
    """Returns the elements of all parts."""
    polars = library("polars")
    return polars.concat(_filled(parts)) if parts else polars.Series()


def make_arrow_array(part: Any) -> Any:
    """Returns an arrow array of the elements."""
    pyarrow = library("pyarrow")
    return part if isinstance(part, pyarrow.Array) else pyarrow.array(part)


def make_chunked_array(part: Any) -> Any:
    """Returns a chunked arrow array of the elements."""
    pyarrow = library("pyarrow")
    return part if isinstance(part, pyarrow.ChunkedArray) else pyarrow.chunked_array([pyarrow.array(part)])


def join_tables(parts: list[Any]) -> Any:
    """Returns the rows of all parts, without copying them."""
    pyarrow = library("pyarrow")
    return pyarrow.concat_tables(_filled(parts), promote_options="default") if parts else pyarrow.table({})


def join_sparse(parts: list[Any]) -> Any:
    """Returns the rows of all parts, in the format of the first."""
    sparse = library("scipy.sparse")
    return sparse.vstack(parts, format=parts[0].format) if parts else sparse.csr_matrix((0, 0))


def join_record_batches(parts: list[Any]) -> Any:
    """Returns the rows of all parts as one record batch."""
    pyarrow = library("pyarrow")
    if not parts:
        return pyarrow.RecordBatch.from_pydict({})
    filled = _filled(parts)
    batches = pyarrow.Table.from_batches(filled).combine_chunks().to_batches()
    return batches[0] if batches else filled[0]


def join_arrow_arrays(parts: list[Any]) -> Any:
    """Returns the elements of all parts as one array."""
    pyarrow = library("pyarrow")
    return pyarrow.concat_arrays(_filled(parts)) if parts else pyarrow.array([])


def join_chunked_arrays(parts: list[Any]) -> Any:
    """Returns the chunks of all parts, without copying them."""
    pyarrow = library("pyarrow")
    filled = _filled(parts)
    element = filled[0].type if filled else pyarrow.null()
    return pyarrow.chunked_array([chunk for part in filled for chunk in part.chunks], type=element)
