"""Whether a value fits a hint, judged by its type and its first element. Iterators are not looked into."""

from __future__ import annotations

import functools
import itertools
import sys
import typing
from collections import abc, deque
from collections.abc import Iterable
from typing import Any, Literal

from jd_core._collections.table import is_value, kind_of_type, slicer
from jd_core._hints.members import Member, members
from jd_core._hints.resolve import UnresolvedError

#: How deep a value is looked into; a deeper one fits, and so does one that contains itself.
DEPTH = 8

#: Stands for the first element of what has none.
MISSING = object()


def fits(value: Any, hint: Any, depth: int = DEPTH) -> bool:
    """Whether ``value`` fits ``hint``, judged by its type and first element; what cannot be told fits.

    Args:
        value: anything. Of an iterator only the type is judged, as looking further would consume it.
        hint: a resolved hint.
        depth: how many levels are looked at: 1 is the value's type alone, 2 its first element's too.
    """
    if not depth:
        return True
    try:
        alternatives = members(hint)
    except UnresolvedError:
        return True
    return any(fits_member(value, member, depth) for member in alternatives)


def fits_member(value: Any, member: Member, depth: int = DEPTH) -> bool:
    """Whether ``value`` fits one member of a hint; see `fits`."""
    try:
        return _fits_member(value, member, depth)
    except Exception:  # raised by the value's own methods, so it cannot be told
        return True


def _fits_member(value: Any, member: Member, depth: int) -> bool:
    origin, arguments = member.origin, member.arguments
    if origin is None:
        return value is None
    if origin is Literal:
        return any(type(value) is type(argument) and value == argument for argument in arguments or ())
    if member.is_fixed_tuple:
        return isinstance(value, tuple) and (depth == 1 or _fit_one_by_one(value, arguments or (), depth))
    kind = kind_of_type(origin)
    if kind is not None:
        first = first_element(value) if kind.holds(value) else None
        return kind.holds(value) and (not kind.nests or first is MISSING or fits(first, member.element, depth - 1))
    if origin is abc.Callable:
        return callable(value)
    if origin is bool:
        return type(value).__name__ in ("bool", "bool_")
    if not isinstance(origin, type) or origin is object:
        return True
    return _is_instance(value, origin)


def _fit_one_by_one(value: tuple[Any, ...], hints: tuple[Any, ...], depth: int) -> bool:
    if any(getattr(hint, "__unpacked__", False) or typing.get_origin(hint) is typing.Unpack for hint in hints):
        return True
    return len(value) == len(hints) and all(map(fits, value, hints, itertools.repeat(depth - 1)))


def _is_instance(value: Any, cls: type) -> bool:
    if typing.is_typeddict(cls):
        return isinstance(value, dict) and value.keys() >= cls.__required_keys__  # type: ignore[attr-defined]
    try:
        return isinstance(value, _numbers().get(cls, cls))
    except TypeError:
        return not getattr(cls, "_is_protocol", False) or all(hasattr(value, name) for name in _protocol_members(cls))


@functools.cache
def _numbers() -> dict[Any, Any]:
    """Returns what a type checker, or numpy, lets pass for a builtin number."""
    import numbers  # here, because a call with lists of elements asks for none

    return {int: numbers.Integral, float: numbers.Real, complex: numbers.Complex}


def _protocol_members(cls: Any) -> Iterable[str]:
    """Returns the members that a protocol asks for; Python 3.11 has no other way to tell."""
    names: Iterable[str]
    if sys.version_info >= (3, 12):
        names = cls.__protocol_attrs__
    else:
        names = typing._get_protocol_attrs(cls)  # type: ignore[attr-defined]
    return names


def first_element(value: Any) -> Any:
    """Returns the first element of a collection that may be looked into; `MISSING` if there is none, or it may not."""
    known = isinstance(value, (abc.Sequence, abc.Set, abc.ValuesView, deque)) or slicer(value) is not None
    try:
        return MISSING if is_value(value) or not known else next(iter(value), MISSING)
    except Exception:  # raised by the value's own methods
        return MISSING
