"""Results that are combined two by two, in order, as they come: `Fold`, a value of the option ``aggregate``."""

from __future__ import annotations

import contextlib
import copy
import functools
import operator
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, Generic, NamedTuple, TypeVar

from jd_core._collections.table import Kind
from jd_core.errors import BatchingError, RemoteTraceback
from jd_core.worker import is_async
from jd_core.worker.wrappers.folding import Absorbed, NotCombined

T = TypeVar("T")

_NOTHING: Any = object()


class Fold(Generic[T]):
    """Combines the results of all calls to one value: ``@distribute(aggregate=Fold(operator.add))``.

    The value is that of ``functools.reduce(function, results)``, or ``functools.reduce(function, results, initial)``.
    Workers combine the results of neighbouring calls before they send them, and the caller combines the rest, always in the
    order of the calls: lists are concatenated as in a plain loop. Which come first depends on chunks and timing.
    So ``function`` must be associative, ``function(function(a, b), c) == function(a, function(b, c))``; `check` helps to
    test that. Sums of floats are associative only up to rounding.

    ``function`` may change its first argument and return it: each result is combined once.

    With ``return_exceptions=True`` the distributed call returns a pair: the combined results of the calls that succeeded,
    and a dict of exceptions by the index of the call. ``partial`` on an exception holds what was combined so far, each
    value by the `range` of indexes that it covers. ``stream``, ``as_completed`` and ``astream`` yield single results, as
    with every other ``aggregate``.

    Args:
        function: makes one value of two neighbouring ones, of which the first is the earlier.
        initial: stands before the first result, and is what no calls lead to. Each run gets a deep copy.
    """

    # Any: mypy takes an empty collection, such as Counter(), for one of Never, and not for what the function says.
    def __init__(self, function: Callable[[T, T], T], *, initial: Any = _NOTHING) -> None:
        if not callable(function):
            raise TypeError(f"Fold: {type(function).__name__} object is not callable; pass a function of two results")
        if is_async(function):
            raise TypeError("Fold: an async function combines nothing; pass a plain function of two results")
        self.function = function
        self._initial = initial

    def __call__(self, results: Iterable[T]) -> T:
        """Combines results one after the other, as `functools.reduce` does.

        Raises:
            BatchingError: there are none, and no ``initial``.
        """
        before = [] if self._initial is _NOTHING else [copy.deepcopy(self._initial)]
        values: list[T] = [*before, *results]
        if not values:
            raise BatchingError(f"{self!r} has no results to combine: pass what it is then, Fold(..., initial=...)")
        return functools.reduce(self.function, values)

    def check(self, values: Iterable[T], *, equal: Callable[[T, T], Any] = operator.eq) -> T:
        """Tests whether ``function`` is associative, on examples of results; for a test of one's own.

        Args:
            values: at least three results. They are copied before they are combined.
            equal: whether two values are the same, such as `math.isclose` or ``numpy.allclose``. If it returns an array or a
                frame, all of that has to be true.

        Returns:
            The values combined.

        Raises:
            ValueError: it is not associative, or there are fewer than three values.
        """
        examples = list(values)
        if len(examples) < 3:
            raise ValueError(f"{self!r}.check: {len(examples)} values show nothing; pass at least three")
        for index in range(len(examples) - 2):
            a, b, c = copy.deepcopy(examples[index : index + 3])
            left = self.function(self.function(a, b), c)
            a, b, c = copy.deepcopy(examples[index : index + 3])
            if not _is_true(equal(left, self.function(a, self.function(b, c)))):
                raise ValueError(
                    f"{self!r} is not associative: of values {index} to {index + 2}, f(f(a, b), c) is not f(a, f(b, c))"
                )
        whole = functools.reduce(self.function, copy.deepcopy(examples))
        if not _is_true(equal(whole, _halved(self.function, copy.deepcopy(examples)))):
            raise ValueError(f"{self!r} is not associative: all values combined one by one and by halves differ")
        return self(copy.deepcopy(examples))

    def __repr__(self) -> str:
        return f"Fold({getattr(self.function, '__qualname__', type(self.function).__qualname__)})"


def _halved(function: Callable[[T, T], T], values: list[T]) -> T:
    middle = len(values) // 2
    return function(_halved(function, values[:middle]), _halved(function, values[middle:])) if middle else values[0]


