"""The values that context variables of the user's modules have where a call is made."""

from __future__ import annotations

import pickle
import warnings
from collections.abc import Callable
from typing import Any

from ..pickling import known, recipes  # noqa: TID252 - it has another name where it is sent to
from . import modules

#: Values, pickled, by the module of a variable and its qualified name there.
Values = dict[tuple[str, str], bytes]

_UNSET = object()
_adopted: Values = {}


def record(dumps: Callable[[Any], bytes]) -> Values:
    """Returns the values of those variables that stand in a module that `modules.record` has seen, and are set.

    Args:
        dumps: pickles anything.
    """
    found: Values = {}
    for place, variable in modules.context_variables().items():
        value = variable.get(_UNSET)
        if value is not _UNSET:
            try:
                found[place] = dumps(value)
            except Exception as error:
                warnings.warn(
                    f"distribute: the value of the context variable {'.'.join(place)} cannot be sent along "
                    f"({type(error).__name__}), and calls see it without one: pass what they need as a constant",
                    RuntimeWarning,
                    stacklevel=2,
                )
    return found


def adopt(wanted: Values) -> None:
    """Sets the variables in the current context as they are in the caller's, and unsets others that were set so."""
    global _adopted
    if wanted == _adopted:
        return
    for place in {**_adopted, **wanted}:
        variable = known.find(*place)
        if variable is not None:
            recipes.set_variable(variable, (pickle.loads(wanted[place]),) if place in wanted else ())
    _adopted = wanted
