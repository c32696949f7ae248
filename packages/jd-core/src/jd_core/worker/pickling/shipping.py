"""For picklers of backends that send these modules along as source: at the other end they have other names."""

from __future__ import annotations

import importlib
import sys
import threading
import types
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any, ClassVar

from .reducers import Reducers

#: Packages whose instances always unpickle where they pickled; those of all others are pickled call by call.
_DEPENDABLE = sys.stdlib_module_names | {"numpy", "pandas", "polars", "pyarrow"}

_registering = threading.Lock()


class _ModuleThere:
    """Pickles as a module that was sent."""

    def __init__(self, name: str) -> None:
        self._name = name

    def __reduce__(self) -> Any:
        return importlib.import_module, (self._name,)


class ShippingReducers(Reducers):
    """What is mixed into such a pickler.

    Attributes:
        names_there: the names that modules which are sent have in a worker, by those which they have in the caller. Empty in
            a worker.
        foreign: whether anything was pickled that might not unpickle: an instance of a class from elsewhere.
    """

    names_there: ClassVar[dict[str, str]]
    foreign = False

    def reducer_override(self, obj: Any) -> Any:
        """Sends functions and classes of these modules by their names there."""
        if not self.foreign and type(obj).__module__.partition(".")[0] not in _DEPENDABLE:
            self.foreign = True
        if isinstance(obj, (types.FunctionType, type)) and obj.__module__ in self.names_there:
            return getattr, (_ModuleThere(self.names_there[obj.__module__]), obj.__name__)
        return super().reducer_override(obj)

    @classmethod
    @contextmanager
    def by_value(cls, modules: Iterable[str]) -> Iterator[None]:
        """Within the block, functions and classes of these top-level modules are pickled by value, not by name."""
        modules = set(modules)
        if not modules:
            yield
            return
        with _registering:
            added = [sys.modules[name] for name in modules - cls.cloudpickle.list_registry_pickle_by_value()]
            for module in added:
                cls.cloudpickle.register_pickle_by_value(module)
            try:
                yield
            finally:
                for module in added:
                    cls.cloudpickle.unregister_pickle_by_value(module)
