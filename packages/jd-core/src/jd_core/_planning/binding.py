"""Sorts the arguments of a call into distributed ones and constants, and refuses what cannot be meant.

Nothing has started when this raises, and nothing was read from any argument.
"""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from typing import Any, NamedTuple

from jd_core._hints.parameter import Parameter
from jd_core._hints.signature import POSITIONAL, Signature
from jd_core._planning import arguments
from jd_core.backend import closest
from jd_core.errors import SignatureError
from jd_core.worker.resources import is_per_worker


class Argument(NamedTuple):
    """A positional argument: what was passed, and the parameter that gets its elements or batches.

    Attributes:
        parameter: the parameter; for the surplus arguments of ``*args`` each has its own with a name like ``args[0]``.
        value: the iterable as passed.
    """

    parameter: Parameter
    value: Any

    def __repr__(self) -> str:
        return f"Argument(parameter={self.parameter!r})"


class Constants(dict[str, Any]):
    """The constants of a call: a dict that is shown without its values, which may be secrets, in tracebacks with locals."""

    def __repr__(self) -> str:
        return f"Constants({', '.join(self)})"


class BoundCall(NamedTuple):
    """The arguments of one distributed call, sorted.

    Attributes:
        name: the function's qualified name, for messages.
        distributed: the positional arguments, at least one, in order.
        constants: the keyword arguments. Never shown: they may hold secrets.
        generators: the random generators that each call gets of its own, see `jd_core.worker.wrappers.seeded.Seeded`.
    """

    name: str
    distributed: tuple[Argument, ...]
    constants: Constants
    generators: tuple[tuple[str | None, str], ...] = ()

    def __repr__(self) -> str:
        return f"BoundCall(name={self.name!r}, distributed={self.distributed!r})"


def bind(signature: Signature, args: tuple[Any, ...], kwargs: Constants, *, on_loop: bool = False) -> BoundCall:
    """Sorts the arguments of a call.

    Warns of a constant collection for a parameter whose hint is no collection.

    Args:
        signature: the function's.
        args: positional arguments: iterables, each distributed.
        kwargs: keyword arguments: constants.
        on_loop: whether the caller is on an event loop, where async iterables can be read.

    Raises:
        SignatureError: arguments are missing, surplus, unknown, given twice, or not iterable; or a single value (a
            string, bytes, a mapping, a frame for an element parameter) stands where an iterable with one item per call is
            expected.
    """
    declared = list(signature.accepted.parameters.values())
    if not args:
        raise SignatureError(_nothing_to_distribute(signature.name, declared, kwargs))
    parameters = _parameters(signature, declared, args)
    if kwargs:
        _check_keywords(signature, declared, {parameter.name for parameter in parameters}, kwargs)
    _check_missing(signature, declared, args, kwargs)
    for one in declared[len(args) :]:  # a default that each worker makes is a constant like one that is passed
        if is_per_worker(one.default) and one.kind is not inspect.Parameter.POSITIONAL_ONLY:
            kwargs.setdefault(one.name, one.default)
    arguments.check_distributed(signature.name, zip(parameters, args, strict=True), on_loop=on_loop)
    if kwargs:
        arguments.check_constants(signature.name, signature.parameters, kwargs)
    generators = _generators(signature, declared[len(args) :], kwargs) if signature.generators else ()
    return BoundCall(signature.name, tuple(map(Argument, parameters, args)), kwargs, generators)


def _generators(
    signature: Signature, left: list[inspect.Parameter], kwargs: Mapping[str, Any]
) -> tuple[tuple[str | None, str], ...]:
    """Returns the generators that nothing is passed for.

    Args:
        signature: the function's.
        left: the parameters after those that are distributed.
        kwargs: the constants.
    """
    found: list[tuple[str | None, str]] = []
    for number, one in enumerate(left):
        kind = signature.generators.get(one.name)
        if kind is None or one.name in _by_keyword(one, kwargs):
            continue
        if one.kind is not inspect.Parameter.POSITIONAL_ONLY:
            found.append((one.name, kind))
        elif len(found) == number:  # it follows what is passed by position
            found.append((None, kind))
    return tuple(found)


def _nothing_to_distribute(name: str, declared: list[inspect.Parameter], kwargs: Mapping[str, Any]) -> str:
    constants = f" ({', '.join(kwargs)} by keyword: constant)" if kwargs else ""
    empty = ["[]" for one in declared if one.kind in POSITIONAL and _is_required(one) and one.name not in kwargs]
    return (
        f"{name}() got no positional argument{constants}, so there is nothing to distribute: pass iterables by position, or "
        f"call {name}.local(...) for one plain call; {name}(*zip(*rows)) passes nothing if rows is empty, where "
        f"{name}({', '.join(empty) or '[]'}) is meant"
    )


def _parameters(signature: Signature, declared: list[inspect.Parameter], args: tuple[Any, ...]) -> list[Parameter]:
    """Returns the parameter of each positional argument."""
    found = list(signature.positional[: len(args)])
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
    rest = next(one for one in signature.parameters if one.name == variadic.name)
    return found + [rest._replace(name=f"{rest.name}[{k}]") for k in range(surplus)]


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


def _check_missing(
    signature: Signature, declared: list[inspect.Parameter], args: tuple[Any, ...], kwargs: Mapping[str, Any]
) -> None:
    missing = [one for one in declared[len(args) :] if _is_required(one) and one.name not in _by_keyword(one, kwargs)]
    if signature.generators:
        missing = [one for one in missing if one.name not in signature.generators]
    if not missing:
        return
    name, kind = missing[0].name, missing[0].kind
    ways = []
    if kind is not inspect.Parameter.KEYWORD_ONLY:
        ways.append("an iterable for it")
    if kind is not inspect.Parameter.POSITIONAL_ONLY:
        ways.append(f"{name}=... to hold it constant")
    of_a_row = [one.name for one in declared if one.kind in POSITIONAL and (one is declared[0] or one in missing)]
    rows = arguments.remedy_for_rows(signature.name, args[0], of_a_row) if len(args) == 1 else ""
    taken = [one.name for one in declared[: len(args)] if one.name in signature.generators]
    moved = f"; {taken[0]} gets a generator for each call if it stands behind what is passed by position" if taken else ""
    raise SignatureError(f"{signature.name}() is missing the argument {name}: pass {', or '.join(ways)}{rows}{moved}")


def _is_required(parameter: inspect.Parameter) -> bool:
    variadic = (inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD)
    return parameter.default is inspect.Parameter.empty and parameter.kind not in variadic


def _by_keyword(parameter: inspect.Parameter, kwargs: Mapping[str, Any]) -> Mapping[str, Any]:
    return {} if parameter.kind is inspect.Parameter.POSITIONAL_ONLY else kwargs
