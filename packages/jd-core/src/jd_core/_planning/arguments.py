"""Looks at the values of a call: which cannot be meant as they are, and which should be looked at twice.

Errors and warnings here are about what was passed; `jd_core._planning.binding` compares the call with the signature.
Nothing is read from any argument.
"""

from __future__ import annotations

import inspect
import itertools
import sys
import types
import warnings
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from jd_core._collections.table import is_collection, is_value, length, never_ends, slicer
from jd_core._hints.matching import first_element, fits
from jd_core._hints.parameter import Parameter, Role
from jd_core.errors import SignatureError
from jd_core.worker import is_ending


def is_asynchronous(value: Any) -> bool:
    """Whether a positional argument is read by ``async for``, where the caller is on an event loop."""
    return hasattr(type(value), "__aiter__")


def is_one_shot(value: Any) -> bool:
    """Whether what is read of a positional argument is gone, as with an iterator; nothing is read here."""
    kind = type(value)
    if slicer(value) is not None or not (hasattr(kind, "__iter__") or is_asynchronous(value)):
        return False
    return not hasattr(kind, "__iter__") or is_iterator(value) or iter(value) is iter(value)


def is_iterator(value: Any) -> bool:
    """Whether to read an object changes it."""
    return hasattr(type(value), "__next__") or hasattr(type(value), "__anext__")


def may_block(parameter: Parameter, value: Any) -> bool:
    """Whether the next element of an argument may be long in coming: it is neither in memory nor one of itertools.

    While the interpreter shuts down nothing may be: there can be no thread that reads.
    """
    if slicer(value) is not None or never_ends(value) or is_ending():
        return False
    if length(value) is not None and parameter.slicer(value) is not None:
        return False
    return type(value).__module__ not in ("builtins", "collections") or length(value) is None


def check_distributed(name: str, arguments: Iterable[tuple[Parameter, Any]], *, on_loop: bool) -> None:
    """Refuses positional arguments that are no iterables with one item per call.

    Args:
        name: the function's, for messages.
        arguments: each with its parameter.
        on_loop: whether the caller is on an event loop, where async iterables can be read.

    Raises:
        SignatureError: one is a single value, is not iterable, repeats one value for ever, loses what it yields, or is an
            iterator that was passed twice.
    """
    readers: dict[int, str] = {}  # parameters by the id of the iterator that they get
    for parameter, value in arguments:
        if type(value) in (list, tuple, range):  # nearly always
            continue
        if not (on_loop and is_asynchronous(value)):
            _check_iterable(name, parameter.name, value)
        if isinstance(value, itertools.groupby) and parameter.role is Role.ELEMENT:  # of a batch, pairs are refused anyway
            raise SignatureError(
                f"{name}() got an itertools.groupby for {parameter.name}, whose groups are lost when the next one is read, "
                f"which may be before the call: pass lists, ((key, list(group)) for key, group in ...)"
            )
        if is_iterator(value):
            if id(value) in readers:
                raise SignatureError(
                    f"{name}() got the same {type(value).__name__} for {readers[id(value)]} and for {parameter.name}, and "
                    f"each would take elements from the other: pass two iterators, such as those of itertools.tee, or a list"
                )
            readers[id(value)] = parameter.name


def _check_iterable(name: str, parameter: str, value: Any) -> None:
    if isinstance(value, itertools.repeat) and never_ends(value):
        raise SignatureError(
            f"{name}() got an itertools.repeat for {parameter}, which never ends: {_constant(parameter, next(value))}"
        )
    if not is_value(value):
        try:
            iter(value)
            return
        except TypeError:
            if is_asynchronous(value):
                raise SignatureError(
                    f"{name}() got an async iterable ({type(value).__name__}) for {parameter}, which only {name}.aio(...) "
                    f"and {name}.astream(...) can read: await one of these, or pass a list, [x async for x in ...]"
                ) from None
    raise SignatureError(
        f"{name}() got {'None' if value is None else f'a single {type(value).__name__}'} for {parameter}, but positional "
        f"arguments are iterables with one item per call: {_constant(parameter, value)}, or a list to distribute it"
    )


def _constant(parameter: str, value: Any) -> str:
    """Returns how a value is held constant; only numbers are shown, for anything else may be a secret, or long."""
    if not parameter.isidentifier():
        return "pass it in a list"
    shown = repr(value) if isinstance(value, (int, float, complex, type(None))) else "..."
    return f"pass {parameter}={shown} to hold it constant"


def remedy_for_rows(name: str, value: Any, names: Sequence[str]) -> str:
    """Returns how rows are passed, if that is what was passed where a column is expected; else an empty string.

    Args:
        name: the function's, for the message.
        value: the only positional argument.
        names: the parameters that a row has a value for.
    """
    row = value[0] if isinstance(value, (list, tuple)) and value else None
    if isinstance(row, tuple) and len(row) == len(names):
        return f"; to pass rows: {name}(*zip(*rows))"
    if isinstance(row, Mapping) and all(one in row for one in names):
        values = ", ".join(f"row[{one!r}]" for one in names)
        return f"; to pass rows: {name}(*zip(*[({values}) for row in rows]))"
    return ""


def check_constants(name: str, parameters: Iterable[Parameter], constants: Mapping[str, Any]) -> None:
    """Warns of a constant that is a collection of what its parameter is hinted as: every call gets all of it."""
    for parameter in parameters:
        if parameter.name not in constants or parameter.role is Role.BATCH or parameter.hint is inspect.Parameter.empty:
            continue
        value = constants[parameter.name]
        if is_collection(value) and not fits(value, parameter.hint) and fits(first_element(value), parameter.hint):
            warn(
                f"{name}() got a {type(value).__name__} for {parameter.name} by keyword, so every call gets all of it, but "
                f"its hint is {inspect.formatannotation(parameter.hint)}: pass it by position to distribute it"
            )


def warn(message: str) -> None:
    """Warns at the line outside this package that made the call."""
    level = 1  # this frame
    frame: types.FrameType | None = sys._getframe()
    while frame is not None and str(frame.f_globals.get("__name__")).partition(".")[0] == "jd_core":
        level += 1
        frame = frame.f_back
    warnings.warn(message, stacklevel=level)
