"""Evaluates the strings in annotations, and finds the names in them. What a hint means, `jd_core._hints.members` says."""

from __future__ import annotations

import functools
import inspect
import sys
import types
import typing
from collections import ChainMap
from collections.abc import Callable, Mapping
from typing import Any, ForwardRef, NamedTuple, cast

#: How many strings or wrappers may lead from one to the next. A longer chain leads to itself.
ALIASES = 32


class UnresolvedError(Exception):
    """An annotation names what does not exist at runtime; the cause says what."""


class Names(NamedTuple):
    """Where an annotation's names are looked up.

    Attributes:
        module: the globals of the function.
        local: closure variables, type parameters, the namespace of the class.
        scope: the dotted name of the scope around the function; while it runs its variables are found on the stack.
    """

    module: dict[str, Any]
    local: Mapping[str, Any]
    scope: str


def names_of(function: Any) -> Names:
    """Returns where the names in a function's annotations are looked up; a class stands for its constructor."""
    function, owner = _annotated(function)
    if isinstance(function, type):
        modules = [vars(sys.modules[base.__module__]) for base in function.__mro__ if base.__module__ in sys.modules]
        return Names(modules[0], _chained(*_of_class(function), *modules), "")
    local = _chained(_type_parameters(function), _closure(function), *_of_class(owner))
    scope = getattr(function, "__qualname__", "").rpartition(".")[0]
    return Names(getattr(function, "__globals__", {}), local, scope)


def _annotated(function: Any) -> tuple[Any, type]:
    """Returns the function or class whose annotations `inspect.signature` shows, and the class it is bound to."""
    owner: type = object
    for _ in range(ALIASES):
        if isinstance(function, functools.partial):
            function = function.func
        elif inspect.ismethod(function):
            owner = function.__self__ if isinstance(function.__self__, type) else type(function.__self__)
            function = function.__func__
        elif isinstance(function, type):
            break
        elif hasattr(function, "__wrapped__") and not hasattr(function, "__signature__"):
            function = function.__wrapped__
        elif inspect.isroutine(function):
            break
        else:
            owner = type(function)
            function = owner.__call__
    return function, owner


def resolve(annotation: Any, names: Callable[[], Names]) -> Any:
    """Returns what an annotation means, with all strings in it evaluated.

    Args:
        annotation: as it stands in the signature.
        names: returns where names are looked up; asked only for strings.

    Raises:
        UnresolvedError: a name in it is not found, or it is no valid expression.
    """
    try:
        if not isinstance(annotation, (str, ForwardRef)) and not _has_strings(annotation):
            return annotation
        found = names()
        try:
            return _evaluated(annotation, found.module, found.local)
        except NameError:
            return _evaluated(annotation, found.module, _chained(found.local, _running_scopes(found)))
    except Exception as error:
        raise UnresolvedError(annotation) from error


def in_module(annotation: Any, owner: Any) -> Any:
    """Returns what the value of an alias or the bound of a type variable means, in the module where it was made.

    Raises:
        Exception: whatever evaluating it raises.
    """
    module = sys.modules.get(owner.__module__)
    return _evaluated(annotation, vars(module) if module else {}, {})


def _evaluated(annotation: Any, module: dict[str, Any], local: Mapping[str, Any]) -> Any:
    for _ in range(ALIASES):
        if isinstance(annotation, ForwardRef):
            annotation = annotation.__forward_arg__
        if not isinstance(annotation, str):
            break
        text = annotation.strip()
        annotation = eval(f"({text},)[0]" if text.startswith("*") else text, module, local)
    if _has_strings(annotation):

        def holder() -> None: ...

        holder.__annotations__ = {"hint": annotation}
        annotation = typing.get_type_hints(holder, module, dict(local), include_extras=True)["hint"]
    return annotation


def _has_strings(hint: Any) -> bool:
    """Whether strings are left to evaluate in the arguments of a hint, at any depth."""
    left, seen = [hint], set()
    while left:
        one = left.pop()
        if isinstance(one, (str, ForwardRef)):
            return True
        if id(one) not in seen:
            seen.add(id(one))
            arguments = getattr(one, "__args__", ())
            left += arguments if isinstance(arguments, tuple) else ()
    return False


def _closure(function: Any) -> dict[str, Any]:
    variables: dict[str, Any] = {}
    code = getattr(function, "__code__", None)
    for name, cell in zip(getattr(code, "co_freevars", ()), getattr(function, "__closure__", None) or (), strict=False):
        try:
            variables[name] = cell.cell_contents
        except ValueError:  # it is assigned later
            continue
    return variables


def _type_parameters(owner: Any) -> dict[str, Any]:
    return {parameter.__name__: parameter for parameter in getattr(owner, "__type_params__", ())}


def _of_class(cls: type) -> list[Mapping[str, Any]]:
    """Returns the namespaces that a class and its bases add, their type parameters included."""
    return [names for base in cls.__mro__[:-1] for names in (_type_parameters(base), vars(base))]


def _chained(*namespaces: Mapping[str, Any]) -> Mapping[str, Any]:
    return ChainMap(*cast("tuple[dict[str, Any], ...]", namespaces))


def _running_scopes(names: Names) -> dict[str, Any]:
    """Returns the variables of the functions and classes around a function that is being decorated right now.

    String annotations name them, but a closure holds only what the function's code uses.
    """
    variables: dict[str, Any] = {}
    frame: types.FrameType | None = sys._getframe()
    while frame is not None:
        name = frame.f_code.co_qualname
        if frame.f_globals is names.module and (names.scope == name or names.scope.startswith(f"{name}.")):
            found = dict(frame.f_locals)
            parameters = {parameter.__name__: parameter for parameter in found.get("__type_params__", ())}
            variables = parameters | found | variables
        frame = frame.f_back
    return variables
