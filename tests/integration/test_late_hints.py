"""Section 2: hints that name what exists only after the decoration, or never."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import pandas as pd
import pytest
from jd_core import SignatureError, distribute

if TYPE_CHECKING:
    from pandas import DataFrame

Parallel = Callable[..., Any]


@distribute("io", workers=2, batch_size=2)
def lengths(words: list[Word]) -> list[Word]:
    """Is decorated before the class that it names exists."""
    return [Word(word) for word in words]


@distribute("io", workers=2, batch_size=2)
async def lengths_later(words: list[Word]) -> list[Word]:
    """Is decorated before the class that it names exists."""
    return [Word(word) for word in words]


class Shape:
    """Has methods that name it."""

    @staticmethod
    @distribute("io", workers=2, batch_size=2)
    def counted(shapes: list[Shape]) -> list[int]:
        """Is decorated while its class is being made."""
        return [len(shapes)]

    @distribute("io", workers=2, batch_size=2)
    @staticmethod
    def counted_too(shapes: list[Shape]) -> list[int]:
        """Has the decorators in the other order."""
        return [len(shapes)]

    @distribute("io", workers=2, batch_size=2)
    def with_others(self, shapes: list[Shape]) -> list[int]:
        """Is a method."""
        return [len(shapes)]

    @classmethod
    @distribute("io", workers=2, batch_size=2)
    def of_class(cls, shapes: list[Shape]) -> list[int]:
        """Is a classmethod."""
        return [len(shapes)]


class Word(str):
    """Is defined after the functions."""

    __slots__ = ()


WORDS = [Word("a"), Word("bc"), Word("d")]


def test_classes_that_are_defined_later() -> None:
    """Section 2: hints are resolved again at the first call, whatever kind of call that is."""
    assert lengths(WORDS) == WORDS
    assert lengths.options(aggregate="list")(WORDS) == [WORDS[:2], WORDS[2:]]
    assert list(lengths.options(retries=0).stream(WORDS)) == [WORDS[:2], WORDS[2:]]
    assert sorted(lengths.options(retries=0).as_completed(WORDS)) == [(0, WORDS[:2]), (1, WORDS[2:])]


@pytest.mark.parametrize("way", ["aio", "astream"])
def test_classes_that_are_defined_later_on_a_loop(way: str) -> None:
    """Section 2: so it is for callers on an event loop."""
    import asyncio

    function = lengths_later.options(retries=0)

    async def main() -> Any:
        if way == "aio":
            return await function.aio(WORDS)
        return [word async for words in function.astream(WORDS) for word in words]

    assert asyncio.run(main()) == WORDS


def test_the_class_around() -> None:
    """Section 2: a method may name its own class, in whatever order it is decorated."""
    shapes = [Shape(), Shape(), Shape()]
    for function in (Shape.counted, Shape.counted_too, Shape().with_others, Shape.of_class):
        assert function(shapes) == [2, 1]


def test_classes_that_are_local(parallel: Parallel) -> None:
    """Section 2: a class of the function that makes the call is found, also where it is defined after the decoration."""

    def counted(items: list[Item]) -> list[int]:
        return [len(items)]

    function = parallel(counted, batch_size=2)

    class Item:
        """Is local."""

    assert function.options(job="io")([Item(), Item(), Item()]) == [2, 1]
    if TYPE_CHECKING:
        assert Item


def test_hints_that_never_resolve(parallel: Parallel) -> None:
    """Section 2: a hint that cannot be resolved makes an element, and the error of a frame for it names the hint."""

    def rows(frame: DataFrame) -> int:
        return len(frame)

    function = parallel(rows)
    assert function([pd.DataFrame({"a": [1, 2]}), pd.DataFrame({"a": [3]})]) == [2, 1]
    with pytest.raises(SignatureError, match=r"its hint cannot be resolved: DataFrame: name 'DataFrame' is not defined"):
        function(pd.DataFrame({"a": [1, 2]}))
