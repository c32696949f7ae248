"""What values an option takes: the core's own options and those that a backend declares are checked in the same way."""

from __future__ import annotations

import contextlib
import operator
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple


class Option(NamedTuple):
    """What values one option takes; how the core checks its own options and a backend declares its own.

    Attributes:
        allowed: what is allowed, in words that end the sentence "… must be".
        types: a value of another type is a TypeError. Or a function that returns them, which is called where a value is
            given: so those are imported only then.
        accepts: a value of the right type for which this is false is a ValueError.
        convert: makes of an allowed value what the backend gets in ``work.options``. It is called once per decorator, so
            that all runs of a function, and of the copies that ``.options`` makes of it, share what it returns.
    """

    allowed: str
    types: tuple[type, ...] | Callable[[], tuple[type, ...]] = (object,)
    accepts: Callable[[Any], bool] = lambda value: True
    convert: Callable[[Any], Any] = lambda value: value

    @property
    def classes(self) -> tuple[type, ...]:
        """The ``types``, imported."""
        return self.types() if callable(self.types) else self.types

    def check(self, name: str, value: Any) -> Any:
        """Returns the value, an integer of numpy as an int.

        Raises:
            TypeError: it is of another type; the message names the option, the value and what is allowed.
            ValueError: it is not allowed; the message is the same.
        """
        types = self.classes
        if int in types and not isinstance(value, types) and hasattr(type(value), "__index__"):
            with contextlib.suppress(TypeError):  # as numpy's bool and arrays say
                value = operator.index(value)
        # True is an int to isinstance, but workers=True is a mistake.
        stray_bool = isinstance(value, bool) and bool not in types and object not in types
        wrong_type = stray_bool or not isinstance(value, types)
        if wrong_type or not self.accepts(value):
            error = TypeError if wrong_type else ValueError
            raise error(f"distribute: option {name}={value!r} must be {self.allowed}")
        return value


WHOLE = Option("a whole number of at least 1", (int,), lambda n: n >= 1)
SECONDS = Option("a number of seconds above 0", (int, float), lambda seconds: seconds > 0)
PER_SECOND = Option(
    "a number above 0, or 'auto'", (int, float, str), lambda value: value == "auto" if isinstance(value, str) else value > 0
)


def is_plain_callable(value: object) -> bool:
    """Returns whether a value can be called for what it returns: an async function would return what nobody awaits."""
    if not callable(value):
        return False
    from jd_core.worker import is_async  # here, because it imports inspect, and most options are no callables

    return not is_async(value)


def check_exceptions(name: str, value: object) -> None:
    """Raises a TypeError that names the option, unless its value says which exceptions are meant."""
    types = value if isinstance(value, tuple) else (value,)
    by_type = all(isinstance(one, type) and issubclass(one, BaseException) for one in types)
    if not by_type and (isinstance(value, type) or not is_plain_callable(value)):
        raise TypeError(f"distribute: {name}={value!r} must be exception types, or a callable (not async) of an exception")


def closest(name: str, names: Sequence[str]) -> str:
    """Returns ``"; did you mean 'x'?"`` for the closest of ``names``, or an empty string."""
    import difflib  # here, because only errors need it

    matches = difflib.get_close_matches(name, names, n=1, cutoff=0.5)
    return f"; did you mean {matches[0]!r}?" if matches else ""
