"""How exceptions and code are taken apart for the codec, and put together again where they arrive."""

from __future__ import annotations

import contextlib
import types
from typing import Any, cast

import cloudpickle

#: Cloudpickle's own reducers, by type.
CLOUDPICKLES: Any = cloudpickle.Pickler.dispatch_table


def reduce_code(code: types.CodeType) -> Any:
    """Returns how to rebuild code with the name of its file, which tracebacks show; cloudpickle 3.1.3 leaves that out."""
    _, fields = CLOUDPICKLES[types.CodeType](code)
    return _rebuild_code, (fields, code.co_filename)


def _rebuild_code(fields: tuple[Any, ...], file: str) -> types.CodeType:
    return types.CodeType(*fields).replace(co_filename=file)


def reduce_exception(error: BaseException) -> Any:
    """Returns how to rebuild an exception without its ``__init__``, which may want other arguments than ``args``."""
    if type(error).__module__ == "builtins":
        rebuild, *rest = cast("tuple[Any, ...]", error.__reduce_ex__(5))
        return _chain, (rebuild, *rest[:1], rest[1] if len(rest) > 1 else None, *chained(error))
    return _rebuild_exception, (type(error), error.args, error.__dict__, *chained(error))


def chained(error: BaseException) -> tuple[Any, ...]:
    """Returns what an exception says of those that led to it."""
    return error.__cause__, error.__context__, error.__suppress_context__


def _chain(rebuild: Any, args: Any, state: Any, cause: Any, context: Any, suppressed: bool) -> BaseException:
    error: BaseException = rebuild(*args)
    if state:
        error.__setstate__(state)
    error.__cause__, error.__context__, error.__suppress_context__ = cause, context, suppressed
    return error


def _rebuild_exception(
    cls: type[BaseException], args: Any, state: Any, cause: Any, context: Any, suppressed: bool
) -> BaseException:
    error = cls.__new__(cls, *args)
    # What the builtin base keeps outside of __dict__ (an OSError's errno, say) is set by that base's own __init__.
    builtin = next(base for base in cls.__mro__ if base.__module__ == "builtins")
    with contextlib.suppress(TypeError):
        builtin.__init__(error, *args)  # type: ignore[misc]
    error.__dict__.update(state)
    error.__cause__, error.__context__, error.__suppress_context__ = cause, context, suppressed
    return error
