"""Says which part of an object cannot be pickled: used by `codec` on workers, and by `outcomes` at the caller.

This module is sent to workers as source (see `shipping`): it imports only the standard library and Ray.
"""

from __future__ import annotations

import functools
import types
from collections.abc import Iterator
from typing import Any

import ray.cloudpickle

cloudpickle: Any = ray.cloudpickle


def describe(obj: Any, error: BaseException) -> str:
    """Returns in words, without showing any value, which part of ``obj`` cannot be pickled and what that part is."""
    path, part = _culprit(obj, "", 0)
    where = f"its part {path}" if path else "it"
    kind = f"{type(part).__module__}.{type(part).__qualname__}"
    return f"{where} is a {kind}, which cannot be pickled ({type(error).__name__})"


def _culprit(obj: Any, path: str, depth: int) -> tuple[str, Any]:
    if depth < 8:
        for name, part in _parts(obj):
            try:
                cloudpickle.dumps(part)
            except Exception:
                return _culprit(part, path + name, depth + 1)
    return path, obj


def _parts(obj: Any) -> Iterator[tuple[str, Any]]:
    """Gives the parts of an object with how each is reached; keys of mappings are not shown, they may be secret."""
    if isinstance(obj, dict):
        yield from ((f"[key {place}]", part) for place, part in enumerate(list(obj.values())[:1000]))
    elif isinstance(obj, (list, tuple)):
        yield from ((f"[{place}]", part) for place, part in enumerate(obj[:1000]))
    elif isinstance(obj, functools.partial):
        yield from ((".func", obj.func), (".args", obj.args), (".keywords", obj.keywords))
    elif isinstance(obj, types.MethodType):
        yield from ((".__func__", obj.__func__), (".__self__", obj.__self__))
    elif isinstance(obj, types.FunctionType):
        cells = zip(obj.__code__.co_freevars, obj.__closure__ or (), strict=True)
        yield from ((f".{name}", cell.cell_contents) for name, cell in cells)
        names = [name for name in obj.__code__.co_names if name in obj.__globals__]
        yield from ((f".{name}", obj.__globals__[name]) for name in names)
    elif not isinstance(obj, type):
        yield from ((f".{name}", part) for name, part in getattr(obj, "__dict__", {}).items())
