"""Finds functions that have got other code and are the same objects, as in a notebook with ``%autoreload``.

That edits a module where it stands, instead of importing it anew: whoever holds a function or a class has the new code then.
"""

from __future__ import annotations

import operator
import types
from collections.abc import Callable, Container, Iterator, Mapping
from typing import Any

from . import definitions

#: Where a function stands: its module, the qualified name of the class there, if any, and its name in it.
_Spot = tuple[str, str, str]

_code_of: Callable[[Any], types.CodeType] = operator.attrgetter("__code__")


class Functions:
    """The functions of some modules and of the classes in them, with their code."""

    def __init__(self) -> None:
        self._functions: list[types.FunctionType] = []
        self._codes: list[types.CodeType] = []
        self._spots: dict[_Spot, tuple[types.CodeType, str] | None] = {}

    def add(self, spot: _Spot, value: Any, *, is_defined: bool) -> None:
        """Records what stands in a spot, if the module's source defines it, or what decorators have wrapped in it."""
        function = definitions.innermost(value)
        if function is not None and function.__module__ == spot[0]:
            self._spots[spot] = function.__code__, definitions.shown(function)
            self._functions.append(function)
            self._codes.append(function.__code__)
        elif is_defined:  # a class
            self._spots[spot] = None

    def are_current(self) -> bool:
        """Whether all have the code that they had."""
        return not any(map(operator.is_not, map(_code_of, self._functions), self._codes))

    def edited(self, last: Functions, names: Mapping[tuple[str, str], Container[str]]) -> Iterator[str]:
        """Yields the modules in which a function is another one than at the last look, or stands under a new name.

        Args:
            last: what was found at the last look.
            names: all names that there were then, by module and class.
        """
        for spot, now in self._spots.items():
            before = last._spots.get(spot)
            is_new = spot not in last._spots and spot[2] not in names.get(spot[:2], spot)
            # Only the code's identity shows that somebody has set it: a default that is a list may change by itself.
            has_changed = now is not None and before is not None and now[0] is not before[0] and now[1] != before[1]
            if is_new or has_changed:
                yield spot[0]
