"""Section 4: one result per call, in order; joins by return hint; aggregate; generators and coroutines."""

from __future__ import annotations

import asyncio
import functools
import random
import time
from collections import Counter, OrderedDict, defaultdict, deque
from collections.abc import AsyncIterator, Callable, Iterable, Iterator, Sequence
from typing import Any, Optional

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
from jd_core import BatchingError
from jd_core.testing import functions

Parallel = Callable[..., Any]

VALUES = list(range(20))


def uneven(value: int) -> int:
    """Takes longer for some values than for others, so that calls end out of order."""
    time.sleep(0.001 * random.Random(value).randrange(4))
    return value * value


def returning(make: Callable[[list[int]], Any], hint: Any) -> Callable[..., Any]:
    """Returns a function of a batch with this return hint."""

    def function(values: list[int]) -> Any:
        return make(values)

    function.__annotations__ = {"values": list[int], "return": hint}
    return function


def count_of(values: list[int]) -> Counter[int]:
    """Counts remainders, which come again in other batches."""
    return Counter(value % 3 for value in values)


def defaults_of(values: list[int]) -> defaultdict[int, int]:
    """Makes a mapping with a factory."""
    return defaultdict(int, {value: -value for value in values})


@pytest.mark.parametrize("workers", [1, 2, 4])
@pytest.mark.parametrize("chunksize", ["auto", 1, 7, 1000])
def test_order(parallel: Parallel, workers: int, chunksize: int | str) -> None:
    """Section 4: one result per call, in input order, whatever the worker count and the chunk size."""
    assert parallel(uneven, workers=workers, chunksize=chunksize)(range(50)) == [value * value for value in range(50)]


JOINED: dict[str, tuple[Callable[[list[int]], Any], Any, Any]] = {
    "list": (lambda values: [-value for value in values], list[int], [-value for value in VALUES]),
    "bare list": (lambda values: values, list, VALUES),
    "tuple": (tuple, tuple[int, ...], tuple(VALUES)),
    "set": (lambda values: {value % 3 for value in values}, set[int], {0, 1, 2}),
    "frozenset": (frozenset, frozenset[int], frozenset(VALUES)),
    "deque": (deque, deque[int], deque(VALUES)),
    "dict": (lambda values: {value: -value for value in values}, dict[int, int], {v: -v for v in VALUES}),
    "OrderedDict": (OrderedDict.fromkeys, OrderedDict[int, None], OrderedDict.fromkeys(VALUES)),
    "defaultdict": (defaults_of, defaultdict[int, int], {value: -value for value in VALUES}),
    "Counter": (count_of, Counter[int], Counter(value % 3 for value in VALUES)),
    "Sequence": (list, Sequence[int], VALUES),
    "Iterable": (list, Iterable[int], VALUES),
    "longer than the input": (lambda values: values * 2, list[int], None),
    "filtered": (lambda values: [value for value in values if value % 2], list[int], VALUES[1::2]),
}


@pytest.mark.parametrize("name", JOINED)
def test_joins(parallel: Parallel, name: str) -> None:
    """Section 4: a call list that autobatch cut is joined into one collection of the hinted return type."""
    make, hint, expected = JOINED[name]
    joined = parallel(returning(make, hint), batch_size=7)(VALUES)
    if expected is None:
        expected = [value for batch in (VALUES[:7], VALUES[7:14], VALUES[14:]) for value in batch * 2]
    assert type(joined) is type(make([1]))
    assert joined == expected


def test_joins_arrays(parallel: Parallel) -> None:
    """Section 4: arrays are joined along axis 0."""

    def scaled(values: np.ndarray) -> np.ndarray:
        return values * 2.0

    matrix = np.arange(24.0).reshape(8, 3)
    joined = parallel(scaled, batch_size=3)(matrix)
    assert isinstance(joined, np.ndarray)
    np.testing.assert_array_equal(joined, matrix * 2.0)


FRAMES = {
    "pandas": pd.DataFrame({"a": range(8), "b": list("stuvwxyz")}, index=range(10, 18)),
    "polars": pl.DataFrame({"a": range(8), "b": list("stuvwxyz")}),
    "pyarrow": pa.table({"a": list(range(8)), "b": list("stuvwxyz")}),
    "pandas series": pd.Series(range(8), index=list("stuvwxyz"), name="numbers"),
    "polars series": pl.Series("numbers", range(8)),
}


@pytest.mark.parametrize("name", FRAMES)
def test_joins_frames(parallel: Parallel, name: str) -> None:
    """Section 4: frames, series and arrow tables are joined; index, names and types are kept."""
    value = FRAMES[name]

    def same(part: Any) -> Any:
        return part

    same.__annotations__ = {"part": type(value), "return": type(value)}
    joined = parallel(same, batch_size=3)(value)
    assert type(joined) is type(value)
    assert joined.equals(value)


