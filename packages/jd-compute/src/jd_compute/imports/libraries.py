"""Which libraries a function needs, so that they are imported once, and not by each worker."""

from __future__ import annotations

import contextlib
import functools
import types
from collections.abc import Iterator
from typing import Any

from jd_core.backend import Work
from jd_core.worker.reached import enclosed, is_installed, names_in, reached, values_of

#: So many functions are looked at; what they do not show, workers import themselves.
_MOST_FUNCTIONS = 200


def libraries(work: Work) -> set[str]:
    """Returns the names of modules of installed packages that this process has imported, and that workers of a run import.

    A worker imports the user's own modules that hold the function, what this uses, and the classes of the constants; these
    import what stands in them. The own modules are not among those returned: importing them may do anything. Of functions
    that are sent by value, such as those of a script, it is what they name.
    """
    constants = work.constants.values()
    names = {type(constant).__module__ for constant in constants}
    names.update(_named(work.function))
    for module in reached([work.function, *constants]).values():
        names.update(_imported_by(module))
    return {name for name in names if isinstance(name, str) and is_installed(name)}


def _imported_by(module: types.ModuleType) -> Iterator[Any]:
    """Yields the names of modules that one imports, as far as its code or what stands in it shows, and some other names."""
    with contextlib.suppress(Exception):  # its loader has no code; or whatever the attributes of a user's object do
        yield from vars(module)["__spec__"].loader.get_code(module.__name__).co_names
    for value in values_of(vars(module)):
        with contextlib.suppress(Exception):
            if isinstance(value, types.ModuleType):
                yield value.__name__
            else:
                yield (value if isinstance(value, (type, types.FunctionType)) else type(value)).__module__


def _named(function: Any) -> Iterator[Any]:
    """Yields the names of modules that a function names, directly or through other functions of the user's."""
    seen: set[int] = set()
    found: list[Any] = [function]
    while found and len(seen) < _MOST_FUNCTIONS:
        value = found.pop()
        if isinstance(value, functools.partial):
            found += [value.func, *(type(each) for each in (*value.args, *value.keywords.values()))]
            continue
        value = getattr(value, "__wrapped__", getattr(value, "__func__", value))
        name = value.__name__ if isinstance(value, types.ModuleType) else getattr(value, "__module__", None)
        yield name
        if isinstance(value, types.FunctionType) and id(value) not in seen and not is_installed(str(name)):
            seen.add(id(value))
            found += [value.__globals__[name] for name in names_in(value.__code__) if name in value.__globals__]
            found += enclosed(value).values()
