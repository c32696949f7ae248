"""How functions, arguments, results and exceptions travel between the caller and a Ray worker; used at both ends.

Everything is pickled here, explicitly, rather than by Ray on the way: so that what does not pickle is known by call and
by part, and large buffers (arrays) go beside the pickle, into Ray's object store, where a worker maps them uncopied.

This module is sent to workers as source (see `jd_ray.run.remote_function`): it imports only `jd_core.worker`, the standard
library and Ray.
"""

from __future__ import annotations

import copyreg
import functools
import io
import pickle
import sys
import threading
import types
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import Any, TypeAlias, cast

import ray.cloudpickle

from . import worker

#: Ray's own copy, at both ends the same.
cloudpickle: Any = ray.cloudpickle

#: Buffers of at least so many bytes go beside the pickle.
BESIDE_BYTES = 1 << 16

#: Packages whose instances always unpickle where they pickled; those of all others are pickled call by call.
_DEPENDABLE = sys.stdlib_module_names | {"numpy", "pandas", "polars", "pyarrow"}

_registering = threading.Lock()


#: One pickled object, as plain as it travels: the pickle (protocol 5; bytes, or a buffer if it is large), the buffers
#: that go beside it, in order, and for each of these whether it was writable.
Encoded: TypeAlias = tuple[Any, list[Any], list[bool]]


class _Pickler(cloudpickle.Pickler):  # type: ignore[misc]
    """Ray's pickler, which sends code that no worker can import by value, and brings its classes home as themselves.

    Attributes:
        foreign: whether anything was pickled that might not unpickle: an instance of a class from elsewhere.
        exceptions_as_they_are: rebuild exceptions from their attributes, without calling ``__init__``.
        alone: the exception that goes without those that led to it, which are sent beside it; None: all do.
    """

    foreign = False
    exceptions_as_they_are = False
    alone: BaseException | None = None

    def reducer_override(self, obj: Any) -> Any:
        if isinstance(obj, types.FunctionType):
            path = path_to_wrapped(obj)
            if path is not None:
                return functools.reduce, (getattr, path, sys.modules[obj.__module__])
        elif isinstance(obj, types.MethodType):
            # The default looks the name up in the instance, and finds there what a decorator made of the function.
            return types.MethodType, (obj.__func__, obj.__self__)
        elif isinstance(obj, BaseException) and (self.exceptions_as_they_are or not self._is_alone(obj)):
            return self._reduce_exception(obj)
        elif not self.foreign and type(obj).__module__.partition(".")[0] not in _DEPENDABLE:
            self.foreign = True
        return super().reducer_override(obj)

    def _is_alone(self, error: BaseException) -> bool:
        return self.alone is None or self.alone is error

    def _reduce_exception(self, error: BaseException) -> Any:
        """Returns how to rebuild an exception; one beside `alone`, a part of a group, gets what led to it as its state."""
        if self.exceptions_as_they_are:
            rebuild, args, state = copyreg.__newobj__, (type(error), *error.args), attributes(error)  # type: ignore[attr-defined]
        else:
            rebuild, args, state, *_ = (*cast("tuple[Any, ...]", error.__reduce_ex__(5)), None)
        if self._is_alone(error) or not isinstance(state, (dict, type(None))):
            return rebuild, args, state
        led_to_it = {name: getattr(error, name) for name in ("__cause__", "__context__", "__suppress_context__")}
        return rebuild, args, {**(state or {}), **led_to_it}


def path_to_wrapped(function: types.FunctionType) -> list[str] | None:
    """Returns the attribute names that lead from a function's module to it, if it stands there under a decorator.

    Such a function is not "the same object" as the one that its name gives, so pickle would not send it by name; its
    module may hold what cannot go by value. None if its name gives the function itself, or nothing that wraps it.
    """
    module = sys.modules.get(function.__module__ or "")
    if module is None or function.__module__ == "__main__" or "<locals>" in function.__qualname__:
        return None
    if _goes_by_value(function.__module__):
        return None
    path = function.__qualname__.split(".")
    found: Any = module
    for name in path:
        found = getattr(found, name, None)
    if found is function:
        return None
    while found is not None and found is not function:
        found = getattr(found, "__wrapped__", None)
        path.append("__wrapped__")
    return path if found is function else None


def _goes_by_value(module: str) -> bool:
    registered = cloudpickle.list_registry_pickle_by_value()
    parents = module.split(".")
    return any(".".join(parents[:end]) in registered for end in range(1, len(parents) + 1))


@contextmanager
def by_value(modules: Iterable[str]) -> Iterator[None]:
    """Within the block, functions and classes of these top-level modules are pickled by value, not by name."""
    modules = set(modules)
    if not modules:
        yield
        return
    with _registering:
        added = [sys.modules[name] for name in modules - cloudpickle.list_registry_pickle_by_value()]
        for module in added:
            cloudpickle.register_pickle_by_value(module)
        try:
            yield
        finally:
            for module in added:
                cloudpickle.unregister_pickle_by_value(module)


