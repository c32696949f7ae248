"""Objects of libraries by what they hold: not by how it lies in memory, or by what they keep of having been used.

Nothing here imports a library.
"""

from __future__ import annotations

import sys
from typing import Any


def content(obj: Any) -> Any:
    """Returns how an object is pickled by its content, as ``reducer_override`` does; NotImplemented: as its class says."""
    kind = type(obj)
    library = kind.__module__.partition(".")[0]
    if library == "numpy" and kind is sys.modules["numpy"].ndarray:
        # An array of objects in the order of its indices; any other as it would be if it were fresh and contiguous.
        held = [*obj.flat] if obj.dtype.hasobject else obj.tobytes()
        return Content, (kind, obj.dtype, obj.shape, held)
    if library == "pandas":
        pandas = sys.modules["pandas"]
        if kind is pandas.DataFrame:
            columns = [obj.iloc[:, place].array for place in range(obj.shape[1])]
            return Content, (kind, obj.index, obj.columns, columns, obj.attrs)
        if kind is pandas.Series:
            return Content, (kind, obj.index, obj.name, obj.array, obj.attrs)
        if isinstance(obj, pandas.api.extensions.ExtensionArray):
            has_zone = getattr(obj, "tz", None) is not None  # as numbers, since an object for each would take long
            return Content, (kind, obj.dtype, (obj.tz_convert(None) if has_zone else obj).to_numpy())
    if library == "pyarrow":
        return _arrow(obj)
    if (pydantic := sys.modules.get("pydantic")) is not None and isinstance(obj, pydantic.BaseModel):
        return _model(obj)
    return NotImplemented


class Content:
    """Stands for the rest of an object, in what is never unpickled."""


def _arrow(obj: Any) -> Any:
    arrow = sys.modules["pyarrow"]
    if isinstance(obj, (arrow.Table, arrow.RecordBatch)):
        table = arrow.table(obj) if isinstance(obj, arrow.RecordBatch) else obj
    elif isinstance(obj, (arrow.Array, arrow.ChunkedArray)):
        table = arrow.table([obj], names=["values"])
    else:
        return NotImplemented
    # With an empty slice more, so that it is copied: of a slice, Arrow writes what follows it in its buffers, too.
    fresh = arrow.concat_tables([table, table.slice(0, 0)]).combine_chunks()
    sink = arrow.BufferOutputStream()
    with arrow.ipc.new_stream(sink, fresh.schema) as writer:
        writer.write(fresh)
    return Content, (type(obj), sink.getvalue().to_pybytes())


def _model(model: Any) -> Any:
    """Returns a model of pydantic, which keeps the names of the fields that were set in a set."""
    kind = type(model)
    if any(getattr(kind, name) is not getattr(object, name) for name in ("__reduce_ex__", "__reduce__")):
        return NotImplemented
    state = model.__getstate__()
    fields = state.get("__pydantic_fields_set__")
    if isinstance(fields, set):
        state = {**state, "__pydantic_fields_set__": sorted(fields)}
    return Content, (kind, state)
