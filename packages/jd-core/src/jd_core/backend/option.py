"""Which values an option accepts: the core's options and those that a backend declares are checked in the same way."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple


class Option(NamedTuple):
    """Which values one option accepts. The core describes its own options with it, and a backend its own.

    Attributes:
        allowed: a description of allowed values, which ends the sentence "… must be".
        types: a value of another type is a TypeError.
        accepts: returns whether a value of the right type is allowed; if not, it is a ValueError.
        convert: converts an allowed value to the one that the backend gets in ``work.options``. It is called once per
            decorator, so that all runs of a function, and of the copies that ``.options`` makes of it, share its result.
    """

    allowed: str
    types: tuple[type, ...] = (object,)
    accepts: Callable[[Any], bool] = lambda value: True
    convert: Callable[[Any], Any] = lambda value: value

    def check(self, name: str, value: Any) -> None:
        """Raises a TypeError or ValueError that names the option, the value and what is allowed."""
        # True is an int to isinstance, but workers=True is a mistake.
        stray_bool = isinstance(value, bool) and bool not in self.types and object not in self.types
        wrong_type = stray_bool or not isinstance(value, self.types)
        if wrong_type or not self.accepts(value):
            error = TypeError if wrong_type else ValueError
            raise error(f"distribute: option {name}={value!r} must be {self.allowed}")


def is_plain_callable(value: object) -> bool:
    """Returns whether a value is a callable that is not async: nobody would await what an async function returns."""
    if not callable(value):
        return False
    from jd_core.worker import is_async  # here, because it imports inspect, and most options are no callables

    return not is_async(value)


def check_exceptions(name: str, value: object) -> None:
    """Raises a TypeError that names the option, unless its value states which exceptions are meant."""
    types = value if isinstance(value, tuple) else (value,)
    by_type = all(isinstance(one, type) and issubclass(one, BaseException) for one in types)
    if not by_type and (isinstance(value, type) or not is_plain_callable(value)):
        raise TypeError(f"distribute: {name}={value!r} must be exception types, or a callable (not async) of an exception")


def closest(name: str, names: Sequence[str]) -> str:
    """Returns ``"; did you mean 'x'?"`` for the closest of ``names``, or an empty string."""
    import difflib  # here, because only errors need it

    matches = difflib.get_close_matches(name, names, n=1, cutoff=0.5)
    return f"; did you mean {matches[0]!r}?" if matches else ""
