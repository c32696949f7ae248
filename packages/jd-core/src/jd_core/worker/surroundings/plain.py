"""Plain data: numbers, texts, and what is made of these; as bytes that tell whether it has changed."""

from __future__ import annotations

import abc
import enum
import io
import pickle
import types
import typing
from collections import deque
from typing import Any

from ..reached import SCRIPT, own_module  # noqa: TID252 - it has another name where it is sent to

#: So many bytes of one name are compared at each call, and sent: 64 KiB take 0.1 ms.
MOST_BYTES = 1 << 16

#: Instances of their classes are data if their parts are.
_LIBRARIES = {
    *("collections", "datetime", "decimal", "fractions", "ipaddress", "numpy", "pathlib", "re", "types", "uuid", "zoneinfo")
}
_BUILTIN = (complex, range, slice, types.EllipsisType, types.NotImplementedType, enum.Enum)

#: What classes of the user's may inherit besides each other, and be no more than their attributes.
_BASES = (object, abc.ABC, typing.Generic, typing.Protocol)

#: Whether these have changed shows in whether they are the same object.
UNCHANGING = (type(None), bool, int, float, complex, str, bytes, range)


def pickled(value: Any, most: int = MOST_BYTES) -> bytes | str | None:
    """Returns plain data as bytes; a text that only says how much it is if it has more than ``most``; None for all else."""
    if isinstance(value, (type, types.FunctionType, types.BuiltinFunctionType)):
        return None
    file = _File(most)
    try:
        _Pickler(file, 5).dump(value)
    except _LargeError:
        return f"a {type(value).__name__} of {len(value)} elements" if hasattr(type(value), "__len__") else "large"
    except Exception:  # what is no data, and whatever its class raises
        return None
    return file.getvalue()


class _LargeError(Exception):
    pass


class _File(io.BytesIO):
    def __init__(self, most: int) -> None:
        super().__init__()
        self._most = most

    def write(self, data: Any) -> int:
        if self.tell() + len(data) > self._most:
            raise _LargeError
        return super().write(data)


class _Pickler(pickle.Pickler):
    def reducer_override(self, obj: Any) -> Any:
        """Called for all but builtin numbers, texts and containers."""
        kind = type(obj)
        is_named = isinstance(obj, (type, types.FunctionType, types.BuiltinFunctionType))
        module = str(getattr(obj if is_named else kind, "__module__", None))
        library = module.partition(".")[0]
        if is_named:
            is_data = library not in SCRIPT  # what its module does not have under its name, pickle refuses
        elif library in _LIBRARIES:
            is_data = not module.startswith("numpy.random")
        else:
            is_data = isinstance(obj, _BUILTIN) or _is_record(kind)
        if not is_data:
            raise pickle.PicklingError
        return NotImplemented


def _is_record(kind: type) -> bool:
    """Whether instances of a class are no more than their fields."""
    if issubclass(kind, tuple):
        return hasattr(kind, "_fields")
    is_own = all(base in _BASES or own_module(base.__module__) is not None for base in kind.__mro__)
    if not (is_own or hasattr(kind, "__dataclass_fields__")):
        return False
    as_usual = (getattr(kind, name) is getattr(object, name) for name in ("__reduce_ex__", "__reduce__", "__getstate__"))
    return all(as_usual) and not hasattr(kind, "__setstate__")


def refill(old: Any, new: Any) -> bool:
    """Makes what ``old`` holds what ``new`` holds, if that is possible, and returns whether it is."""
    if type(old) is not type(new) or isinstance(old, enum.Enum):
        return False
    if old is new:  # a class that makes but one instance
        return True
    if isinstance(old, (list, bytearray)):
        old[:] = new
    elif isinstance(old, (dict, set)):
        old.clear()
        old.update(new)
    elif isinstance(old, deque):
        old.clear()
        old.extend(new)
    elif type(getattr(old, "__dict__", None)) is dict:
        vars(old).clear()
        vars(old).update(vars(new))
    else:
        return False
    return True
