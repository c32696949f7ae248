"""Section 1: ``progress``, on every backend: calls are counted, for each way to run them."""

from __future__ import annotations

import asyncio
import contextlib
import io
import itertools
import re
import sys
from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest
from jd_core import DistributeError
from jd_core.testing import functions

Parallel = Callable[..., Any]


class Terminal(io.StringIO):
    """A terminal that keeps what is written."""

    def isatty(self) -> bool:
        return True


def pairs(values: list[int]) -> list[int]:
    """Stands for a user's function of batches."""
    return values


async def numbers(count: int) -> AsyncIterator[int]:
    """An input without a length."""
    for number in range(count):
        yield number


def last_states(text: str) -> list[str]:
    """Returns the last state of each line of bars, as "done/total" or "done"."""
    lines = [line.rpartition("\r")[2] for line in text.split("\n")]
    return [re.sub(r".*?(\d+(?:/\d+)?)(?:call)? \[.*", r"\1", line) for line in lines if "[" in line]


WAYS: dict[str, Callable[[Any, Any], Any]] = {
    "call": lambda function, values: function(values),
    "stream": lambda function, values: list(function.stream(values)),
    "as_completed": lambda function, values: list(function.as_completed(values)),
    "aio": lambda function, values: asyncio.run(function.aio(values)),
    "astream": lambda function, values: asyncio.run(gathered(function, values)),
}


async def gathered(function: Any, values: Any) -> list[Any]:
    """Streams on a loop."""
    return [result async for result in function.astream(values)]


@pytest.mark.parametrize("way", WAYS)
def test_calls_are_counted(parallel: Parallel, way: str) -> None:
    """Section 1: each way to run calls reports how many are done, up to all, with the total where it is known."""
    for values, total in ((range(30), 30), (iter(range(30)), None)):
        seen: list[tuple[int, int | None]] = []
        WAYS[way](parallel(functions.same, progress=lambda *state, seen=seen: seen.append(state)), values)
        assert seen[-1] == (30, total)
        assert seen == sorted(set(seen), key=lambda state: state[0])


def test_batches_are_calls(parallel: Parallel) -> None:
    """Section 1: calls are counted, not the elements of their batches."""
    seen: list[Any] = []
    parallel(pairs, batch_size=2, progress=lambda *state: seen.append(state))(range(9))
    assert seen[-1] == (5, 5)


def test_async_iterables_have_no_total(parallel: Parallel) -> None:
    """Section 1: where the input is an async iterable, the total is not known."""
    seen: list[Any] = []
    asyncio.run(parallel(functions.same, progress=lambda *state: seen.append(state)).aio(numbers(9)))
    assert seen[-1] == (9, None)


@pytest.mark.parametrize("way", WAYS)
def test_a_bar(parallel: Parallel, way: str) -> None:
    """Section 1: True shows a bar on stderr, for a run that is over in a blink too, and again where the total is unknown."""
    pytest.importorskip("tqdm")
    function = parallel(functions.same, progress=True)
    for _ in range(2):  # the second time, it is known that the run is short
        with contextlib.redirect_stderr(Terminal()) as terminal:
            WAYS[way](function, range(30))
            WAYS[way](function, iter(range(30)))
        assert last_states(terminal.getvalue()) == ["30/30", "30"]
        assert terminal.getvalue().count("same: ") >= 2


def test_several_bars_at_once(parallel: Parallel) -> None:
    """Section 1: runs side by side each have their own bar, and each counts its own calls."""
    pytest.importorskip("tqdm")
    function = parallel(functions.same, progress=True, chunksize=1)
    with contextlib.redirect_stderr(Terminal()) as terminal:
        first, second = function.stream(range(20)), function.stream(range(30))
        assert [next(first), next(second)] == [0, 0]
        assert list(first) == list(range(1, 20))
        assert list(second) == list(range(1, 30))
    assert "20/20" in terminal.getvalue()
    assert "30/30" in terminal.getvalue()
    assert "21/20" not in terminal.getvalue()


def test_the_bar_of_a_closed_stream_ends(parallel: Parallel) -> None:
    """Section 1: a stream that is closed early ends its bar where it is."""
    pytest.importorskip("tqdm")
    with contextlib.redirect_stderr(Terminal()) as terminal:
        with parallel(functions.same, progress=True).stream(itertools.count()) as results:
            next(results)
        shown = terminal.getvalue()
        assert parallel(functions.same)(range(5)) == list(range(5))
    assert shown == terminal.getvalue()
    assert shown.endswith("\n")


def test_silent_where_nobody_looks(parallel: Parallel, monkeypatch: pytest.MonkeyPatch) -> None:
    """Section 1: where stderr is neither a terminal nor a notebook's, nothing is shown, and tqdm is not needed."""
    monkeypatch.setitem(sys.modules, "tqdm.auto", None)
    with contextlib.redirect_stderr(io.StringIO()) as stream:
        assert parallel(functions.same, progress=True)(range(9)) == list(range(9))
    assert stream.getvalue() == ""


def test_without_tqdm(parallel: Parallel, monkeypatch: pytest.MonkeyPatch, folder: str) -> None:
    """Section 1: with jd-core alone the error says how to get tqdm, before any call is made."""
    monkeypatch.setitem(sys.modules, "tqdm.auto", None)
    with contextlib.redirect_stderr(Terminal()), pytest.raises(DistributeError, match="pip install tqdm"):
        parallel(functions.recorded, progress=True)(range(9), folder=folder)
    assert functions.count(folder) == 0
