"""Line 1 of the contract: every call has exactly one place in exactly one result."""

from __future__ import annotations

import array
import time
from collections.abc import Callable, Sequence
from typing import Any

import pytest

from jd_core.backend import Backend
from jd_core.testing import functions
from jd_core.testing.feed import Gathered, chunks_of
from jd_core.testing.harness import Contract, Way, needs


class ResultsContract(Contract):
    """Line 1: every call of every chunk has exactly one place in exactly one `ChunkResult`, in any order."""

    @pytest.mark.parametrize("sizes", [(1,), (7,), (1, 2, 30), (100,)], ids=str)
    def test_every_call_has_one_result(self, backend: Backend, way: Way, sizes: tuple[int, ...]) -> None:
        """Whatever the sizes of the chunks, each call has one result, and it is its own."""
        values = list(range(100, 200))
        gathered = self.gather(backend, self.work(functions.same, calls=100), chunks_of(values, sizes=sizes), way)
        assert gathered.ordered() == values
        assert not gathered.failures

    def test_a_single_call(self, backend: Backend, way: Way) -> None:
        """One call is a run."""
        gathered = self.gather(backend, self.work(functions.same, calls=1), chunks_of(["only"]), way)
        assert gathered.ordered() == ["only"]

    @pytest.mark.parametrize("workers", [1, 3])
    def test_any_number_of_workers(self, backend: Backend, way: Way, workers: int) -> None:
        """The number of workers changes no result; neither does an unknown number of calls."""
        values = list(range(40))
        gathered = self.gather(backend, self.work(functions.same, workers=workers), chunks_of(values, sizes=(3,)), way)
        assert gathered.ordered() == values

    def test_many_calls(self, backend: Backend, way: Way) -> None:
        """Tens of thousands of calls in chunks of thousands each have their own result."""
        values = range(30_000)
        gathered = self.gather(backend, self.work(functions.same), chunks_of(values, sizes=(5000, 1)), way)
        assert gathered.ordered() == list(values)

    def test_columns_are_arguments(self, backend: Backend, way: Way) -> None:
        """The i-th column holds the i-th positional argument; columns stay in step."""
        left, right = list(range(50)), [10 * value for value in range(50)]
        gathered = self.gather(backend, self.work(functions.add), chunks_of(left, right, sizes=(4, 9)), way)
        assert gathered.ordered() == [11 * value for value in range(50)]

    @pytest.mark.parametrize(
        "column",
        [range(0, 40, 2), tuple("abcdefgh"), array.array("d", [0.5, 1.5, 2.5])],
        ids=["range", "tuple", "array"],
    )
    def test_columns_of_any_sequence(self, backend: Backend, column: Sequence[Any]) -> None:
        """A column is any sequence: each call gets one element, of its own type."""
        gathered = self.gather(backend, self.work(functions.describe), chunks_of(column, sizes=(2,)))
        assert gathered.ordered() == [(type(value).__name__, value) for value in column]

    def test_arguments_are_passed_on_as_they_are(self, backend: Backend) -> None:
        """Tuples, None and mappings are arguments like others: nothing is unpacked."""
        column: list[Any] = [(1, 2), None, {"a": 1}, [3], "text", b"bytes", ()]
        assert self.gather(backend, self.work(functions.same), chunks_of(column, sizes=(3,))).ordered() == column

    def test_constants(self, backend: Backend, way: Way) -> None:
        """Every call gets the constants by keyword, of any name."""
        constants = {"plus": 1, "function": [2], "self": None, "call": "x"}
        gathered = self.gather(backend, self.work(functions.give_constants, constants), chunks_of(range(5)), way)
        assert gathered.ordered() == [constants] * 5

    def test_none_is_a_result(self, backend: Backend) -> None:
        """A call that returns None has not failed."""
        gathered = self.gather(backend, self.work(functions.nothing), chunks_of(range(9), sizes=(2,)))
        assert gathered.ordered() == [None] * 9
        assert not gathered.failures

    @pytest.mark.parametrize(
        ("function", "expected"),
        [
            (functions.awaited, lambda value: value),
            (functions.counted, lambda value: list(range(value))),
            (functions.counted_async, lambda value: list(range(value))),
        ],
        ids=["coroutine", "generator", "async generator"],
    )
    def test_kinds_of_functions(
        self, backend: Backend, way: Way, function: Callable[..., Any], expected: Callable[[int], Any]
    ) -> None:
        """A coroutine is awaited; what a generator function, plain or async, yields is a list."""
        gathered = self.gather(backend, self.work(function), chunks_of(range(12), sizes=(5,)), way)
        assert gathered.ordered() == [expected(value) for value in range(12)]

    def test_functions_without_a_name_to_import(self, backend: Backend, way: Way) -> None:
        """A closure, which no worker can import, is run like any function."""
        factor = 3

        def scaled(value: int, *, plus: int) -> int:
            return value * factor + plus

        gathered = self.gather(backend, self.work(scaled, {"plus": 1}), chunks_of(range(10), sizes=(4,)), way)
        assert gathered.ordered() == [value * 3 + 1 for value in range(10)]

    def test_large_values(self, backend: Backend) -> None:
        """Arguments and results of a megabyte, several to a chunk, arrive whole."""
        values = [bytes([number]) * 1_000_000 for number in range(8)]
        assert self.gather(backend, self.work(functions.same), chunks_of(values, sizes=(3,))).ordered() == values

    def test_chunks_that_take_long(self, backend: Backend, way: Way) -> None:
        """Results may come in parts while a chunk goes on; the parts make up the chunk."""
        work = self.work(functions.take_long, {"seconds": 0.04})
        assert self.gather(backend, work, chunks_of(range(14), sizes=(7,)), way).ordered() == list(range(14))

    def test_seconds_are_those_of_the_calls(self, backend: Backend) -> None:
        """What the calls took together, where the backend knows it, is about what they took."""
        work = self.work(functions.take_long, {"seconds": 0.05})
        began = time.monotonic()
        for result in backend.run(work, chunks_of(range(4), sizes=(2,))):
            most = self.workers * (time.monotonic() - began)
            assert not result.seconds or 0.9 * 0.05 * len(result.values) < result.seconds < 1.1 * most

    def test_a_consumer_that_takes_its_time(self, backend: Backend, folder: str) -> None:
        """Results that nobody asks for wait, and none is lost."""
        work = self.work(functions.recorded, {"folder": folder})
        gathered = Gathered()
        for _ in self.results(backend, work, self.feed(work, chunks_of(range(30), sizes=(5,))), gathered):
            # Whatever other workers are at goes on meanwhile.
            time.sleep(functions.LOOK_SECONDS)
        assert gathered.ordered() == list(range(30))
        assert functions.count(folder) == 30

    @needs("run several calls at once")
    @pytest.mark.parametrize("function", [functions.meet, functions.meet_coroutine], ids=["plain", "coroutine"])
    def test_calls_run_at_once(self, backend: Backend, way: Way, folder: str, function: Callable[..., Any]) -> None:
        """As many calls as there are workers run at the same time, plain functions and coroutines."""
        work = self.work(function, {"folder": folder, "calls": self.workers})
        assert self.gather(backend, work, chunks_of(range(self.workers)), way).ordered() == list(range(self.workers))
