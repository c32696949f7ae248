"""Puts the caller's `modules` in place in a worker."""

from __future__ import annotations

import ast
import contextlib
import importlib
import inspect
import pickle
import sys
import types
import warnings
from collections.abc import Iterator, Mapping
from typing import Any

from ..pickling import known  # noqa: TID252 - it has another name where it is sent to
from ..unpicklable import REFUSALS  # noqa: TID252
from . import plain
from .modules import Modules, Place, Value
from .reached import own_module

_adopted: Modules | None = None
_told: dict[Place, Mapping[str, Value]] = {}
_reloads: dict[str, int] = {}
_objects: dict[int, Any] = {}  # what can change, by its identity in the caller
_MISSING = object()


def adopt(wanted: Modules, *, is_elsewhere: bool = False) -> None:
    """Makes modules of this process what they are in the caller, as far as that has changed since it was told last.

    Args:
        wanted: those of the caller. One that cannot be imported is left out: whatever needs it will say so.
        is_elsewhere: this may be another machine, where modules are imported under other conditions. What they found out
            themselves is kept then, unless the caller has seen it change.
    """
    global _adopted, _objects
    if wanted is _adopted:
        return
    _forget({name for name, count in wanted.reloads.items() if count != _reloads.get(name, 0)})
    _reloads.update(wanted.reloads)
    for place, values in wanted.values.items():
        with contextlib.suppress(*REFUSALS):
            importlib.import_module(place[0])
        owner = known.find(*place) if place[1] else sys.modules.get(place[0])
        if owner is not None and _told.get(place) != values:
            _delete(owner, place, wanted.names[place])
            for name, value in values.items():
                _set(owner, place, name, value, is_elsewhere=is_elsewhere)
            _told[place] = values
    identities = {value.identity for values in wanted.values.values() for value in values.values()}
    _objects = {identity: value for identity, value in _objects.items() if identity in identities}
    _adopted = wanted


def _delete(owner: Any, place: Place, names: frozenset[str]) -> None:
    """Deletes data that the caller has no more, or that it has deleted since it was imported."""
    told = _told.get(place)
    for name in set(vars(owner) if told is None else told) - names:
        if told is not None or not (name.startswith("__") or plain.pickled(vars(owner)[name]) is None):
            with contextlib.suppress(AttributeError):  # a call has deleted it
                delattr(owner, name)


def _set(owner: Any, place: Place, name: str, value: Value, *, is_elsewhere: bool) -> None:
    before = _told.get(place, {}).get(name)
    if before is not None and before[:2] == value[:2]:
        return
    current = vars(owner).get(name, _MISSING)
    is_first = before is None
    is_equal = is_first and current is not _MISSING and plain.pickled(current) == value.data
    if isinstance(value.data, str):
        if is_first and not is_equal:
            _warn(place, name, value.data)
        return
    if is_equal:
        _objects.setdefault(value.identity, current)
        return
    is_given = is_elsewhere and is_first and current is not _MISSING and not value.changed
    if is_given and name not in _literals(owner):
        return
    with contextlib.suppress(*REFUSALS):  # its class cannot be imported; or its owner refuses
        fresh = pickle.loads(value.data)
        target = _objects.get(value.identity, _MISSING)
        if target is _MISSING and is_first and not any(current is each for each in _objects.values()):
            target = current
        if plain.refill(target, fresh):  # other names, and defaults of functions, stand for the same object
            fresh = target
        if fresh is not current:
            setattr(owner, name, fresh)
        _objects[value.identity] = fresh


def _warn(place: Place, name: str, what: str) -> None:
    where = ".".join(part for part in (*place, name) if part)
    warnings.warn(
        f"distribute: {where} is {what} in the caller, and another one in workers, which have it as they import it: it is "
        f"too large to be sent along; pass it as a constant",
        RuntimeWarning,
        stacklevel=2,
    )


def _literals(owner: Any) -> set[str]:
    """Returns the names that a module's or class's source sets once, and to a literal: they mean the same everywhere."""
    try:
        tree: Any = ast.parse(inspect.cleandoc(inspect.getsource(owner)))
    except Exception:  # it has no source
        return set()
    if isinstance(owner, type):
        (tree,) = tree.body
    stored = [node.id for node in ast.walk(tree) if isinstance(node, ast.Name) and not isinstance(node.ctx, ast.Load)]
    stored += [name for node in ast.walk(tree) if isinstance(node, ast.Global) for name in node.names]
    return {name for name in _literal_names(tree) if stored.count(name) == 1}


def _literal_names(tree: Any) -> Iterator[str]:
    for statement in tree.body:
        targets = getattr(statement, "targets", [getattr(statement, "target", None)])
        try:
            ast.literal_eval(statement.value)
        except (AttributeError, ValueError, TypeError):
            continue
        yield from (target.id for target in targets if isinstance(target, ast.Name))


def _forget(reloaded: set[str]) -> None:
    """Makes this process import modules anew, and those that have something of them."""
    gone = reloaded & sys.modules.keys()
    if not gone:
        return
    own = {name: module for name in list(sys.modules) if (module := own_module(name)) is not None}
    while more := {name for name, module in own.items() if name not in gone and _uses(module, gone)}:
        gone |= more
    for name in gone:
        sys.modules.pop(name, None)
        parent, _, last = name.rpartition(".")
        if parent in sys.modules:
            vars(sys.modules[parent]).pop(last, None)  # or it would be found there, and not imported
    for place in [place for place in _told if place[0] in gone]:
        del _told[place]


def _uses(module: types.ModuleType, names: set[str]) -> bool:
    for value in list(vars(module).values()):
        home = value.__name__ if isinstance(value, types.ModuleType) else None
        if isinstance(value, (type, types.FunctionType)):
            home = value.__module__
        if home in names:
            return True
    return False
