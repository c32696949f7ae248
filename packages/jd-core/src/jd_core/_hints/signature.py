"""What type hints decide: for each parameter, whether one call gets one element or one batch.

First room of the house, entered at decoration: `inspect_function` takes a function and gives a frozen `Signature`.
Strings and aliases are resolved in `jd_core._hints.resolve`; which types are collections is in `jd_core._collections.table`.
"""

from __future__ import annotations

import enum
import functools
import inspect
import sys
import types
import typing
from collections import abc
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any, Union

from jd_core._collections.table import ANY, Kind, kind_of_return, kind_of_type
from jd_core._hints.matching import fits, fits_member
from jd_core._hints.members import Batch, Each, Member, members
from jd_core._hints.resolve import Names, UnresolvedError, names_of, resolve
from jd_core.errors import BatchingError, SignatureError

__all__ = ["Batch", "Each", "Parameter", "Role", "Signature", "fits", "inspect_function"]


class Role(enum.Enum):
    """What one call gets of what was passed for a parameter."""

    ELEMENT = "element"
    BATCH = "batch"


@dataclass(frozen=True, slots=True)
class Parameter:
    """One parameter of a function.

    Attributes:
        name: as in the signature.
        role: what one call gets.
        hint: the resolved hint; ``inspect.Parameter.empty`` if there is none, or it cannot be resolved.
        kinds: what a batch may be, one kind per member of a union; empty for elements.
    """

    name: str
    role: Role
    hint: Any
    kinds: tuple[Kind, ...]

    def build(self, part: Any, like: Any) -> Any:
        """Makes a batch of the hinted type.

        Args:
            part: a slice of what was passed, or a list of its elements.
            like: what was passed; of a union's members the first that it is an instance of is built, or else the first.

        Raises:
            BatchingError: the elements do not make such a batch.
        """
        kind = next((kind for kind in self.kinds if kind.holds(like)), self.kinds[0])
        try:
            return kind.build(part)
        except BatchingError as error:
            raise BatchingError(f"parameter {self.name}: {error}") from error.__cause__

    def is_already_batched(self, value: Any, first: Any) -> bool:
        """Whether the elements of what was passed are batches themselves, so that each goes to one call as it is.

        They are if the first of them fits the hint and does not fit the hint's element type.

        Args:
            value: what was passed.
            first: its first element.
        """
        if self.role is Role.ELEMENT:
            return False
        alternatives = members(self.hint)
        if not any(fits_member(first, member) for member in alternatives):
            return False
        for member in alternatives:
            kind = kind_of_type(member.origin)
            if member.origin is None:
                continue
            if kind is None or not kind.nests:
                # An array's elements, or a tree's, are no arrays, no trees: one that was passed is flat.
                if fits_member(value, member):
                    return False
            elif fits(first, member.element):
                return False
        return True


@dataclass(frozen=True, slots=True)
class Signature:
    """All that the core knows about a function.

    Attributes:
        name: the qualified name, for messages.
        parameters: in order, keyword-only and variadic ones too. The role of ``*args: T`` is that of ``T``.
        returns: how results of batches are joined; None: they are not, as the return hint is no collection.
        signature: of the plain function, with ``self`` or ``cls`` bound.
    """

    name: str
    parameters: tuple[Parameter, ...]
    returns: Kind | None
    signature: inspect.Signature


def inspect_function(function: Callable[..., Any]) -> Signature:
    """Finds out what each parameter of a function is, and how its results are joined.

    A parameter is an element where there is no hint, or one that cannot be resolved, such as a name that only exists
    under ``TYPE_CHECKING``. A callable that does not tell its signature takes elements.

    Args:
        function: a function, method, class, ``functools.partial``, builtin or an object with ``__call__``.

    Raises:
        SignatureError: it is not callable.
    """
    if not callable(function):
        raise SignatureError(
            f"distribute: {function!r} is a {type(function).__name__}, which cannot be called; decorate a function"
        )
    signature = _plain_signature(function)
    names = functools.cache(lambda: names_of(function))
    parameters = tuple(_parameter(parameter, names) for parameter in signature.parameters.values())
    returns = _returned(signature.return_annotation, names)
    return Signature(_qualified_name(function), parameters, returns, signature)


