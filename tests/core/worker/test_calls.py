"""What runs inside a worker."""

from __future__ import annotations

import asyncio
import functools
import inspect
import itertools
import sys
import threading
import types
from collections.abc import AsyncIterator, Callable, Iterator
from typing import Any

import hypothesis.strategies as st
import pytest
from hypothesis import given
from jd_core import worker
from jd_core.worker.calls import Finisher


class Caller:
    """Has calls of every kind."""

    def plain(self, value: int, *, plus: int = 0) -> int:
        return value + plus

    async def coroutine(self, value: int, *, plus: int = 0) -> int:
        await asyncio.sleep(0)
        return value + plus

    def generator(self, value: int, *, plus: int = 0) -> Iterator[int]:
        yield value
        yield value + plus

    async def async_generator(self, value: int, *, plus: int = 0) -> AsyncIterator[int]:
        yield value
        await asyncio.sleep(0)
        yield value + plus

    async def __call__(self, value: int, *, plus: int = 0) -> int:
        return value + plus


EXPECTED: list[tuple[Any, Any]] = [
    (Caller().plain, 5),
    (Caller().coroutine, 5),
    (Caller().generator, [2, 5]),
    (Caller().async_generator, [2, 5]),
    (Caller(), 5),
    (functools.partial(Caller.coroutine, Caller()), 5),
    (functools.partial(functools.partial(Caller.generator, Caller())), [2, 5]),
    (lambda value, plus: value + plus, 5),
]


def _last(value, plus=1, factor=2):
    return value, plus, factor


def _only_by_position(value, plus=1, /, *, factor=2):
    return value, plus, factor


def _same_name_twice(value, factor=2, /, **rest):
    return value, factor, rest


def _with_rest(*values, factor=2, plus=3):
    return values, factor, plus


def _closure():
    many = 5

    def inner(value, *, factor, plus=many):
        return value, factor, plus, many

    return inner


class _Owner:
    def method(self, value, plus=1, factor=2):
        return self, value, plus, factor

    @classmethod
    def of_class(cls, value, *, factor):
        return cls, value, factor


#: Functions, and whether constants can be their defaults.
SIGNATURES = [
    (_last, {"factor": "canary"}, True),
    (_last, {"plus": "canary"}, True),
    (_last, {"factor": "canary", "plus": 8}, True),
    (_only_by_position, {"factor": "canary"}, True),
    (_same_name_twice, {"factor": "canary"}, False),
    (_same_name_twice, {"other": "canary"}, False),
    (_with_rest, {"plus": "canary"}, True),
    (_closure(), {"factor": "canary"}, True),
    (_Owner().method, {"factor": "canary"}, False),
    (_Owner.of_class, {"factor": "canary"}, False),
    (functools.partial(_last, plus=9), {"factor": "canary"}, False),
    (lambda value, key: (value, key), {"key": None}, True),
]


@pytest.mark.parametrize(("function", "constants", "are_defaults"), SIGNATURES)
def test_constants_are_defaults_where_possible(
    function: Callable[..., Any], constants: dict[str, Any], are_defaults: bool
) -> None:
    """What a call returns is what it returns with keywords; the function itself is as it was."""
    before = getattr(function, "__defaults__", None), getattr(function, "__kwdefaults__", None)
    call = worker.plain(function, constants)
    bound = call.call if isinstance(call, Finisher) else call
    assert (type(bound) is types.FunctionType) == are_defaults
    assert "canary" not in repr(bound)
    for arguments in ((3,), (3, 4)):
        try:
            expected = function(*arguments, **constants)
        except TypeError:  # a constant is passed by position, too, which is refused before
            continue
        assert call(*arguments) == expected
    assert (getattr(function, "__defaults__", None), getattr(function, "__kwdefaults__", None)) == before


@pytest.mark.parametrize(("function", "expected"), EXPECTED)
def test_plain(function: Callable[..., Any], expected: Any) -> None:
    """Section 4: a function of any kind becomes a plain callable that gives its result."""
    assert worker.plain(function, {"plus": 3})(2) == expected


def test_plain_functions_cost_nothing() -> None:
    """A plain function without constants is called itself."""
    assert worker.plain(abs, {}) is abs


def test_constants_are_not_shown() -> None:
    """Promise 12: what holds the constants names them, and shows none."""
    call = worker.plain(Caller().plain, {"plus": "canary"})
    assert "canary" not in repr(call)
    assert "plus" in repr(call)


def test_coroutines_share_a_loop() -> None:
    """Section 4: what a function caches per event loop stays valid from call to call of a thread."""

    async def loop(_: int) -> Any:
        return asyncio.get_running_loop()

    call = worker.plain(loop, {})
    assert call(1) is call(2)
    worker.close_loop()
    worker.close_loop()


