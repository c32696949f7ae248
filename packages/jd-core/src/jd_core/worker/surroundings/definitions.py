"""What a name stands for that is no data: functions, classes, modules, instances; where it differs from what is imported.

A test puts others in their place (``monkeypatch.setattr``, ``unittest.mock.patch``). Whether it has shows where the module
was imported anew, in a worker: by a text that is the same in every process for what a module defines or imports.
"""

from __future__ import annotations

import functools
import importlib
import pickle
import sys
import types
import zlib
from collections.abc import Callable, Iterator, Mapping
from importlib.machinery import SourceFileLoader
from typing import Any

from ..pickling import known  # noqa: TID252 - it has another name where it is sent to
from ..reached import SCRIPT  # noqa: TID252
from . import plain

#: What holds a function, and the attribute that is the function.
_WRAPPERS: dict[type, str] = {
    staticmethod: "__func__",
    classmethod: "__func__",
    property: "fget",
    functools.cached_property: "func",
    functools.partialmethod: "func",
    type(functools.cache(lambda: None)): "__wrapped__",
}

#: The same, where the name of the function is not also that of the whole.
_USES: dict[type, str] = {functools.partial: "func", types.MethodType: "__func__"}

#: What is sent by value where no module has it under its name.
_CODE = (types.FunctionType, types.BuiltinFunctionType, type, *_WRAPPERS, *_USES)

_CONTAINERS = (dict, list, tuple, set, frozenset, types.SimpleNamespace)

_NAMED = ("function ", "type ", "builtin_function_or_method ")

#: So many elements of a container, and containers within each other, are looked at.
_MOST_ELEMENTS = 100
_MOST_LEVELS = 2


def kind_of(value: Any, levels: int = _MOST_LEVELS) -> str:
    """Returns in a text what an object is, by its home: the same for what any process finds in the same module."""
    kind = type(value)  # not its __class__, which a mock makes up
    if kind is types.FunctionType:
        return f"function {_home(value)}:{value.__code__.co_qualname}{_made_with(value)}"
    if issubclass(kind, (type, types.BuiltinFunctionType)):
        return f"{kind.__name__} {value.__module__}:{value.__qualname__}"
    if issubclass(kind, types.ModuleType):
        return f"module {value.__name__}"
    named = f"{kind.__module__}.{kind.__qualname__}"
    inner = _WRAPPERS.get(kind) or _USES.get(kind)
    if inner is not None:
        return f"{named} of {kind_of(getattr(value, inner))}"
    if kind in _CONTAINERS and levels:
        parts = _parts(value)
        if len(parts) <= _MOST_ELEMENTS:
            return f"{named} of {[(key, kind_of(part, levels - 1)) for key, part in parts]}"
    return f"instance of {named}"


def _parts(container: Any) -> list[tuple[Any, Any]]:
    if isinstance(container, types.SimpleNamespace):
        container = vars(container)
    if isinstance(container, dict):
        return [(key if isinstance(key, (str, int)) else type(key), part) for key, part in container.items()]
    if isinstance(container, (set, frozenset)):
        return [(None, len(container))]
    return list(enumerate(container))


def _home(function: types.FunctionType) -> str:
    return str(function.__globals__.get("__name__"))


def _made_with(function: types.FunctionType) -> str:
    """Returns what tells apart two functions that one function has made, as far as that is plain data."""
    if not function.__closure__ and not function.__defaults__ and not function.__kwdefaults__:
        return ""
    parts = [*Cells(function).values(), function.__defaults__, function.__kwdefaults__]
    return str([zlib.crc32(data) if isinstance(data, bytes) else 0 for data in map(plain.pickled, parts)])


def own_source(value: Any, module: str, name: str) -> int | None:
    """Returns a checksum of the code of what a module's source defines under a qualified name; None of all else.

    It is 0 for a class, and where not every process makes the same code of the same source.
    """
    while type(value) in _WRAPPERS:
        value = getattr(value, _WRAPPERS[type(value)])
    if issubclass(type(value), type):
        return 0 if _has_name(value, module, name) else None
    if type(value) is not types.FunctionType or not _has_name(value, module, name) or _home(value) != module:
        return None
    is_plain = type(vars(sys.modules[module])["__spec__"].loader) is SourceFileLoader and not sys.flags.optimize
    return _checksum(value.__code__) ^ zlib.crc32(name.encode("utf-8", "surrogatepass")) if is_plain else 0


