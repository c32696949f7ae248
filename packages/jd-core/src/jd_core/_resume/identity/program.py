"""What is code of the program, and what is a library's; and the code of modules that are not imported yet."""

from __future__ import annotations

import contextlib
import importlib.machinery
import importlib.util
import os
import sys
import types
from collections.abc import Iterator

from jd_core._resume.identity.encoding import TRUSTED

#: This library's packages, which are no part of the program.
_OWN = ("jd_core", "just_distribute")

_MODULES_OF_PYTHON = os.path.dirname(os.__file__)


class Home:
    """The program that a function is from: its package, ``__main__``, and all that is not installed.

    Args:
        module: the function's. Of a known library it is no package that counts, but this module alone.
    """

    def __init__(self, module: str) -> None:
        top = module.partition(".")[0]
        is_library = top in TRUSTED or top in sys.stdlib_module_names
        self._module = module
        self._packages = {"__main__"} if is_library else {"__main__", top}

    def has(self, module: str | None) -> bool:
        """Whether a module is one of the program."""
        module = str(module)
        top = module.partition(".")[0]
        if top in _OWN or top in sys.builtin_module_names:
            return False
        if module == self._module or top in self._packages:
            return True
        if top in TRUSTED:
            return False
        file = getattr(sys.modules.get(module), "__file__", None)
        return top not in sys.stdlib_module_names if file is None else _is_own(file)

    def code(self, module: str) -> tuple[types.CodeType, str] | None:
        """Returns a module of the program as its file has it: the code, and the package that dots in its imports stand for.

        None if it is none of the program, or has no file of Python.
        """
        top = module.partition(".")[0]
        if top in _OWN or top in TRUSTED or top == "__main__" or top in sys.stdlib_module_names:
            return None
        spec = _spec(module)
        loader = None if spec is None else spec.loader
        if not isinstance(loader, importlib.machinery.SourceFileLoader):
            return None
        try:
            code = loader.get_code(module) if top in self._packages or _is_own(loader.path) else None
        except (ImportError, OSError, SyntaxError):
            return None
        package = module if loader.is_package(module) else module.rpartition(".")[0]
        return None if code is None else (code, package)


def _spec(module: str) -> importlib.machinery.ModuleSpec | None:
    """Finds a module as an import does, but without importing the packages that it is in."""
    package = module.rpartition(".")[0]
    around = _spec(package) if package else None
    folders = None if around is None else around.submodule_search_locations
    if package and folders is None:
        return None
    for finder in sys.meta_path:
        with contextlib.suppress(Exception):  # whatever a finder of somebody's raises: the import will show it
            if (spec := finder.find_spec(module, folders)) is not None:
                return spec
    return None


def _is_own(file: str) -> bool:
    is_installed = "site-packages" in file or "dist-packages" in file
    return not is_installed and not file.startswith(_MODULES_OF_PYTHON)


def absolute(level: int, name: str, package: str | None) -> Iterator[str]:
    """Yields the absolute name of a module that is imported with so many dots, unless there is none."""
    if not level:
        yield name
    elif package:
        try:
            yield importlib.util.resolve_name("." * level + name, package)
        except ImportError:
            return
