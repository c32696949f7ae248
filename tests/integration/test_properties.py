"""Promise 3: the result equals the plain loop's, or there is an error; never fewer results."""

from __future__ import annotations

import array
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from typing import Any

import hypothesis.strategies as st
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from jd_core import distribute

#: Ways to pass the same numbers. Each makes a fresh one, since iterators are used up.
CONTAINERS: dict[str, Callable[[list[int]], Any]] = {
    "list": list,
    "tuple": tuple,
    "range": lambda numbers: range(len(numbers)),
    "dict keys": lambda numbers: dict.fromkeys(numbers).keys(),
    "dict values": lambda numbers: dict(enumerate(numbers)).values(),
    "dict items": lambda numbers: dict(enumerate(numbers)).items(),
    "deque": deque,
    "generator": lambda numbers: (number for number in numbers),
    "iterator": iter,
    "map": lambda numbers: map(abs, numbers),
    "numpy array": lambda numbers: np.array(numbers, dtype=np.int64),
    "array": lambda numbers: array.array("q", numbers),
}

numbers = st.lists(st.integers(-(2**40), 2**40), max_size=50)
workers = st.integers(1, 9)
chunksizes = st.one_of(st.just("auto"), st.integers(1, 60))
batch_sizes = st.one_of(st.none(), st.integers(1, 60))
containers = st.sampled_from(sorted(CONTAINERS))
buffersizes = st.one_of(st.none(), st.integers(1, 60))

#: What one example costs differs much: a message to a process, or to a cluster.
EXAMPLES = {"compute": 30, "io": 60, "web": 60, "ray": 15}


class BadError(Exception):
    """Stands for a user's exception."""


def shown(value: Any, *, plus: int = 0) -> tuple[str, Any]:
    """Stands for a user's function of one element."""
    return type(value).__name__, value if isinstance(value, tuple) else value + plus


def halved(values: list[int]) -> list[int]:
    """Stands for a user's function of a batch."""
    return [value // 2 for value in values]


def combined(left: int, right: list[int]) -> tuple[int, list[int]]:
    """Stands for a user's function of an element and a batch."""
    return left, [left + value for value in right]


def counted(value: int) -> Iterator[int]:
    """Stands for a user's generator function."""
    yield from range(value % 4)


async def awaited(value: int) -> int:
    """Stands for a user's coroutine function."""
    return -value


def fails_at_multiples(value: int) -> int:
    """Fails for some values, in each of several ways."""
    if value % 5 == 3:
        raise (BadError, StopIteration, SystemExit)[value % 3](value)
    return value


def checked(job: str, test: Callable[..., None], **strategies: st.SearchStrategy[Any]) -> None:
    """Runs a property test for a job, with as many examples as its calls allow."""
    given(**strategies)(
        settings(
            max_examples=max(1, EXAMPLES[job] * settings.default.max_examples // 100),  # fewer in the quick profile
            deadline=None,
            database=None,
            suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
        )(test)
    )()


def plain_loop(function: Callable[..., Any], *columns: Iterable[Any], **constants: Any) -> list[Any]:
    """Returns what the loop gives that one would write without this library."""
    return [function(*arguments, **constants) for arguments in zip(*columns, strict=True)]


def test_elements(job: str) -> None:
    """Promise 3: elements of any container, any number of workers, any chunk size."""

    def equals_the_loop(values: list[int], container: str, workers: int, chunksize: Any, buffersize: Any) -> None:
        make = CONTAINERS[container]
        function = distribute(shown, job=job, workers=workers, chunksize=chunksize, buffersize=buffersize)
        assert function(make(values), plus=3) == plain_loop(shown, make(values), plus=3)

    checked(
        job,
        equals_the_loop,
        values=numbers,
        container=containers,
        workers=workers,
        chunksize=chunksizes,
        buffersize=buffersizes,
    )


def test_batches(job: str) -> None:
    """Promise 3: batches of any container and size, joined, give what the plain function gives over all."""

    def equals_the_plain_call(values: list[int], container: str, workers: int, batch_size: int | None) -> None:
        make = CONTAINERS[container if container != "dict items" else "list"]
        function = distribute(halved, job=job, workers=workers, batch_size=batch_size)
        assert function(make(values)) == halved(list(make(values)))

    checked(job, equals_the_plain_call, values=numbers, container=containers, workers=workers, batch_size=batch_sizes)


def test_elements_and_batches(job: str) -> None:
    """Promise 3: beside elements, batches are equal contiguous slices."""

    def equals_the_loop(values: list[int], width: int, workers: int, chunksize: Any) -> None:
        flat = list(range(width * len(values)))
        slices = [flat[at * width : (at + 1) * width] for at in range(len(values))]
        function = distribute(combined, job=job, workers=workers, chunksize=chunksize)
        assert function(values, flat) == plain_loop(combined, values, slices)

    checked(job, equals_the_loop, values=numbers, width=st.integers(0, 4), workers=workers, chunksize=chunksizes)


@pytest.mark.parametrize("function", [counted, awaited])
def test_kinds_of_functions(job: str, function: Callable[..., Any]) -> None:
    """Promise 3: generator and coroutine functions give what their local calls give."""

    def equals_the_local_calls(values: list[int], workers: int, chunksize: Any) -> None:
        distributed = distribute(function, job=job, workers=workers, chunksize=chunksize)
        expected = [list(counted(value)) for value in values] if function is counted else [-value for value in values]
        assert distributed(values) == expected

    checked(job, equals_the_local_calls, values=numbers, workers=workers, chunksize=chunksizes)


def test_streams(job: str) -> None:
    """Promise 3: streams give the same in order, .as_completed the same in any."""

    def equals_the_loop(values: list[int], workers: int, chunksize: Any, buffersize: Any) -> None:
        function = distribute(shown, job=job, workers=workers, chunksize=chunksize, buffersize=buffersize)
        assert list(function.stream(iter(values))) == plain_loop(shown, values)
        assert sorted(function.as_completed(iter(values))) == list(enumerate(plain_loop(shown, values)))

    checked(job, equals_the_loop, values=numbers, workers=workers, chunksize=chunksizes, buffersize=buffersizes)


def test_failures(job: str) -> None:
    """Promise 3: results and exceptions each stand at their call's place, and none is missing."""

    def has_each_in_its_place(values: list[int], workers: int, chunksize: Any) -> None:
        function = distribute(fails_at_multiples, job=job, workers=workers, chunksize=chunksize, return_exceptions=True)
        results = function(values)
        assert len(results) == len(values)
        for value, result in zip(values, results, strict=True):
            if value % 5 == 3:
                assert isinstance(result, Exception)
                assert f"value={value}" in result.__notes__[-1]
            else:
                assert result == value

    small = st.lists(st.integers(0, 60), max_size=50)
    checked(job, has_each_in_its_place, values=small, workers=workers, chunksize=chunksizes)


def test_a_failure_is_raised(job: str) -> None:
    """Promise 3: if any call fails there is an error, and a result only if none does."""

    def fails_or_equals(values: list[int], workers: int, chunksize: Any) -> None:
        function = distribute(fails_at_multiples, job=job, workers=workers, chunksize=chunksize)
        if any(value % 5 == 3 for value in values):
            with pytest.raises((BadError, RuntimeError)):  # a CallError is one, and what StopIteration becomes
                function(values)
        else:
            assert function(values) == values

    small = st.lists(st.integers(0, 60), max_size=12)
    checked(job, fails_or_equals, values=small, workers=workers, chunksize=chunksizes)
