"""Section 4: ``aggregate=Fold(function)`` returns what `functools.reduce` makes of the results, in their order."""

from __future__ import annotations

import asyncio
import functools
import operator
import random
from collections import Counter
from collections.abc import AsyncIterator, Callable
from typing import TYPE_CHECKING, Any

import hypothesis.strategies as st
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from jd_core import BatchingError, Fold, distribute
from jd_core.testing import functions

if TYPE_CHECKING:
    from jd_core import Distributed

Parallel = Callable[..., "Distributed[..., Any]"]

EXAMPLES = {"compute": 30, "io": 60, "web": 60, "ray": 12}


def alone(value: int) -> list[int]:
    """Stands for a user's function whose results are concatenated."""
    return [value]


async def alone_awaited(value: int) -> list[int]:
    """The same as a coroutine."""
    return [value]


def letters(value: int) -> str:
    """Results whose order shows."""
    return f"{value},"


def counted(value: int) -> Counter[int]:
    """Stands for a count of words."""
    return Counter([value, value % 3])


def update(left: Counter[int], right: Counter[int]) -> Counter[int]:
    """Changes its first argument, as is allowed."""
    left.update(right)
    return left


def alone_but(value: int, *, fails_at: tuple[int, ...]) -> list[int]:
    """Fails for some values."""
    if value in fails_at:
        raise LookupError(value)
    return [value]


