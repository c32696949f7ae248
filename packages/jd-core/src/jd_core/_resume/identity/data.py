"""Values among globals, defaults and closures as bytes: data by what it holds, all else by its code.

Data is what `jd_core.worker.surroundings.plain` says, but for instances of ordinary classes: numbers, texts, dates, paths,
enum members, arrays, dataclasses, and containers of these; and frames and tables. Of other objects, what they hold may
change with each call (a client, a cache, a random generator), so that their class counts, and the functions that they hold.
"""

from __future__ import annotations

import enum
import functools
import inspect
import marshal
import types
from collections import deque
from collections.abc import Callable
from typing import Any, NamedTuple

from jd_core._resume.identity.bytecode import ATOMS
from jd_core._resume.identity.encoding import Encoder, UnstableError

#: Instances of classes of these modules are data. Random generators are not: calls change them.
_LIBRARIES = frozenset(
    {
        *("array", "datetime", "decimal", "fractions", "ipaddress", "numpy", "numpy.dtypes", "pandas", "pathlib", "re"),
        *("uuid", "zoneinfo"),
    }
)
_PACKAGES = ("pandas.", "pathlib.", "polars.", "pyarrow.")
_BUILTIN = (bytearray, range, slice, types.EllipsisType, types.NotImplementedType)

_REFERENCES = (
    *(types.FunctionType, types.MethodType, type, functools.partial, functools.partialmethod, types.ModuleType),
    *(staticmethod, classmethod, property, functools.cached_property),
)


class Described(NamedTuple):
    """What a value is.

    Attributes:
        data: its bytes, the same in every process.
        uses: functions, classes and modules that it refers to.
    """

    data: bytes
    uses: list[Any]


def described(value: Any, is_own: Callable[[str], bool]) -> Described:
    """Returns what a value is.

    Args:
        value: any object.
        is_own: whether a module is one of the program.
    """
    if type(value) in ATOMS:
        return Described(marshal.dumps(value, 2), [])
    reader = _Reader(is_own)
    try:
        data = marshal.dumps(reader.read(value), 2)
    except (RecursionError, ValueError):  # nested too deep
        return Described(_name(type(value)).encode(), [type(value)])
    return Described(data, reader.uses)


class _Reader:
    def __init__(self, is_own: Callable[[str], bool]) -> None:
        self.uses: list[Any] = []
        self._is_own = is_own
        self._around: set[int] = set()

    def read(self, value: Any) -> Any:
        """Returns a value as what ``marshal`` writes in one way."""
        kind = type(value)
        if kind in ATOMS or (kind in (list, tuple, set, frozenset) and ATOMS.issuperset(map(type, value))):
            return value
        if isinstance(value, _REFERENCES) or wrapped(value) is not None:
            self.uses.append(value)
            return _name(value)
        if id(value) in self._around:
            return "around it"
        self._around.add(id(value))
        try:
            return _name(kind), self._held(kind, value)
        finally:
            self._around.discard(id(value))

    def _held(self, kind: type, value: Any) -> Any:
        self.uses.append(kind)
        if isinstance(value, enum.Enum):
            return value.name, self.read(value.value)
        if isinstance(value, (dict, types.MappingProxyType)):
            return [(self.read(key), self.read(one)) for key, one in value.items()]
        if isinstance(value, (list, tuple, deque)):
            return [*map(self.read, value)]
        if isinstance(value, (set, frozenset)):
            return sorted(marshal.dumps(self.read(one), 2) for one in value)
        fields = _fields(kind, value)
        if fields is not None:
            return [(name, self.read(getattr(value, name, None))) for name in fields]
        if self._is_own(kind.__module__):
            held = getattr(value, "__dict__", {})
            return [(name, self.read(one)) for name, one in held.items() if isinstance(one, _REFERENCES)]
        is_data = kind in _BUILTIN or kind.__module__ in _LIBRARIES or kind.__module__.startswith(_PACKAGES)
        return _bytes(value) if is_data and kind.__name__ != "memmap" else None  # which is as large as its file


def wrapped(value: Any) -> Any:
    """Returns what a cache, a decorator or a distributed function calls, if it says so; None for all else.

    Objects that make up whatever attribute they are asked for, as proxies of services do, are not asked.
    """
    found = inspect.getattr_static(value, "__wrapped__", None)
    return None if found is None else getattr(value, "__wrapped__", None)


def _fields(kind: type, value: Any) -> list[str] | None:
    """Returns the names of the fields of a record; None for what is none."""
    if hasattr(kind, "__dataclass_fields__"):
        return [*kind.__dataclass_fields__]
    if hasattr(kind, "__attrs_attrs__"):
        return [one.name for one in kind.__attrs_attrs__]
    if hasattr(kind, "__pydantic_fields__") or (kind.__module__, kind.__name__) in (
        *(("types", "SimpleNamespace"), ("argparse", "Namespace")),
    ):
        return [*vars(value)]
    return None


def _bytes(value: Any) -> bytes | None:
    try:
        return Encoder().encode((value,))
    except UnstableError:
        return None


def _name(value: Any) -> str:
    if isinstance(value, types.ModuleType):
        return value.__name__
    module, name = getattr(value, "__module__", None), getattr(value, "__qualname__", None)
    return f"{module}.{name or type(value).__qualname__}"
