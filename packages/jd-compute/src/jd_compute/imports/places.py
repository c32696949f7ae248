"""Where this process has found its modules, so that another finds the same without looking for them.

Python looks for each module in folder after folder, which is 5 to 10 % of an import of pandas with its 500 modules (row
first-call-pandas); and what it finds may be another library of that name, if ``sys.path`` has changed since.
"""

from __future__ import annotations

import contextlib
import os
import sys
import types
from collections.abc import Iterator, Sequence
from importlib.machinery import ExtensionFileLoader, ModuleSpec, SourceFileLoader
from typing import NamedTuple


class Place(NamedTuple):
    """Modules below one folder: the file of ``a.b`` is ``folder + "/a/b" + end``."""

    folder: str
    end: str  # ".py", "/__init__.py", or what extension modules end with
    names: list[str]


def places() -> list[Place]:
    """Returns where the modules of this process are that Python's own loaders have loaded from files in folders."""
    found: dict[tuple[str, str], list[str]] = {}
    for name, module in list(sys.modules.items()):
        # No other type: an attribute of a lazy module would load it.
        spec = vars(module).get("__spec__") if type(module) is types.ModuleType else None
        if type(spec) is ModuleSpec and spec.name == name and type(spec.loader) in (SourceFileLoader, ExtensionFileLoader):
            folder, stem, end = (spec.origin or "").rpartition(_stem(name))
            if stem and spec.submodule_search_locations == _folders(folder + stem, end):
                found.setdefault((folder, end), []).append(name)
    return [Place(folder, end, names) for (folder, end), names in found.items()]


@contextlib.contextmanager
def found_at(places: Sequence[Place]) -> Iterator[None]:
    """Lets modules be imported from these places in the ``with`` block, before any other finder is asked."""
    finder = _Finder(places)
    sys.meta_path.insert(0, finder)
    try:
        yield
    finally:
        with contextlib.suppress(ValueError):  # what was imported has thrown it out
            sys.meta_path.remove(finder)


class _Finder:
    """Finds modules at their places."""

    def __init__(self, places: Sequence[Place]) -> None:
        self._places = {name: (folder + _stem(name), end) for folder, end, names in places for name in names}

    def find_spec(self, name: str, path: object = None, target: object = None) -> ModuleSpec | None:
        """Returns the spec of a module; None if it has no place here."""
        if name not in self._places:
            return None
        stem, end = self._places[name]
        loader = (SourceFileLoader if end.endswith(".py") else ExtensionFileLoader)(name, stem + end)
        spec = ModuleSpec(name, loader, origin=loader.path)
        spec.submodule_search_locations = _folders(stem, end)
        spec.has_location = True  # so that the module has a `__file__`
        return spec


def _stem(name: str) -> str:
    return os.sep + name.replace(".", os.sep)


def _folders(stem: str, end: str) -> list[str] | None:
    """Returns where the modules of a package are; None for a module that is no package."""
    return [stem] if end.startswith(f"{os.sep}__init__.") else None
