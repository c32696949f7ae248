"""Results that are combined where they are made: one value is sent for neighbours, instead of one for each.

::

    calls     0   1   2   3   4   5   6
    results   a   b   c   -   e   f   g        call 3 has failed
    sent      abc ·   ·   -   efg ·   ·

Each call keeps its place, so that what counts results, looks for failures, or cuts chunks need not know of it.

Needs only the standard library: it is sent by value where `jd_core.worker` is.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

from ..calls import traceback_text  # noqa: TID252 - it has another name where it is sent to

Combine = Callable[[Any, Any], Any]


class Absorbed:
    """Stands at the place of a result that is part of the one before it."""


class NotCombined(NamedTuple):
    """Stands for results that could not be combined.

    Attributes:
        exception: what the user's function raised.
        traceback: the same as text.
    """

    exception: Exception
    traceback: str


class Folding(functools.partial[Any]):
    """A function whose results are combined. A backend that does not know this class makes its calls, and sends each result.

    Attributes:
        combine: the associative function of two results.
    """

    combine: Combine


def folding(function: Callable[..., Any], combine: Combine) -> Folding:
    """Returns a function whose results are to be combined."""
    made = Folding(function)
    made.combine = combine
    return made


def combine(
    function: Callable[..., Any], values: list[Any], failures: Sequence[tuple[int, BaseException]], first: int = 0
) -> None:
    """Combines neighbouring results in place, as they are then sent; leaves them alone if the function is no `Folding`.

    Args:
        function: what was called.
        values: the results of consecutive calls.
        failures: the failed calls among those from ``first`` on, in order, each with its position first.
        first: where to begin.
    """
    if not isinstance(function, Folding):
        return
    for end in (*(position for position, _ in failures), len(values)):
        if end - first > 1:
            values[first:end] = [_combined(function.combine, values[first:end]), *[Absorbed] * (end - first - 1)]
        first = end + 1


def _combined(combine: Combine, values: list[Any]) -> Any:
    try:
        return reduced(combine, values)
    except Exception as error:
        text = traceback_text(error)
        return NotCombined(error.with_traceback(None), text)


def reduced(combine: Combine, values: list[Any]) -> Any:
    """Returns neighbouring values combined.

    A function that changes its first argument and returns it combines one after the other. Any other makes a new value each
    time, which grows: so pairs are combined, then pairs of these, and so on, as what grows would be copied for each value.
    """
    one_by_one = False
    while len(values) > 1 and not one_by_one:
        first = combine(values[0], values[1])
        one_by_one = first is values[0]
        rest = values[2:] if one_by_one else [*map(combine, values[2::2], values[3::2]), *values[len(values) & ~1 :]]
        values = [first, *rest]
    return functools.reduce(combine, values)
