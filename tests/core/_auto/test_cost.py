"""What tiny calls cost that stay in the calling thread: hardly more than a plain loop, however they are passed."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Iterator
from typing import Any

import pytest
from jd_core import distribute
from jd_core.testing.harness import best_of_three

CALLS = 20_000

#: For each element, a result is appended to a list, and a stream resumes. All else is for a chunk, or a block of calls.
_OF_ELEMENTS = {"append", "stream"}


def square(number: int) -> int:
    """Too little to be worth a message."""
    return number * number


def unhinted(number):
    """The same, whose result may be anything."""
    return number * number


def multiply(first: int, second: int) -> int:
    """Takes two."""
    return first * second


def add(first: int, second: int, third: int) -> int:
    """Takes three."""
    return first + second + third


def scale(number: int, *, factor: int) -> int:
    """Has a constant."""
    return number * factor


def scale_by(number: int, factor: int = 2) -> int:
    """Has a constant that need not be one."""
    return number * factor


def squares(numbers: list[int]) -> list[int]:
    """Gets batches."""
    return [number * number for number in numbers]


def listed() -> list[int]:
    """Numbers in a list."""
    return list(range(CALLS))


def one_by_one() -> Iterator[int]:
    """Numbers that come one by one."""
    return iter(range(CALLS))


WAYS: dict[str, tuple[Callable[..., Any], Callable[[Any], Iterable[Any]]]] = {
    "range": (square, lambda run: run(range(CALLS))),
    "list": (square, lambda run: run(listed())),
    "iterator": (square, lambda run: run(one_by_one())),
    "without hints": (unhinted, lambda run: run(listed())),
    "two": (multiply, lambda run: run(listed(), range(CALLS))),
    "two iterators": (multiply, lambda run: run(one_by_one(), one_by_one())),
    "three": (add, lambda run: run(listed(), range(CALLS), one_by_one())),
    "a constant": (scale, lambda run: run(listed(), factor=3)),
    "an optional constant": (scale_by, lambda run: run(listed(), factor=3)),
    "batches": (squares, lambda run: run(listed())),
    "a stream": (square, lambda run: [*run.stream(listed())]),
    "as completed": (square, lambda run: [*run.as_completed(listed())]),
}


@pytest.mark.parametrize("job", ["auto", "serial"])
@pytest.mark.parametrize("way", WAYS)
def test_for_an_element_only_its_call_runs(job: str, way: str) -> None:
    """No clock, lock, wrapper or object is there for each call: what is called besides is a small part of the calls."""
    function, make = WAYS[way]
    run = distribute(function, job=job)
    make(run)

    @best_of_three  # chunks are small after a moment in which this thread had no CPU
    def look() -> None:
        besides: list[str] = []

        def count(frame: Any, event: str, argument: Any) -> None:
            if event == "call" and frame.f_code is not function.__code__:
                besides.append(frame.f_code.co_name)
            elif event == "c_call":
                besides.append(argument.__name__)

        sys.setprofile(count)
        try:
            results = make(run)
        finally:
            sys.setprofile(None)
        assert len([*results]) == CALLS
        few = [name for name in besides if name not in _OF_ELEMENTS]
        assert len(few) < CALLS / 2, {name: few.count(name) for name in {*few}}

    look()
