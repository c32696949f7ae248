"""The state of a function's code: its own bytes, and those of what it uses of the program.

That is the functions and classes of the program that it names, those that these name, and the plain data among globals and
closures. Libraries count by name: an update of one is no change of the program. Comments, line numbers and the docstring do
not count either.
"""

from __future__ import annotations

import dis
import enum
import functools
import hashlib
import marshal
import os
import sys
import types
from collections.abc import Iterator, Mapping
from typing import Any

_ATOMS = frozenset({int, float, complex, bool, str, bytes, type(None)})

#: Set by compilers from Python 3.14 on, where a function has a docstring.
_HAS_DOCSTRING = 0x4000000

#: This library's packages, which are no part of the program.
_OWN = ("jd_core", "just_distribute")

_MODULES_OF_PYTHON = os.path.dirname(os.__file__)


def parts(function: Any) -> dict[str, str]:
    """Returns the digest of each part of the code that calls of ``function`` run, by the part's name.

    Args:
        function: any callable: a function, a method, a partial, an object with ``__call__``.
    """
    walk = _Walk(function)
    walk.visit("the function", function)
    while walk.todo:
        walk.visit(*walk.todo.pop())
    return walk.found


def module_of(function: Any) -> str:
    """Returns the name of the module that a callable is from."""
    while isinstance(function, functools.partial):
        function = function.func
    return str(getattr(function, "__module__", None) or type(function).__module__)


def digest_of(function: types.FunctionType) -> str:
    """Returns one digest of a function's code and all that it uses."""
    return _digest(repr(sorted(parts(function).items())).encode())


def _digest(data: bytes) -> str:
    return hashlib.blake2b(data, digest_size=8).hexdigest()


class _Walk:
    """Goes from a function to what it uses, and on from there."""

    def __init__(self, function: Any) -> None:
        self.found: dict[str, str] = {}
        self.todo: list[tuple[str, Any]] = []
        self._seen: dict[int, Any] = {}  # by their ids, and kept, so that no id is used again
        self._home = module_of(function).partition(".")[0]

    def visit(self, name: str, value: Any) -> None:
        """Records one thing, and what it uses as what is to do."""
        if value is None or id(value) in self._seen:
            return
        self._seen[id(value)] = value
        if isinstance(value, (staticmethod, classmethod, types.MethodType)):
            self.todo.append((name, value.__func__))
            self.todo.append((name, type(getattr(value, "__self__", None))))
        elif isinstance(value, functools.partial):
            self.todo.append((name, value.func))
        elif isinstance(value, property):
            self.todo += [(name, one) for one in (value.fget, value.fset, value.fdel) if one is not None]
        elif isinstance(value, functools.cached_property):
            self.todo.append((name, value.func))
        elif isinstance(value, types.FunctionType):
            self._visit_function(value)
        elif isinstance(value, type):
            self._visit_class(value)
        elif hasattr(value, "__wrapped__"):  # a cache, a distributed function
            self.todo.append((name, value.__wrapped__))
        else:
            self._visit_object(name, value)

    def _visit_function(self, function: types.FunctionType) -> None:
        if not self._is_of_program(function.__module__):
            return
        name = f"{function.__module__}.{function.__qualname__}"
        self._record(name, _code(function.__code__, function.__doc__))
        for default in (function.__defaults__ or (), *(function.__kwdefaults__ or {}).items()):
            self.todo += [(f"the defaults of {name}", one) for one in default]
        for used, value in _used(function, self._is_of_program):
            self.todo.append((used, value))
        for closed, cell in zip(function.__code__.co_freevars, function.__closure__ or (), strict=True):
            try:
                self.todo.append((f"{closed} of {name}", cell.cell_contents))
            except ValueError:  # it is empty
                continue
        self.todo.append((name, getattr(function, "__wrapped__", None)))

    def _visit_class(self, kind: type) -> None:
        if not self._is_of_program(kind.__module__):
            return
        name = f"{kind.__module__}.{kind.__qualname__}"
        self.todo += [(name, base) for base in kind.__bases__]
        if issubclass(kind, enum.Enum):
            self.todo.append((name, {member.name: member.value for member in kind}))
        for attribute, value in vars(kind).items():
            is_code = isinstance(value, (types.FunctionType, staticmethod, classmethod, property, functools.cached_property))
            if is_code or not (attribute.startswith("__") or isinstance(value, enum.Enum)):
                self.todo.append((f"{name}.{attribute}", value))

    def _visit_object(self, name: str, value: Any) -> None:
        """Records plain data by its bytes, all else by its type, whose code counts."""
        kind = type(value)
        if _is_plain(value):
            self._record(name, marshal.dumps(value, 2))  # sets in the order of their elements' bytes
            return
        self._record(name, f"{kind.__module__}.{kind.__qualname__}".encode())
        self.todo.append((name, kind))

    def _record(self, name: str, data: bytes) -> None:
        # Two things may have one name: lambdas of one function.
        self.found[name] = _digest(self.found.get(name, "").encode() + data)

    def _is_of_program(self, module: str | None) -> bool:
        top = str(module).partition(".")[0]
        if top in _OWN or top in sys.builtin_module_names:
            return False
        if top == self._home or top == "__main__":
            return True
        file = getattr(sys.modules.get(str(module)), "__file__", None)
        if file is None:
            return top not in sys.stdlib_module_names
        is_installed = "site-packages" in file or "dist-packages" in file
        return not is_installed and not file.startswith(_MODULES_OF_PYTHON)


