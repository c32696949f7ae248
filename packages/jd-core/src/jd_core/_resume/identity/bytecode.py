"""What stands in code objects: what they do, as bytes, and the globals and modules that they name."""

from __future__ import annotations

import dis
import inspect
import marshal
import types
from collections.abc import Iterator
from typing import Any

#: What ``marshal`` writes, and nothing else: it takes arrays for their bytes.
ATOMS = frozenset({int, float, complex, bool, str, bytes, type(None)})

#: Set by compilers from Python 3.14 on, where a function has a docstring.
_HAS_DOCSTRING = 0x4000000

_GLOBALS = ("LOAD_GLOBAL", "LOAD_NAME", "LOAD_FROM_DICT_OR_GLOBALS")


def code_bytes(code: types.CodeType) -> bytes:
    """Returns what a code object does, as bytes: no line numbers, no file, no docstrings."""
    constants = [*map(_constant, code.co_consts)]
    if _has_docstring(code):
        constants[0] = _constant(None)
    counts = code.co_argcount, code.co_posonlyargcount, code.co_kwonlyargcount, code.co_flags & ~_HAS_DOCSTRING
    names = code.co_names, code.co_varnames, code.co_freevars, code.co_cellvars
    return marshal.dumps((code.co_code, code.co_exceptiontable, counts, names, tuple(constants)), 2)


def _has_docstring(code: types.CodeType) -> bool:
    """Whether the first constant is a docstring. Before Python 3.14, the first one of a function without one is None."""
    if not code.co_consts or type(code.co_consts[0]) is not str:
        return False
    is_function = code.co_flags & inspect.CO_OPTIMIZED and not code.co_name.startswith("<")
    return bool(code.co_flags & _HAS_DOCSTRING or (is_function and not _MARKS_DOCSTRINGS))


def _constant(value: Any) -> Any:
    """Returns a constant of a code object as ``marshal`` writes it: the same in every process."""
    if isinstance(value, types.CodeType):
        return "code", code_bytes(value)
    if isinstance(value, frozenset):
        return "frozenset", tuple(sorted(map(repr, value)))
    if isinstance(value, tuple):
        return "tuple", tuple(map(_constant, value))
    return type(value).__name__, value if type(value) in ATOMS else repr(value)


def _documented() -> None:
    """Has a docstring."""


_MARKS_DOCSTRINGS = bool(_documented.__code__.co_flags & _HAS_DOCSTRING)


def globals_of(code: types.CodeType) -> Iterator[tuple[str, ...]]:
    """Yields the names of globals, each with the attributes that are read of it at once."""
    path: tuple[str, ...] = ()
    for step in dis.get_instructions(code):
        if path and step.opname in ("LOAD_ATTR", "LOAD_METHOD"):
            path = (*path, step.argval)
            continue
        if path:
            yield path
        path = (step.argval,) if step.opname in _GLOBALS else ()
    for inner in _inner(code):
        yield from globals_of(inner)


def imports_of(code: types.CodeType) -> Iterator[tuple[int, str]]:
    """Yields the modules that are imported when code runs: how many dots stand before the name, and the name.

    Of ``from a import b`` that is both "a" and "a.b", which may be a module or not.
    """
    before: list[Any] = [0, None]
    for step in dis.get_instructions(code):
        if step.opname in ("EXTENDED_ARG", "CACHE"):
            continue
        if step.opname == "IMPORT_NAME":
            level, names = before  # are always loaded just before
            yield level, step.argval
            for name in names or ():
                yield level, f"{step.argval}.{name}" if step.argval else name
        before = [before[1], step.argval]
    for inner in _inner(code):
        yield from imports_of(inner)


def _inner(code: types.CodeType) -> Iterator[types.CodeType]:
    return (constant for constant in code.co_consts if isinstance(constant, types.CodeType))
