"""What a function's signature and type hints say: what may be passed, what one call gets of it, how results are joined.

`inspect_function` makes a frozen `Signature` of a function, at decoration. Strings and aliases are resolved in
`jd_core._hints.resolve`; which types are collections is in `jd_core._collections.table`.
"""

from __future__ import annotations

import functools
import inspect
import sys
import types
import typing
from collections import abc
from collections.abc import Callable, Iterable, Mapping
from typing import Any, NamedTuple, Union

from jd_core._collections.table import ANY, Kind, kind_of_return, kind_of_type
from jd_core._hints.generators import generators
from jd_core._hints.members import Batch, Each, Member, members
from jd_core._hints.parameter import Parameter, Role
from jd_core._hints.resolve import Names, UnresolvedError, names_of, resolve
from jd_core.errors import SignatureError

#: Parameters that a positional argument may be for.
POSITIONAL = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)


class Signature(NamedTuple):
    """All that the core knows about a function.

    Attributes:
        name: the qualified name, for messages.
        parameters: of ``accepted``, in order. The role of ``*args: T`` is that of ``T``.
        returns: how results of batches are joined; None: they are not, as the return hint is no collection.
        signature: of the plain function, with ``self`` or ``cls`` bound.
        accepted: what a call may pass. Differs from ``signature`` for a wrapper (`functools.wraps`) that takes other
            arguments than the function whose signature it shows.
        positional: those of ``parameters`` that a positional argument may be for, but ``*args``.
        generators: the parameters for which each call gets a random generator of its own if nothing is passed, with its kind
            as in `jd_core.worker.wrappers.seeded`.
        is_provisional: whether a hint could not be resolved, but may be at the first call: it may name a class that is
            defined after the function.
    """

    name: str
    parameters: tuple[Parameter, ...]
    returns: Kind | None
    signature: inspect.Signature
    accepted: inspect.Signature
    positional: tuple[Parameter, ...]
    generators: Mapping[str, str]
    is_provisional: bool = False


def inspect_function(function: Callable[..., Any], *, final: bool = False) -> Signature:
    """Finds out what each parameter of a function is, and how its results are joined.

    A parameter is an element where there is no hint, or one that cannot be resolved, such as a name that only exists
    under ``TYPE_CHECKING``. A callable that does not tell its signature takes elements.

    Args:
        function: a function, method, class, ``functools.partial``, builtin or an object with ``__call__``.
        final: whether hints that cannot be resolved now are given up.

    Raises:
        SignatureError: it is not callable.
    """
    if not callable(function):
        raise SignatureError(
            f"distribute: {function!r} is a {type(function).__name__}, which cannot be called; decorate a function"
        )
    signature = _plain_signature(function)
    accepted = _accepted(signature, _plain_signature(function, follow_wrapped=False)) if _is_wrapper(function) else signature
    names = functools.cache(lambda: names_of(function))
    parameters = tuple(_parameter(parameter, names) for parameter in accepted.parameters.values())
    try:
        returns, unresolved = _returned(signature.return_annotation, names), False
    except UnresolvedError:
        returns, unresolved = None, True
    pairs = zip(parameters, accepted.parameters.values(), strict=True)
    positional = tuple(parameter for parameter, declared in pairs if declared.kind in POSITIONAL)
    provisional = not final and (unresolved or any(parameter.unresolved for parameter in parameters))
    seeded = generators(accepted.parameters.values(), parameters)
    name = _qualified_name(function)
    return Signature(name, parameters, returns, signature, accepted, positional, seeded, provisional)


def _plain_signature(function: Callable[..., Any], *, follow_wrapped: bool = True) -> inspect.Signature:
    inspected = functools.partial(inspect.signature, function, follow_wrapped=follow_wrapped)
    try:
        if sys.version_info >= (3, 14):
            import annotationlib

            try:
                return inspected(annotation_format=annotationlib.Format.FORWARDREF)
            except Exception:
                # One annotation that fails would take the others with it; as strings they are evaluated one at a time.
                return inspected(annotation_format=annotationlib.Format.STRING)
        return inspected()
    except (TypeError, ValueError):
        return inspect.signature(_anything)


def _is_wrapper(function: Any) -> bool:
    """Whether a Python function is shown with the signature of another one, which it wraps."""
    while isinstance(function, functools.partial):
        function = function.func
    return isinstance(function, (types.FunctionType, types.MethodType)) and hasattr(function, "__wrapped__")


def _accepted(shown: inspect.Signature, own: inspect.Signature) -> inspect.Signature:
    """Returns what may be passed to a wrapper: what it takes itself, and by its ``*args`` and ``**kwargs`` what is shown.

    The latter is never required, for the wrapper may supply it.

    Args:
        shown: the signature of what it wraps.
        own: that of the wrapper.
    """
    own_ones = list(own.parameters.values())
    args = [one for one in own_ones if one.kind is inspect.Parameter.VAR_POSITIONAL]
    kwargs = [one for one in own_ones if one.kind is inspect.Parameter.VAR_KEYWORD]
    positional = [one for one in own_ones if one.kind in POSITIONAL]
    keywords = [one for one in own_ones if one.kind is inspect.Parameter.KEYWORD_ONLY]
    for one in shown.parameters.values():
        if one.name in own.parameters:
            continue
        optional = one.replace(default=... if one.default is one.empty else one.default)
        if one.kind in POSITIONAL and args:
            positional.append(optional)
        elif kwargs and one.kind in (inspect.Parameter.POSITIONAL_OR_KEYWORD, inspect.Parameter.KEYWORD_ONLY):
            keywords.append(optional.replace(kind=inspect.Parameter.KEYWORD_ONLY))
    try:
        return own.replace(parameters=[*positional, *args, *keywords, *kwargs])
    except ValueError:  # a name or an order that does not work out
        return own


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
        except UnresolvedError as error:
            written = parameter.annotation
            shown = written if isinstance(written, str) else inspect.formatannotation(written)
            unresolved = f"{shown}: {error.__cause__ or error}"
            return Parameter(parameter.name, Role.ELEMENT, parameter.empty, (), unresolved)
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
    return _joined_kind(members(_resolved(annotation, names)))


def _joined_kind(alternatives: tuple[Member, ...]) -> Kind | None:
    """Returns the kind that results are joined as; None if one of them may be no collection, None itself aside."""
    kinds = set()
    for member in alternatives:
        if member.origin is None:  # a call that returns it makes the join an error
            continue
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
    parameters = [
        one.replace(annotation=types.GenericAlias(Iterable, (one.annotation,)))
        if one.kind in (*POSITIONAL, inspect.Parameter.VAR_POSITIONAL) and one.annotation is not one.empty
        else one
        for one in plain.parameters.values()
    ]
    returns = plain.return_annotation
    result = list if returns is inspect.Signature.empty else types.GenericAlias(list, (returns,))
    return plain.replace(parameters=parameters, return_annotation=result)
