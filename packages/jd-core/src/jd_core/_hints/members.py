"""What a resolved hint means: its members, with unions taken apart and aliases and type variables replaced.

`jd_core._hints.signature` decides by them what a parameter is.
"""

from __future__ import annotations

import sys
import types
import typing
from collections import abc
from collections.abc import Iterator
from typing import Any, NamedTuple, TypeVar, Union

from jd_core._hints.resolve import UnresolvedError, in_module

#: What only says how a hint is used, around the hint itself.
_QUALIFIERS = (typing.Final, typing.ClassVar, typing.Unpack)


class Each:
    """``Annotated[list[float], Each]``: one call gets one element, whatever the type."""


class Batch:
    """``Annotated[MyTree, Batch]``: one call gets a batch of the elements, whatever the type."""


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
            return types.GenericAlias(tuple, self.arguments)
        return self.arguments[0]


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
    elif (replaced := _replaced(hint, origin, arguments)) is not hint:
        alias = hint if origin is None else origin
        if any(alias is other for other in seen):
            raise UnresolvedError(hint)
        yield from _members(replaced, marker, (*seen, alias) if origin not in _QUALIFIERS else seen)
    elif hint is None or hint is types.NoneType:
        yield Member(None, None, marker)
    elif arguments or hasattr(hint, "__args__"):
        yield Member(origin or hint, _flat(arguments) if origin is tuple else arguments, marker)
    else:
        yield Member(origin or hint, None, marker)


def _marker(metadata: Any) -> type | None:
    cls = metadata if isinstance(metadata, type) else type(metadata)
    return cls if cls in (Each, Batch) else None


def _replaced(hint: Any, origin: Any, arguments: tuple[Any, ...]) -> Any:
    """Returns what an alias, a new type or a type variable stands for; anything else is returned as it is."""
    alias = hint if origin is None else origin
    if type(alias).__name__ == "TypeAliasType":
        value = in_module(alias.__value__, alias)
        return value if origin is None else _substituted(value, alias.__type_params__, arguments)
    if isinstance(hint, TypeVar):
        if hint.__constraints__:
            return Union[tuple(in_module(one, hint) for one in hint.__constraints__)]  # noqa: UP007
        return Any if hint.__bound__ is None else in_module(hint.__bound__, hint)
    if isinstance(hint, typing.NewType):
        return in_module(hint.__supertype__, hint)
    init_var: Any = getattr(sys.modules.get("dataclasses"), "InitVar", ())  # who hints it has imported it
    if isinstance(hint, init_var):
        return hint.type
    if origin in _QUALIFIERS:
        return arguments[0]
    return hint


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
