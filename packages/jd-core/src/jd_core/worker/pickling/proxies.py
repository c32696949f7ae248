"""Rebuilds objects of classes with a ``__getattr__``, which is asked for ``__setstate__`` before there is anything in them.

One that looks into the object itself then never ends, as in classes that pass on to what they wrap.
"""

from __future__ import annotations

import copyreg
from typing import Any


def is_proxy(kind: Any) -> bool:
    """Whether instances are rebuilt in the ordinary way, and their class answers for any attribute."""
    return bool(
        hasattr(kind, "__getattr__")
        and not hasattr(kind, "__setstate__")
        and kind.__reduce_ex__ is object.__reduce_ex__
        and kind.__reduce__ is object.__reduce__
        and kind not in copyreg.dispatch_table
    )


def reduce_proxy(obj: Any) -> Any:
    """Returns how to rebuild an object of such a class."""
    reduced = obj.__reduce_ex__(5)
    if not isinstance(reduced, tuple) or len(reduced) < 3 or reduced[2] is None:
        return reduced
    make, args, state, *items = reduced
    return make, args, state, *items, *[None] * (2 - len(items)), _set_state


def _set_state(obj: Any, state: Any) -> None:
    """Does what `pickle` does for an object without ``__setstate__``."""
    fields, slots = state if isinstance(state, tuple) else (state, None)
    if fields:
        object.__getattribute__(obj, "__dict__").update(fields)
    for name, value in (slots or {}).items():
        object.__setattr__(obj, name, value)