def innermost(value: Any) -> types.FunctionType | None:
    """Returns the function that a value is, or that decorators have wrapped in it; None if there is none."""
    seen: set[int] = set()
    while id(value) not in seen:
        seen.add(id(value))
        if type(value) in _WRAPPERS:
            value = getattr(value, _WRAPPERS[type(value)])
        elif type(value) is types.FunctionType or type(value).__module__ == "jd_core":  # or distributed
            value = vars(value).get("__wrapped__", value)
    return value if type(value) is types.FunctionType else None


def shown(function: types.FunctionType) -> str:
    """Returns in a text the code of a function and what was made with it, as far as that is plain data."""
    return f"{_checksum(function.__code__)}{_made_with(function)}"


def _has_name(value: Any, module: str, name: str) -> bool:
    return (value.__module__, value.__qualname__) == (module, name)


@functools.lru_cache(4096)
def _checksum(code: types.CodeType) -> int:
    constants = [_shown(constant) for constant in code.co_consts]
    # Not the qualified name: a notebook's autoreload compiles methods in a class of another name.
    return zlib.crc32(repr((code.co_name, code.co_code, code.co_names, constants)).encode("utf-8", "surrogatepass"))


def _shown(constant: Any) -> str:
    if isinstance(constant, types.CodeType):
        return str(_checksum(constant))
    # The order of a set is another one in each process.
    return str(sorted(map(repr, constant))) if isinstance(constant, frozenset) else repr(constant)


def pickled(value: Any, module: str, name: str, dumps: Callable[[Any], bytes], most: int) -> bytes | None:
    """Returns as bytes what can be put in the place of something else; None for what is not sent.

    Args:
        value: a function, class, module or instance.
        module: where it stands.
        name: under which qualified name.
        dumps: pickles by value what cannot be imported.
        most: so many bytes are sent.
    """
    kind = type(value)
    if kind is types.ModuleType:
        found = sys.modules.get(value.__name__) is value
        return pickle.dumps(_Module(value.__name__)) if found else None
    if not (is_mock(value) or issubclass(kind, (*_CODE, *_CONTAINERS))):
        return None
    if kind is types.FunctionType and (value.__module__ is None or _has_name(value, module, name)):
        return None  # it would be sent by the name in whose place it was put
    try:
        data = pickle.dumps(value) if is_named(value) else dumps(value)
    except Exception:  # whatever its parts raise
        return None
    return data if len(data) <= most else None


def is_mock(value: Any) -> bool:
    """Whether an object is one of `unittest.mock`."""
    return any(base.__module__ == "unittest.mock" for base in type(value).__mro__)


def is_named(value: Any) -> bool:
    """Whether a function or class is what a module that can be imported has under its name."""
    is_global = issubclass(type(value), (type, types.FunctionType, types.BuiltinFunctionType))
    return is_global and value.__module__ not in SCRIPT and known.is_global(value)


class _Module:
    """Unpickles as a module."""

    def __init__(self, name: str) -> None:
        self._name = name

    def __reduce__(self) -> Any:
        return importlib.import_module, (self._name,)


def are_same(wanted: str, kind: str, *, changed: bool) -> bool:
    """Whether what a process has of one kind will do for what is wanted."""
    # There may be two functions that another one has made, two partials, or two lists; but not of what has a name.
    return wanted == kind and (not changed or (kind.startswith(_NAMED) and "<" not in kind))


def matters(value: Any) -> bool:
    """Whether calls miss what was put in place of this: of a function, class or module, but not of all else."""
    return issubclass(type(value), (*_CODE, types.ModuleType)) or is_mock(value)


def watched(value: Any) -> Mapping[str, Any] | None:
    """Returns what of an object may change while it stays the same object, if that is looked at; else None."""
    if type(value) is types.FunctionType:
        return None if is_named(value) else Cells(value)
    if isinstance(value, types.SimpleNamespace) or is_mock(value):
        attributes: dict[str, Any] = vars(value)
        return attributes
    return value if type(value) is dict else None


class Cells(Mapping[str, Any]):
    """What a function's closure holds, by the names there."""

    def __init__(self, function: types.FunctionType) -> None:
        self._cells = dict(zip(function.__code__.co_freevars, function.__closure__ or (), strict=True))

    def __getitem__(self, name: str) -> Any:
        cell = self._cells[name]
        return None if cell == types.CellType() else cell.cell_contents

    def __iter__(self) -> Iterator[str]:
        return iter(self._cells)

    def __len__(self) -> int:
        return len(self._cells)
