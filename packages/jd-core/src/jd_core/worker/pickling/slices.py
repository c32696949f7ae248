"""Makes slices cost what they hold, where their libraries send all that they were cut from.

Nothing here imports a library. What rebuilds an object gets the library's functions along, by name.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from typing import Any

#: What a slice may send too much, in bytes: less than making it compact costs.
SPARE_BYTES = 1 << 12


def reduce_slice(obj: Any, *, shares_files: bool) -> Any:
    """Returns how to rebuild an object of `LIBRARIES` if its library would send more than it holds; else NotImplemented.

    Args:
        obj: the object.
        shares_files: whether it is rebuilt on this machine.
    """
    kind = type(obj)
    reduce = _BY_NAME.get(kind.__name__)
    if reduce is None and kind.__module__ == "pyarrow.lib" and isinstance(obj, sys.modules["pyarrow"].Array):
        reduce = _reduce_array
    if reduce is _reduce_map and not shares_files:
        reduce = _reduce_view
    return NotImplemented if reduce is None else reduce(obj)


def _reduce_table(table: Any) -> Any:
    """Sends a slice of an arrow table or record batch as a stream of Arrow's own, which has nothing but its rows."""
    arrow = sys.modules["pyarrow"]
    if _is_compact(table) or any(isinstance(field.type, arrow.BaseExtensionType) for field in table.schema):
        return NotImplemented
    return _table, (arrow.ipc.open_stream, type(table).__name__, _stream(table.schema, table))


def _reduce_array(array: Any) -> Any:
    arrow = sys.modules["pyarrow"]
    if _is_compact(array) or isinstance(array.type, arrow.BaseExtensionType):
        return NotImplemented
    table = arrow.table([array], names=["values"])
    return _array, (arrow.ipc.open_stream, isinstance(array, arrow.ChunkedArray), _stream(table.schema, table))


def _is_compact(value: Any) -> bool:
    return bool(value.get_total_buffer_size() - value.nbytes <= SPARE_BYTES)


def _stream(schema: Any, table: Any) -> Any:
    arrow = sys.modules["pyarrow"]
    sink = arrow.BufferOutputStream()
    with arrow.ipc.new_stream(sink, schema) as writer:
        writer.write(table)
    return sink.getvalue()


def _table(open_stream: Callable[[Any], Any], kind: str, stream: Any) -> Any:
    with open_stream(stream) as reader:
        return reader.read_next_batch() if kind == "RecordBatch" else reader.read_all()


def _array(open_stream: Callable[[Any], Any], is_chunked: bool, stream: Any) -> Any:
    column = _table(open_stream, "Table", stream).column(0)
    return column if is_chunked else column.combine_chunks() if column.num_chunks != 1 else column.chunk(0)


def _reduce_map(array: Any) -> Any:
    """Sends a `numpy.memmap` as a part of its file, if that is still what the array shows."""
    memmap = type(array)
    whole = array
    while type(whole.base) is memmap:
        whole = whole.base
    file = whole.filename
    if file is None or whole.mode not in ("r", "r+", "w+") or array.size == 0 or array.dtype.hasobject:
        return NotImplemented  # what was written to a copy on write is in no file
    start, end = _bounds(array)
    offset = whole.offset + start - _bounds(whole)[0]
    try:
        if os.path.getsize(file) < offset + end - start:
            return NotImplemented
    except OSError:
        return NotImplemented
    first = array.__array_interface__["data"][0] - start
    mode = "r" if whole.mode == "r" or not array.flags.writeable else "r+"
    functions = memmap, sys.modules["numpy"].lib.stride_tricks.as_strided
    return _map, (functions, (file, "u1", mode, offset, (end - start,)), first, array.dtype, array.shape, array.strides)


def _reduce_view(array: Any) -> Any:
    """Sends a `numpy.memmap` as a view of an ordinary array, which goes beside the pickle; numpy copies a map into it."""
    return _view, (array.view(sys.modules["numpy"].ndarray), type(array))


def _view(array: Any, kind: type) -> Any:
    return array.view(kind)


def _bounds(array: Any) -> tuple[int, int]:
    """Returns the addresses of an array's first byte, and of the one after its last."""
    low = high = array.__array_interface__["data"][0]
    for length, stride in zip(array.shape, array.strides, strict=True):
        low += min(0, (length - 1) * stride)
        high += max(0, (length - 1) * stride)
    return low, high + array.itemsize


def _map(
    functions: tuple[Callable[..., Any], Callable[..., Any]],
    mapping: tuple[Any, ...],
    first: int,
    dtype: Any,
    shape: tuple[int, ...],
    strides: tuple[int, ...],
) -> Any:
    memmap, as_strided = functions
    mapped = memmap(*mapping)
    one = mapped[first : first + dtype.itemsize].view(dtype)
    return as_strided(one, shape, strides, subok=True, writeable=mapped.mode != "r")


#: What is asked how to send it, by the module that its class says that it is from.
LIBRARIES = frozenset({"numpy", "pyarrow.lib"})

_BY_NAME: dict[str, Callable[[Any], Any]] = {
    "Table": _reduce_table,
    "RecordBatch": _reduce_table,
    "ChunkedArray": _reduce_array,
    "memmap": _reduce_map,
}
