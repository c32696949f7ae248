"""Line 4 of the contract: however a run ends, it cancels what it can and releases what belongs to it."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import itertools
import os
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from jd_core.backend import Backend, Chunk, Work
from jd_core.testing import functions
from jd_core.testing.feed import Feed, chunks_of
from jd_core.testing.harness import SOON_SECONDS, Contract, Way, best_of_three, needs, wait_until

#: Runs after which one can tell whether each leaves something behind.
RUNS = 12


class EndingContract(Contract):
    """Line 4: closing, an exception in the input, Ctrl-C and ``cancelled`` end a run and release what is its own."""

    def endless(self, function: Callable[..., Any], folder: str, **changes: Any) -> tuple[Work, Feed]:
        """Returns work and an input without end."""
        work = self.work(function, {"folder": folder}, **changes)
        return work, self.feed(work, (Chunk(index, ([index],)) for index in itertools.count()), "arun")

    def all_hold(self, folder: str) -> bool:
        """Whether all workers are in a held call, so that none is about to start another."""
        return functions.count(folder) >= self.workers

    def check_nothing_starts(self, backend: Backend, folder: str) -> None:
        """Fails if a call of the ended run still starts: it would before those of the next runs."""
        started = functions.count(folder)
        self.let_go(folder)
        self.check_usable(backend)
        self.check_usable(backend)
        assert functions.count(folder) == started
        assert started <= 4 * self.workers + 1

    @needs("run several calls at once")
    def test_closing_cancels_what_is_pending(self, backend: Backend, folder: str) -> None:
        """A run that is closed while its workers are busy returns soon; what has not started never does."""
        work = self.work(functions.held_at, {"folder": folder, "at": 1})
        results = self.results(backend, work, self.feed(work, chunks_of(range(100))))
        assert next(results).values == [0]
        began = time.monotonic()
        results.close()
        assert time.monotonic() - began < functions.HELD_SECONDS / 8
        with pytest.raises(StopIteration):
            next(results)
        self.let_go(folder)
        self.check_usable(backend)

    @needs("start nothing after the end")
    def test_closing_stops_an_endless_input(self, backend: Backend, folder: str) -> None:
        """After closing, no call of an endless input starts any more."""
        work, feed = self.endless(functions.recorded, folder)
        self.check_usable(backend)
        with _threads_that_end():
            results = self.results(backend, work, feed)
            for _ in range(3):
                next(results)
            results.close()
        asked, started = feed.asked, functions.count(folder)
        self.check_usable(backend)
        assert (feed.asked, functions.count(folder)) == (asked, started)
        assert started <= feed.pulled

    @needs("end a running call")
    @best_of_three
    def test_closing_ends_running_calls(self, backend: Backend, folder: str) -> None:
        """Calls that run when their run is closed are ended, and never finish."""
        with self.folder_within(folder) as inner:
            work = self.work(functions.held_at, {"folder": inner, "at": 1})
            results = self.results(backend, work, self.feed(work, chunks_of(range(4))))
            next(results)
            wait_until(lambda: functions.count(inner) == 1)
            results.close()
            self.let_go(inner)
            self.check_usable(backend)
            assert functions.count(inner, "end") == 0

    def test_closing_before_the_start(self, backend: Backend, folder: str) -> None:
        """A run that is closed before anything was asked of it has done nothing."""
        work, feed = self.endless(functions.recorded, folder)
        results = backend.run(work, feed)
        results.close()
        results.close()
        assert (feed.asked, functions.count(folder)) == (0, 0)

    def test_dropping_is_closing(self, backend: Backend, folder: str) -> None:
        """A run that is dropped stops as if it were closed."""
        work, feed = self.endless(functions.recorded, folder)
        results = backend.run(work, feed)
        next(results)
        del results
        gc.collect()
        asked = feed.asked
        self.check_usable(backend)
        assert feed.asked == asked

    @needs("start nothing after the end")
    def test_closing_on_a_loop(self, backend: Backend, folder: str) -> None:
        """`arun` that is closed early stops in the same way."""
        work, feed = self.endless(functions.recorded, folder)

        async def take_one() -> None:
            results = backend.arun(work, feed)
            async with contextlib.aclosing(results):
                await anext(results)

        self.check_usable(backend)
        with _threads_that_end():
            asyncio.run(take_one())
        asked, started = feed.asked, functions.count(folder)
        self.check_usable(backend)
        assert (feed.asked, functions.count(folder)) == (asked, started)

    @needs("run several calls at once")
    @pytest.mark.parametrize("function", [functions.held, functions.held_coroutine], ids=["plain", "coroutine"])
    def test_cancelling_the_task(self, backend: Backend, folder: str, function: Callable[..., Any]) -> None:
        """Cancelling the task that iterates `arun` ends the run, and the cancellation goes on."""
        work, feed = self.endless(function, folder)

        async def iterate() -> None:
            async for _ in backend.arun(work, feed):
                pass

        async def cancel() -> None:
            task = asyncio.create_task(iterate())
            while not self.all_hold(folder):
                await asyncio.sleep(functions.LOOK_SECONDS)
            task.cancel()
            async with asyncio.timeout(SOON_SECONDS):
                with pytest.raises(asyncio.CancelledError):
                    await task

        asyncio.run(cancel())
        self.check_nothing_starts(backend, folder)

    @pytest.mark.parametrize("error", [ZeroDivisionError("input"), KeyboardInterrupt(), SystemExit(3)], ids=repr)
    @pytest.mark.parametrize("good", [0, 1, 30])
    def test_exceptions_of_the_input(self, backend: Backend, error: BaseException, good: int) -> None:
        """What ``chunks`` raises is raised as it is, and nothing further is pulled."""
        work = self.work(functions.same)

        def chunks() -> Iterator[Chunk]:
            yield from chunks_of(range(good))
            raise error

        feed = self.feed(work, chunks())
        with pytest.raises(type(error)) as caught:
            self.gather(backend, work, feed)
        assert caught.value is error
        assert feed.asked == good + 1
        self.check_usable(backend)

    def test_exceptions_of_the_input_on_a_loop(self, backend: Backend) -> None:
        """`arun` raises on what ``chunks`` raises, too."""
        error = ZeroDivisionError("input")

        def chunks() -> Iterator[Chunk]:
            yield from chunks_of(range(3))
            raise error

        with pytest.raises(ZeroDivisionError) as caught:
            self.gather(backend, self.work(functions.same), chunks(), "arun")
        assert caught.value is error
        self.check_usable(backend)

    @needs("run several calls at once")
    def test_an_exception_of_the_input_cancels(self, backend: Backend, folder: str) -> None:
        """Calls that are held when the input fails do not hold the run."""
        work = self.work(functions.held, {"folder": folder})

        def chunks() -> Iterator[Chunk | None]:
            yield Chunk(0, ([0],))
            while not functions.count(folder):
                yield None
            raise ZeroDivisionError("input")

        with pytest.raises(ZeroDivisionError):
            self.gather(backend, work, chunks())
        self.check_nothing_starts(backend, folder)

    def test_exceptions_thrown_in(self, backend: Backend, folder: str) -> None:
        """An exception that is thrown into the iterator comes out as it is, and ends the run."""
        work, feed = self.endless(functions.recorded, folder)
        results = backend.run(work, feed)
        next(results)
        error = KeyboardInterrupt()
        with pytest.raises(KeyboardInterrupt) as caught:
            results.throw(error)
        assert caught.value is error
        asked = feed.asked
        self.check_usable(backend)
        assert feed.asked == asked

    @needs("run several calls at once")
    @pytest.mark.parametrize("function", [functions.held, functions.held_coroutine], ids=["plain", "coroutine"])
    def test_cancelled(self, backend: Backend, folder: str, function: Callable[..., Any]) -> None:
        """``work.cancelled`` turning true ends the run, without an exception, while its calls are held."""
        cancelled = threading.Event()
        work, feed = self.endless(function, folder, cancelled=cancelled.is_set)

        def cancel() -> None:
            wait_until(lambda: self.all_hold(folder))
            cancelled.set()

        canceller = threading.Thread(target=cancel)
        canceller.start()
        self.gather(backend, work, feed)
        canceller.join()
        assert cancelled.is_set()
        self.check_nothing_starts(backend, folder)

    def test_not_cancelled(self, backend: Backend) -> None:
        """``work.cancelled`` that stays false changes nothing."""
        work = self.work(functions.same, cancelled=lambda: False)
        assert self.gather(backend, work, chunks_of(range(20), sizes=(3,))).ordered() == list(range(20))

    @needs("run several calls at once")
    @pytest.mark.skipif(sys.platform == "win32", reason="no signal can be sent to one thread")
    @pytest.mark.parametrize("function", [functions.held, functions.held_coroutine], ids=["plain", "coroutine"])
    @pytest.mark.parametrize("taken_by", ["main", "another"])
    def test_ctrl_c(self, backend: Backend, folder: str, function: Callable[..., Any], taken_by: str) -> None:
        """Ctrl-C while the caller waits raises KeyboardInterrupt soon, and the backend still works.

        The system may give the signal to another thread, and then it ends no wait of the main one; nor does it if it comes
        just before that thread begins to wait.
        """
        assert threading.current_thread() is threading.main_thread(), "signals are handled in the main thread"
        work, feed = self.endless(function, folder)
        main = threading.get_ident()

        def interrupt() -> None:
            wait_until(lambda: self.all_hold(folder))
            signal.pthread_kill(main if taken_by == "main" else threading.get_ident(), signal.SIGINT)

        interrupter = threading.Thread(target=interrupt)
        with _python_handles_ctrl_c():
            interrupter.start()
            with pytest.raises(KeyboardInterrupt):
                self.gather(backend, work, feed)
        interrupter.join()
        self.check_nothing_starts(backend, folder)

    @pytest.mark.parametrize("way_to_end", ["end", "close", "raise"])
    def test_nothing_is_left_behind(self, backend: Backend, way: Way, way_to_end: str) -> None:
        """After many runs there are as many threads and open files as after a few."""

        def run() -> None:
            if way_to_end == "end":
                self.check_usable(backend)
            elif way_to_end == "close":
                results = backend.run(self.work(functions.same), chunks_of(range(50)))
                next(results)
                results.close()
            else:
                work = self.work(functions.same)
                with pytest.raises(TypeError):
                    self.gather(backend, work, itertools.chain(chunks_of(range(3)), map(len, [1])), way)  # type: ignore[arg-type]

        for _ in range(3):
            run()
        wait_until(lambda: _settled())
        threads, files = threading.active_count(), _open_files()
        for _ in range(RUNS):
            run()
        wait_until(lambda: threading.active_count() <= threads)
        # What a backend is built on opens a connection now and then; what a run leaves is left by each of them.
        wait_until(lambda: _open_files() < files + RUNS / 2)


@contextlib.contextmanager
def _threads_that_end() -> Iterator[None]:
    """Waits a while, at its end, for the threads that were started meanwhile.

    One that a closed run has left behind may have taken a call that has not recorded anything yet.
    """
    before = set(threading.enumerate())
    yield
    with contextlib.suppress(AssertionError):
        wait_until(lambda: set(threading.enumerate()) <= before, SOON_SECONDS / 8)


@contextlib.contextmanager
def _python_handles_ctrl_c() -> Iterator[None]:
    previous = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, previous)


def _settled() -> bool:
    """Whether no thread ended during a short wait: those of earlier runs are gone."""
    before = threading.active_count()
    time.sleep(10 * functions.LOOK_SECONDS)
    return threading.active_count() == before


def _open_files() -> int:
    """Returns the number of open file descriptors; 0 where the system does not tell."""
    return len(os.listdir("/dev/fd")) if os.path.isdir("/dev/fd") else 0