def checked(job: str, test: Callable[..., None], **strategies: st.SearchStrategy[Any]) -> None:
    """Runs a property test for a job, with as many examples as its calls allow."""
    given(**strategies)(
        settings(
            max_examples=max(1, EXAMPLES[job] * settings.default.max_examples // 100),
            deadline=None,
            database=None,
            suppress_health_check=[HealthCheck.too_slow],
        )(test)
    )()


items = st.lists(st.integers(0, 99), min_size=1, max_size=60)
chunksizes = st.one_of(st.just("auto"), st.integers(1, 60))


def test_equal_to_reduce(job: str) -> None:
    """Section 4: for any number of workers, chunk size and length, known or not; order is kept."""

    def check(values: list[int], workers: int, chunksize: Any, known: bool) -> None:
        def run(function: Callable[..., Any], fold: Fold[Any]) -> Any:
            distributed = distribute(function, job=job, workers=workers, chunksize=chunksize, aggregate=fold)
            return distributed(values if known else iter(values))

        assert run(alone, Fold(operator.add)) == values
        assert run(alone_awaited, Fold(operator.iadd, initial=[-1])) == [-1, *values]
        assert run(letters, Fold(operator.add, initial="")) == "".join(map(letters, values))
        assert run(counted, Fold(update)) == functools.reduce(operator.add, map(counted, values))
        assert run(abs, Fold(max, initial=50)) == max([50, *values])

    checked(job, check, values=items, workers=st.integers(1, 5), chunksize=chunksizes, known=st.booleans())


def test_failures_are_kept_beside(job: str) -> None:
    """Section 4: with ``return_exceptions`` the results of the other calls, combined, and the exceptions by index."""

    def check(size: int, fails_at: set[int], chunksize: Any) -> None:
        kept = [index for index in range(size) if index not in fails_at]
        fold: Fold[list[int]] = Fold(operator.add, initial=[])
        options = {"workers": 2, "chunksize": chunksize, "aggregate": fold, "return_exceptions": True}
        function = distribute(alone_but, job=job, **options)
        value, failed = function(range(size), fails_at=tuple(fails_at))
        assert value == kept
        assert sorted(failed) == sorted(fails_at & set(range(size)))
        assert all(type(error) is LookupError and error.args == (index,) for index, error in failed.items())

    checked(job, check, size=st.integers(1, 40), fails_at=st.sets(st.integers(0, 40)), chunksize=chunksizes)


def test_callers_on_a_loop(parallel: Parallel) -> None:
    """Section 4: ``aio`` returns the same; streams yield single results, as with every ``aggregate``."""
    function = parallel(alone, aggregate=Fold(operator.add))

    async def later() -> AsyncIterator[int]:
        for value in range(9):
            yield value

    async def main() -> tuple[Any, Any, Any]:
        async with function.astream(later()) as results:
            return await function.aio(range(9)), await function.aio(later()), [result async for result in results]

    assert asyncio.run(main()) == (list(range(9)), list(range(9)), [[value] for value in range(9)])
    assert list(function.stream(range(9))) == [[value] for value in range(9)]
    assert sorted(function.as_completed(range(9))) == [(value, [value]) for value in range(9)]


def test_no_calls(parallel: Parallel, no_run: None) -> None:
    """Section 4: the initial value, a copy of it; without one there is nothing that could be returned."""
    fold = Fold(operator.iadd, initial=[[1]])
    function = parallel(alone, aggregate=fold)
    function([])[0].append(2)
    assert function([]) == [[1]]
    with pytest.raises(BatchingError, match=r"Fold\(add\) has no results to combine.*initial="):
        parallel(alone, aggregate=Fold(operator.add))([])


def test_every_call_fails(parallel: Parallel) -> None:
    """Section 4: where no result is left to combine, the first failure is the cause of the error."""
    with pytest.raises(BatchingError, match="no results") as caught:
        parallel(alone_but, aggregate=Fold(operator.add), return_exceptions=True)([3, 4], fails_at=(3, 4))
    assert isinstance(caught.value.__cause__, LookupError)


def test_the_initial_value_is_no_ones_to_change(parallel: Parallel) -> None:
    """Section 4: each run begins with a copy, though the function changes its first argument."""
    function = parallel(alone, aggregate=Fold(operator.iadd, initial=[]))
    assert [function(range(3)), function(range(3))] == [[0, 1, 2]] * 2


def test_partial(parallel: Parallel) -> None:
    """Section 5: an exception has what was combined, by the range of calls that it covers."""
    with pytest.raises(LookupError) as caught:
        parallel(alone_but, workers=1, chunksize=4, aggregate=Fold(operator.add))(range(9), fails_at=(6,))
    partial = caught.value.partial  # type: ignore[attr-defined]
    assert sorted(index for covered in partial for index in covered) == list(range(6))
    assert all(value == list(covered) for covered, value in partial.items())


def refuse(left: list[int], right: list[int]) -> list[int]:
    """Combines only what is small."""
    if len(left + right) > 5:
        raise ZeroDivisionError("too large")
    return left + right


@pytest.mark.parametrize("kept", [False, True])
def test_errors_of_the_function(parallel: Parallel, kept: bool) -> None:
    """Section 5: what combining raises, in a worker or at the caller, is raised as it is, with a note of the calls."""
    with pytest.raises(ZeroDivisionError, match="too large") as caught:
        parallel(alone, chunksize=4, aggregate=Fold(refuse), return_exceptions=kept)(range(40))
    assert "combining the results of calls 0 to " in caught.value.__notes__[-1]
    with pytest.raises(ZeroDivisionError) as caught:
        parallel(alone, workers=1, chunksize=10, aggregate=Fold(refuse), return_exceptions=kept)(range(10))
    assert "combining the results of calls " in caught.value.__notes__[-1]
    assert parallel(alone, aggregate=Fold(operator.add))(range(3)) == [0, 1, 2]


def fail_until(value: int, *, folder: str) -> list[int]:
    """Fails at the first attempt of one call."""
    functions.fail_until(value, folder=folder, at=3, failures=1)
    return [value]


def test_retries(parallel: Parallel, folder: str) -> None:
    """Section 4: a call that succeeds later has its result at its place."""
    function = parallel(fail_until, chunksize=4, retries=1, aggregate=Fold(operator.add))
    assert function(range(12), folder=folder) == list(range(12))


def die_once(value: int, *, folder: str) -> list[int]:
    """Ends its worker at the first attempt of one call."""
    functions.die_once(value, folder=folder, at=3)
    return [value]


@pytest.mark.usefixtures("only_apart")
def test_deaths(parallel: Parallel, folder: str) -> None:
    """Section 5: results that were lost with a worker are made again, and combined once."""
    function = parallel(die_once, chunksize=4, retries=1, aggregate=Fold(operator.add))
    assert function(range(12), folder=folder) == list(range(12))


class Lone:
    """A result that cannot be serialized alone, but combined."""

    def __init__(self, value: int) -> None:
        self.value = value

    def __reduce__(self) -> Any:
        raise TypeError("alone")


def lone(value: int) -> Lone:
    """Returns what cannot be sent."""
    return Lone(value)


def together(left: Any, right: Any) -> list[int]:
    """Makes plain data of two."""
    return [value for one in (left, right) for value in (one if isinstance(one, list) else [one.value])]


def test_results_are_combined_where_they_are_made(parallel: Parallel) -> None:
    """Section 4: results of a chunk are not sent one by one: what they are combined to is all that has to be serialized."""
    assert parallel(lone, workers=1, chunksize=10, aggregate=Fold(together))(range(10)) == list(range(10))


def draw(value: int, rng: random.Random) -> list[float]:
    """Draws, for each call."""
    return [rng.random()]


def test_beside_random_numbers(parallel: Parallel) -> None:
    """Section 4: a function may have both added to it."""
    expected = [random.Random(f"1/{index}").random() for index in range(9)]
    assert parallel(draw, seed=1, aggregate=Fold(operator.add))(range(9)) == expected


def test_calls_inside_calls(parallel: Parallel) -> None:
    """Section 4: a fold inside a call is that of its own function."""

    def nested(value: int) -> list[int]:
        return distribute(alone, job="io", aggregate=Fold(operator.add))([value, value])

    assert parallel(nested, aggregate=Fold(operator.add))(range(3)) == [0, 0, 1, 1, 2, 2]


def test_batches(parallel: Parallel) -> None:
    """Section 4: the results of batches are combined, and not joined."""

    def total(values: list[int]) -> list[int]:
        return [sum(values)]

    assert parallel(total, batch_size=3, aggregate=Fold(operator.add))(range(7)) == [3, 12, 6]


def mean(left: float, right: float) -> float:
    """Is not associative."""
    return (left + right) / 2


def test_check() -> None:
    """Section 4: ``check`` finds functions that are not associative, and changes none of the values."""
    lists = [[1], [2], [3], [4]]
    assert Fold(operator.iadd).check(lists) == [1, 2, 3, 4]
    assert lists == [[1], [2], [3], [4]]
    assert Fold(operator.add, initial=10).check([1, 2, 3]) == 16
    assert Fold(operator.add).check([np.ones(2)] * 4).tolist() == [4.0, 4.0]
    with pytest.raises(ValueError, match=r"Fold\(mean\) is not associative: of values 0 to 2"):
        Fold(mean).check([1.0, 2.0, 3.0])
    with pytest.raises(ValueError, match=r"by halves"):  # each three are alike, and four are not
        Fold(lambda left, right: left + right if len(left) < 3 else left).check(["a", "b", "c", "d"])
    with pytest.raises(ValueError, match="not associative"):
        Fold(operator.add).check([0.1, 0.2, 0.3])
    Fold(operator.add).check([0.1, 0.2, 0.3], equal=np.isclose)
    with pytest.raises(ValueError, match="at least three"):
        Fold(operator.add).check([1, 2])


def test_what_is_no_function() -> None:
    """Section 1: a wrong value is an error where it is written, which does not show it."""
    with pytest.raises(TypeError, match=r"Fold: list object is not callable"):
        Fold([1])  # type: ignore[arg-type]

    async def add(left: int, right: int) -> int:
        return left + right

    with pytest.raises(TypeError, match=r"Fold: an async function combines nothing"):
        Fold(add)  # type: ignore[arg-type]
