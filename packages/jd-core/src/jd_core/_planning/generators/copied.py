"""Warns of random generators that calls in processes only seem to share: each process has its own, in the same state.

Looked at are the constants and elements of a call, and what its function uses: its defaults, globals and closure, and those
of the functions and classes that these lead to. What a function or class uses is searched once, and warned of once.
"""

from __future__ import annotations

import contextlib
import functools
import inspect
import sys
import types
import weakref
from collections.abc import Callable
from itertools import islice
from typing import TYPE_CHECKING, Any

from jd_core._planning.arguments import warn
from jd_core._planning.binding import BoundCall
from jd_core._planning.generators.kinds import PLAIN, kind_of, parts

if TYPE_CHECKING:
    from jd_core._planning.generators.used import Use

#: How many parts of an element are compared with those of the next one.
FIRST_PARTS = 16

COPIED = "every worker process gets a copy of it, and draws the same numbers as the others"

#: Of one in a module that each worker imports.
IMPORTED = "every worker process makes its own as it imports {}, and those of the same seed draw the same numbers"

REMEDY = (
    "Pass none for a parameter that is hinted so and has no default but None, and each call gets its own (option seed=), "
    "or use per_worker(...)"
)

#: Of functions and classes: what they use and was not warned of yet.
_left: weakref.WeakKeyDictionary[Any, list[Use]] = weakref.WeakKeyDictionary()


def warn_of_generators(function: Callable[..., Any], call: BoundCall, *, once: bool = True) -> None:
    """Warns of random generators that the calls of a run in processes seem to share.

    Args:
        function: the user's. The object that a method is bound to and the arguments of a partial are constants, too.
        call: its arguments.
        once: whether what the function itself uses is not warned of again.
    """
    if sys.modules.keys().isdisjoint(("random", "numpy.random")):
        return
    constants: dict[str, Any] = call.constants
    while isinstance(function, functools.partial):
        bound = {f"argument {number} of the partial": value for number, value in enumerate(function.args)}
        constants = {**bound, **function.keywords, **constants}
        function = function.func
    if inspect.ismethod(function):
        constants = {"self": function.__self__, **constants}
        function = function.__func__
    elif not isinstance(function, (types.FunctionType, type)):
        constants = {"self": function, **constants}
    found = [f"got a {kind} as the constant {key}: {COPIED}" for key, value in constants.items() if (kind := _held(value))]
    sources = [function, *constants.values()]
    for parameter, value in call.distributed:
        if type(value) in (list, tuple) and value and type(value[0]) not in PLAIN:
            sources.append(value[0])
            if kind := _in_both(*value[:2]):
                found.append(f"got the same {kind} for several calls, in {parameter.name}: {COPIED}")
    passed = {*constants, *(parameter.name for parameter, _ in call.distributed)}
    said: set[int] = set()
    for source in sources:
        uses = _uses(source, is_called=source is function)
        used = [use for use in uses if use.parameter not in passed]
        found += [_described(use) for use in used if use.identity not in said]
        said.update(use.identity for use in used)
        if once and used:
            uses[:] = [use for use in uses if use not in used]
    for text in found:
        warn(f"{call.name}() {text}. {REMEDY}")


def _held(value: Any) -> str | None:
    """Returns the type of a random generator that a value is, or holds itself; None if there is none."""
    return next(filter(None, map(kind_of, (value, *parts(value)))), None)


def _in_both(first: Any, second: Any = None) -> str | None:
    """Returns the type of a generator that two elements have in common; None if they have none."""
    mine, others = ([value, *islice(parts(value), FIRST_PARTS)] for value in (first, second))
    return next((kind for part in mine if (kind := kind_of(part)) and any(part is other for other in others)), None)


def _uses(source: Any, *, is_called: bool) -> list[Use]:
    """Returns what a constant, an element or the function itself uses, as far as it was not warned of."""
    if type(source) in PLAIN:
        return []
    from jd_core._planning.generators.used import root_of, used_by  # here, because only jobs with processes need it

    uses: list[Use] = []
    with contextlib.suppress(Exception):  # raised by what is looked at
        root = root_of(source)
        if root in _left:
            return _left[root]
        _left[root] = uses
        uses += used_by(root, is_called=is_called)
    return uses


def _described(use: Use) -> str:
    where = f"has a {use.kind} as the default of" if use.parameter else f"uses a {use.kind} from outside,"
    return f"{where} {use.name}: {IMPORTED.format(use.module) if use.module else COPIED}"
