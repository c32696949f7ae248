"""Sorts the arguments of a call into distributed ones and constants, and refuses what cannot be meant.

Nothing has started when this raises, and nothing was read from any argument.
"""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from jd_core._collections import table
from jd_core._hints.signature import Parameter, Signature
from jd_core.backend import closest
from jd_core.errors import SignatureError

_POSITIONAL = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)


@dataclass(frozen=True, slots=True)
class Argument:
    """A positional argument: what was passed, and the parameter that gets its elements or batches.

    Attributes:
        parameter: the parameter; for the surplus arguments of ``*args`` each has its own with a name like ``args[0]``.
        value: the iterable as passed.
    """

    parameter: Parameter
    value: Any = field(repr=False)


class Constants(dict[str, Any]):
    """The constants of a call: a dict that is shown without its values, which may be secrets, in tracebacks with locals."""

    def __repr__(self) -> str:
        return f"Constants({', '.join(self)})"


@dataclass(frozen=True, slots=True)
class BoundCall:
    """The arguments of one distributed call, sorted.

    Attributes:
        name: the function's qualified name, for messages.
        distributed: the positional arguments, at least one, in order.
        constants: the keyword arguments. Never shown: they may hold secrets.
    """

    name: str
    distributed: tuple[Argument, ...]
    constants: Constants = field(repr=False)


def bind(signature: Signature, args: tuple[Any, ...], kwargs: Mapping[str, Any], *, on_loop: bool = False) -> BoundCall:
    """Sorts the arguments of a call.

    Args:
        signature: the function's.
        args: positional arguments: iterables, each distributed.
        kwargs: keyword arguments: constants.
        on_loop: whether the caller is on an event loop, where async iterables can be read.

    Raises:
        SignatureError: arguments are missing, surplus, unknown, given twice, or not iterable; or a single value (a
            string, bytes, a mapping, a frame for an element parameter) stands where a collection of calls is meant.
    """
    if not args:
        constants = f" ({', '.join(kwargs)} by keyword: constant)" if kwargs else ""
        raise SignatureError(
            f"{signature.name}() got no positional argument{constants}, so there is nothing to distribute: pass the "
            f"collections positionally, or call {signature.name}.local(...) for one plain call"
        )
    declared = list(signature.signature.parameters.values())
    parameters = _parameters(signature, declared, args)
    _check_keywords(signature, declared, {parameter.name for parameter in parameters}, kwargs)
    _check_missing(signature, declared[len(args) :], kwargs)
    for parameter, value in zip(parameters, args, strict=True):
        if not (on_loop and is_asynchronous(value)):
            _check_iterable(signature.name, parameter.name, value)
    distributed = tuple(Argument(parameter, value) for parameter, value in zip(parameters, args, strict=True))
    return BoundCall(signature.name, distributed, Constants(kwargs))


def is_asynchronous(value: Any) -> bool:
    """Whether a positional argument is read by ``async for``, where the caller is on an event loop."""
    return hasattr(type(value), "__aiter__")


def _parameters(signature: Signature, declared: list[inspect.Parameter], args: tuple[Any, ...]) -> list[Parameter]:
    """Returns the parameter of each positional argument."""
    by_name = {parameter.name: parameter for parameter in signature.parameters}
    found = [by_name[one.name] for one in declared if one.kind in _POSITIONAL][: len(args)]
    surplus = len(args) - len(found)
    if not surplus:
        return found
    variadic = next((one for one in declared if one.kind is inspect.Parameter.VAR_POSITIONAL), None)
    if variadic is None:
        names = ", ".join(parameter.name for parameter in found) or "none"
        raise SignatureError(
            f"{signature.name}() takes {len(found)} positional argument{'s' * (len(found) != 1)} ({names}) "
            f"but {len(args)} were given"
        )
    rest = by_name[variadic.name]
    return found + [Parameter(f"{rest.name}[{k}]", rest.role, rest.hint, rest.kinds) for k in range(surplus)]


def _check_keywords(
    signature: Signature, declared: list[inspect.Parameter], distributed: set[str], kwargs: Mapping[str, Any]
) -> None:
    allowed = [
        one.name for one in declared if one.kind in (inspect.Parameter.POSITIONAL_OR_KEYWORD, inspect.Parameter.KEYWORD_ONLY)
    ]
    open_ended = any(one.kind is inspect.Parameter.VAR_KEYWORD for one in declared)
    positional_only = {one.name for one in declared if one.kind is inspect.Parameter.POSITIONAL_ONLY}
    for name in kwargs:
        if name in allowed and name in distributed:
            raise SignatureError(f"{signature.name}() got {name} twice: distributed by position and constant by keyword")
        if name in allowed or open_ended:
            continue
        if name in positional_only:
            raise SignatureError(f"{signature.name}() takes {name} by position only, so it cannot be a constant")
        free = [other for other in allowed if other not in distributed]
        raise SignatureError(
            f"{signature.name}() has no parameter {name!r}{closest(name, free) or '.'} "
            f"Options of the distribution go to {signature.name}.options(...), not to the call"
        )


def _check_missing(signature: Signature, rest: list[inspect.Parameter], kwargs: Mapping[str, Any]) -> None:
    for one in rest:
        required = one.default is inspect.Parameter.empty and one.kind not in (
            inspect.Parameter.VAR_POSITIONAL,
            inspect.Parameter.VAR_KEYWORD,
        )
        if not required or (one.name in kwargs and one.kind is not inspect.Parameter.POSITIONAL_ONLY):
            continue
        constant = f"pass {one.name}=... to hold it constant"
        if one.kind is inspect.Parameter.POSITIONAL_ONLY:
            remedy = "pass a collection for it"
        elif one.kind is inspect.Parameter.KEYWORD_ONLY:
            remedy = constant
        else:
            remedy = f"pass a collection for it, or {constant}"
        raise SignatureError(f"{signature.name}() misses the argument {one.name}: {remedy}")


def _check_iterable(name: str, parameter: str, value: Any) -> None:
    constant = f"pass {parameter}=... to hold it constant" if parameter.isidentifier() else "wrap it in a list"
    if table.is_value(value):
        raise SignatureError(
            f"{name}() got one {type(value).__name__} for {parameter}, and positional arguments are collections of calls: "
            f"{constant}, or pass a list to distribute it"
        )
    try:
        iter(value)
    except TypeError:
        if is_asynchronous(value):
            raise SignatureError(
                f"{name}() got an async iterable ({type(value).__name__}) for {parameter}, which only {name}.aio(...) and "
                f"{name}.astream(...) can read: await one of these, or pass a list, [x async for x in ...]"
            ) from None
        shown = f"{parameter}={value!r}" if isinstance(value, (int, float, complex, type(None))) else parameter
        example = f"pass {shown} to hold it constant" if parameter.isidentifier() and "=" in shown else constant
        raise SignatureError(
            f"{name}() got {_short(value)} for {parameter}, which is not iterable: {example}, "
            f"or pass a collection to distribute it"
        ) from None


def _short(value: Any) -> str:
    """Names a value in a message; only numbers are shown, anything else may be a secret or long."""
    if isinstance(value, (int, float, complex, type(None))):
        return repr(value)
    return f"an object of type {type(value).__name__}"