def _used(function: types.FunctionType, is_of_program: Any) -> Iterator[tuple[str, Any]]:
    """Yields the globals that a function uses, and the attributes of modules of the program, with their names."""
    for path in sorted(set(_paths(function.__code__))):
        first, *rest = path
        if first not in function.__globals__:
            continue
        name, value = f"{function.__module__}.{first}", function.__globals__[first]
        while isinstance(value, types.ModuleType) and rest and is_of_program(value.__name__):
            name = f"{value.__name__}.{rest[0]}"
            value = getattr(value, rest.pop(0), None)
        if not isinstance(value, types.ModuleType):
            yield name, value


def _paths(code: types.CodeType) -> Iterator[tuple[str, ...]]:
    """Yields the names of globals, each with the attributes that are read of it at once."""
    path: tuple[str, ...] = ()
    for step in dis.get_instructions(code):
        if path and step.opname in ("LOAD_ATTR", "LOAD_METHOD"):
            path = (*path, step.argval)
            continue
        if path:
            yield path
        path = (step.argval,) if step.opname in ("LOAD_GLOBAL", "LOAD_NAME") else ()
    for constant in code.co_consts:
        if isinstance(constant, types.CodeType):
            yield from _paths(constant)


def _code(code: types.CodeType, docstring: str | None = None) -> bytes:
    """Returns what a code object does, as bytes: no line numbers, no file, no docstring."""
    constants = [_constant(one) for one in code.co_consts]
    if docstring is not None and code.co_consts and code.co_consts[0] == docstring:
        constants[0] = _constant(None)
    counts = code.co_argcount, code.co_posonlyargcount, code.co_kwonlyargcount, code.co_flags & ~_HAS_DOCSTRING
    names = code.co_names, code.co_varnames, code.co_freevars, code.co_cellvars
    return marshal.dumps((code.co_code, code.co_exceptiontable, counts, names, tuple(constants)), 2)


def _constant(value: Any) -> Any:
    """Returns a constant of a code object as ``marshal`` writes it: the same in every process."""
    if isinstance(value, types.CodeType):
        return "code", _code(value)
    if isinstance(value, frozenset):
        return "frozenset", tuple(sorted(map(repr, value)))
    if isinstance(value, tuple):
        return "tuple", tuple(map(_constant, value))
    return type(value).__name__, value if type(value) in _ATOMS else repr(value)


def _is_plain(value: Any) -> bool:
    kind = type(value)
    if kind in _ATOMS:
        return True
    if kind in (list, tuple, set, frozenset):
        return all(map(_is_plain, value))
    return kind is dict and all(map(_is_plain, value)) and all(map(_is_plain, value.values()))


def changes(before: Mapping[str, str], now: Mapping[str, str]) -> list[str]:
    """Returns the names of the parts that are not what they were."""
    return sorted(name for name in {*before, *now} if before.get(name) != now.get(name))