def _is_true(answer: Any) -> bool:
    return answer if isinstance(answer, bool) else bool(answer.all(axis=None) if hasattr(answer, "all") else answer)


class Failed(NamedTuple):
    """Stands at the place of a call that has failed."""

    exception: Exception


class _Part:
    """The combined results of the calls from ``start`` up to ``end``, those between them that failed left out."""

    def __init__(self, start: int, end: int, value: Any) -> None:
        self.start, self.end, self.value = start, end, value

    @property
    def calls(self) -> int:
        return self.end - self.start


class Total:
    """The results of a run, combined in order as they come.

    The last part is combined with the one before it once it covers as many calls; at once if the function changes its first
    argument. So there are few parts, and what grows, such as a list, is not copied once for each chunk.

    Attributes:
        failed: the exceptions of calls by their index.
    """

    def __init__(self, fold: Fold[Any]) -> None:
        self.failed: dict[int, Exception] = {}
        self._fold = fold
        self._parts: list[_Part] = []
        self._next = 0
        self._in_place = False

    def extend(self, values: Sequence[Any]) -> None:
        """Combines the results of the next calls with those before.

        Raises:
            Exception: whatever combining them raises, here or in the worker.
        """
        parts, self._next = self._parts, self._next + len(values)
        for part in _split(self._next - len(values), values, self.failed):
            if isinstance(part.value, NotCombined):
                raise _as_raised(part.value, f"combining the results of calls {part.start} to {part.end - 1} failed")
            parts.append(part)
            while len(parts) > 1 and (self._in_place or parts[-2].calls <= parts[-1].calls):
                self._combine_last()

    def value(self) -> Any:
        """Returns the results combined, with the initial value.

        Raises:
            BatchingError: there are none, and no initial value.
            Exception: whatever combining them raises.
        """
        while len(self._parts) > 1:
            self._combine_last()
        try:
            return self._fold(part.value for part in self._parts)
        except BatchingError as error:
            raise error from next(iter(self.failed.values()), None)

    def partial(self, held: Mapping[int, Sequence[Any]]) -> dict[Any, Any]:
        """Returns what was combined by the range of calls that it covers, and exceptions by the index of their call.

        Args:
            held: results that wait for earlier ones, by the index of the first call.
        """
        failed = dict(self.failed)
        parts = [*self._parts, *(part for start, values in sorted(held.items()) for part in _split(start, values, failed))]
        found = {range(part.start, part.end): part.value for part in parts if not isinstance(part.value, NotCombined)}
        return {**found, **failed}

    def _combine_last(self) -> None:
        left, right = self._parts[-2:]
        try:
            value = self._fold.function(left.value, right.value)
        except Exception as error:
            with contextlib.suppress(Exception):  # raised by a class of the user's that takes no attributes
                error.add_note(
                    f"distribute: combining the results of calls {left.start} to {left.end - 1} with those of "
                    f"{right.start} to {right.end - 1} failed"
                )
            raise
        self._in_place = value is left.value
        self._parts[-2:] = [_Part(left.start, right.end, value)]


def _split(start: int, values: Sequence[Any], failed: dict[int, Exception]) -> list[_Part]:
    """Returns the parts into which consecutive results are combined already; ``failed`` gets the exceptions among them."""
    parts: list[_Part] = []
    for index, value in enumerate(values, start):
        if value is Absorbed:
            parts[-1].end = index + 1
        elif isinstance(value, Failed):
            failed[index] = value.exception
        else:
            parts.append(_Part(index, index + 1, value))
    return parts


def _as_raised(what: NotCombined, note: str) -> Exception:
    """Returns an exception as it is raised here, with its traceback in the worker as its cause."""
    error = what.exception
    with contextlib.suppress(Exception):
        error.__cause__ = RemoteTraceback(what.traceback)
        error.add_note(f"distribute: {note}")
    return error


def aggregate(results: list[Any], how: str | Callable[[list[Any]], Any], joined: Kind | None) -> Any:
    """Returns what a plain call returns.

    Args:
        results: one result per call, in order.
        how: "auto", "list", or a callable of the list.
        joined: the collection type into which "auto" joins the results; None: they stay a list.
    """
    if callable(how):
        try:
            return how(results)
        except StopIteration as error:  # a coroutine may not let one out
            raise RuntimeError(f"aggregate={getattr(how, '__name__', how)} raised StopIteration") from error
    return joined.join(results) if how == "auto" and joined is not None else results
