"""What of a call would be sent to other processes: how large it is, and what of it is sent as code."""

from __future__ import annotations

import functools
import inspect
import pickle
import sys
import types
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from jd_core._tracing.words import size
from jd_core.worker.reached import SCRIPT

#: What is not counted further: it is large in any case.
ENOUGH_BYTES = 100_000_000

#: What every pickle has around the object.
FRAME_BYTES = 12

#: A global or a variable from outside that a function takes with it is worth a warning from so many bytes on.
LARGE_BYTES = 1_000_000


class _EnoughError(Exception):
    """So much was counted that more does not matter."""


class _Counter:
    """A file that only counts."""

    def __init__(self) -> None:
        self.bytes = 0

    def write(self, data: Any) -> int:
        count = memoryview(data).nbytes
        self.bytes += count
        if self.bytes > ENOUGH_BYTES:
            raise _EnoughError
        return count

    def buffer(self, buffer: pickle.PickleBuffer) -> None:
        self.write(buffer.raw())


def pickled_size(value: Any) -> int | None:
    """Returns about how many bytes an object is pickled to, counted up to a little over `ENOUGH_BYTES`.

    None if the standard library's pickle cannot do it; what is used here may.
    """
    counter = _Counter()
    try:
        pickle.Pickler(counter, 5, buffer_callback=counter.buffer).dump(value)
    except _EnoughError:
        return counter.bytes
    except Exception:  # whatever the object's own methods raise
        return None
    return counter.bytes


def elements_size(value: Any, first: Any, length: int | None, number: int) -> int | None:
    """Returns about how many bytes so many elements of what was passed are together.

    Args:
        value: what was passed.
        first: its first element; of a frame, its first row as a frame.
        length: its length.
        number: how many elements.
    """
    whole = getattr(value, "nbytes", None)
    if type(value).__module__.partition(".")[0] == "polars":
        whole = value.estimated_size()
    if isinstance(whole, int) and length:
        return -(-whole * number // length)
    found = pickled_size(first)
    if found is None:
        return None
    around = _size_without_rows(value, first)
    return max(1, found - (around or FRAME_BYTES)) * number + around


def _size_without_rows(value: Any, first: Any) -> int:
    """Returns what a frame is pickled to that has no rows; 0 for what is no frame, whose elements have nothing in common."""
    if type(first) is not type(value) or not hasattr(first, "iloc"):
        return 0
    try:
        return pickled_size(first.iloc[:0]) or 0
    except Exception:  # whatever another library's frame does
        return 0


def by_value(function: Callable[..., Any]) -> str | None:
    """Returns why a function is sent as code; None if workers import it by its name."""
    while isinstance(function, functools.partial):
        function = function.func
    function = getattr(function, "__func__", function)
    if not isinstance(function, types.FunctionType):
        return None
    if function.__name__ == "<lambda>":
        return "a lambda"
    if "<locals>" in function.__qualname__:
        return "defined inside another function"
    if function.__module__ in SCRIPT:
        return "defined in the program itself"
    found: Any = sys.modules.get(function.__module__)
    for part in function.__qualname__.split("."):
        found = inspect.getattr_static(found, part, None)
    found = getattr(found, "__wrapped__", found)
    return None if getattr(found, "__func__", found) is function else "not found by its name"


def large_globals(function: Callable[..., Any]) -> Iterator[str]:
    """Yields a warning for each large value that a function takes with it where it is sent as code."""
    while isinstance(function, functools.partial):
        function = function.func
    function = getattr(function, "__func__", function)
    if not isinstance(function, types.FunctionType):
        return
    for name, value in _taken(function).items():
        if isinstance(value, (types.ModuleType, types.FunctionType, type)):
            continue
        found = getattr(value, "nbytes", None)
        bytes_ = found if isinstance(found, int) else pickled_size(value)
        if bytes_ is not None and bytes_ >= LARGE_BYTES:
            counted = bytes_ <= ENOUGH_BYTES or isinstance(found, int)
            shown = size(bytes_) if counted else f"more than {size(ENOUGH_BYTES)}"
            yield (
                f"{function.__qualname__}() uses {name}, {shown}, which is sent with it: pass it as a constant, or load it "
                f"in the workers, by per_worker(...)"
            )


def _taken(function: types.FunctionType) -> Mapping[str, Any]:
    """Returns the globals and the variables from outside that a function names."""
    found = {name: function.__globals__[name] for name in _names(function.__code__) if name in function.__globals__}
    for name, cell in zip(function.__code__.co_freevars, function.__closure__ or (), strict=True):
        try:
            found[name] = cell.cell_contents
        except ValueError:  # it has no value yet
            continue
    return found


def _names(code: types.CodeType) -> Iterator[str]:
    yield from code.co_names
    for constant in code.co_consts:
        if isinstance(constant, types.CodeType):
            yield from _names(constant)