def test_undecorated_result(parallel: Parallel) -> None:
    """Section 4: a function of a list gives over all numbers what the undecorated function gives."""

    def scale(values: list[float]) -> list[float]:
        return [value / 2 for value in values]

    numbers = [float(number) for number in range(20_000)]
    function = parallel(scale)
    assert function(numbers) == function.local(numbers)


NOT_JOINED: dict[str, tuple[Callable[[list[int]], Any], Any]] = {
    "no return hint": (list, None),
    "a scalar": (sum, int),
    "a fixed tuple": (lambda values: (values[0], len(values)), tuple[int, int]),
    "text": (lambda values: str(len(values)), str),
    "Any": (list, Any),
}


@pytest.mark.parametrize("name", NOT_JOINED)
def test_what_is_not_joined(parallel: Parallel, name: str) -> None:
    """Section 4: everything else, an unhinted return too, stays a list with one result per call."""
    make, hint = NOT_JOINED[name]
    function = returning(make, hint)
    if hint is None:
        del function.__annotations__["return"]
    batches = [VALUES[:7], VALUES[7:14], VALUES[14:]]
    assert parallel(function, batch_size=7)(VALUES) == [make(batch) for batch in batches]


def test_only_cut_calls_are_joined(parallel: Parallel) -> None:
    """Section 4: elements, and what was batched already, stay one result per call, whatever the return hint."""

    def divisors(value: int) -> list[int]:
        return [number for number in range(1, value + 1) if value % number == 0]

    assert parallel(divisors)([4, 6]) == [[1, 2, 4], [1, 2, 3, 6]]
    assert parallel(returning(list, list[int]))([[1, 2], [3]]) == [[1, 2], [3]]
    assert parallel(returning(list, list[int]), autobatch=False)([[1, 2], [3]]) == [[1, 2], [3]]


@pytest.mark.parametrize("hint", [list[int] | None, Optional[list[int]], "list[int] | None"], ids=["|", "Optional", "text"])  # noqa: UP045
@pytest.mark.parametrize("workers", [1, 2, 3])
def test_optional_results_are_joined(parallel: Parallel, hint: Any, workers: int) -> None:
    """Section 4: None beside a collection in the return hint does not keep the results from being joined."""
    assert parallel(returning(list, hint), workers=workers)(VALUES) == VALUES


def test_a_result_that_is_none_cannot_be_joined(parallel: Parallel) -> None:
    """Section 4: where a batch returned None after all, that is an error, whatever the number of workers."""
    function = parallel(returning(lambda values: values if values[0] else None, list[int] | None), batch_size=7)
    with pytest.raises(BatchingError, match=r"call 0 of 3 returned an object of type NoneType.*aggregate='list'"):
        function(VALUES)
    assert function.options(aggregate="list")(VALUES) == [None, VALUES[7:14], VALUES[14:]]


def test_mixed_calls_are_joined(parallel: Parallel) -> None:
    """Section 4: beside elements, cut batches are joined as well."""

    def shifted(by: int, values: list[int]) -> list[int]:
        return [value + by for value in values]

    assert parallel(shifted)([10, 20], [1, 2, 3, 4]) == [11, 12, 23, 24]


def test_aggregate_list(parallel: Parallel) -> None:
    """Section 4: aggregate="list" never joins."""
    calls = parallel(returning(list, list[int]), batch_size=7, aggregate="list")(VALUES)
    assert calls == [VALUES[:7], VALUES[7:14], VALUES[14:]]


def test_aggregate_callable(parallel: Parallel) -> None:
    """Section 4: a callable gets the list of results, in the caller's process, and makes the value."""
    seen: list[Any] = []

    def total(results: list[int]) -> int:
        seen.append(results)
        return sum(results)

    assert parallel(uneven, aggregate=total)(range(5)) == 30
    assert parallel(uneven, aggregate=functools.partial(max, default=None))(range(5)) == 16
    assert seen == [[0, 1, 4, 9, 16]]


def test_an_aggregate_that_raises_stop_iteration(parallel: Parallel) -> None:
    """Section 4: it is a RuntimeError with all results, as in PEP 479: a coroutine could not let it out."""
    function = parallel(uneven, aggregate=lambda results: next(iter([])))
    for call in (lambda: function(range(3)), lambda: asyncio.run(function.aio(range(3)))):
        with pytest.raises(RuntimeError, match="raised StopIteration") as caught:
            call()
        assert caught.value.partial == {0: 0, 1: 1, 2: 4}  # type: ignore[attr-defined]


def test_results_that_cannot_be_joined(parallel: Parallel) -> None:
    """Section 4: a result that is no collection, where the hint says one, is an error that names the call."""
    lying = returning(lambda values: values if values[0] == 0 else None, list[int])
    with pytest.raises(BatchingError, match=r"call 1 of 3 returned an object of type NoneType") as caught:
        parallel(lying, batch_size=7)(VALUES)
    assert "aggregate='list'" in str(caught.value)


