"""Lines 5 and 6 of the contract: one instance serves many runs, starts workers for calls only, marks what they run."""

from __future__ import annotations

import asyncio
import concurrent.futures
import importlib
import threading
from collections.abc import Callable
from typing import Any

import pytest

from jd_core.backend import Backend, Option
from jd_core.testing import functions
from jd_core.testing.feed import Gathered, chunks_of
from jd_core.testing.harness import Contract, Way, needs
from jd_core.worker import is_inside_worker

#: Runs at once, from as many threads.
THREADS = 6


class ServingContract(Contract):
    """Lines 5 and 6, and what a backend says of itself."""

    def check_starts_nothing(self, act: Callable[[int], object]) -> None:
        """Fails if a thread or a process is there after ``act``, which gets the number of the try, that was not before.

        What others have begun may start just then, but hardly in three tries.
        """
        started: set[Any] = set()
        for attempt in (1, 2, 3):
            before = _running()
            act(attempt)
            started = _running() - before
            if not started:
                return
        pytest.fail(f"started for nothing: {started}")

    def test_no_chunks_no_worker(self, backend: Backend, way: Way) -> None:
        """Without chunks there are no results, and no thread or process was started for them."""

        def run(attempt: int) -> None:
            assert self.gather(backend, self.work(functions.same, workers=5 * attempt), [], way) == {}

        self.check_starts_nothing(run)

    def test_making_an_instance_starts_nothing(self, backend: Backend) -> None:
        """A further instance costs nothing: no thread, no process."""
        self.check_starts_nothing(lambda attempt: type(backend)())

    def test_many_runs_at_once(self, backend: Backend) -> None:
        """Runs from several threads at once do not mix."""
        together = threading.Barrier(THREADS)

        def run(number: int) -> list[Any]:
            together.wait()
            values = range(1000 * number, 1000 * number + 40)
            return self.gather(backend, self.work(functions.same), chunks_of(values, sizes=(3,))).ordered()

        with concurrent.futures.ThreadPoolExecutor(THREADS) as threads:
            results = list(threads.map(run, range(THREADS)))
        assert results == [list(range(1000 * number, 1000 * number + 40)) for number in range(THREADS)]

    def test_many_runs_on_one_loop(self, backend: Backend) -> None:
        """Runs of several tasks of one event loop do not mix."""

        async def run(number: int) -> list[Any]:
            work, gathered = self.work(functions.same), Gathered()
            feed = self.feed(work, chunks_of(range(100 * number, 100 * number + 20), sizes=(3,)), "arun")
            await self._agather(backend, work, feed, gathered)
            return gathered.ordered()

        async def run_all() -> list[list[Any]]:
            return await asyncio.gather(*map(run, range(4)))

        assert asyncio.run(run_all()) == [list(range(100 * number, 100 * number + 20)) for number in range(4)]

    def test_runs_within_a_run(self, backend: Backend) -> None:
        """A run may begin while another one of the same thread is half done."""
        work = self.work(functions.same)
        outer, gathered = self.feed(work, chunks_of(range(10), sizes=(2,))), Gathered()
        for _ in self.results(backend, work, outer, gathered):
            self.check_usable(backend)
        assert gathered.ordered() == list(range(10))

    def test_one_function_after_another(self, backend: Backend) -> None:
        """What a run was given, function and constants, is gone with it."""
        for constant in (1, "two", None):
            work = self.work(functions.give_constants, {"constant": constant})
            assert self.gather(backend, work, chunks_of(range(3))).ordered() == [{"constant": constant}] * 3
            self.check_usable(backend)

    def test_on_a_running_loop(self, backend: Backend) -> None:
        """`run` works in a thread whose event loop is running, for coroutines too."""

        async def run() -> list[Any]:
            return self.gather(backend, self.work(functions.awaited), chunks_of(range(6), sizes=(2,))).ordered()

        assert asyncio.run(run()) == list(range(6))

    @needs("run several calls at once")
    def test_the_loop_goes_on(self, backend: Backend, folder: str) -> None:
        """While `arun` waits for a call, the caller's event loop runs: it is what lets the call go on."""
        work, gathered = self.work(functions.held, {"folder": folder}), Gathered()

        async def let_go() -> None:
            while not functions.count(folder):
                await asyncio.sleep(functions.LOOK_SECONDS)
            self.let_go(folder)

        async def run() -> None:
            async with asyncio.TaskGroup() as tasks:
                tasks.create_task(let_go())
                await self._agather(backend, work, self.feed(work, chunks_of([1]), "arun"), gathered)

        asyncio.run(run())
        assert gathered.ordered() == [1]

    @needs("mark what it runs")
    @pytest.mark.parametrize("function", [functions.is_inside, functions.is_inside_coroutine], ids=["plain", "coroutine"])
    def test_calls_are_marked(self, backend: Backend, way: Way, function: Callable[..., Any]) -> None:
        """Line 6: in a call, `inside_worker` is true; in the caller it is not, before, while and after."""
        assert not is_inside_worker()
        gathered = self.gather(backend, self.work(function), chunks_of(range(6), sizes=(2,)), way)
        assert gathered.ordered() == [True] * 6
        assert not is_inside_worker()

    def test_the_caller_is_not_marked_meanwhile(self, backend: Backend) -> None:
        """Line 6: neither is the caller marked between two results, nor the input that it yields."""
        seen = []

        def values() -> Any:
            for chunk in chunks_of(range(6), sizes=(2,)):
                seen.append(is_inside_worker())
                yield chunk

        for _ in backend.run(self.work(functions.same), values()):
            seen.append(is_inside_worker())
        assert not any(seen)

    def test_what_it_says_of_itself(self, backend: Backend) -> None:
        """Name, cost of a message, options, default number of workers and facts are as the contract has them."""
        assert isinstance(backend.name, str)
        assert backend.name
        assert backend.message_seconds > 0
        assert isinstance(backend.shares_calls, bool)
        assert all(isinstance(name, str) and isinstance(option, Option) for name, option in backend.options.items())
        workers = backend.default_workers(self.options)
        assert isinstance(workers, int)
        assert workers >= 1
        assert all(isinstance(label, str) and isinstance(text, str) for label, text in backend.doctor())


def _running() -> set[Any]:
    """Returns this process's threads, and the ids of its children where the system tells them."""
    try:
        psutil = importlib.import_module("psutil")
    except ImportError:
        return set(threading.enumerate())
    return {*threading.enumerate(), *(child.pid for child in psutil.Process().children(recursive=True))}