def test_coroutines_within_a_running_loop() -> None:
    """Promise 10: where the thread's loop is running, another thread runs the coroutine, in the caller's context."""

    async def where(_: int) -> tuple[int, bool]:
        return threading.get_ident(), worker.inside_worker.get()

    async def outer() -> Any:
        with worker.as_worker():
            return worker.plain(where, {})(1)

    thread, inside = asyncio.run(outer())
    assert thread != threading.get_ident()
    assert inside


def test_as_worker_is_for_its_block_only() -> None:
    """Section 5: the mark ends with the block, also by an exception."""
    with worker.as_worker():
        assert worker.is_inside_worker()
    assert not worker.is_inside_worker()
    with pytest.raises(ZeroDivisionError), worker.as_worker():
        _ = 1 // 0
    assert not worker.is_inside_worker()


def run(
    function: Callable[..., Any], *columns: Any, stop: bool = False, **options: Any
) -> tuple[list[Any], list[tuple[int, BaseException]]]:
    """Runs a chunk."""
    return worker.run_calls(function, columns, len(columns[0]), stop_at_failure=stop, **options)


class Fault(BaseException):
    """No Exception."""


def faulty(failing: dict[int, type[BaseException]]) -> Callable[[int], int]:
    """Returns a function that raises for some values."""

    def function(value: int) -> int:
        if value in failing:
            raise failing[value]
        return -value

    return function


def looked_at(function: Callable[[int], int]) -> Callable[..., Any]:
    """Returns a plain callable of a function that does not say what it returns."""
    call = worker.plain(lambda value: function(value), {})
    assert type(call) is Finisher
    return call


#: Functions whose calls are gone through by a loop, by map, and by a loop that looks at results.
WAYS = [lambda function: function, functools.partial, looked_at]

FAULTS = [ValueError, StopIteration, SystemExit, KeyboardInterrupt, GeneratorExit, Fault]


@given(
    count=st.integers(1, 40),
    failing=st.dictionaries(st.integers(0, 39), st.sampled_from(FAULTS)),
    watched=st.booleans(),
    one_by_one=st.booleans(),
    wrap=st.sampled_from(WAYS),
)
def test_run_calls(
    count: int, failing: dict[int, type[BaseException]], watched: bool, one_by_one: bool, wrap: Callable[..., Any]
) -> None:
    """Section 5: every call has its result or its exception, at its place, whatever is raised and however one watches."""
    options: dict[str, Any] = {"between": lambda values, failures, block: False} if watched else {}
    values, failures = run(wrap(faulty(failing)), range(count), one_by_one=one_by_one, **options)
    assert values == [None if value in failing else -value for value in range(count)]
    assert [offset for offset, _ in failures] == sorted(offset for offset in failing if offset < count)
    for offset, error in failures:
        expected = RuntimeError if failing[offset] is StopIteration else failing[offset]
        assert type(error) is expected


@given(count=st.integers(1, 40), failing=st.sets(st.integers(0, 39)), watched=st.booleans())
def test_run_calls_stops_at_the_first_failure(count: int, failing: set[int], watched: bool) -> None:
    """Section 5: with ``stop_at_failure`` nothing behind the first failed call runs."""
    seen: list[int] = []

    def function(value: int) -> int:
        seen.append(value)
        return faulty(dict.fromkeys(failing, ValueError))(value)

    options: dict[str, Any] = {"between": lambda values, failures, block: False} if watched else {}
    values, failures = run(function, range(count), stop=True, **options)
    end = min([offset + 1 for offset in failing if offset < count], default=count)
    assert len(values) == end
    assert seen == list(range(end))
    assert len(failures) == (end - 1 in failing)


@pytest.mark.parametrize("wrap", WAYS)
@pytest.mark.parametrize("column", [range(6), list(range(6)), tuple(range(6))])
def test_run_calls_interrupted_anywhere(wrap: Callable[..., Any], column: Any) -> None:
    """Promise 2: what a signal handler or another thread raises costs one call, and no other gets a wrong result."""
    for line in range(100):
        seen: list[int] = []

        def interrupt(frame: Any, event: str, argument: Any, at: int = line, seen: list[int] = seen) -> Any:
            if frame.f_code is inspect.unwrap(worker.run_calls).__code__ or frame.f_code.co_name == "negate":
                seen.append(frame.f_lineno)
                if len(seen) == at:
                    raise Fault
            return interrupt

        def negate(value: int) -> int:
            return -value

        before = sys.gettrace()
        sys.settrace(interrupt)
        try:
            values, failures = run(wrap(negate), column, between=lambda *_: False, clock=lambda: 0.0)
        except Fault:
            continue  # where no call is under way: the caller's to deal with
        finally:
            sys.settrace(before)
        failed = [offset for offset, _ in failures]
        assert len(failed) <= 1
        assert values == [None if value in failed else -value for value in range(6)]


