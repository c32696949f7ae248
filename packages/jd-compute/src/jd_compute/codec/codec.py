"""Turns objects into bytes and back: at the speed of C pickle for data, by value for code that a worker cannot import.

Cloudpickle's pickler is C pickle, with Python code only for functions, classes and instances; it sends what can be imported
by name and the rest by value, with the globals it uses as they are now. `jd_core.worker.pickling` adds what cloudpickle does
not take, and what it changes on the way. Dill takes what both refuse.
"""

from __future__ import annotations

import io
import operator
import pickle
import sys
import types
from array import array
from collections.abc import Callable, Iterable, Sequence
from typing import Any, ClassVar, NamedTuple

import cloudpickle
from jd_core.worker import pickling
from jd_core.worker.pickling import Reducers, refuse_shared
from jd_core.worker.unpicklable import REFUSALS as REFUSALS
from jd_core.worker.unpicklable import pass_on as pass_on

from jd_compute.codec.libraries import any_temporary_folder, dill_loads
from jd_compute.codec.reducers import CLOUDPICKLES, reduce_code
from jd_compute.transport.channel import NEVER_BLOCKS
from jd_compute.transport.shared_memory import LARGE

loads = pickle.loads

_PROTOCOL = 5

#: What machine words begin with; a pickle begins with 0x80.
_WORDS = b"w"

#: To pickle and unpickle ints up to this one takes less time than words do. Of larger ones the caller, who has those of all
#: workers, takes a third less time to make them from words; and from 32 bits on pickle, digit by digit, takes twice as long.
_LARGEST_QUICK = (1 << 16) - 1


class Pickler(Reducers, cloudpickle.Pickler):  # type: ignore[misc]
    """Cloudpickle's pickler, with what all backends add to it, and with the files that code is from."""

    cloudpickle = cloudpickle
    shares_files = True
    dispatch_table: ClassVar[Any] = CLOUDPICKLES.new_child({types.CodeType: reduce_code})


class _DillPickler(Pickler):
    """Hands dill, one by one, the objects that nothing else takes; not all, for it is slow, and clones classes.

    No open file: dill opens it anew, from its beginning, and one that is open for writing without what is in it.
    """

    def reducer_override(self, obj: Any) -> Any:
        reduced = super().reducer_override(obj)
        if reduced is not NotImplemented or isinstance(obj, (types.FunctionType, type)):  # these go by their names
            return reduced
        reduce = self.dispatch_table.get(type(obj))
        try:
            return obj.__reduce_ex__(_PROTOCOL) if reduce is None else reduce(obj)
        except REFUSALS as refused:
            pass_on(refused)
            if isinstance(obj, io.IOBase):
                raise
            with any_temporary_folder():
                import dill  # only here: it takes long to import, and most programs never need it
            try:
                return dill_loads, (dill.dumps(obj, protocol=_PROTOCOL, recurse=True),)
            except REFUSALS:
                raise refused from None


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


class Encoded(NamedTuple):
    """An object as bytes.

    Attributes:
        data: the pickle, or words; nothing if it is long, and the first of the buffers.
        buffers: its large buffers, in order. They are views of the object's own memory.
        named: names of modules that it refers to, see `Reducers`.
    """

    data: bytes
    buffers: Sequence[memoryview] = ()
    named: tuple[str, ...] = ()


def encode(obj: Any, large: int | None = LARGE, passed: Callable[[], Iterable[Any]] = tuple) -> Encoded:
    """Returns ``obj`` as bytes that `decode` turns back.

    Args:
        obj: anything.
        large: buffers of at least this many bytes are kept apart, so that they need not be copied; None: all is in one
            piece, which `loads` turns back.
        passed: returns what of it was passed to calls, or returned by them; see `refuse_shared`.

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

    pickler = Pickler(file, _PROTOCOL, buffer_callback=keep_in)
    try:
        pickler.dump(obj)
    except REFUSALS as refused:
        pass_on(refused)
        file.seek(0)
        file.truncate()
        buffers.clear()
        pickler = _DillPickler(file, _PROTOCOL, buffer_callback=keep_in)
        try:
            pickler.dump(obj)
        except REFUSALS:
            raise refused from None
    if pickler.has_shared:
        refuse_shared(passed())
    data = file.getvalue()  # not getbuffer: a view that is garbage together with its file makes Python 3.13 complain
    if large is not None and len(data) > NEVER_BLOCKS:
        # Its sender would have to wait until the receiver has time for it.
        return Encoded(b"", [memoryview(data), *buffers], pickler.named)
    return Encoded(data, buffers or (), pickler.named)


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
    """Returns an exception as one piece of bytes; None if it cannot be pickled."""
    return pickling.dumps_exception(error, lambda file: Pickler(file, _PROTOCOL))


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


def name_of(function: Any) -> tuple[str, ...] | None:
    """Returns the module and the names by which a worker finds ``function``; None for what goes by value."""
    if type(function) is not types.FunctionType:
        return None
    path = Pickler.path_to(function)
    return None if path is None else (function.__module__, *path)
