"""Serializes functions, arguments, results and exceptions between the caller and an executor's processes; at both ends.

Everything is pickled here, rather than by the executor on the way: so that what does not pickle is known by call and part.
"""

from __future__ import annotations

import importlib
import io
import pickle
from collections.abc import Callable, Iterable
from typing import Any, ClassVar

from . import pickling, unpicklable

#: The package whose pickler is used: loky and Dask bring it, and so does jd-compute.
PICKLER = "cloudpickle"

cloudpickle: Any = importlib.import_module(PICKLER)

loads = pickle.loads


class _Pickler(pickling.ShippingReducers, cloudpickle.Pickler):  # type: ignore[misc]
    """Cloudpickle's pickler, with what all backends add to it."""

    cloudpickle = cloudpickle
    names_there: ClassVar[dict[str, str]] = {}


names_there, by_value = _Pickler.names_there, _Pickler.by_value


def encode(obj: Any, passed: Callable[[], Iterable[Any]] = tuple) -> bytes:
    """Pickles one object. Raises whatever the object raises.

    Args:
        obj: the object.
        passed: returns what of it was passed to calls, or returned by them; see `refuse_shared`.
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
