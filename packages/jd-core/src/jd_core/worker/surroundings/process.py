"""What Python code can set and see of its process: environment, arguments, warning filters, limits, time zone, settings."""

from __future__ import annotations

import contextlib
import os
import sys
import time
import warnings
from collections.abc import Collection, Iterator, Mapping
from typing import Any, NamedTuple

from .. import environment  # noqa: TID252 - it has another name where it is sent to
from ..pickling import known  # noqa: TID252 - it has another name where it is sent to
from . import settings


class Surroundings(NamedTuple):
    """The state of a process that Python code can set and see.

    Attributes:
        environment: the variables, encoded as the system has them; None: they are left alone.
        arguments: ``sys.argv``.
        filters: of warnings: action, pattern of the message, category by module and name, pattern of the module, line.
        recursion_limit: see `sys.setrecursionlimit`.
        digits_limit: see `sys.set_int_max_str_digits`.
        settings: those of libraries.
    """

    environment: Mapping[Any, Any] | None
    arguments: list[str]
    filters: list[tuple[Any, ...]]
    recursion_limit: int
    digits_limit: int
    settings: settings.Settings


#: What was found, and recorded, the last time; and what was put in place, and found then. A short run (row ten-calls) has
#: time for one comparison, not for more.
_recorded: tuple[Any, Any] = None, None
_adopted: tuple[Any, Any] = None, None


def record() -> Surroundings:
    """Returns the surroundings of the code that asks."""
    global _recorded
    contexts = settings.of_context()
    if _recorded[0] is None or _recorded[0][1] != contexts or _have_changed(_recorded[0][0]):
        _recorded = (_found(), contexts), _record()
    recorded: Surroundings = _recorded[1]
    return recorded


def _found() -> tuple[Any, ...]:
    """Returns all that a call can change for the next one."""
    limits = sys.getrecursionlimit(), sys.get_int_max_str_digits()
    return dict(environment.variables()), [*_arguments()], warnings.filters[:], *limits, settings.of_process()


def _have_changed(found: tuple[Any, ...]) -> bool:
    """Returns whether `_found` would return something else, without copying it, which takes much longer."""
    variables, arguments, filters, recursion_limit, digits_limit, others = found
    return bool(
        variables != environment.variables()
        or arguments != _arguments()
        or filters != warnings.filters
        or recursion_limit != sys.getrecursionlimit()
        or digits_limit != sys.get_int_max_str_digits()
        or others != settings.of_process()
    )


def _arguments() -> list[str]:
    return getattr(sys, "argv", [])  # of a program that embeds Python there are none


def _record() -> Surroundings:
    filters: list[Any] = list(warnings.filters)
    return Surroundings(
        environment=dict(environment.variables()),
        arguments=[*_arguments()],
        filters=[
            (action, message, category.__module__, category.__qualname__, module, line)
            for action, message, category, module, line in filters
        ],
        recursion_limit=sys.getrecursionlimit(),
        digits_limit=sys.get_int_max_str_digits(),
        settings=settings.record(),
    )


def adopt(wanted: Surroundings, keep: Collection[str] = ()) -> None:
    """Puts surroundings in place; what cannot be is left out.

    Args:
        wanted: those of the caller.
        keep: environment variables that this process may have of its own.
    """
    global _adopted
    if _adopted[0] is wanted and not _have_changed(_adopted[1]):
        return
    if wanted.environment is not None:
        _set_variables(wanted.environment, keep)
    if hasattr(time, "tzset"):
        time.tzset()  # TZ may be another one
    sys.argv[:] = wanted.arguments
    are_complete = _set_filters(wanted.filters)
    if sys.getrecursionlimit() != wanted.recursion_limit:
        with contextlib.suppress(RecursionError):  # this thread is deeper already
            sys.setrecursionlimit(wanted.recursion_limit)
    if sys.get_int_max_str_digits() != wanted.digits_limit:
        sys.set_int_max_str_digits(wanted.digits_limit)
    settings.adopt(wanted.settings)
    _adopted = (wanted, _found()) if are_complete else (None, None)


def changed_variables() -> dict[str, str | None]:
    """Returns the variables that this process has changed since it started, None for those that it has deleted.

    Without those by which Ray and CUDA tell processes apart: each has its own.
    """
    names = os.environ.keys() | _INITIAL.keys()
    now = {name: os.environ.get(name) for name in names if not name.startswith(("RAY_", "CUDA_"))}
    return {name: value for name, value in now.items() if value != _INITIAL.get(name)}


def _initial() -> dict[str, str]:
    try:
        with open("/proc/self/environ", "rb") as file:
            pairs = [variable.partition(b"=") for variable in file.read().split(b"\0")]
        return {os.fsdecode(name): os.fsdecode(value) for name, equals, value in pairs if equals}
    except OSError:  # another system
        return dict(os.environ)


_INITIAL = _initial()


@contextlib.contextmanager
def in_place(wanted: Surroundings, variables: Mapping[str, str | None]) -> Iterator[None]:
    """Puts surroundings in place within the ``with`` block, in a process that others use, too.

    Args:
        wanted: those of the caller, but for the environment.
        variables: what the caller has changed in its environment, as `changed_variables` returns it.
    """
    settings.load(wanted.settings)
    before = record()
    values = {name: os.environ.get(name) for name in variables}
    try:
        _change_variables(variables)
        adopt(wanted._replace(environment=None))
        yield
    finally:
        _change_variables(values)
        adopt(before._replace(environment=None))


def _change_variables(changes: Mapping[str, str | None]) -> None:
    for name, value in changes.items():
        if value is None:
            os.environ.pop(name, None)
        else:
            os.environ[name] = value


def _set_variables(wanted: Mapping[Any, Any], keep: Collection[str]) -> None:
    decoded = {os.fsdecode(name): os.fsdecode(value) for name, value in wanted.items()}
    for name in os.environ.keys() - decoded.keys() - set(keep):
        del os.environ[name]
    for name, value in decoded.items():
        if os.environ.get(name) != value:
            os.environ[name] = value


def _set_filters(wanted: list[tuple[Any, ...]]) -> bool:
    """Sets filters, and returns whether the classes of all of them are known here: some may come with the function."""
    filters: list[Any] = []
    for action, message, place, name, module, line in wanted:
        category = known.find(place, name) or known.received_class(place, name)
        if category is not None:
            filters.append((action, message, category, module, line))
    if list(warnings.filters) != filters:
        warnings.filters[:] = filters  # type: ignore[index]  # a list, as its documentation says
        with warnings.catch_warnings():
            pass  # so that the module sees that they are others
    return len(filters) == len(wanted)
