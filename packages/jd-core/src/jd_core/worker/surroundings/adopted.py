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
from ..reached import own_module  # noqa: TID252
from ..unpicklable import REFUSALS, show  # noqa: TID252
from . import definitions, plain
from .modules import Modules, Place, Value

_adopted: tuple[Modules, frozenset[str], bool] | None = None  # what was put in place last
_unloaded: list[str] = []  # its modules that this process had not imported then
_told: dict[Place, Mapping[str, Value]] = {}
_reloads: dict[str, int] = {}
_objects: dict[int, Any] = {}  # what can change, by its identity in the caller
_originals: dict[tuple[Place, str], Any] = {}  # what was imported, of what another was put in place of
_MISSING = object()

_REPLACED = "was replaced in the caller"


def adopt(wanted: Modules, used: frozenset[str], *, is_elsewhere: bool = False) -> None:
    """Makes modules of this process what they are in the caller, as far as that has changed since it was told last.

    Args:
        wanted: those of the caller.
        used: names of those that are imported if they are not there. One that cannot be is left out: whatever needs it will
            say so. Importing the others, which earlier runs used, may take long, or do what nobody expects of this one.
        is_elsewhere: this may be another machine, where modules are imported under other conditions. What they found out
            themselves is kept then, unless the caller has seen it change.
    """
    global _adopted, _objects
    if _adopted is not None and _adopted[0] is wanted and used <= _adopted[1]:
        adopt_imported()
        return
    _forget({name for name, count in wanted.reloads.items() if count != _reloads.get(name, 0)})
    _reloads.update(wanted.reloads)
    for place, values in wanted.values.items():
        if place[0] in used:
            with contextlib.suppress(*REFUSALS):
                importlib.import_module(place[0])
        owner = known.find(*place) if place[1] else sys.modules.get(place[0])
        if owner is not None and _told.get(place) != values:
            _restore(owner, place, wanted)
            if place not in _told and not is_elsewhere:
                _check_source(owner, place, wanted)
            for name, value in values.items():
                _set(owner, place, name, value, is_elsewhere=is_elsewhere)
            _told[place] = values
    identities = {value.identity for values in wanted.values.values() for value in values.values()}
    _objects = {identity: value for identity, value in _objects.items() if identity in identities}
    _adopted = wanted, used, is_elsewhere
    _unloaded[:] = [name for name in wanted.reloads if name not in sys.modules]


def adopt_imported() -> None:
    """Makes modules that were imported since `adopt`, with an argument, what they are in the caller."""
    global _adopted
    if _adopted is not None and any(map(sys.modules.__contains__, _unloaded)):
        (wanted, used, is_elsewhere), _adopted = _adopted, None
        adopt(wanted, used, is_elsewhere=is_elsewhere)


def _restore(owner: Any, place: Place, wanted: Modules) -> None:
    """Deletes what the caller has no more, and data that it has deleted since the import; puts back what it has again."""
    told, names, values = _told.get(place), wanted.names[place], wanted.values[place]
    for name in set(vars(owner) if told is None else told) - names:
        if told is not None or not (name.startswith("__") or plain.pickled(vars(owner)[name]) is None):
            with contextlib.suppress(AttributeError):  # a call has deleted it
                delattr(owner, name)
    for where, name in [*_originals]:
        if where == place and name not in values:
            original = _originals.pop((where, name))
            if name in names:
                setattr(owner, name, original)


def _check_source(owner: Any, place: Place, wanted: Modules) -> None:
    """Warns if this process has imported another source than the caller."""
    module, outer = place
    source, names = 0, wanted.names[place] - wanted.values[place].keys()
    for name in names & vars(owner).keys():
        source ^= definitions.own_source(vars(owner)[name], module, f"{outer}.{name}".lstrip(".")) or 0
    if source != wanted.sources[place] and 0 not in (source, wanted.sources[place]):
        what = f"call importlib.reload({module}), or start the program anew"
        _warn(place, "", "was edited after the caller had imported it", what)


