"""Turning a bound call into a plan of chunks."""

from __future__ import annotations

import itertools
import types
from collections.abc import Callable, Iterator
from typing import Any

import hypothesis.strategies as st
import numpy as np
import pytest
from hypothesis import given
from jd_core._hints.signature import inspect_function
from jd_core._planning.binding import bind
from jd_core._planning.plan import BATCHES_PER_WORKER, UNKNOWN_LENGTH_BATCH, Plan, plan
from jd_core.errors import BatchingError, SignatureError


def elements(left: int, right: int = 0) -> None:
    """Has parameters for elements."""


def batches(left: list[int], right: tuple[int, ...] = ()) -> None:
    """Has parameters for batches."""


def mixed(number: int, batch: list[int]) -> None:
    """Has one of each."""


def planned(
    function: Callable[..., Any], *args: Any, autobatch: bool = True, batch_size: int | None = None, workers: int = 2
) -> Plan:
    """Plans a call."""
    call = bind(inspect_function(function), args, {})
    return plan(call, autobatch=autobatch, batch_size=batch_size, workers=lambda: workers)


def calls(made: Plan, sizes: Iterator[int] | None = None) -> list[tuple[Any, ...]]:
    """Takes a plan to its end and returns the arguments of its calls; checks the chunks' starts."""
    found: list[tuple[Any, ...]] = []
    for size in sizes or itertools.repeat(3):
        chunk = made.take(size)
        if chunk is None:
            return found
        assert chunk.start == len(found)
        assert 0 < len(chunk) <= size
        found += zip(*chunk.columns, strict=True)
    raise AssertionError


def test_elements() -> None:
    """Section 3: elements only: one call per element."""
    made = planned(elements, [1, 2, 3, 4], (5, 6, 7, 8))
    assert (made.calls, made.cut, made.names) == (4, False, ("left", "right"))
    assert calls(made) == [(1, 5), (2, 6), (3, 7), (4, 8)]


def test_slices_stay_what_they_are() -> None:
    """A slice of a range or an array stays one, without copies."""
    numbers = np.arange(10)
    chunk = planned(elements, range(10), numbers).take(4)
    assert chunk is not None
    assert chunk.columns[0] == range(4)
    assert isinstance(chunk.columns[1], np.ndarray)
    assert chunk.columns[1].base is numbers


def test_iterators_are_read_no_further_than_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    """Section 3: iterators are read lazily."""
    # No time passes: else what reads for longer than a moment, on a machine that stands still, gets less than it asked for.
    monkeypatch.setattr("jd_core._planning.columns.time", types.SimpleNamespace(monotonic=lambda: 0.0))
    numbers = itertools.count()
    made = planned(elements, numbers)
    assert made.calls is None
    chunk = made.take(4)
    assert chunk is not None
    assert list(chunk.columns[0]) == [0, 1, 2, 3]
    assert next(numbers) == 4


def test_a_slow_iterator_does_not_hold_back_what_it_gave(monkeypatch: pytest.MonkeyPatch) -> None:
    """Section 3: a chunk is given with what a slow iterator had, not when it is full."""
    seconds = itertools.count()
    # Not in the module time, whose clock other threads look at, too.
    monkeypatch.setattr("jd_core._planning.columns.time", types.SimpleNamespace(monotonic=lambda: next(seconds)))
    chunk = planned(elements, iter(range(100))).take(50)
    assert chunk is not None
    assert 1 <= len(chunk) < 50


@pytest.mark.parametrize("batch_size", [1, 2, 5, 7, 100])
def test_batches(batch_size: int) -> None:
    """Section 3: batches only: ceil(length / batch_size) calls, of the hinted types, in lockstep."""
    made = planned(batches, range(7), list(range(7)), batch_size=batch_size)
    expected = [
        (list(range(at, min(at + batch_size, 7))), tuple(range(at, min(at + batch_size, 7))))
        for at in range(0, 7, batch_size)
    ]
    assert (made.calls, made.cut) == (len(expected), True)
    assert calls(made) == expected


@pytest.mark.parametrize(("length", "workers"), [(1000, 2), (1001, 2), (7, 2), (1, 4), (100, 9)])
def test_default_batch_size(length: int, workers: int) -> None:
    """Section 3: each worker gets several batches, as near to equal as can be."""
    made = planned(batches, range(length), workers=workers)
    assert made.calls is not None
    assert made.calls <= BATCHES_PER_WORKER * workers
    assert made.calls == min(length, made.calls)
    assert sum(len(batch) for (batch,) in calls(made)) == length


def test_workers_are_asked_only_where_they_matter() -> None:
    """Section 1: Ray is not asked what the cluster offers where no batch size depends on it."""

    def fail() -> int:
        raise AssertionError("it was asked")

    for function, args, batch_size in ((elements, ([1],), None), (batches, ([1, 2],), 1), (batches, ([],), None)):
        plan(bind(inspect_function(function), args, {}), autobatch=True, batch_size=batch_size, workers=fail)


