"""``just-distribute advise``: which job fits a function, by a sample of its calls here."""

from __future__ import annotations

import importlib
import operator
import sys
import types
from typing import Any, TextIO

from jd_core import Distributed, distribute


class _RefusedError(Exception):
    """What was named or passed is not right; its text says how."""


def run(out: TextIO, err: TextIO, function: str, arguments: str) -> int:
    """Prints the advice, and returns the exit code: 0; 1 where there is none, which is said in one line.

    Args:
        out: takes the advice.
        err: takes what is wrong.
        function: where it is: module, colon, name; the name may have dots.
        arguments: the text of the arguments of its distributed call, which is evaluated in the module.
    """
    try:
        module, found = _find(function)
        advise = found.advise if isinstance(found, Distributed) else distribute(found).advise
        code = _compiled(arguments)
    except _RefusedError as error:
        print(error, file=err)
        return 1
    try:
        advice = eval(code, {**vars(module), "__advise__": advise})
    except Exception as error:
        print(f"{function} --with {arguments!r}: {type(error).__name__}: {error}", file=err)
        return 1
    print(advice, file=out)
    return 0


def _find(function: str) -> tuple[types.ModuleType, Any]:
    name, _, attribute = function.partition(":")
    if not name or not attribute:
        raise _RefusedError(f"{function!r} must be MODULE:FUNCTION, such as prices:price")
    sys.path.insert(0, "")  # as with python -m: the current folder
    try:
        module = importlib.import_module(name)
    except Exception as error:
        hint = " (the module's name, not that of its file)" if name.endswith(".py") else ""
        raise _RefusedError(f"{name} cannot be imported{hint}: {type(error).__name__}: {error}") from None
    try:
        found = operator.attrgetter(attribute)(module)
    except AttributeError:
        raise _RefusedError(f"{name} has no {attribute}") from None
    if not callable(found):
        raise _RefusedError(f"{function} is a {type(found).__name__}, not a function")
    return module, found


def _compiled(arguments: str) -> types.CodeType:
    try:
        return compile(f"__advise__({arguments}\n)", "--with", "eval")
    except SyntaxError as error:
        what = f"--with {arguments!r} must be the arguments of a call, such as 'range(1000), rate=1.2'"
        raise _RefusedError(f"{what}: {error.msg}") from None
