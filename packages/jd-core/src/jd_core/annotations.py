"""From what is written in a signature to what it means: resolves raw annotations, and looks through aliases.

`jd_core.hints` decides with it what a parameter is. Nothing here knows of roles or batches, but for the two markers.
"""

from __future__ import annotations

import dataclasses
import functools
import inspect
import sys
import types
import typing
from collections import ChainMap, abc
from collections.abc import Iterator, Mapping
from typing import Any, ForwardRef, NamedTuple, TypeVar, Union, cast

#: How many strings and wrappers lead from one to the next at most; more is one that leads to itself.
ALIASES = 32

#: What only says how a hint is used, around the hint itself.
_QUALIFIERS = (typing.Final, typing.ClassVar, typing.Unpack)


class Each:
    """``Annotated[list[float], Each]``: one call gets one element, whatever the type."""


class Batch:
    """``Annotated[MyTree, Batch]``: one call gets a batch of the elements, whatever the type."""


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


class Member(NamedTuple):
    """A hint that is neither alias nor union.

    Attributes:
        origin: the type, without arguments; None for the hint None.
        arguments: in ``tuple[int, ...]`` the int and the ellipsis; None if the hint has no brackets.
        marker: `Each` or `Batch` if stated, else None.
    """

    origin: Any
    arguments: tuple[Any, ...] | None
    marker: type | None

    @property
    def is_fixed_tuple(self) -> bool:
        """Whether it is a tuple of a fixed length, or with a fixed start or end."""
        return self.origin is tuple and self.arguments is not None and self.arguments[1:] != (...,)

    @property
    def element(self) -> Any:
        """The hint of the elements of a collection; ``Any`` if it does not say."""
        if not self.arguments or self.is_fixed_tuple:
            return Any
        if self.origin is abc.ItemsView and len(self.arguments) == 2:
            return tuple[self.arguments]
        return self.arguments[-1] if self.origin is abc.ValuesView else self.arguments[0]


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
    """Returns the function or class whose annotations `inspect.signature` shows, and the class it is bound to if any."""
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


def resolve(annotation: Any, names: Names) -> Any:
    """Returns what an annotation means, with all strings in it evaluated.

    Raises:
        UnresolvedError: a name in it is not found, or it is no valid expression.
    """
    try:
        return _resolve(annotation, names.module, names.local)
    except Exception as error:
        outer = _running_scopes(names) if names.scope else {}
        try:
            if outer:
                return _resolve(annotation, names.module, _chained(names.local, outer))
        except Exception as second:
            error = second
        raise UnresolvedError(annotation) from error


def members(hint: Any) -> tuple[Member, ...]:
    """Returns what a hint may be: one member for most, several for a union.

    Looks through ``Annotated``, ``NewType``, ``TypeVar`` (its bound or constraints), ``type`` aliases and unions.

    Raises:
        UnresolvedError: an alias in it cannot be resolved, or leads to itself.
    """
    if type(hint) is type:
        return (Member(hint if hint is not types.NoneType else None, None, None),)
    try:
        return tuple(_members(hint, None, ()))
    except Exception as error:
        raise UnresolvedError(hint) from error


def _members(hint: Any, marker: type | None, seen: tuple[Any, ...]) -> Iterator[Member]:
    origin, arguments = typing.get_origin(hint), typing.get_args(hint)
    if origin is typing.Annotated:
        marker = next((m for m in map(_marker, reversed(hint.__metadata__)) if m is not None), None) or marker
        yield from _members(arguments[0], marker, seen)
    elif origin in (Union, types.UnionType):
        for argument in arguments:
            yield from _members(argument, marker, seen)
    elif (meaning := _meaning(hint, origin, arguments)) is not hint:
        alias = hint if origin is None else origin
        if any(alias is other for other in seen):
            raise UnresolvedError(hint)
        yield from _members(meaning, marker, (*seen, alias) if origin not in _QUALIFIERS else seen)
    elif hint is None or hint is types.NoneType:
        yield Member(None, None, marker)
    elif arguments or hasattr(hint, "__args__"):
        yield Member(origin or hint, _flat(arguments) if origin is tuple else arguments, marker)
    else:
        yield Member(origin or hint, None, marker)


def _marker(metadata: Any) -> type | None:
    cls = metadata if isinstance(metadata, type) else type(metadata)
    return cls if cls in (Each, Batch) else None


def _meaning(hint: Any, origin: Any, arguments: tuple[Any, ...]) -> Any:
    """Returns what an alias, a new type or a type variable stands for; anything else is returned as it is."""
    alias = hint if origin is None else origin
    if type(alias).__name__ == "TypeAliasType":
        value = _in_module(alias.__value__, alias)
        return value if origin is None else _substituted(value, alias.__type_params__, arguments)
    if isinstance(hint, TypeVar):
        if hint.__constraints__:
            return Union[tuple(_in_module(one, hint) for one in hint.__constraints__)]  # noqa: UP007
        return Any if hint.__bound__ is None else _in_module(hint.__bound__, hint)
    if isinstance(hint, typing.NewType):
        return _in_module(hint.__supertype__, hint)
    if isinstance(hint, dataclasses.InitVar):
        return hint.type
    if origin in _QUALIFIERS:
        return arguments[0]
    return hint


def _in_module(annotation: Any, owner: Any) -> Any:
    """Resolves what may be a string, in the module where the alias or type variable was made."""
    module = sys.modules.get(owner.__module__)
    return _resolve(annotation, vars(module) if module else {}, {})


def _substituted(value: Any, parameters: tuple[Any, ...], arguments: tuple[Any, ...]) -> Any:
    """Returns ``value`` with the type parameters of its alias replaced."""
    known = dict(zip(parameters, arguments, strict=False))
    if value in parameters:
        return known.get(value, Any)
    free = getattr(value, "__parameters__", ())
    return value[tuple(known.get(parameter, Any) for parameter in free)] if free else value


def _flat(arguments: tuple[Any, ...]) -> tuple[Any, ...]:
    """Returns a tuple's arguments, with ``*tuple[int, ...]`` as the only one replaced by what is in it."""
    if len(arguments) == 1:
        inner = typing.get_args(arguments[0])
        if typing.get_origin(arguments[0]) is typing.Unpack:
            return typing.get_args(inner[0]) or arguments
        if getattr(arguments[0], "__unpacked__", False):
            return inner
    return arguments


def _resolve(annotation: Any, module: dict[str, Any], local: Mapping[str, Any]) -> Any:
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
        if id(one) not in seen and typing.get_origin(one) is not typing.Literal:
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