def test_batches_of_iterators() -> None:
    """Section 3: of an unknown length, batches hold a fixed number of elements."""
    made = planned(batches, iter(range(2 * UNKNOWN_LENGTH_BATCH + 1)))
    assert made.calls is None
    assert [len(batch) for (batch,) in calls(made)] == [UNKNOWN_LENGTH_BATCH, UNKNOWN_LENGTH_BATCH, 1]


def test_mixed() -> None:
    """Section 3: elements and batches: equal contiguous slices."""
    made = planned(mixed, [10, 20, 30], range(6))
    assert (made.calls, made.cut) == (3, True)
    assert calls(made) == [(10, [0, 1]), (20, [2, 3]), (30, [4, 5])]


def test_mixed_with_nothing_to_cut() -> None:
    """Section 3: an empty collection beside elements is an empty batch for each."""
    assert calls(planned(mixed, [10, 20], [])) == [(10, []), (20, [])]


def test_mixed_with_what_is_batched_already() -> None:
    """Section 2: batches that are batched already are elements here."""
    made = planned(mixed, [10, 20], [[1], [2, 3]])
    assert not made.cut
    assert calls(made) == [(10, [1]), (20, [2, 3])]


def test_autobatch_off() -> None:
    """Section 2: with autobatch=False everything is gone through element by element."""
    made = planned(batches, [[1, 2], [3]], autobatch=False)
    assert not made.cut
    assert calls(made) == [([1, 2],), ([3],)]


@pytest.mark.parametrize("args", [([],), ((), []), (range(0), iter([]))], ids=["one", "two", "an iterator"])
def test_empty(args: tuple[Any, ...]) -> None:
    """Section 3: nothing gives no calls."""
    assert planned(elements, *args).take(5) is None
    assert planned(batches, *args).take(5) is None


@pytest.mark.parametrize(
    ("function", "args", "message"),
    [
        (elements, ([1, 2], [3]), "left has 2, right has 1"),
        (batches, ([1, 2], [3]), "left has 2, right has 1"),
        (mixed, ([1, 2], [3, 4, 5]), r"element of number \(2\).*length of batch \(3\) must be a multiple"),
        (mixed, ([1, 2], iter([3, 4])), "batch has none: pass a list"),
        (mixed, ([], [3]), "must be a multiple"),
    ],
)
def test_lengths_that_do_not_fit(function: Callable[..., Any], args: tuple[Any, ...], message: str) -> None:
    """Section 3: known lengths are checked when the plan is made."""
    with pytest.raises(BatchingError, match=message):
        planned(function, *args)


@given(
    lengths=st.tuples(st.integers(0, 12), st.integers(0, 12)),
    lazy=st.tuples(st.booleans(), st.booleans()).filter(any),
    sizes=st.lists(st.integers(1, 5), min_size=1),
)
def test_late_unequal_lengths_are_never_truncated(
    lengths: tuple[int, int], lazy: tuple[bool, bool], sizes: list[int]
) -> None:
    """Section 3: arguments without a length are equally long or there is an error, whatever the sizes asked for."""
    args = [iter(range(length)) if is_lazy else range(length) for length, is_lazy in zip(lengths, lazy, strict=True)]
    made = planned(elements, *args)
    if lengths[0] == lengths[1]:
        assert calls(made, itertools.cycle(sizes)) == [(at, at) for at in range(lengths[0])]
    else:
        with pytest.raises(BatchingError, match="unequal"):
            calls(made, itertools.cycle(sizes))


def test_frames_for_elements() -> None:
    """Section 2: a frame has no elements, so a parameter for elements refuses it."""
    pandas = pytest.importorskip("pandas")
    with pytest.raises(SignatureError, match="DataFrame for left"):
        planned(elements, pandas.DataFrame({"a": [1]}))


@pytest.mark.parametrize("passed", ["polars.DataFrame", "pyarrow.Table", "pandas.DataFrame"])
@pytest.mark.parametrize("hinted", ["pandas.DataFrame", "pandas.Series", "polars.DataFrame", "pyarrow.Table"])
def test_frames_of_another_library(passed: str, hinted: str) -> None:
    """Section 3: a frame for a parameter that is hinted as another is refused, and both are named with their library."""
    if passed == hinted:
        pytest.skip("it is the hinted one")
    library, _, name = passed.partition(".")
    kinds = pytest.importorskip(library)
    frame = kinds.table({"a": [1]}) if name == "Table" else kinds.DataFrame({"a": [1]})
    library, _, name = hinted.partition(".")

    def function(batch: Any) -> None:
        """Gets a batch."""

    function.__annotations__["batch"] = getattr(pytest.importorskip(library), name)
    with pytest.raises(SignatureError, match=f"got a {passed} for batch, hinted as a {hinted}: pass a {hinted}, or"):
        planned(function, frame)


def test_errors_of_an_iterator_come_through() -> None:
    """Section 5: what reading an argument raises is raised as it is."""

    def broken() -> Iterator[int]:
        yield 1
        raise ZeroDivisionError

    made = planned(elements, broken())
    with pytest.raises(ZeroDivisionError):
        calls(made)
