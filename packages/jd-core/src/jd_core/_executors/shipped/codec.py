"""Serializes functions, arguments, results and exceptions between the caller and an executor's processes; at both ends.

Everything is pickled here, rather than by the executor on the way: so that what does not pickle is known by call and part.
"""

from __future__ import annotations

import contextlib
import importlib
import io
import pickle
import sys
import threading
import types
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from . import pickling, unpicklable

#: The package whose pickler is used: loky and Dask bring it, and so does jd-compute.
PICKLER = "cloudpickle"

cloudpickle: Any = importlib.import_module(PICKLER)

loads = pickle.loads

#: Packages whose instances always unpickle where they pickled; those of all others are pickled call by call.
_DEPENDABLE = sys.stdlib_module_names | {"numpy", "pandas", "polars", "pyarrow"}

#: The names that these modules have in a worker, by those which they have in the caller. Empty in a worker.
names_there: dict[str, str] = {}

_registering = threading.Lock()


@dataclass(frozen=True)
class _ModuleThere:
    """Pickles as a module of this package."""

    name: str

    def __reduce__(self) -> Any:
        return importlib.import_module, (self.name,)


class _Pickler(pickling.Reducers, cloudpickle.Pickler):  # type: ignore[misc]
    """Cloudpickle's pickler, with what all backends add to it.

    Attributes:
        foreign: whether anything was pickled that might not unpickle: an instance of a class from elsewhere.
    """

    cloudpickle = cloudpickle
    foreign = False

    def reducer_override(self, obj: Any) -> Any:
        if not self.foreign and type(obj).__module__.partition(".")[0] not in _DEPENDABLE:
            self.foreign = True
        if isinstance(obj, (types.FunctionType, type)) and obj.__module__ in names_there:
            return getattr, (_ModuleThere(names_there[obj.__module__]), obj.__name__)
        return super().reducer_override(obj)


@contextlib.contextmanager
def by_value(modules: Iterable[str]) -> Iterator[None]:
    """Within the block, functions and classes of these top-level modules are pickled by value, not by name."""
    with _registering:
        added = [sys.modules[name] for name in set(modules) - cloudpickle.list_registry_pickle_by_value()]
        for module in added:
            cloudpickle.register_pickle_by_value(module)
        try:
            yield
        finally:
            for module in added:
                cloudpickle.unregister_pickle_by_value(module)


def encode(obj: Any, passed: Callable[[], Iterable[Any]] = tuple) -> bytes:
    """Pickles one object. Raises whatever the object raises.

    Args:
        obj: the object.
        passed: returns what of it was passed to calls, or returned by them; this may not be of `SHARED_BY_THREADS`.
    """
    return _encode(obj, passed)[0]


def encode_values(values: list[Any]) -> bytes | list[bytes | str]:
    """Pickles results: together where all of them are sure to unpickle, else each for itself.

    Returns:
        The pickle of all, or for each its pickle, or which part of it cannot be pickled.
    """
    try:
        encoded, foreign = _encode(values, lambda: values)
        if not foreign:
            return encoded
    except unpicklable.REFUSALS:
        pass
    return [_encode_or_error(value) for value in values]


def _encode_or_error(value: Any) -> bytes | str:
    try:
        return encode(value, lambda: [value])
    except unpicklable.REFUSALS as error:
        return unpicklable.reason(value, "the result", error, encode)


def _encode(obj: Any, passed: Callable[[], Iterable[Any]]) -> tuple[bytes, bool]:
    file = io.BytesIO()
    pickler = _Pickler(file, protocol=5)
    pickler.dump(obj)
    if pickler.has_shared:
        pickling.refuse_shared(passed())
    return file.getvalue(), pickler.foreign


def encode_exception(error: BaseException) -> bytes | None:
    """Pickles an exception with what led to it; None if it cannot be pickled."""
    return pickling.dumps_exception(error, lambda file: _Pickler(file, protocol=5))
