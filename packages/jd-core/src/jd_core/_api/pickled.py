"""How a distributed function with a name of its own is pickled: by that name or by value, as the pickler sends functions.

Every pickler does so in its own way. Python's sends the name. That of cloudpickle, Ray and joblib sends a function of
``__main__`` by value, since its workers have another ``__main__``. So what is pickled is a function, under a name that leads
to it, which returns the distributed one where it was found by name.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any


class _Here:
    """Holds a distributed function, and leaves it here when it is pickled."""

    def __init__(self, distributed: Any = None) -> None:
        self.distributed = distributed

    def __reduce__(self) -> tuple[Any, ...]:
        return _Here, ()


def rebuilder(distributed: Any) -> Callable[[Any], Any]:
    """Returns the function that is pickled instead of a distributed one.

    It returns the distributed function; a copy of it returns None, until it is given an empty one to fill.
    """
    function, options, here = distributed.__wrapped__, distributed._options, _Here(distributed)

    def rebuild(blank: Any = None) -> Any:
        if blank is not None:
            here.distributed = blank
            blank.__init__(function, options)
            blank._rebuild = rebuild  # by which it comes home as the one it is a copy of
        return here.distributed

    rebuild.__module__, rebuild.__qualname__ = distributed.__module__, f"{distributed.__qualname__}._rebuild"
    return rebuild


def rebuilt(cls: type, rebuild: Callable[[Any], Any]) -> Any:
    """Returns the distributed function of a `rebuilder`'s function, or an empty one where that is a copy."""
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

        Not before is its function complete: one that names itself is unpickled while its own globals are.
        """

        def __getattr__(self, name: str) -> Any:
            rebuild = vars(self)["_rebuild"]
            self.__class__ = cls
            rebuild(self)
            return getattr(self, name)

    return Unfinished