def _set(owner: Any, place: Place, name: str, value: Value, *, is_elsewhere: bool) -> None:
    before = _told.get(place, {}).get(name)
    if before is not None and before._replace(changed=value.changed) == value:
        return
    current = vars(owner).get(name, _MISSING)
    is_first = before is None
    is_given = is_elsewhere and is_first and current is not _MISSING and not value.changed
    if value.kind is not None:
        _define(owner, place, name, value, is_given=is_given)
        return
    is_equal = is_first and current is not _MISSING and plain.pickled(current) == value.data
    if not isinstance(value.data, bytes):
        if is_first and not is_equal:
            _warn(place, name, f"is {value.data} in the caller", "it is too large to be sent along; pass it as a constant")
        return
    if is_equal:
        _objects.setdefault(value.identity, current)
        return
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
            _replace(owner, place, name, fresh)
        _objects[value.identity] = fresh


def _define(owner: Any, place: Place, name: str, value: Value, *, is_given: bool) -> None:
    """Puts what is no data in place where it is not what was imported, or says that it is not."""
    current = vars(owner).get(name, _MISSING)
    original = _originals.get((place, name), current)
    changed = value.changed and value.data is not None
    if original is not _MISSING and definitions.are_same(str(value.kind), definitions.kind_of(original), changed=changed):
        if original is not current:
            _replace(owner, place, name, original)
    elif value.data is not None and not (is_given and name not in _literals(owner)):
        try:
            fresh = pickle.loads(value.data)  # type: ignore[arg-type]
        except REFUSALS as error:
            _warn(place, name, _REPLACED, f"what replaced it does not unpickle there ({show(error)}); pass it as a constant")
        else:
            _replace(owner, place, name, fresh)
    elif definitions.matters(current) and not is_given:
        _warn(place, name, _REPLACED, "what replaced it cannot be sent along; pass it as a constant")


def _replace(owner: Any, place: Place, name: str, fresh: Any) -> None:
    current = vars(owner).get(name, _MISSING)
    if current is not _MISSING and plain.pickled(current) is None:
        _originals.setdefault((place, name), current)
    with contextlib.suppress(AttributeError, TypeError):  # its owner refuses
        setattr(owner, name, fresh)


def _warn(place: Place, name: str, what: str, why: str) -> None:
    where = ".".join(part for part in (*place, name) if part)
    warnings.warn(f"distribute: {where} {what}, and workers have it as they import it: {why}", RuntimeWarning, stacklevel=2)


def _literals(owner: Any) -> set[str]:
    """Returns the names that a module's or class's source sets once, to a literal, or defines once: the same everywhere."""
    try:
        tree: Any = ast.parse(inspect.cleandoc(inspect.getsource(owner)))
    except Exception:  # it has no source
        return set()
    if isinstance(owner, type):
        (tree,) = tree.body
    stored = [node.id for node in ast.walk(tree) if isinstance(node, ast.Name) and not isinstance(node.ctx, ast.Load)]
    stored += [name for node in ast.walk(tree) if isinstance(node, ast.Global) for name in node.names]
    stored += [name for node in ast.walk(tree) for name in _defined(node)]
    return {name for name in _literal_names(tree) if stored.count(name) == 1}


def _defined(node: Any) -> list[str]:
    if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)):
        return [node.name]
    if isinstance(node, (ast.Import, ast.ImportFrom)):
        return [alias.asname or alias.name.partition(".")[0] for alias in node.names]
    return []


def _literal_names(tree: Any) -> Iterator[str]:
    for statement in tree.body:
        yield from _defined(statement)
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
    for place, name in [key for key in _originals if key[0][0] in gone]:
        del _originals[place, name]


def _uses(module: types.ModuleType, names: set[str]) -> bool:
    for value in list(vars(module).values()):
        home = value.__name__ if isinstance(value, types.ModuleType) else None
        if isinstance(value, (type, types.FunctionType)):
            home = value.__module__
        if home in names:
            return True
    return False
