"""The user's modules as they are in the caller: what was set there after import, and modules that were reloaded.

A worker imports modules by itself, so it would not see what the caller's program, or a test, has changed in them::

    caller   config.RATE = 5 ──── record ────▶ {"config": {"RATE": 5}} ──── adopt ────▶ config.RATE = 5   worker

Of what is no data (functions, classes, instances), its kind is recorded, so that a worker sees where it has another one.

What a call changes in a worker's modules stays there while nothing changes in the caller's: a model that was loaded is not
loaded again.
"""

from __future__ import annotations

import enum
import pickle
import sys
import types
import warnings
from collections.abc import Callable, Iterable, Mapping
from contextvars import ContextVar
from typing import Any, NamedTuple

from ..pickling import known  # noqa: TID252 - it has another name where it is sent to
from ..reached import is_submodule, own_module, reached  # noqa: TID252
from . import definitions, edited, plain

#: Where names stand: a module's name, and the qualified name of a class in it; nothing for the module itself.
Place = tuple[str, str]


class Value(NamedTuple):
    """What a name stands for.

    Attributes:
        identity: the same for names of the same object.
        data: pickled; a text instead if it is too large to be sent, see `plain.pickled`; None if it is no data, and need not
            or cannot be sent.
        changed: whether it is known to have changed since the module was imported.
        kind: what it is if it is no data, see `definitions`; else None.
    """

    identity: int
    data: bytes | str | None
    changed: bool
    kind: str | None = None


class Modules(NamedTuple):
    """The state of some modules and of the classes in them.

    Attributes:
        reloads: how often each module was reloaded, by its name.
        names: all names that the program gives a meaning, by their place.
        values: what those stand for, but for the functions and classes that the place's source defines, by place and name.
        sources: a checksum of the code of those functions, by place; 0 where it tells nothing.
    """

    reloads: dict[str, int]
    names: dict[Place, frozenset[str]]
    values: dict[Place, dict[str, Value]]
    sources: dict[Place, int]


class _Look:
    """What was found at a look, and what tells whether another one would find the same.

    A short run (row ten-calls) has time for one comparison, not for more.

    Attributes:
        modules: what is sent.
        dumps: pickles what cannot be imported.
        specs: those of the modules, by their names: one that was reloaded, or imported anew, has another.
        functions: what the modules' sources define.
        variables: context variables, by module and qualified name.
        spaces: names and values of modules and classes, with the identities of the values.
        held: data, so that nothing else gets its identity.
        changing: data that can change and stay the same object.
        data: ``changing``, pickled.
        is_of: number of modules that were loaded.
    """

    def __init__(self, dumps: Callable[[Any], bytes] = pickle.dumps) -> None:
        self.modules = Modules({}, {}, {}, {})
        self.dumps = dumps
        self.specs: dict[str, Any] = {}
        self.functions = edited.Functions()
        self.variables: dict[tuple[str, str], ContextVar[Any]] = {}
        self.spaces: list[tuple[Mapping[str, Any], list[str], list[int]]] = []
        self.held: list[Any] = []
        self.changing: list[Any] = []
        self.data = b""
        self.is_of = 0

    def watch(self, space: Mapping[str, Any] | None) -> None:
        """Has another look taken once something else stands in a space, or data in it has changed."""
        if space is not None:
            self.spaces.append((space, list(space), list(map(id, space.values()))))
            self.changing += [one for one in space.values() if isinstance(plain.pickled(one), bytes)]

    def is_current(self) -> bool:
        try:
            for name, spec in self.specs.items():
                if getattr(sys.modules.get(name), "__spec__", None) is not spec:
                    return False
            for space, names, identities in self.spaces:
                if list(map(id, space.values())) != identities or list(space) != names:
                    return False
            if not self.functions.are_current():
                return False
            return not self.changing or pickle.dumps(self.changing, 5) == self.data
        except Exception:  # another thread changes it just now; or it is no data any more
            return False


_last = _Look()
_used: dict[str, list[str]] = {}  # to which of the user's modules each leads, by name


def record(named: Iterable[str], dumps: Callable[[Any], bytes]) -> tuple[Modules, frozenset[str]]:
    """Returns the state of all modules that runs have used so far, and the names of those that this one uses.

    Args:
        named: names of modules that what is sent refers to, such as `Reducers.named`.
        dumps: pickles a function or class that cannot be imported.
    """
    global _last
    last = _last
    is_current = last.is_current()
    if not is_current or last.is_of != len(sys.modules):
        _used.clear()
    used = [name for each in named for name in _used_by(each)]
    fresh = [name for name in used if name not in last.specs]
    if fresh or not is_current:
        _last = _look(dict.fromkeys([*last.specs, *fresh]), last, dumps)
    _last.is_of = len(sys.modules)
    return _last.modules, frozenset(used)


