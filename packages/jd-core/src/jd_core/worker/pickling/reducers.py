"""What the picklers of all backends add to cloudpickle's."""

from __future__ import annotations

import copyreg
import enum
import functools
import io
import pickle
import queue
import struct
import sys
import threading
import types
import typing
import weakref
from collections import deque
from collections.abc import Callable
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any, ClassVar

from ..reached import SCRIPT, imported_by  # noqa: TID252 - it has another name where it is sent to
from . import classes, exceptions, known, recipes, shared, slices

#: So many exceptions that led to one are sent along with it where not all can be.
MOST_LINKS = 8


class Reducers:
    """To be mixed into a cloudpickle ``Pickler``, before it.

    Attributes:
        cloudpickle: the module that the pickler is of.
        shares_files: whether what it pickles is unpickled on this machine.
        has_shared: whether something was pickled that `shared.is_shared`.
        links: the ids of the exceptions that go along with those which they led to; None: all do.
        left: types of which pickle has turned out to know best, so that many objects of one are not each looked at.
        named: the modules, in order, that what was pickled names or imports: they must be there what they are here.
    """

    cloudpickle: ClassVar[Any]
    shares_files: ClassVar[bool] = False
    has_shared = False
    links: set[int] | None = None
    left: frozenset[type] = frozenset()
    named: tuple[str, ...] = ()

    if TYPE_CHECKING:

        def __init__(self, *args: Any, **settings: Any) -> None: ...

    def __init_subclass__(cls) -> None:
        if hasattr(cls, "cloudpickle"):
            known.send_script(cls.cloudpickle)

    def reducer_override(self, obj: Any) -> Any:
        """Returns how to rebuild ``obj``; called for all but plain data, before what its class says."""
        kind = type(obj)
        if kind in self.left:
            return NotImplemented
        if kind is types.FunctionType:
            return self._reduce_function(obj)
        if isinstance(obj, type):
            if getattr(obj, "__module__", None) == "builtins" and known.is_global(obj):
                return NotImplemented  # at once, for cloudpickle takes long to find that out (row ten-calls)
            self.record_named(getattr(obj, "__module__", None))
            return self._by_value(obj, super().reducer_override(obj))  # type: ignore[misc]
        if isinstance(obj, BaseException):
            return exceptions.reduce_exception(obj, self._links(obj))
        if (reduce := _BY_MODULE.get(kind.__module__)) is not None:
            return reduce(self, obj)
        if (reduce := _REDUCERS.get(kind)) is not None:
            return reduce(self, obj)
        if obj is sys.stdout or obj is sys.stderr:  # there, it is what stands there
            return getattr, (sys, "stdout" if obj is sys.stdout else "stderr")
        is_file = isinstance(obj, io.TextIOWrapper)
        if is_file and not obj.closed and obj.writable():
            # Cloudpickle sends what can be read, and what is written there would be lost.
            name = getattr(obj, "name", None)
            raise pickle.PicklingError(f"cannot pickle a file that is open for writing ({name!r}): pass its path")
        if isinstance(obj, threading.local):
            return self.reduce_shared(kind)
        reduced = classes.reduce_instance(obj, self.is_importable)
        by_object = is_file or isinstance(kind, enum.EnumType) or kind in (type(sys.stdout), type(sys.stderr))
        if reduced is NotImplemented and not by_object:
            self.left |= {kind}
            self.record_named(kind.__module__)  # what it says that pickles by its name alone does not show its class
        return reduced

    def _reduce_function(self, function: Any) -> Any:
        path = self.path_to(function)
        self.record_named(function.__module__, *(imported_by(function) if path is None else ()))
        if path is not None:
            found = functools.reduce, (getattr, path, sys.modules[function.__module__])
            return found if path[-1] == "__wrapped__" else NotImplemented
        if recipes.is_single_dispatch(function):
            return known.reduce_known(function, recipes.single_dispatch(function))
        reduced = super().reducer_override(function)  # type: ignore[misc]
        if known.is_received(function) or known.is_global(function):
            return self._by_value(function, reduced)
        return reduced

    def _by_value(self, obj: Any, reduced: Any) -> Any:
        if not isinstance(reduced, tuple) or len(reduced) != 6:
            return reduced  # by name
        if isinstance(obj, type):
            return classes.reduce_class(obj, reduced)
        make, args, state, _, _, setter = reduced
        return known.reduce_known(obj, (make, args, state, setter))

    def _links(self, error: BaseException) -> tuple[BaseException | None, BaseException | None]:
        cause, context = exceptions.links(error)
        if self.links is None:
            return cause, context
        return cause if id(cause) in self.links else None, context if id(context) in self.links else None

    @classmethod
    def is_importable(cls, module: str | None) -> bool:
        """Whether what stands in a module goes by name."""
        if module is None or module in SCRIPT or module not in sys.modules:
            return False
        registered = cls.cloudpickle.list_registry_pickle_by_value()
        return not registered or not any(module == name or module.startswith(f"{name}.") for name in registered)

    @classmethod
    def path_to(cls, function: Any) -> list[str] | None:
        """Returns the attribute names that lead from a function's module to it; None for what goes by value.

        The name of a decorated function is its decorator's result, so pickle refuses the function itself, as "not the same
        object". A worker takes the name and looks into ``__wrapped__``, as often as that stands at the end.
        """
        if not cls.is_importable(function.__module__):
            return None
        path = function.__qualname__.split(".")
        found = known.find(function.__module__, function.__qualname__)
        while found is not None and found is not function:
            found = getattr(found, "__wrapped__", None)
            path.append("__wrapped__")
        return None if found is None else path

    def reduce_named(self, obj: Any) -> Any:
        """Returns how to rebuild what pickle sends by its name: by value where that leads to nothing that a worker has."""
        self.record_named(obj.__module__)
        name = getattr(obj, "__qualname__", None) or getattr(obj, "__name__", None)
        if self.is_importable(getattr(obj, "__module__", None)) and known.find(obj.__module__, name) is obj:
            return NotImplemented
        return known.reduce_known(obj, recipes.RECIPES[type(obj)](obj))

    def reduce_shared(self, make: Callable[[], Any]) -> Any:
        """Returns how to make another one of what threads share, and records that there is such a thing."""
        self.has_shared = True
        return make, ()

    def record_shared(self) -> Any:
        """Records that there is something that is shared; it pickles as its class says."""
        self.has_shared = True
        return NotImplemented

    def record_named(self, *modules: Any) -> Any:
        """Records modules that something names or imports; it pickles as its class says."""
        self.named += tuple(name for name in modules if isinstance(name, str) and name not in self.named)
        return NotImplemented


