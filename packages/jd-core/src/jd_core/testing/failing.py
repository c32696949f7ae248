"""Line 3 of the contract: what goes wrong in a call is that call's failure, and nothing hangs."""

from __future__ import annotations

import asyncio
import functools
import os
from collections.abc import Callable
from typing import Any

import pytest

from jd_core.backend import Backend
from jd_core.errors import CallTimeoutError, RemoteError, SerializationError, WorkerDiedError
from jd_core.testing import functions
from jd_core.testing.feed import Gathered, chunks_of
from jd_core.testing.harness import Contract, Way, best_of_three, needs

#: A constant that must never be seen in a message.
TOKEN = "canary-7f3a"

KINDS = [
    pytest.param(functions.raise_at, lambda value: value, id="plain"),
    pytest.param(functions.raise_at_coroutine, lambda value: value, id="coroutine"),
    pytest.param(functions.raise_at_generator, lambda value: [value, value], id="generator"),
    pytest.param(functions.raise_at_async_generator, lambda value: [value, value], id="async generator"),
]


class FailingContract(Contract):
    """Line 3: a call's exception, death, timeout or value that cannot be serialized is a `Failure` of that call alone."""

    @pytest.mark.parametrize(("function", "expected"), KINDS)
    @pytest.mark.parametrize("error", [ValueError, SystemExit, KeyboardInterrupt, GeneratorExit])
    def test_exceptions(
        self,
        backend: Backend,
        way: Way,
        error: type[BaseException],
        function: Callable[..., Any],
        expected: Callable[[int], Any],
    ) -> None:
        """Whatever a function of any kind raises is the failure of its calls; the others have their results."""
        make = functools.partial(error, "broken")
        work = self.work(function, {"at": (0, 4, 9), "error": make})
        gathered = self.gather(backend, work, chunks_of(range(10), sizes=(5,)), way)
        failed = {0, 4, 9}
        assert set(gathered.failures) == failed
        assert [(type(raised), raised.args) for raised in gathered.failures.values()] == [(error, ("broken",))] * 3
        assert gathered.ordered() == [None if value in failed else expected(value) for value in range(10)]
        self.check_usable(backend)

    @pytest.mark.parametrize("error", [functions.UnrelatedError, asyncio.CancelledError])
    @pytest.mark.parametrize("function", [functions.raise_at, functions.raise_at_coroutine])
    def test_exceptions_that_are_no_exceptions(
        self, backend: Backend, way: Way, error: type[BaseException], function: Callable[..., Any]
    ) -> None:
        """A ``BaseException`` of the user's own, or a cancellation that nobody asked for, is a failure like others."""
        work = self.work(function, {"at": (1,), "error": error})
        gathered = self.gather(backend, work, chunks_of(range(4), sizes=(2,)), way)
        assert {index: type(raised) for index, raised in gathered.failures.items()} == {1: error}
        assert gathered.ordered() == [0, None, 2, 3]

    @pytest.mark.parametrize(("function", "expected"), KINDS)
    def test_stop_iteration(
        self, backend: Backend, way: Way, function: Callable[..., Any], expected: Callable[[int], Any]
    ) -> None:
        """A StopIteration becomes a RuntimeError, as in PEP 479: it never shortens a result."""
        work = self.work(function, {"at": (1, 5), "error": StopIteration})
        gathered = self.gather(backend, work, chunks_of(range(6), sizes=(3,)), way)
        assert {index: type(raised) for index, raised in gathered.failures.items()} == {
            1: RuntimeError,
            5: RuntimeError,
        }
        assert gathered.ordered() == [None if value in (1, 5) else expected(value) for value in range(6)]

    def test_every_call_fails(self, backend: Backend, way: Way) -> None:
        """A run in which nothing succeeds ends as others do."""
        work = self.work(functions.raise_at, {"at": tuple(range(20)), "error": LookupError})
        gathered = self.gather(backend, work, chunks_of(range(20), sizes=(1, 6)), way)
        assert sorted(gathered.failures) == list(range(20))
        assert gathered.ordered() == [None] * 20

    def test_failures_keep_type_attributes_and_traceback(self, backend: Backend) -> None:
        """An exception whose ``__init__`` wants other arguments comes back as itself, with the worker's traceback."""
        work = self.work(functions.raise_at, {"at": (2,), "error": functions.make_odd_error})
        gathered = self.gather(backend, work, chunks_of(range(4), sizes=(4,)))
        error = gathered.failures[2]
        assert isinstance(error, functions.OddError)
        assert (error.code, error.reason, str(error)) == (7, "odd", "odd (7)")
        if gathered.tracebacks[2] is not None:
            assert "in raise_at" in gathered.tracebacks[2]
        else:
            assert "raise_at" in _frames(error)

    def test_stop_at_failure(self, backend: Backend, way: Way) -> None:
        """With ``stop_at_failure`` the failure is there, with the results before it in its chunk, and nothing twice."""
        # One worker: where calls of a chunk are shared, another one's may still run when the failure has come.
        work = self.work(functions.raise_at, {"at": (3,), "error": ValueError}, stop_at_failure=True, workers=1)
        gathered = self.gather(backend, work, chunks_of(range(8), sizes=(8,)), way)
        assert set(gathered.failures) == {3}
        assert {index: gathered[index] for index in range(3)} == {0: 0, 1: 1, 2: 2}
        assert all(gathered[index] == index for index in gathered if index != 3)

    @pytest.mark.parametrize("workers", [1, 3])
    def test_return_at_failure(self, backend: Backend, way: Way, workers: int) -> None:
        """With ``return_at_failure`` a call after a failed one has its result or is returned; none is lost or done twice."""
        constants = {"at": (3, 8, 20), "error": ValueError}
        work = self.work(functions.raise_at, constants, return_at_failure=True, workers=workers)
        gathered = self.gather(backend, work, chunks_of(range(40), sizes=(8,)), way)
        assert sorted([*gathered, *gathered.returned]) == list(range(40))
        assert {3, 8} <= set(gathered.failures) <= {3, 8, 20}
        assert gathered.keys() >= {*range(4), 8}

    @needs("keep a timeout")
    @pytest.mark.parametrize("size", [1, 4])
    @best_of_three
    def test_timeouts(self, backend: Backend, way: Way, folder: str, size: int) -> None:
        """A call that takes longer than ``timeout`` is a CallTimeoutError; its neighbours have their results."""
        with self.folder_within(folder) as inner:
            work = self.work(functions.held_at, {"folder": inner, "at": 1}, timeout=0.4)
            gathered = self.gather(backend, work, chunks_of(range(4), sizes=(size,)), way)
        assert {index: type(raised) for index, raised in gathered.failures.items()} == {1: CallTimeoutError}
        assert "timeout=0.4" in str(gathered.failures[1])
        assert gathered.ordered() == [0, None, 2, 3]
        self.check_usable(backend)

    @needs("keep a timeout")
    def test_timeouts_of_coroutines(self, backend: Backend, way: Way, folder: str) -> None:
        """A coroutine that takes too long is a CallTimeoutError, too."""
        work = self.work(functions.held_coroutine, {"folder": folder}, timeout=0.3)
        gathered = self.gather(backend, work, chunks_of(range(2)), way)
        assert [type(raised) for raised in gathered.failures.values()] == [CallTimeoutError] * 2

    @needs("keep a timeout")
    @best_of_three
    def test_a_timeout_that_is_kept(self, backend: Backend, way: Way) -> None:
        """The limit is one call's, not a chunk's or the run's: many short calls may take longer together."""
        work = self.work(functions.take_long, {"seconds": 0.1}, timeout=0.8, workers=1)
        gathered = self.gather(backend, work, chunks_of(range(10), sizes=(10,)), way)
        assert gathered.ordered() == list(range(10))

    @needs("end a running call")
    @best_of_three
    def test_a_timeout_ends_the_call(self, backend: Backend, folder: str) -> None:
        """The call that took too long is ended: it never finishes."""
        with self.folder_within(folder) as inner:
            work = self.work(functions.held, {"folder": inner}, timeout=0.3)
            gathered = self.gather(backend, work, chunks_of([0]))
            assert isinstance(gathered.failures[0], CallTimeoutError)
            self.let_go(inner)
            self.check_usable(backend)
            assert functions.count(inner, "end") == 0

    @needs("outlive a dying worker")
    @pytest.mark.parametrize("size", [1, 5])
    def test_deaths(self, backend: Backend, way: Way, size: int) -> None:
        """A worker that dies costs its call, which is blamed, and no other; nothing hangs."""
        work = self.work(functions.exit_at, {"at": 3, "token": TOKEN})
        gathered = self.gather(backend, work, chunks_of(range(10), sizes=(size,)), way)
        assert {index: type(raised) for index, raised in gathered.failures.items()} == {3: WorkerDiedError}
        assert gathered.ordered() == [None if value == 3 else value for value in range(10)]
        assert TOKEN not in _all_text(gathered)
        self.check_usable(backend)

    @needs("refuse what cannot travel")
    @pytest.mark.parametrize("value", [functions.Unsendable(), functions.Unloadable()], ids=["pickling", "unpickling"])
    def test_arguments_that_cannot_be_serialized(self, backend: Backend, way: Way, value: Any) -> None:
        """An argument that cannot be sent, or not be rebuilt, fails its call with a SerializationError."""
        gathered = self.gather(backend, self.work(functions.same), chunks_of([0, 1, value, 3], sizes=(4,)), way)
        assert {index: type(raised) for index, raised in gathered.failures.items()} == {2: SerializationError}
        assert gathered.ordered() == [0, 1, None, 3]
        self.check_usable(backend)

    @needs("refuse what cannot travel")
    @pytest.mark.parametrize("function", [functions.unsendable_at, functions.unloadable_at])
    def test_results_that_cannot_be_serialized(self, backend: Backend, way: Way, function: Callable[..., Any]) -> None:
        """A result that cannot be sent, or not be rebuilt, fails its call with a SerializationError."""
        gathered = self.gather(backend, self.work(function, {"at": 1}), chunks_of(range(4), sizes=(4,)), way)
        assert {index: type(raised) for index, raised in gathered.failures.items()} == {1: SerializationError}
        assert gathered.ordered() == [0, None, 2, 3]
        self.check_usable(backend)

    @needs("refuse what cannot travel")
    def test_exceptions_that_cannot_be_serialized(self, backend: Backend) -> None:
        """An exception that cannot come back is a RemoteError that tells its type and message."""
        work = self.work(functions.raise_at, {"at": (1,), "error": functions.make_unsendable_error})
        gathered = self.gather(backend, work, chunks_of(range(3), sizes=(3,)))
        assert {index: type(raised) for index, raised in gathered.failures.items()} == {1: RemoteError}
        assert "UnsendableError" in str(gathered.failures[1])
        assert "kept its message" in str(gathered.failures[1])

    @needs("refuse what cannot travel")
    def test_constants_that_cannot_be_serialized(self, backend: Backend) -> None:
        """Constants that cannot be sent are a SerializationError of the run that shows none of them."""
        work = self.work(functions.give_constants, {"bad": functions.Unsendable(), "token": TOKEN})
        with pytest.raises(SerializationError) as caught:
            self.gather(backend, work, chunks_of(range(3)))
        assert TOKEN not in str(caught.value)
        self.check_usable(backend)

    def test_calls_run_once(self, backend: Backend, folder: str) -> None:
        """A call that failed is not run again: attempts are the core's matter."""
        work = self.work(_record_and_raise, {"folder": folder})
        gathered = self.gather(backend, work, chunks_of(range(12), sizes=(4,)))
        assert len(gathered.failures) == 12
        assert functions.count(folder) == 12


def _record_and_raise(value: int, *, folder: str) -> None:
    functions.record(folder)
    raise ValueError(value)


def _frames(error: BaseException) -> list[str]:
    names, trace = [], error.__traceback__
    while trace is not None:
        names.append(trace.tb_frame.f_code.co_name)
        trace = trace.tb_next
    return names


def _all_text(gathered: Gathered) -> str:
    texts = [f"{error!r} {error.args}" for error in gathered.failures.values()]
    return os.linesep.join([*texts, *(text or "" for text in gathered.tracebacks.values())])