def test_generator_functions(parallel: Parallel) -> None:
    """Section 4: a generator function's result is the list of what it yielded."""

    def count_down(value: int) -> Iterator[int]:
        while value:
            yield value
            value -= 1

    assert parallel(count_down)(range(4)) == [[], [1], [2, 1], [3, 2, 1]]


def test_generator_functions_of_batches(parallel: Parallel) -> None:
    """Section 4: what generators yielded is joined where batches were cut."""

    def doubled(values: list[int]) -> Iterator[int]:
        for value in values:
            yield 2 * value

    assert parallel(doubled, batch_size=7)(VALUES) == [2 * value for value in VALUES]


def test_coroutine_functions(parallel: Parallel) -> None:
    """Section 4: an async def works under every job, and so does an async generator function."""

    async def doubled(value: int, *, plus: int = 0) -> int:
        await asyncio.sleep(0)
        return 2 * value + plus

    async def counted(value: int) -> AsyncIterator[int]:
        for number in range(value):
            await asyncio.sleep(0)
            yield number

    assert parallel(doubled)(range(6), plus=1) == [1, 3, 5, 7, 9, 11]
    assert parallel(functools.partial(doubled, plus=2))(range(3)) == [2, 4, 6]
    assert parallel(counted)(range(4)) == [[], [0], [0, 1], [0, 1, 2]]


def test_coroutine_methods(parallel: Parallel) -> None:
    """Section 4: async methods and async __call__ are coroutine functions, too."""

    class Client:
        def __init__(self, base: int) -> None:
            self.base = base

        async def get(self, value: int) -> int:
            await asyncio.sleep(0)
            return self.base + value

        async def __call__(self, value: int) -> int:
            return await self.get(value)

    assert parallel(Client(10).get)(range(3)) == [10, 11, 12]
    assert parallel(Client(20))(range(3)) == [20, 21, 22]


def test_coroutines_of_batches(parallel: Parallel) -> None:
    """Section 4: a coroutine function's return hint joins as a plain function's."""

    async def doubled(values: list[int]) -> list[int]:
        await asyncio.sleep(0)
        return [2 * value for value in values]

    assert parallel(doubled, batch_size=7)(VALUES) == [2 * value for value in VALUES]


def test_none_results(parallel: Parallel) -> None:
    """Section 4: None is a result like others."""
    assert parallel(functions.nothing)(range(5)) == [None] * 5


def test_exceptions_as_results(parallel: Parallel) -> None:
    """Section 4: an exception that is returned, not raised, is a result."""
    results = parallel(lambda value: ValueError(value))(range(3))
    assert [type(result) for result in results] == [ValueError] * 3
    assert [result.args for result in results] == [(0,), (1,), (2,)]


def test_large_results(parallel: Parallel) -> None:
    """Section 4: arrays of megabytes come back whole."""
    results = parallel(lambda value: np.full(300_000, value))(range(4))
    assert [(result.shape, result.dtype.kind, int(result.sum())) for result in results] == [
        ((300_000,), "i", 300_000 * value) for value in range(4)
    ]


def test_many_results(parallel: Parallel) -> None:
    """Section 4: a hundred thousand tiny calls equal the plain loop."""
    assert parallel(functions.add)(range(100_000), range(100_000), plus=1) == [2 * value + 1 for value in range(100_000)]


def test_globals_are_current(parallel: Parallel) -> None:
    """Section 5: globals, and what a closure holds, have the value that they have at the time of the call."""
    held = {"value": 1}
    function = parallel(lambda value: value + held["value"])
    assert function([1]) == [2]
    held["value"] = 10
    assert function([1]) == [11]


def one_returns_none(values: list[int]) -> list[int] | None:
    """Stands for a user's function that has no result for one batch."""
    return None if 7 in values else values


@pytest.mark.parametrize("way", ["call", "aio"])
@pytest.mark.parametrize(
    ("aggregate", "error"),
    [("auto", BatchingError), (lambda results: results[1][0], TypeError), (lambda results: {}[0], KeyError)],
    ids=["join", "callable that fails", "callable that raises"],
)
def test_what_fails_after_the_last_call_keeps_the_results(parallel: Parallel, aggregate: Any, error: Any, way: str) -> None:
    """Section 5: a join or an ``aggregate`` callable that fails raises with all results in ``partial``."""
    distributed = parallel(one_returns_none, batch_size=7, aggregate=aggregate)
    with pytest.raises(error) as caught:
        distributed(VALUES) if way == "call" else asyncio.run(distributed.aio(VALUES))
    assert caught.value.partial == {0: VALUES[:7], 1: None, 2: VALUES[14:]}


@pytest.mark.parametrize("workers", [1, 2, 3])
def test_unions_with_none_are_joined(parallel: Parallel, workers: int) -> None:
    """Section 4: ``-> list[int] | None`` is joined where no batch returned None, however many batches there are."""
    assert parallel(one_returns_none, workers=workers)([1, 2, 3, 4, 5, 6]) == [1, 2, 3, 4, 5, 6]