def encode(obj: Any, beside: bool = True) -> Encoded:
    """Pickles one object. Raises whatever the object raises.

    Args:
        obj: the object.
        beside: whether large buffers go beside the pickle; Ray's client does not take them.
    """
    return _encode(obj, beside)[0]


def encode_values(values: list[Any], beside: bool = True) -> tuple[bool, Any]:
    """Pickles results: together where all of them are sure to unpickle, else each for itself.

    Args:
        values: the results.
        beside: as for `encode`.

    Returns:
        ``(True, encoded)`` or ``(False, [encoded, or which part of it cannot be pickled, ...])``.
    """
    try:
        encoded, foreign = _encode(values, beside)
        if not foreign:
            return True, encoded
    except worker.pickling.REFUSALS:
        pass
    return False, [_encode_or_error(value, beside) for value in values]


def _encode_or_error(value: Any, beside: bool) -> Encoded | str:
    try:
        return _encode(value, beside)[0]
    except worker.pickling.REFUSALS as error:
        return worker.pickling.reason(value, "the result", error, encode)


def _encode(obj: Any, beside: bool) -> tuple[Encoded, bool]:
    buffers: list[pickle.PickleBuffer] = []

    def goes_inside(buffer: pickle.PickleBuffer) -> bool:
        inside = buffer.raw().nbytes < BESIDE_BYTES
        if not inside:
            buffers.append(buffer)
        return inside

    file = io.BytesIO()
    pickler = _Pickler(file, protocol=5, buffer_callback=goes_inside if beside else None)
    pickler.dump(obj)
    data: Any = file.getvalue()
    if beside and len(data) >= BESIDE_BYTES:
        data = pickle.PickleBuffer(data)
    return (data, list(buffers), [not buffer.raw().readonly for buffer in buffers]), pickler.foreign


def decode(encoded: Encoded, copy: Callable[[bool], type | None]) -> Any:
    """Unpickles one object. Raises whatever the object raises.

    Args:
        encoded: what `encode` gave.
        copy: for a buffer that was writable or not, the type (``bytes``, ``bytearray``) to copy it to; None: use it
            where it is, in the object store, read-only.
    """
    data, buffers, writable = encoded
    kinds = map(copy, writable)
    placed = [buffer if kind is None else kind(buffer) for buffer, kind in zip(buffers, kinds, strict=True)]
    return pickle.loads(data, buffers=placed)


def copy_all(writable: bool) -> type | None:
    """For results: the caller's own, writable as they were, and nothing left in the object store."""
    return bytearray if writable else bytes


def copy_writable(writable: bool) -> type | None:
    """For arguments: a function may write into what it was given, as in a plain loop."""
    return bytearray if writable else None


def copy_none(writable: bool) -> type | None:
    """For constants: shared by all calls on a machine, so read-only."""
    return None


def encode_exception(error: BaseException) -> bytes | None:
    """Pickles an exception so that it surely comes back as its own type with its own arguments; None if it cannot.

    An exception whose ``__init__`` wants other arguments than ``args`` is rebuilt without calling it.
    """
    for as_they_are, alone in ((False, error), (True, error), (False, None), (True, None)):
        try:
            file = io.BytesIO()
            pickler = _Pickler(file, protocol=5)
            pickler.exceptions_as_they_are, pickler.alone = as_they_are, alone
            pickler.dump(error)
            back = pickle.loads(file.getvalue())
            if type(back) is type(error) and _same_arguments(back.args, error.args):
                return file.getvalue()
        except BaseException:
            continue  # whatever a class of the user's raises, the next way is tried
    return None


def _same_arguments(ones: tuple[Any, ...], others: tuple[Any, ...]) -> bool:
    if len(ones) != len(others) or any(type(one) is not type(other) for one, other in zip(ones, others, strict=True)):
        return False
    try:
        return bool(ones == others) or repr(ones) == repr(others)
    except Exception:
        return True  # arrays, say, which have no single truth value


def attributes(error: BaseException) -> dict[str, Any]:
    """Returns all that an exception holds: a built-in one also in fields outside its ``__dict__``."""
    found: dict[str, Any] = {"args": error.args}
    for cls in type(error).__mro__:
        for name, field in vars(cls).items():
            if isinstance(field, types.MemberDescriptorType) and not isinstance(error, BaseExceptionGroup):
                value = getattr(error, name, None)
                if value is not None and not name.startswith("__"):
                    found[name] = value
    return {**found, **getattr(error, "__dict__", {})}


def missing_module(error: BaseException) -> str | None:
    """Returns the top-level name of the module whose import failed, if that is what ``error`` says."""
    return error.name.partition(".")[0] if isinstance(error, ImportError) and error.name else None
