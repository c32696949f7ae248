"""Which modules of the user's a function may use: its own, those that this imports, and so on."""

from __future__ import annotations

import contextlib
import functools
import itertools
import os
import sys
import types
from collections import deque
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

#: The names that the program's module has: the second one in processes of `multiprocessing`, by spawn or forkserver.
SCRIPT = frozenset({"__main__", "__mp_main__"})

#: These packages: a worker has its own.
_OURS = frozenset({"jd_core", "jd_compute", "jd_io", "jd_web", "jd_ray", "just_distribute"})

_INSTALLED = (f"{os.sep}site-packages{os.sep}", f"{os.sep}dist-packages{os.sep}")


def own_module(name: Any) -> types.ModuleType | None:
    """Returns a loaded module that is the user's own, and that another process can import; None if there is none."""
    module = sys.modules.get(name) if isinstance(name, str) else None
    # One of another class may do anything when it is looked at.
    if type(module) is not types.ModuleType or name in SCRIPT:
        return None
    root = name.partition(".")[0]
    if root in _OURS or root in sys.stdlib_module_names or vars(module).get("__spec__") is None:
        return None
    places = _places(module)
    return module if places and not _are_installed(places) else None


def is_installed(name: str) -> bool:
    """Whether a module is loaded, and came with an installed package."""
    module = sys.modules.get(name)
    return type(module) is types.ModuleType and _are_installed(_places(module))


def _places(module: types.ModuleType) -> list[str]:
    """Returns the file that a module was loaded from, or the folders of a package that has none."""
    file, path = vars(module).get("__file__"), vars(module).get("__path__")
    return [file] if isinstance(file, str) else list(path or ())


def _are_installed(places: list[str]) -> bool:
    return any(part in place for place in places for part in _INSTALLED)


#: What leads nowhere.
_PLAIN = frozenset({type(None), bool, int, float, complex, str, bytes, bytearray})

#: What may lead somewhere by what it contains, of which so many are looked at: a list may be all of the program's data.
_CONTAINERS = (dict, list, tuple, set, frozenset, deque)
_MOST_ELEMENTS = 1000


def reached(roots: Iterable[Any]) -> dict[str, types.ModuleType]:
    """Returns the user's own modules, by name, to which objects lead: functions, classes, modules, instances, containers."""
    found: dict[str, types.ModuleType] = {}
    seen: set[int] = set()
    left = list(roots)
    while left:
        value = left.pop()
        if type(value) in _PLAIN or id(value) in seen:
            continue
        seen.add(id(value))
        with contextlib.suppress(Exception):  # whatever the attributes of a user's object do
            names = [parent for name in _modules_of(value) for parent in itertools.accumulate(name.split("."), _joined)]
            for name in names:
                module = None if name in found else own_module(name)
                if module is not None:
                    found[name] = module
                    left += values_of(vars(module))
            left += _parts(value)
    return found


def values_of(space: Mapping[str, Any]) -> list[Any]:
    """Returns what stands in the namespace of a module or class, but for modules of a package that somebody imported."""
    return [value for name, value in [*space.items()] if not is_submodule(value, space.get("__name__"), name)]


def is_submodule(value: Any, package: Any, name: str) -> bool:
    """Whether a name is there because a module of the package was imported: what needs that imports it, or says its name."""
    return type(value) is types.ModuleType and value.__name__ == f"{package}.{name}"


def _joined(parent: str, name: str) -> str:
    return f"{parent}.{name}"


def _modules_of(value: Any) -> Iterator[str]:
    """Yields the names of modules that an object shows: its own or its class's, and those that its code imports."""
    if isinstance(value, types.ModuleType):
        yield value.__name__
        return
    yield (value if isinstance(value, (type, types.FunctionType)) else type(value)).__module__
    if isinstance(value, types.FunctionType):
        yield from imported_by(value)


def imported_by(function: types.FunctionType) -> list[str]:
    """Returns the names of modules that a function imports, also relatively, or has as attributes of a package."""
    names, space = {*names_in(function.__code__)}, function.__globals__
    used = *map(space.get, names), *enclosed(function).values()
    held = [value.__name__ for value in used if type(value) is types.ModuleType]
    around = itertools.accumulate((space.get("__package__") or "").split("."), _joined)
    packages = [*held, *around, *(name for name in names if name in sys.modules)]
    for package in packages:  # which grows
        packages += [module for name in names if (module := f"{package}.{name}") in sys.modules]
    return packages


def enclosed(function: types.FunctionType) -> dict[str, Any]:
    """Returns what a function's closure holds, by name."""
    cells = zip(function.__code__.co_freevars, function.__closure__ or (), strict=True)
    return {name: cell.cell_contents for name, cell in cells if cell != types.CellType()}


def names_in(code: types.CodeType) -> Iterator[str]:
    """Yields the names of globals, attributes and modules in code, that of functions within it included."""
    yield from code.co_names
    for constant in code.co_consts:
        if isinstance(constant, types.CodeType):
            yield from names_in(constant)


def _parts(value: Any) -> Iterator[Any]:
    """Yields what an object uses that looking into its module does not show."""
    yield getattr(value, "__dict__", {}).get("__wrapped__")
    if isinstance(value, types.FunctionType):
        names = () if own_module(value.__module__) is not None else names_in(value.__code__)
        yield from map(value.__globals__.get, names)
        yield from (enclosed(value), value.__defaults__, value.__kwdefaults__, value.__annotations__)
    elif isinstance(value, functools.partial):
        yield from (value.func, value.args, value.keywords)
    elif isinstance(value, types.MethodType):
        yield from (value.__func__, value.__self__)
    elif isinstance(value, (staticmethod, classmethod, property)):
        yield from (getattr(value, "__func__", None), getattr(value, "fget", None))
    elif isinstance(value, type):
        yield from (*vars(value).values(), *value.__bases__) if _is_users(value) else ()
    elif not isinstance(value, types.ModuleType):
        yield type(value)
        if isinstance(value, _CONTAINERS):
            yield from itertools.islice(value, _MOST_ELEMENTS)
        if isinstance(value, dict):
            yield from itertools.islice(value.values(), _MOST_ELEMENTS)
        if _is_users(type(value)):
            yield getattr(value, "__dict__", None)
            slots = [name for kind in type(value).__mro__ for name in vars(kind).get("__slots__", ())]
            yield from (getattr(value, name, None) for name in slots)


def _is_users(value: type) -> bool:
    return value.__module__ in SCRIPT or own_module(value.__module__) is not None
