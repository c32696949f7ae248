"""Takes an exception apart to pickle it, and puts it together again as it was, without running its class's own code.

``cls(*args)``, which is what Python does, fails for a class whose ``__init__`` wants other arguments, and changes the
message of one that formats it. A class that defines ``__reduce__``, ``__getstate__`` or ``__setstate__`` knows better, and
is asked.
"""

from __future__ import annotations

import contextlib
import types
from collections.abc import Callable
from typing import Any

#: Fields of the built-in classes that CPython does not pickle either: any object at all, the one that lacks the attribute.
_NOT_SENT = frozenset({"obj"})


def reduce_exception(error: BaseException, links: tuple[BaseException | None, BaseException | None]) -> Any:
    """Returns how to rebuild an exception, as ``__reduce_ex__`` does.

    Args:
        error: the exception.
        links: what is to be its ``__cause__`` and ``__context__``.
    """
    cls = type(error)
    notes = {name: value for name, value in _attributes(error).items() if name == "__notes__"}
    after = (*links, error.__suppress_context__)
    own = _own_reduction(error)
    if own is not None:
        make, args, *rest = own
        return make, args, (rest[0] if rest else None, notes, after), None, None, _restore
    fields = _fields(error)
    state = None
    if _is_defined_by(cls, "__getstate__"):
        state = error.__getstate__()
    elif _is_defined_by(cls, "__setstate__"):
        state = dict(_attributes(error))
    if state is not None:
        fields = {**notes, "args": error.args}
    return _blank, (cls, _arguments(error)), (state, fields, after), None, None, _restore


def links(error: BaseException) -> tuple[BaseException | None, BaseException | None]:
    """Returns what led to an exception: its cause, and the exception that was handled when it was raised."""
    return error.__cause__, error.__context__


def _is_defined_by(cls: type, name: str) -> bool:
    """Whether a method is the class's own, or of a base that is not built in."""
    return next((base.__module__ for base in cls.__mro__ if name in vars(base)), "builtins") != "builtins"


def _own_reduction(error: BaseException) -> tuple[Any, ...] | None:
    """Returns what the class's own ``__reduce__`` says, if it has one and that makes such an exception again."""
    if not any(_is_defined_by(type(error), name) for name in ("__reduce__", "__reduce_ex__")):
        return None
    try:
        reduced: Any = error.__reduce_ex__(5)
        made = reduced[0](*reduced[1])
    except Exception:
        return None  # what such code raises is no reason to lose the exception
    return reduced if len(reduced) <= 3 and isinstance(made, BaseException) else None


def _arguments(error: BaseException) -> tuple[Any, ...]:
    """Returns the arguments that the built-in base makes its fields of."""
    if isinstance(error, BaseExceptionGroup):
        return error.message, list(error.exceptions)
    builtin = _builtin(type(error))
    args: tuple[Any, ...] = builtin.__reduce__(error)[1]  # an OSError's have the file name, too
    return args


def _fields(error: BaseException) -> dict[str, Any]:
    """Returns all that an exception holds: in ``__slots__`` and in the fields of built-in classes, too."""
    fields: dict[str, Any] = {}
    for cls in type(error).__mro__:
        for name, member in vars(cls).items():
            if isinstance(member, types.MemberDescriptorType) and name not in _NOT_SENT and not name.startswith("__"):
                with contextlib.suppress(AttributeError):  # not assigned
                    value = member.__get__(error)
                    if value is not None or cls.__module__ != "builtins":
                        fields.setdefault(name, value)
    return {**fields, **_attributes(error), "args": error.args}


def _attributes(error: BaseException) -> dict[str, Any]:
    # What an extension defines may have none.
    return getattr(error, "__dict__", {})


def _builtin(cls: type) -> Any:
    return next(base for base in cls.__mro__ if base.__module__ == "builtins")


def _blank(cls: type[BaseException], args: tuple[Any, ...]) -> BaseException:
    """Returns an exception as its built-in base makes it."""
    builtin = _builtin(cls)
    error: BaseException = builtin.__new__(cls, *args)
    # What the base keeps outside of __dict__ (an OSError's errno, say) is set by its own __init__.
    with contextlib.suppress(TypeError):
        builtin.__init__(error, *args)
    return error


def _restore(error: BaseException, state: tuple[Any, dict[str, Any], tuple[Any, Any, bool]]) -> None:
    own, fields, (cause, context, suppressed) = state
    if own is not None and (isinstance(own, dict) and not _is_defined_by(type(error), "__setstate__")):
        fields = {**own, **fields}
    elif own is not None:
        error.__setstate__(own)
    # The class may refuse, as a frozen dataclass does, and what it refuses is set all the same.
    assign: Callable[[Any, str, Any], None] = object.__setattr__
    for name, value in fields.items():
        with contextlib.suppress(AttributeError, TypeError):  # a field that its built-in class has set, for good
            assign(error, name, value)
    assign(error, "__cause__", cause)
    assign(error, "__context__", context)
    assign(error, "__suppress_context__", suppressed)
