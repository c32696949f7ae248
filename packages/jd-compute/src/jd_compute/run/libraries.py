"""Which libraries a function needs, so that they are imported once, and not by each worker."""

from __future__ import annotations

import functools
import os
import sys
import sysconfig
import types
from collections.abc import Iterator
from typing import Any

from jd_core.backend import Work

#: So many functions are looked at; what they do not show, workers import themselves.
_MOST_FUNCTIONS = 200


def libraries(work: Work) -> set[str]:
    """Returns the names of installed packages that this process has imported, and that a run's function needs.

    They are found in the globals that the function, and those of the user's functions that it uses, name; and in the classes
    of the constants. The user's own modules are not among them: importing them may do anything.
    """
    names = {type(constant).__module__ for constant in work.constants.values()}
    names.update(_modules(work.function))
    return {name for name in (name.partition(".")[0] for name in names) if _is_installed(name)}


def _modules(function: Any) -> Iterator[str]:
    """Yields the names of modules that a function names, directly or through others."""
    seen: set[int] = set()
    found: list[Any] = [function]
    while found and len(seen) < _MOST_FUNCTIONS:
        value = found.pop()
        if isinstance(value, functools.partial):
            found += [value.func, *(type(each) for each in (*value.args, *value.keywords.values()))]
            continue
        value = getattr(value, "__wrapped__", getattr(value, "__func__", value))
        if isinstance(value, types.ModuleType):
            yield value.__name__
            continue
        module = getattr(value, "__module__", None)
        if isinstance(module, str):
            yield module
        if isinstance(value, types.FunctionType) and id(value) not in seen and not _is_installed(str(module)):
            seen.add(id(value))
            found += [value.__globals__[name] for name in _names(value.__code__) if name in value.__globals__]
            found += [cell.cell_contents for cell in value.__closure__ or () if cell != types.CellType()]


def _names(code: types.CodeType) -> Iterator[str]:
    yield from code.co_names
    for constant in code.co_consts:
        if isinstance(constant, types.CodeType):
            yield from _names(constant)


@functools.cache
def _folders() -> tuple[str, ...]:
    paths = sysconfig.get_paths()
    return tuple({os.path.join(paths[kind], "") for kind in ("purelib", "platlib")})


def _is_installed(module: str) -> bool:
    found = sys.modules.get(module.partition(".")[0])
    file = getattr(found, "__file__", None)
    return isinstance(file, str) and file.startswith(_folders())
