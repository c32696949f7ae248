"""Serializes functions, arguments, results and exceptions between the caller and a Ray worker; used at both ends.

Everything is pickled here, explicitly, rather than by Ray on the way: so that what does not pickle is known by call and
by part, and large buffers (arrays) go beside the pickle, into Ray's object store, where a worker maps them uncopied.
What Ray counts, references to its objects and handles of its actors, goes beside the pickle, too: only Ray's own serializer
knows who holds one, and through Ray's client nothing else can send it.

This module is sent to workers as source (see `jd_ray.run.remote_function`): it imports only `jd_core.worker`, the standard
library and Ray.
"""

from __future__ import annotations

import io
import pickle
from collections.abc import Callable, Iterable, Sequence
from typing import Any, ClassVar, TypeAlias

import ray.cloudpickle

from . import pickling, references, unpicklable

#: Ray's own copy, at both ends the same.
cloudpickle: Any = ray.cloudpickle

#: Buffers of at least so many bytes go beside the pickle.
BESIDE_BYTES = 1 << 16

#: One pickled object, as it is sent: the pickle (protocol 5; bytes, or a buffer if it is large), the buffers
#: that go beside it, in order, for each of these whether it was writable, and what Ray counts, in order.
Encoded: TypeAlias = tuple[Any, list[Any], list[bool], list[Any]]


class _Pickler(pickling.ShippingReducers, cloudpickle.Pickler):  # type: ignore[misc]
    """Ray's pickler, with what all backends add to it.

    Attributes:
        counted: what has to go with the pickle, since Ray counts it.
    """

    cloudpickle = cloudpickle
    names_there: ClassVar[dict[str, str]] = {}

    def __init__(self, file: io.BytesIO, counted: list[Any], **settings: Any) -> None:
        super().__init__(file, protocol=5, **settings)
        self.counted = counted

    def reducer_override(self, obj: Any) -> Any:
        if references.is_counted(obj):
            self.counted.append(obj)
            return references.counted, (len(self.counted) - 1,)
        return super().reducer_override(obj)


names_there, by_value = _Pickler.names_there, _Pickler.by_value


def encode(
    obj: Any, beside: bool = True, passed: Callable[[], Iterable[Any]] = tuple, named: dict[str, None] | None = None
) -> Encoded:
    """Pickles one object. Raises whatever the object raises.

    Args:
        obj: the object.
        beside: whether large buffers go beside the pickle; Ray's client does not take them.
        passed: returns what of it was passed to calls; see `refuse_shared`.
        named: is given the names of modules to which it refers; see `Reducers`.
    """
    encoded, pickler = _encode(obj, beside, passed)
    if named is not None:
        named.update(dict.fromkeys(pickler.named))
    return encoded


def encode_values(values: list[Any], beside: bool = True) -> tuple[bool, Any]:
    """Pickles results: together where all of them are sure to unpickle, else each for itself.

    Args:
        values: the results.
        beside: as for `encode`.

    Returns:
        ``(True, encoded)`` or ``(False, [encoded, or which part of it cannot be pickled, ...])``.
    """
    try:
        encoded, pickler = _encode(values, beside, lambda: values)
        if not pickler.foreign:
            return True, encoded
    except unpicklable.REFUSALS:
        pass
    return False, [_encode_or_error(value, beside) for value in values]


def _encode_or_error(value: Any, beside: bool) -> Encoded | str:
    try:
        return _encode(value, beside, lambda: [value])[0]
    except unpicklable.REFUSALS as error:
        return unpicklable.reason(value, "the result", error, encode)


def _encode(obj: Any, beside: bool, passed: Callable[[], Iterable[Any]]) -> tuple[Encoded, _Pickler]:
    buffers: list[pickle.PickleBuffer] = []

    def goes_inside(buffer: pickle.PickleBuffer) -> bool:
        inside = buffer.raw().nbytes < BESIDE_BYTES
        if not inside:
            buffers.append(buffer)
        return inside

    file = io.BytesIO()
    pickler = _Pickler(file, [], buffer_callback=goes_inside if beside else None)
    pickler.dump(obj)
    if pickler.has_shared:
        pickling.refuse_shared(passed())
    data: Any = file.getvalue()
    if beside and len(data) >= BESIDE_BYTES:
        data = pickle.PickleBuffer(data)
    return (data, buffers, [not buffer.raw().readonly for buffer in buffers], pickler.counted), pickler


def decode(encoded: Encoded, copy: Callable[[bool], type | None], values: Sequence[Any] = ()) -> Any:
    """Unpickles one object. Raises whatever the object raises.

    Args:
        encoded: what `encode` returned.
        copy: for a buffer that was writable or not, the type (``bytes``, ``bytearray``) to copy it to; None: use it
            where it is, in the object store, read-only.
        values: what Ray passed in place of the references of `references.dereferenced`.
    """
    data, buffers, writable, counted = encoded
    kinds = map(copy, writable)
    placed = [buffer if kind is None else kind(buffer) for buffer, kind in zip(buffers, kinds, strict=True)]
    with references.arriving(counted, values):
        return pickle.loads(data, buffers=placed)


def is_plain(encoded: Encoded) -> bool:
    """Returns whether an object is its pickle alone, a small one: nothing goes beside it."""
    data, buffers, _, counted = encoded
    return isinstance(data, bytes) and len(data) < BESIDE_BYTES and not buffers and not counted


def dumps(obj: Any) -> bytes:
    """Pickles one object that has nothing that Ray counts in one piece, which `pickle.loads` unpickles."""
    file = io.BytesIO()
    pickler = _Pickler(file, [])
    pickler.dump(obj)
    if pickler.counted:
        raise pickle.PicklingError("Ray counts what is in it")
    return file.getvalue()


def size(encoded: Encoded) -> int:
    """Returns how many bytes are sent for an object."""
    data, buffers, *_ = encoded
    return sum(memoryview(part).nbytes for part in (data, *buffers))


def copy_all(writable: bool) -> type | None:
    """For results: the caller's own, writable as they were, and nothing left in the object store."""
    return bytearray if writable else bytes


def copy_writable(writable: bool) -> type | None:
    """For arguments: a function may write into what it was given, as in a plain loop."""
    return bytearray if writable else None


def copy_none(writable: bool) -> type | None:
    """For constants: shared by all calls on a machine, so read-only."""
    return None


def encode_exception(error: BaseException) -> Encoded | None:
    """Pickles an exception with what led to it; None if it cannot be pickled."""
    counted: list[Any] = []
    data = pickling.dumps_exception(error, lambda file: _Pickler(file, counted))
    return None if data is None else (data, [], [], counted)


def missing_module(error: BaseException) -> str | None:
    """Returns the top-level name of the module whose import failed, if that is what ``error`` says."""
    return error.name.partition(".")[0] if isinstance(error, ImportError) and error.name else None
