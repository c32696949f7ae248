"""The state of a function's code: its own bytes, and those of what it uses of the program.

That is the functions and classes of the program that it names, those that these name, and the plain data among globals and
closures. Libraries count by name: an update of one is no change of the program. Comments, line numbers and docstrings do
not count either.
"""

from __future__ import annotations

import enum
import functools
import hashlib
import types
from collections.abc import Iterator, Mapping
from typing import Any

from jd_core._resume.identity import program
from jd_core._resume.identity.bytecode import code_bytes, globals_of, imports_of
from jd_core._resume.identity.data import described, wrapped

_WRAPPERS = (staticmethod, classmethod, types.MethodType)
_PARTIALS = (functools.partial, functools.partialmethod)


def parts(function: Any, home: program.Home | None = None) -> dict[str, str]:
    """Returns the digest of each part of the code that calls of ``function`` run, by the part's name.

    Args:
        function: any callable: a function, a method, a partial, a class, an object with ``__call__``.
        home: the program; None: what the function is from.
    """
    while isinstance(function, _PARTIALS):  # what it holds tells calls apart
        function = function.func
    is_object = object_of(function) is not None and not isinstance(function, types.MethodType)
    walk = _Walk(home or program.Home(module_of(function)))
    walk.visit("the function", type(function) if is_object else function)
    while walk.todo:
        walk.visit(*walk.todo.pop())
    return walk.found


def module_of(function: Any) -> str:
    """Returns the name of the module that a callable is from."""
    while isinstance(function, functools.partial):
        function = function.func
    return str(getattr(function, "__module__", None) or type(function).__module__)


def object_of(function: Any) -> Any:
    """Returns the object that a method is bound to, or that is called itself; None if there is none."""
    while isinstance(function, functools.partial):
        function = function.func
    if isinstance(function, types.MethodType):
        return function.__self__
    is_plain = isinstance(function, (types.FunctionType, types.BuiltinFunctionType, type)) or wrapped(function) is not None
    return None if is_plain else function


def digest_of(used: Any, home: program.Home) -> str:
    """Returns one digest of the code of a function or class and all that it uses; "" if it is a library's."""
    found = parts(used, home) if home.has(getattr(used, "__module__", None)) else None
    return _digest(repr(sorted(found.items())).encode()) if found else ""


def _digest(data: bytes) -> str:
    return hashlib.blake2b(data, digest_size=8).hexdigest()


class _Walk:
    """Goes from a function to what it uses, and on from there."""

    def __init__(self, home: program.Home) -> None:
        self.found: dict[str, str] = {}
        self.todo: list[tuple[str, Any]] = []
        self._seen: dict[int, Any] = {}  # by their ids, and kept, so that no id is used again
        self._home = home

    def visit(self, name: str, value: Any) -> None:
        """Records one thing, and what it uses as what is to do."""
        if value is None or id(value) in self._seen:
            return
        self._seen[id(value)] = value
        if isinstance(value, _WRAPPERS):
            owner = getattr(value, "__self__", None)
            self.todo += [(name, value.__func__), (name, owner if isinstance(owner, type) else type(owner))]
        elif isinstance(value, _PARTIALS):
            self.todo += [(name, value.func), (name, value.args), (name, value.keywords)]
        elif isinstance(value, property):
            self.todo += [(name, one) for one in (value.fget, value.fset, value.fdel)]
        elif isinstance(value, functools.cached_property):
            self.todo.append((name, value.func))
        elif isinstance(value, functools.singledispatchmethod):
            self.todo.append((name, value.dispatcher))
        elif isinstance(value, types.FunctionType):
            self._visit_function(value)
        elif isinstance(value, type):
            self._visit_class(value)
        elif isinstance(value, types.ModuleType):
            self._visit_module(value.__name__)
        elif (inner := wrapped(value)) is not None:  # a cache, a distributed function
            self.todo.append((name, inner))
        else:
            found = described(value, self._home.has)
            self._record(name, found.data)
            self.todo += [(name, used) for used in found.uses]

    def _visit_function(self, function: types.FunctionType) -> None:
        if not self._home.has(function.__module__):
            return
        name = f"{function.__module__}.{function.__qualname__}"
        code = function.__code__
        self._record(name, code_bytes(code))
        for default in (*(function.__defaults__ or ()), *(function.__kwdefaults__ or {}).items()):
            self.todo.append((f"the defaults of {name}", default))
        self.todo += self._used(function)
        self._visit_imports(code, function.__globals__.get("__package__"))
        for closed, cell in zip(code.co_freevars, function.__closure__ or (), strict=True):
            try:
                self.todo.append((f"{closed} of {name}", cell.cell_contents))
            except ValueError:  # it is empty
                continue
        # What a wrapper calls, and the functions of `functools.singledispatch`.
        self.todo += [(name, getattr(function, attribute, None)) for attribute in ("__wrapped__", "registry")]

    def _visit_class(self, kind: type) -> None:
        if not self._home.has(kind.__module__):
            return
        name = f"{kind.__module__}.{kind.__qualname__}"
        self.todo += [(name, one) for one in (*kind.__bases__, type(kind))]
        if issubclass(kind, enum.Enum):
            self.todo.append((name, {member.name: member.value for member in kind}))
        private = "_" if issubclass(kind, enum.Enum) else "__"  # what an enum keeps there changes with its use
        for attribute, value in vars(kind).items():
            is_code = isinstance(value, (types.FunctionType, *_WRAPPERS, property, functools.cached_property))
            if is_code or not attribute.startswith(private):
                self.todo.append((f"{name}.{attribute}", value))

    def _visit_module(self, module: str) -> None:
        """Records a module as a whole, as its file has it: it need not be imported here, and is not for this."""
        name = f"the module {module}"
        found = None if name in self.found else self._home.code(module)
        if found is not None:
            code, package = found
            self._record(name, code_bytes(code))
            self._visit_imports(code, package)

    def _visit_imports(self, code: types.CodeType, package: str | None) -> None:
        for level, name in imports_of(code):
            for module in program.absolute(level, name, package):
                self._visit_module(module)

    def _used(self, function: types.FunctionType) -> Iterator[tuple[str, Any]]:
        """Yields the globals that a function uses, and the attributes of modules of the program, with their names."""
        for path in sorted(set(globals_of(function.__code__))):
            first, *rest = path
            if first not in function.__globals__:
                continue
            name, value = f"{function.__module__}.{first}", function.__globals__[first]
            while isinstance(value, types.ModuleType) and rest and self._home.has(value.__name__):
                name = f"{value.__name__}.{rest[0]}"
                value = getattr(value, rest.pop(0), None)
            yield name, value

    def _record(self, name: str, data: bytes) -> None:
        # Two things may have one name: lambdas of one function.
        self.found[name] = _digest(self.found.get(name, "").encode() + data)


def changes(before: Mapping[str, str], now: Mapping[str, str]) -> list[str]:
    """Returns the names of the parts that are not what they were."""
    return sorted(name for name in {*before, *now} if before.get(name) != now.get(name))
