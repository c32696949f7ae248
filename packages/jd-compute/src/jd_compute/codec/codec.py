"""Turns objects into bytes and back: at the speed of C pickle for data, by value for code that a worker cannot import.

Cloudpickle's pickler does nearly everything: it is C pickle, with Python code only for functions, classes and instances; it
sends what can be imported by name and the rest by value, with the globals it uses as they are now; and it knows a class
again that comes home, so instances of classes from ``__main__`` come back as instances of the caller's classes. Dill takes
what it refuses.
"""

from __future__ import annotations

import builtins
import contextlib
import io
import operator
import pickle
import sys
import threading
import types
from array import array
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import cloudpickle
from jd_core._api.distributed import Distributed
from jd_core.worker.pickling import REFUSALS as REFUSALS

from jd_compute.codec.reducers import CLOUDPICKLES, chained, reduce_code, reduce_exception
from jd_compute.transport.channel import NEVER_BLOCKS
from jd_compute.transport.shared_memory import LARGE

loads = pickle.loads

_PROTOCOL = 5

#: What machine words begin with; a pickle begins with 0x80.
_WORDS = b"w"

#: To pickle and unpickle ints up to this one takes less time than words do. Of larger ones the caller, who has those of all
#: workers, takes a third less time to make them from words; and from 32 bits on pickle, digit by digit, takes twice as long.
_LARGEST_QUICK = (1 << 16) - 1

_LOCKS: dict[type, Callable[[], Any]] = {type(make()): make for make in (threading.Lock, threading.RLock)}


class Pickler(cloudpickle.Pickler):  # type: ignore[misc]
    """Cloudpickle's pickler, knowing decorated functions, exceptions, and the files of code."""

    dispatch_table: ClassVar[Any] = CLOUDPICKLES.new_child({types.CodeType: reduce_code})

    def reducer_override(self, obj: Any) -> Any:
        """Returns how to rebuild ``obj``; called for all but plain data, before what its class says."""
        if isinstance(obj, types.FunctionType):
            name = name_of(obj)
            if name is not None and name[2]:
                return _wrapped_by_name, name
        elif isinstance(obj, type):
            if getattr(builtins, obj.__name__, None) is obj:
                return NotImplemented  # by name, which pickle finds faster than cloudpickle finds out that it may
        elif isinstance(obj, BaseException):
            return reduce_exception(obj)
        elif type(obj) in _LOCKS:
            # A lock cannot be shared with another process; the copy gets its own. Dill does the same, but by dill the
            # classes that travel along would come home as clones.
            return _LOCKS[type(obj)], ()
        elif isinstance(obj, Distributed) and type(obj) is Distributed and not _is_importable(obj.__module__):
            return Distributed, (obj.__wrapped__, obj._options)
        return super().reducer_override(obj)


class Words(array):  # type: ignore[type-arg]  # array takes them from 3.12 on
    """A list of large ints as machine words, which are made and read faster than pickles; `decode` gives an array."""


def packed(values: list[Any]) -> list[Any] | Words:
    """Returns ``values`` in `Words` if they are ints that pickle is slow with, for `encode`; otherwise as they are."""
    if not values or type(values[-1]) is not int or values[-1] <= _LARGEST_QUICK:
        return values  # the last one is as good a guess as any of what the others are like
    try:
        # A bool, or an int of another class, must not come back as an int.
        exact = operator.countOf(map(type, values), int) == len(values)
        words: Any = Words("L", values) if exact else values
    except Exception:  # an int below 0, or of more than 64 bits; a metaclass whose == raises; no memory
        return values
    return words  # type: ignore[no-any-return]


@dataclass(frozen=True, slots=True)
class Encoded:
    """An object as bytes.

    Attributes:
        data: the pickle, or words; nothing if it is long, and the first of the buffers.
        buffers: its large buffers, in order. They are views of the object's own memory.
    """

    data: memoryview | bytes
    buffers: Sequence[memoryview] = ()


