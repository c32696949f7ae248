"""How a distributed function with a name is pickled: by that name or by value, as the pickler at hand pickles functions.

Picklers differ: Python's sends the name. cloudpickle, which Ray and joblib use, sends a function of ``__main__`` by value,
since workers have another ``__main__``. So a plain function is pickled, under a name that leads to it. If it is found by
name, it returns the distributed function.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any


class _Here:
    """Holds a distributed function, but is pickled without it."""

    def __init__(self, distributed: Any = None) -> None:
        self.distributed = distributed

    def __reduce__(self) -> tuple[Any, ...]:
        return _Here, ()


def rebuilder(distributed: Any) -> Callable[[Any], Any]:
    """Returns the plain function that is pickled instead of a distributed one.

    It returns the distributed function. A copy of it returns None until it is passed an empty distributed function to fill.
    """
    function, options, here = distributed.__wrapped__, distributed._options, _Here(distributed)

    def rebuild(blank: Any = None) -> Any:
        if blank is not None:
            here.distributed = blank
            blank.__init__(function, options)
            blank._rebuild = rebuild  # so that in the caller it becomes the original again
        return here.distributed

    rebuild.__module__, rebuild.__qualname__ = distributed.__module__, f"{distributed.__qualname__}._rebuild"
    return rebuild


def rebuilt(cls: type, rebuild: Callable[[Any], Any]) -> Any:
    """Returns the distributed function of a `rebuilder`'s function, or an empty one if that function is a copy."""
    try:
        found = rebuild(None)
    except NameError:  # it is a copy, and not yet complete itself
        found = None
    if found is None:
        found = object.__new__(_unfinished(cls))
        found.__dict__["_rebuild"] = rebuild
    return found


@functools.cache
def _unfinished(cls: Any) -> type:
    class Unfinished(cls):  # type: ignore[misc]
        """An empty distributed function, which is filled when it is first used.

        Its function may not be complete earlier: a function that refers to itself is unpickled while its globals are.
        """

        def __getattr__(self, name: str) -> Any:
            rebuild = vars(self)["_rebuild"]
            self.__class__ = cls
            rebuild(self)
            return getattr(self, name)

    return Unfinished