def context_variables() -> dict[tuple[str, str], ContextVar[Any]]:
    """Returns the context variables that stand in those modules, by module and qualified name."""
    return _last.variables


def _used_by(name: str) -> list[str]:
    """Returns the names of the user's modules to which a module leads, itself included, in the order of a search."""
    found = _used.get(name)
    if found is None:
        found = _used[name] = [*reached(filter(None, [sys.modules.get(name)]))]
    return found


def _look(names: Iterable[str], last: _Look, dumps: Callable[[Any], bytes]) -> _Look:
    look = _Look(dumps)
    for name in names:
        module = own_module(name)
        if module is None:
            continue
        spec = vars(module)["__spec__"]
        is_another = last.specs.get(name, spec) is not spec
        look.modules.reloads[name] = last.modules.reloads.get(name, 0) + is_another
        look.specs[name] = spec
        _look_into(look, (name, ""), vars(module), last.modules)
    for name in {*look.functions.edited(last.functions, last.modules.names)}:
        look.modules.reloads[name] += 1
    look.data = pickle.dumps(look.changing, 5)
    if look.modules == last.modules:
        look.modules = last.modules
    _warn_of_large(look.modules, last.modules)
    return look


def _look_into(look: _Look, place: Place, space: Mapping[str, Any], last: Modules) -> None:
    found = dict(space)
    look.spaces.append((space, list(found), list(map(id, found.values()))))
    look.modules.names[place] = frozenset(name for name, value in found.items() if _counts(name, value))
    look.modules.values[place] = values = {}
    look.modules.sources[place] = 0
    told = last.values.get(place) or {}
    module, outer = place
    for name, value in found.items():
        if issubclass(type(value), type):  # not isinstance: a mock says that it is one
            inner = module, value.__qualname__
            is_here = value.__module__ == module and known.find(*inner) is value and inner not in look.modules.names
            if is_here and not issubclass(value, enum.Enum):
                _look_into(look, inner, vars(value), last)
        data: bytes | str | None = None
        kind = None
        if not _counts(name, value) or is_submodule(value, module, name):
            continue
        if not _is_special(name):
            data = plain.pickled(value)
        qualified_name = f"{outer}.{name}".lstrip(".")
        if isinstance(value, ContextVar):
            look.variables[module, qualified_name] = value
        if data is None:
            source = definitions.own_source(value, module, qualified_name)
            look.functions.add((*place, name), value, is_defined=source is not None)
            if source is not None:
                look.modules.sources[place] ^= source
                continue
            kind = definitions.kind_of(value)
            data = definitions.pickled(value, module, qualified_name, look.dumps, plain.MOST_BYTES)
            look.watch(definitions.watched(value))
        elif isinstance(data, bytes) and not isinstance(value, plain.UNCHANGING):
            look.changing.append(value)
        if isinstance(data, bytes):
            look.held.append(value)
        before = told.get(name)
        is_same = before is not None and before == (id(value), data, False, kind)
        values[name] = Value(id(value), data, place in last.values and not is_same, kind)


def _counts(name: str, value: Any) -> bool:
    """Whether a name is the program's, and not one that Python itself gives a meaning; methods are, whatever their name."""
    return not _is_special(name) or isinstance(value, (types.FunctionType, staticmethod, classmethod))


def _is_special(name: str) -> bool:
    return name.startswith("__") and name.endswith("__")


def _warn_of_large(now: Modules, last: Modules) -> None:
    for place, values in now.values.items():
        for name, value in values.items():
            before = last.values.get(place, {}).get(name)
            if isinstance(value.data, str) and before is not None and before[:2] != value[:2]:
                _warn(place, name, value.data)


def _warn(place: Place, name: str, what: str) -> None:
    where = ".".join(part for part in (*place, name) if part)
    warnings.warn(
        f"distribute: {where}, {what}, has changed since it was imported, and is too large to be sent along (at most "
        f"{plain.MOST_BYTES} bytes are): workers have it as they import it; pass it as a constant",
        RuntimeWarning,
        stacklevel=2,
    )