def encode(obj: Any, large: int | None = LARGE) -> Encoded:
    """Returns ``obj`` as bytes that `decode` turns back.

    Args:
        obj: anything.
        large: buffers of at least this many bytes are kept apart, so that they need not be copied; None: all is in one
            piece, which `loads` turns back.

    Raises:
        BaseException: neither cloudpickle nor dill can send it: one of `REFUSALS`, from cloudpickle's attempt.
    """
    if type(obj) is Words and large is not None:
        words = memoryview(obj).cast("B")
        return Encoded(_WORDS, [words]) if words.nbytes > NEVER_BLOCKS else Encoded(_WORDS + words)
    file = io.BytesIO()
    buffers: list[memoryview] = []

    def keep_in(buffer: pickle.PickleBuffer) -> bool:
        view = buffer.raw()
        if large is None or view.nbytes < large:
            return True
        buffers.append(view)
        return False

    try:
        Pickler(file, _PROTOCOL, buffer_callback=keep_in).dump(obj)
        data = file.getbuffer()
    except REFUSALS as refused:
        import dill  # only here: it takes long to import, and most programs never need it

        try:
            data, buffers = memoryview(dill.dumps(obj, protocol=_PROTOCOL, recurse=True)), []
        except REFUSALS:
            raise refused from None
    if large is not None and data.nbytes > NEVER_BLOCKS:
        # Its sender would have to wait until the receiver has time for it.
        return Encoded(b"", [data, *buffers])
    return Encoded(data, buffers)


def decode(data: memoryview, buffers: Sequence[memoryview]) -> Any:
    """Returns the object of which `encode` made these bytes; of `Words` an array of the ints, which has none of them yet.

    Raises:
        BaseException: whatever unpickling raises.
    """
    if not data:
        data, *buffers = buffers
    if data[:1] == _WORDS:
        words = array("L")
        words.frombytes(buffers[0] if buffers else data[1:])
        return words
    return loads(data, buffers=buffers)


def dumps(obj: Any) -> bytes:
    """Returns ``obj`` as one piece of bytes, large buffers included; otherwise as `encode`."""
    return bytes(encode(obj, large=None).data)


def dumps_exception(error: BaseException) -> bytes | None:
    """Returns an exception as one piece of bytes; without what led to it if that does not go, None if it does not."""
    file = io.BytesIO()
    with contextlib.suppress(BaseException):
        Pickler(file, _PROTOCOL).dump(error)  # not by dill, which leaves out what led to it, and how to make an odd one
        return file.getvalue()
    led_to_it = chained(error)
    error.__cause__ = error.__context__ = None
    try:
        return dumps(error)
    except BaseException:
        return None
    finally:
        error.__cause__, error.__context__, error.__suppress_context__ = led_to_it


def send_module_by_value(name: str) -> bool:
    """Makes functions and classes of a module travel by value from now on, because a worker could not import it.

    Returns:
        Whether they do: false if this process has no such module either.
    """
    module = sys.modules.get(name)
    if module is None:
        return False
    cloudpickle.register_pickle_by_value(module)
    return True


def _is_importable(module: str) -> bool:
    """Whether names of the module are sent as names."""
    by_value: Iterable[str] = cloudpickle.list_registry_pickle_by_value()
    return (
        module != "__main__"
        and module in sys.modules
        and not any(module == name or module.startswith(name + ".") for name in by_value)
    )


def name_of(function: Any) -> tuple[str, str, int] | None:
    """Returns (module, qualified name, depth) by which a worker finds ``function``; None for what goes by value.

    The name of a decorated function is its decorator's result, so pickle refuses the function itself, as "not the same
    object". The worker takes the name and looks ``depth`` times into ``__wrapped__``.
    """
    module = function.__module__ if type(function) is types.FunctionType else None
    if not module or not _is_importable(module):
        return None
    found: Any = sys.modules[module]
    try:
        for part in function.__qualname__.split("."):
            found = getattr(found, part)
    except AttributeError:
        return None
    depth = 0
    while found is not function:
        found = getattr(found, "__wrapped__", None)
        depth += 1
        if found is None:
            return None
    return module, function.__qualname__, depth


def _wrapped_by_name(module: str, qualified_name: str, depth: int) -> Any:
    __import__(module)
    found: Any = sys.modules[module]
    for part in qualified_name.split("."):
        found = getattr(found, part)
    for _ in range(depth):
        found = found.__wrapped__
    return found
