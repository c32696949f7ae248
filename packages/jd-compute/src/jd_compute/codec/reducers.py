"""How code is taken apart for the codec, and put together again where it arrives."""

from __future__ import annotations

import types
from typing import Any

import cloudpickle

#: Cloudpickle's own reducers, by type.
CLOUDPICKLES: Any = cloudpickle.Pickler.dispatch_table


def reduce_code(code: types.CodeType) -> Any:
    """Returns how to rebuild code with the name of its file, which tracebacks show; cloudpickle 3.1.3 leaves that out."""
    _, fields = CLOUDPICKLES[types.CodeType](code)
    return _rebuild_code, (fields, code.co_filename)


def _rebuild_code(fields: tuple[Any, ...], file: str) -> types.CodeType:
    return types.CodeType(*fields).replace(co_filename=file)