def _plain_signature(function: Callable[..., Any]) -> inspect.Signature:
    try:
        if sys.version_info >= (3, 14):
            import annotationlib

            try:
                return inspect.signature(function, annotation_format=annotationlib.Format.FORWARDREF)
            except Exception:
                # One annotation that fails would take the others with it; as strings they are evaluated one at a time.
                return inspect.signature(function, annotation_format=annotationlib.Format.STRING)
        return inspect.signature(function)
    except (TypeError, ValueError):
        return inspect.signature(_anything)


def _anything(*args, **kwargs):  # type: ignore[no-untyped-def]
    """Stands for a callable that does not tell its signature."""


def _qualified_name(function: Any) -> str:
    while isinstance(function, functools.partial):
        function = function.func
    name = getattr(function, "__qualname__", None)
    return name if isinstance(name, str) else type(function).__qualname__


def _parameter(parameter: inspect.Parameter, names: Callable[[], Names]) -> Parameter:
    if parameter.annotation is not parameter.empty:
        try:
            hint = _resolved(parameter.annotation, names)
            if parameter.kind is parameter.VAR_POSITIONAL:
                hint = _of_each(hint)
            kinds = _batch_kinds(members(hint))
            return Parameter(parameter.name, Role.BATCH if kinds else Role.ELEMENT, hint, kinds)
        except UnresolvedError:
            pass
    return Parameter(parameter.name, Role.ELEMENT, parameter.empty, ())


def _resolved(annotation: Any, names: Callable[[], Names]) -> Any:
    return annotation if type(annotation) is type else resolve(annotation, names)


def _of_each(hint: Any) -> Any:
    """Returns the hint of one argument, where ``*args`` is hinted with an unpacked tuple."""
    if typing.get_origin(hint) is typing.Unpack:
        (hint,) = typing.get_args(hint)
    elif not getattr(hint, "__unpacked__", False):
        return hint
    arguments = tuple(argument for argument in typing.get_args(hint) if argument is not ...)
    try:
        return Union[arguments] if arguments else Any  # noqa: UP007
    except TypeError as error:  # tuples are unpacked in it
        raise UnresolvedError(hint) from error


def _batch_kinds(alternatives: tuple[Member, ...]) -> tuple[Kind, ...]:
    """Returns the kinds that a batch may be; none if the parameter takes elements."""
    kinds = []
    for member in alternatives:
        if member.marker is Each:
            return ()
        if member.origin is None:
            continue
        kind = kind_of_type(member.origin)
        if member.marker is Batch:
            kind = kind or ANY
        elif kind is None or member.is_fixed_tuple:
            return ()
        kinds.append(kind)
    return tuple(kinds)


def _returned(annotation: Any, names: Callable[[], Names]) -> Kind | None:
    if annotation is inspect.Signature.empty or annotation is None:
        return None
    try:
        return _joined_kind(members(_resolved(annotation, names)))
    except UnresolvedError:
        return None


def _joined_kind(alternatives: tuple[Member, ...]) -> Kind | None:
    kinds = set()
    for member in alternatives:
        if (member.origin is abc.Awaitable or member.origin is abc.Coroutine) and member.arguments:
            kind = _joined_kind(members(member.arguments[-1]))
        elif member.marker is Each or (member.is_fixed_tuple and member.marker is None):
            kind = None
        else:
            kind = kind_of_return(member.origin) or (ANY if member.marker is Batch and member.origin else None)
        if kind is None:
            return None
        kinds.add(kind)
    return kinds.pop() if len(kinds) == 1 else ANY if kinds else None


def distributed_signature(plain: inspect.Signature) -> inspect.Signature:
    """Returns the signature of a distributed call: positional parameters take iterables, the result is a list."""
    positional = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)
    parameters = [
        one.replace(annotation=types.GenericAlias(Iterable, (one.annotation,)))
        if one.kind in (*positional, inspect.Parameter.VAR_POSITIONAL) and one.annotation is not one.empty
        else one
        for one in plain.parameters.values()
    ]
    returns = plain.return_annotation
    result = list if returns is inspect.Signature.empty else types.GenericAlias(list, (returns,))
    return plain.replace(parameters=parameters, return_annotation=result)