def test_results_are_finished_before_the_next_call() -> None:
    """Section 4: a generator or coroutine that some calls return runs to its end within that call, and fails only that."""
    seen: list[Any] = []

    def items(value: int) -> Iterator[int]:
        seen.append((value, "runs"))
        yield from range(value)
        if value == 4:
            raise Fault

    async def wait(value: int) -> int:
        seen.append((value, "runs"))
        return -value

    def function(value):  # type: ignore[no-untyped-def]
        seen.append(value)
        return [int, items, wait][value % 3](value)

    values, failures = run(worker.plain(function, {}), range(8), between=lambda *_: False, clock=lambda: 0.0)
    worker.close_loop()
    assert values == [0, [0], -2, 3, None, -5, 6, list(range(7))]
    assert [(offset, type(error)) for offset, error in failures] == [(4, Fault)]
    assert seen == [step for value in range(8) for step in ([value] if value % 3 == 0 else [value, (value, "runs")])]


def test_run_calls_of_several_columns() -> None:
    """Columns are gone through in step."""
    assert run(worker.plain(lambda left, right: left - right, {}), [7, 8], (2, 3)) == ([5, 5], [])
    assert run(divmod, [7, 8], (2, 3)) == ([(3, 1), (2, 2)], [])
    assert run(lambda left, right: left - right, [7, 8], (2, 3)) == ([5, 5], [])


@pytest.mark.parametrize("function", [lambda value: value, abs])
def test_run_calls_of_a_column_that_lies_about_its_length(function: Callable[..., Any]) -> None:
    """Promise 1: what ends too early fails its calls; nothing waits for more."""
    values, failures = worker.run_calls(function, [[1, 2]], 4, stop_at_failure=False)
    assert values == [1, 2, None, None]
    assert [offset for offset, _ in failures] == [2, 3]


def test_run_calls_tells_what_runs_next() -> None:
    """Section 5: who watches knows, before each block, how many results there are and how many calls come."""
    seen: list[tuple[int, int]] = []

    def between(values: list[Any], failures: Any, block: int) -> bool:
        seen.append((len(values), block))
        return False

    clock = itertools.count()
    run(abs, range(20), between=between, clock=lambda: 1e-9 * next(clock))
    assert [done for done, _ in seen] == list(itertools.accumulate([0, *(block for _, block in seen[:-1])]))
    assert sum(block for _, block in seen) == 20
    assert max(block for _, block in seen) > 1
    seen.clear()
    run(abs, range(20), between=between, clock=lambda: 1e-9 * next(clock), one_by_one=True)
    assert seen == [(done, 1) for done in range(20)]


def test_run_calls_ends_when_told() -> None:
    """Section 5: a run that was given up ends between two blocks."""
    values, failures = run(abs, range(20), between=lambda values, failures, block: len(values) >= 3, one_by_one=True)
    assert (values, failures) == ([0, 1, 2], [])


def test_traceback_text() -> None:
    """Section 5: the worker's traceback starts with the user's frame, not with this library's."""
    _, [(_, error)] = run(faulty({1: ValueError}), [1])
    text = worker.traceback_text(error)
    assert "in function" in text
    assert "run_calls" not in text
    assert text.rstrip().endswith("ValueError")


def test_spans_are_of_blocks():
    """Each block of calls has a span: its offset, its number of calls, when it began and ended, and its CPU time."""
    times = iter(range(1000))
    spans: list[worker.Span] = []
    worker.run_calls(str, [range(4)], 4, stop_at_failure=True, clock=lambda: next(times), spans=spans)
    assert [(offset, calls) for offset, calls, _, _, _ in spans] == [(0, 1), (1, 1), (2, 1), (3, 1)]  # each takes a second
    assert [(began, ended) for _, _, began, ended, _ in spans] == [(0, 1), (2, 3), (4, 5), (6, 7)]
    assert all(cpu >= 0.0 for _, _, _, _, cpu in spans)


def test_short_calls_have_a_span_together():
    """So that measuring costs nothing per call; a long one among them has its own."""
    spans: list[worker.Span] = []
    worker.run_calls(str, [range(1000)], 1000, stop_at_failure=True, clock=lambda: 0.0, spans=spans)
    assert [(offset, calls) for offset, calls, _, _, _ in spans] == [(0, 1000)]
    now = [0.0]

    def take(value: int) -> None:
        now[0] += 1.0 if value == 3 else 0.0

    spans.clear()
    worker.run_calls(take, [range(6)], 6, stop_at_failure=True, clock=lambda: now[0], one_by_one=True, spans=spans)
    lengths = [(offset, calls, ended - began) for offset, calls, began, ended, _ in spans]
    assert lengths == [(0, 3, 0.0), (3, 1, 1.0), (4, 2, 0.0)]


@pytest.mark.parametrize("stop", [False, True])
def test_spans_hold_failed_calls(stop: bool):
    """A call that raised has run, too."""
    spans: list[worker.Span] = []
    values, _ = worker.run_calls(int, [["1", "x", "3"]], 3, stop_at_failure=stop, clock=lambda: 0.0, spans=spans)
    assert sum(calls for _, calls, _, _, _ in spans) == len(values) == (2 if stop else 3)
