"""Finds functions that have got other code and are the same objects, as in a notebook with ``%autoreload``.

That edits a module where it stands, instead of importing it anew: whoever holds a function or a class has the new code then.
"""

from __future__ import annotations

import operator
import types
from collections.abc import Callable, Iterator
from typing import Any

from . import definitions

#: Where a function stands: its module, the qualified name of the class there, if any, and its name in it.
_Spot = tuple[str, str, str]

_code_of: Callable[[Any], types.CodeType] = operator.attrgetter("__code__")


class Functions:
    """The functions of some modules and of the classes in them, with their code."""

    def __init__(self) -> None:
        self._functions: list[types.FunctionType] = []
        self._codes: list[types.CodeType] = []  # held, so that nothing else gets their identities
        self._identities: list[int] = []
        self._spots: dict[_Spot, tuple[types.CodeType, str] | None] = {}

    def add(self, spot: _Spot, value: Any, *, is_defined: bool) -> None:
        """Records what stands in a spot, if the module's source defines it, or what decorators have wrapped in it."""
        function = definitions.innermost(value)
        if function is not None and function.__module__ == spot[0]:
            self._spots[spot] = function.__code__, definitions.shown(function)
            self._functions.append(function)
            self._codes.append(function.__code__)
            self._identities.append(id(function.__code__))
        elif is_defined:  # a class
            self._spots[spot] = None

    def are_current(self) -> bool:
        """Whether all have the code that they had."""
        return list(map(id, map(_code_of, self._functions))) == self._identities

    def edited(self, last: Functions, known: Callable[[_Spot], bool]) -> Iterator[str]:
        """Yields the modules in which a function is another one than at the last look, or is new.

        Args:
            last: what was found at the last look.
            known: returns whether something stood in a place then.
        """
        for spot, now in self._spots.items():
            if spot not in last._spots:
                if not known(spot):
                    yield spot[0]
                continue
            before = last._spots[spot]
            # Only the code's identity shows that somebody has set it: a default that is a list may change by itself.
            if now is not None and before is not None and now[0] is not before[0] and now[1] != before[1]:
                yield spot[0]
