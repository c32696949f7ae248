"""Finds the part of an object that cannot be pickled, so that an error can name it instead of a type far inside.

Used by callers, through `jd_core.backend.serialization`, and in workers. Needs only the standard library: it is sent to
machines that have Python but not these packages.
"""

from __future__ import annotations

import functools
import re
import signal
import time
import types
from collections.abc import Callable, Iterator, Mapping
from typing import Any

#: What code that runs while an object is (un)pickled may raise, and what then is the object's fault. Not KeyboardInterrupt:
#: in the caller's process that is Ctrl-C.
REFUSALS = (Exception, SystemExit, GeneratorExit)

#: How deep the search goes; each step pickles the parts of one object.
MOST_STEPS = 12

#: How many parts of one object are tried; a list of a million is not pickled item by item for the sake of a message.
MOST_PARTS = 1000

#: Seconds after which the search ends where it is: parts that take long to pickle may be many.
MOST_SECONDS = 0.5

#: Keys of mappings that are shown: those that are a name. Others may be secrets.
_NAME = r"[A-Za-z_]{1,30}"


#: Packages whose objects are named as a whole: what is in them says nothing to who uses them.
_WHOLE = frozenset({"concurrent", "multiprocess", "multiprocessing", "subprocess"})


def locate(value: Any, name: str, dumps: Callable[[Any], object]) -> str:
    """Returns where in ``value`` the part sits that does not pickle, and what it is.

    Goes from the object to whichever of its parts fails by itself, and on from there. Nothing of a part is shown but its
    type, for it may be a secret.

    Args:
        value: what did not pickle.
        name: what the message calls it.
        dumps: pickles something, or raises.

    Returns:
        Such as ``client._session.lock, an object of type _thread.lock``.
    """
    path = name
    seen = {id(value)}
    until = time.monotonic() + MOST_SECONDS
    for _ in range(MOST_STEPS):
        for step, part in some_parts(value):
            if time.monotonic() > until:
                break
            if id(part) not in seen and not _pickles(part, dumps):
                path, value = path + step, part
                seen.add(id(part))
                break
        else:
            break
    kind = type(value)
    described = kind.__qualname__ if kind.__module__ == "builtins" else f"{kind.__module__}.{kind.__qualname__}"
    return f"{path}, an object of type {described}"


def reason(value: Any, name: str, error: BaseException, dumps: Callable[[Any], object]) -> str:
    """Returns which part of ``value`` does not pickle (see `locate`), and what pickling it raised."""
    return f"{locate(value, name, dumps)}: {show(error)}"


def show(error: BaseException) -> str:
    """Returns an exception in one line."""
    try:
        return f"{type(error).__name__}: {error}"
    except Exception:
        return f"{type(error).__name__} (its message cannot be shown)"


def pass_on(error: BaseException) -> None:
    """Raises what was caught, as one of `REFUSALS` or an OSError, if a signal's handler has raised it, as time limits do."""
    traceback = error.__traceback__
    while traceback is not None:
        # What is quick first: to ask for the handlers of all signals takes five times as long as dill with a small object.
        if _has_frame(traceback.tb_frame) and traceback.tb_frame.f_code in _handlers():
            raise error
        traceback = traceback.tb_next


#: `inspect.CO_VARARGS`, without that module, which takes long to import.
_HAS_VARARGS = 4


def _has_frame(frame: types.FrameType) -> bool:
    """Whether a function was passed a frame, as handlers of signals are."""
    code, found = frame.f_code, frame.f_locals
    count = code.co_argcount + code.co_kwonlyargcount
    passed = [found.get(name) for name in code.co_varnames[:count]]
    if code.co_flags & _HAS_VARARGS:
        several = found.get(code.co_varnames[count])
        passed += several if isinstance(several, tuple) else ()
    return any(type(value) is types.FrameType for value in passed)


def _handlers() -> set[types.CodeType | None]:
    return {_code(signal.getsignal(number)) for number in signal.valid_signals()} - {None}


def _code(handler: Any) -> types.CodeType | None:
    while isinstance(handler, functools.partial):
        handler = handler.func
    if not callable(handler):  # signal.SIG_IGN and its like
        return None
    return getattr(handler, "__code__", None) or getattr(type(handler).__call__, "__code__", None)


def _pickles(value: Any, dumps: Callable[[Any], object]) -> bool:
    try:
        dumps(value)
    except REFUSALS:
        return False
    return True


def some_parts(value: Any) -> Iterator[tuple[str, Any]]:
    """Yields (how to write it after the object, part) for at most `MOST_PARTS` of what is pickled with an object."""
    for count, part in enumerate(_parts(value)):
        if count == MOST_PARTS:
            return
        yield part


def _parts(value: Any) -> Iterator[tuple[str, Any]]:
    """Yields (how to write it after the object, part) for the parts of an object that are pickled with it."""
    if type(value).__module__.partition(".")[0] in _WHOLE:
        return
    if isinstance(value, Mapping):
        for number, (key, part) in enumerate(value.items()):
            yield f"[{key!r}]" if isinstance(key, str) and re.fullmatch(_NAME, key) else f"[key {number}]", part
    elif isinstance(value, (list, tuple, set, frozenset)):
        for number, part in enumerate(value):
            yield f"[{number}]", part
    elif isinstance(value, types.FunctionType):
        yield from _parts_of_function(value)
    elif isinstance(value, types.MethodType):
        yield ".__self__", value.__self__
        yield ".__func__", value.__func__
    elif isinstance(value, functools.partial):
        yield ".func", value.func
        yield ".args", value.args
        yield ".keywords", value.keywords
    for slot in _slots(type(value)):
        if hasattr(value, slot):
            yield f".{slot}", getattr(value, slot)
    for attribute, part in getattr(value, "__dict__", {}).items():
        yield f".{attribute}", part


def _parts_of_function(function: types.FunctionType) -> Iterator[tuple[str, Any]]:
    for name, cell in zip(function.__code__.co_freevars, function.__closure__ or (), strict=True):
        try:
            yield f" (its variable {name})", cell.cell_contents
        except ValueError:  # not assigned yet
            continue
    for name in function.__code__.co_names:
        if name in function.__globals__:
            yield f" (its global {name})", function.__globals__[name]
    yield " (its defaults)", function.__defaults__
    yield " (its keyword defaults)", function.__kwdefaults__


def _slots(cls: type) -> Iterator[str]:
    for base in cls.__mro__:
        slots = base.__dict__.get("__slots__", ())
        yield from (slots,) if isinstance(slots, str) else slots
