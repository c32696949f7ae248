"""Which modules of the user's a function may use: its own, those that this imports, and so on."""

from __future__ import annotations

import contextlib
import functools
import itertools
import os
import sys
import types
import weakref
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

#: These packages: a worker has its own.
_OURS = frozenset({"jd_core", "jd_compute", "jd_io", "jd_web", "jd_ray", "just_distribute"})

_INSTALLED = (f"{os.sep}site-packages{os.sep}", f"{os.sep}dist-packages{os.sep}")


def own_module(name: Any) -> types.ModuleType | None:
    """Returns a loaded module that is the user's own, and that another process can import; None if there is none."""
    module = sys.modules.get(name) if isinstance(name, str) else None
    # One of another class may do anything when it is looked at.
    if type(module) is not types.ModuleType or name == "__main__":
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


#: An object that leads on by names that may be given another meaning, and the identities of what they stood for. The object
#: is not kept alive: it may be, or hold, what ends with its last reference.
Lead = tuple[Callable[[], Any], list[int]]

#: So many are kept: looking at them must not take longer than the call itself.
_MOST_LEADS = 50


def reached(roots: Iterable[Any], leads: list[Lead] | None = None) -> dict[str, types.ModuleType]:
    """Returns the user's own modules, by name, to which objects lead: functions, classes, modules, instances.

    Args:
        roots: where to begin.
        leads: is given what led from the roots to these modules: as long as that stays, and the modules do, another search
            would find the same.
    """
    found: dict[str, types.ModuleType] = {}
    seen: set[int] = set()
    left, inside = list(roots), list[Any]()
    while left or inside:
        if not left:
            left, inside, leads = inside, [], None
        value = left.pop()
        if id(value) in seen:
            continue
        seen.add(id(value))
        with contextlib.suppress(Exception):  # whatever the attributes of a user's object do
            names = [parent for name in _modules_of(value) for parent in itertools.accumulate(name.split("."), _joined)]
            for name in names:
                module = None if name in found else own_module(name)
                if module is not None:
                    found[name] = module
                    inside += values_of(vars(module))
            left += _parts(value)
            if (values := _named_by(value)) is not None:
                left += values
                if leads is not None and len(leads) < _MOST_LEADS and not _is_of_library(value):
                    leads.append((_weakly(value), [*map(id, values)]))
    return found


def are_current(leads: Iterable[Lead]) -> bool:
    """Whether what led on from objects leads to the same ones."""
    return all([*map(id, _named_by(value()) or ())] == before for value, before in leads)


def _weakly(value: Any) -> Callable[[], Any]:
    try:
        return weakref.ref(value)
    except TypeError:  # an instance with attributes and without weak references: its attributes are never taken for current
        return lambda: None


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
        yield from _used_modules(value)


def _used_modules(function: types.FunctionType) -> Iterator[str]:
    """Yields the names of modules that a function imports, also relatively, or has as attributes of a package."""
    names, space = {*names_in(function.__code__)}, function.__globals__
    used = *map(space.get, names), *enclosed(function).values()
    held = [value.__name__ for value in used if type(value) is types.ModuleType]
    around = itertools.accumulate((space.get("__package__") or "").split("."), _joined)
    packages = [*held, *around, *(name for name in names if name in sys.modules)]
    for package in packages:  # which grows
        packages += [module for name in names if (module := f"{package}.{name}") in sys.modules]
    yield from packages


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
    """Yields what an object uses that neither looking into its module shows nor `_named_by`."""
    yield getattr(value, "__dict__", {}).get("__wrapped__")
    if isinstance(value, functools.partial):
        yield from (value.func, *value.args, *value.keywords.values())
    elif isinstance(value, types.MethodType):
        yield from (value.__func__, value.__self__)
    elif isinstance(value, (staticmethod, classmethod, property)):
        yield from (getattr(value, "__func__", None), getattr(value, "fget", None))
    elif isinstance(value, types.FunctionType):
        yield from value.__annotations__.values()
    elif isinstance(value, type):
        yield from value.__bases__ if _is_users(value) else ()
    elif not isinstance(value, types.ModuleType):
        yield type(value)


def _named_by(value: Any) -> list[Any] | None:
    """Returns what the names of a function, of a class of the user's or of an instance of one stand for; else None."""
    if isinstance(value, types.FunctionType):
        names = () if own_module(value.__module__) is not None else names_in(value.__code__)
        return [*map(value.__globals__.get, names), *(enclosed(value).values() if value.__closure__ else ())]
    owner = value if isinstance(value, type) else type(value)
    return [*getattr(value, "__dict__", {}).values()] if _is_users(owner) else None


def _is_of_library(value: Any) -> bool:
    return isinstance(value, types.FunctionType) and not _is_users(value)


def _is_users(value: type | types.FunctionType) -> bool:
    return value.__module__ == "__main__" or own_module(value.__module__) is not None