def _reduce_condition(_: Reducers, condition: threading.Condition) -> Any:
    # Threads that wait for it wait here.
    state = {name: deque() if isinstance(value, deque) else value for name, value in vars(condition).items()}
    return copyreg.__newobj__, (threading.Condition,), state  # type: ignore[attr-defined]


def _reduce_memory(_: Reducers, view: memoryview) -> Any:
    can_be_cast = (view.format, view.ndim) == ("B", 1) or (view.nbytes and view.ndim and view.format in _FORMATS)
    if not (view.c_contiguous and can_be_cast):
        return bytes, (view.tobytes(),)  # as cloudpickle does for all
    return _view, (pickle.PickleBuffer(view), view.format, view.shape)


#: What a view can be cast to, in `struct`'s words.
_FORMATS = frozenset("cbB?hHiIlLqQnNfd")


def _view(data: Any, form: str, shape: tuple[int, ...]) -> memoryview:
    view = memoryview(data).cast("B")
    return view if (form, shape) == ("B", view.shape) else view.cast(form, shape)  # type: ignore[call-overload]


_REDUCERS: dict[type, Callable[[Any, Any], Any]] = {
    range: lambda _, numbers: numbers.__reduce__(),  # as pickle does, but sooner (row ten-calls)
    **dict.fromkeys(recipes.RECIPES, Reducers.reduce_named),
    ContextVar: recipes.reduce_variable,
    types.ModuleType: lambda pickler, module: pickler.record_named(module.__name__),
    memoryview: _reduce_memory,
    struct.Struct: lambda _, made: (struct.Struct, (made.format,)),
    # All else that threads share holds one of these.
    type(threading.Lock()): lambda pickler, _: pickler.reduce_shared(threading.Lock),
    type(threading.RLock()): lambda pickler, _: pickler.reduce_shared(threading.RLock),
    queue.SimpleQueue: lambda pickler, _: pickler.reduce_shared(queue.SimpleQueue),
    threading.Condition: _reduce_condition,
    weakref.ref: recipes.reduce_weak,
    weakref.WeakMethod: recipes.reduce_weak,
    weakref.WeakValueDictionary: lambda _, weak: (type(weak), (dict(weak),)),
    weakref.WeakKeyDictionary: lambda _, weak: (type(weak), (dict(weak),)),
    typing.ParamSpecArgs: lambda _, made: (getattr, (made.__origin__, "args")),
    typing.ParamSpecKwargs: lambda _, made: (getattr, (made.__origin__, "kwargs")),
}

#: What is asked about instances of a module's classes, by the module.
_BY_MODULE: dict[str, Callable[[Any, Any], Any]] = {
    **dict.fromkeys(slices.LIBRARIES, lambda pickler, obj: slices.reduce_slice(obj, shares_files=pickler.shares_files)),
    **dict.fromkeys(recipes.GENERATORS, lambda _, obj: recipes.reduce_generator(obj)),
    **dict.fromkeys(shared.MODULES, lambda _, obj: shared.refuse_of_one_process(obj)),
    **dict.fromkeys(shared.OF_COROUTINES, lambda pickler, _: pickler.record_shared()),
    "sys": lambda _, obj: shared.reduce_of_interpreter(obj),
}


def dumps_exception(error: BaseException, new_pickler: Callable[[io.BytesIO], Any]) -> bytes | None:
    """Returns an exception as bytes, with as many of those that led to it as can be pickled; None if it cannot be itself.

    Args:
        error: the exception.
        new_pickler: makes a pickler with `Reducers` that writes to a file.
    """

    def dumps(one: BaseException, links: set[int] | None) -> bytes | None:
        file = io.BytesIO()
        pickler = new_pickler(file)
        pickler.links = links
        try:
            pickler.dump(one)
        except BaseException:
            return None  # whatever a class of the user's raises
        return file.getvalue()

    whole = dumps(error, None)
    if whole is not None:
        return whole
    sendable: set[int] = set()
    found: deque[BaseException] = deque([error])
    while found and len(sendable) < MOST_LINKS:
        for link in exceptions.links(found.popleft()):
            if link is not None and id(link) not in sendable and dumps(link, set()) is not None:
                sendable.add(id(link))
                found.append(link)
    return dumps(error, sendable) or dumps(error, set())
