"""Ours and theirs: each makes a function ready to be called for many inputs, in the way its documentation recommends.

A contender is a context manager for a function; inside, the workers are there (the stdlib's, pathos' and mpire's by
``forkserver``, as ours, since the process has threads) and ``run(items, **constants)`` gives the list of results.
What is not installed raises ImportError.
"""

from __future__ import annotations

import asyncio
import concurrent.futures
import contextlib
import functools
import importlib
import io
import itertools
import multiprocessing
import subprocess
import sys
import time
from collections.abc import Callable, Coroutine, Iterator, Sequence
from contextlib import AbstractContextManager
from typing import Any

from just_distribute import distribute

from benchmarks.places import ROOT

Function = Callable[..., Any]
Contender = Callable[[Function], AbstractContextManager[Function]]

#: Processes of every pool.
WORKERS = 2

#: Chunks for each worker, where the chunk size is ours to choose: as `multiprocessing.Pool.map` does by default.
CHUNKS_PER_WORKER = 4


def bind(function: Function, constants: dict[str, Any]) -> Function:
    return functools.partial(function, **constants) if constants else function


def ours(job: str, how: str = "", workers: int = WORKERS, **options: Any) -> Contender:
    """The distributed function, or with ``how`` a list of what that method gives."""

    @contextlib.contextmanager
    def contender(function: Function) -> Iterator[Function]:
        distributed = distribute(function, job=job, workers=workers, **options)
        method = getattr(distributed, how) if how else None
        yield distributed if method is None else lambda items, **constants: list(method(items, **constants))

    return contender


class _Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def ours_watched(job: str, **options: Any) -> Contender:
    """The distributed function with ``progress=True``, in front of what it takes for a terminal."""

    @contextlib.contextmanager
    def contender(function: Function) -> Iterator[Function]:
        with ours(job, progress=True, **options)(function) as distributed:

            def run(items: Any) -> Any:
                with contextlib.redirect_stderr(_Terminal()):
                    return distributed(items)

            yield run

    return contender


def ours_on_loop(workers: int) -> Contender:
    """``await f.aio(...)`` on the caller's loop."""

    def main(function: Function, items: Any, constants: dict[str, Any]) -> Coroutine[Any, Any, Any]:
        return distribute(function, job="web", workers=workers).aio(items, **constants)

    return on_loop(main)


@contextlib.contextmanager
def loop(function: Function) -> Iterator[Function]:
    yield lambda items, **constants: [function(item, **constants) for item in items]


@contextlib.contextmanager
def half_a_loop(function: Function) -> Iterator[Function]:
    """The ideal on two CPUs, where two calls after each other are alike: one of them."""
    yield lambda items: [result for item in items[::2] for result in [function(item)] * 2]


def ideal_threads(workers: int) -> Contender:
    """What calls that sleep take if nothing else costs anything: their sum, shared equally, slept."""

    @contextlib.contextmanager
    def contender(function: Function) -> Iterator[Function]:
        def run(items: Sequence[float]) -> list[float]:
            time.sleep(sum(items) / workers)
            return list(items)

        yield run

    return contender


@contextlib.contextmanager
def copies(function: Function) -> Iterator[Function]:
    """The constants copied once for each worker, and a plain loop."""

    def run(items: Any, **constants: Any) -> list[Any]:
        copied = [{name: value.copy() for name, value in constants.items()} for _ in range(WORKERS)]
        return [function(item, **copied[index % WORKERS]) for index, item in enumerate(items)]

    yield run


@contextlib.contextmanager
def multiprocessing_pool(function: Function) -> Iterator[Function]:
    with multiprocessing.get_context("forkserver").Pool(WORKERS) as pool:
        yield lambda items, **constants: pool.map(bind(function, constants), items)


@contextlib.contextmanager
def process_executor(function: Function) -> Iterator[Function]:
    """With large chunks for very long iterables, as its documentation says."""
    context = multiprocessing.get_context("forkserver")
    with concurrent.futures.ProcessPoolExecutor(WORKERS, mp_context=context) as pool:

        def run(items: Any) -> list[Any]:
            size = len(items) // (WORKERS * CHUNKS_PER_WORKER) if len(items) > 1000 else 1
            return list(pool.map(function, items, chunksize=size))

        yield run


def thread_executor(workers: int) -> Contender:
    @contextlib.contextmanager
    def contender(function: Function) -> Iterator[Function]:
        with concurrent.futures.ThreadPoolExecutor(workers) as pool:
            yield lambda items: list(pool.map(function, items))

    return contender


@contextlib.contextmanager
def pathos(function: Function) -> Iterator[Function]:
    context = importlib.import_module("multiprocess").get_context("forkserver")
    pool = importlib.import_module("pathos.pools").ProcessPool(nodes=WORKERS, id="benchmarks", context=context)
    try:
        yield lambda items: pool.map(function, items)
    finally:
        pool.close()
        pool.join()
        pool.clear()


def joblib(**settings: Any) -> Contender:
    """Its loky workers; batches of tasks are sized by measured durations unless ``batch_size`` is given."""

    @contextlib.contextmanager
    def contender(function: Function) -> Iterator[Function]:
        module = importlib.import_module("joblib")
        with module.Parallel(n_jobs=WORKERS, **settings) as parallel:
            yield lambda items: parallel(module.delayed(function)(item) for item in items)

    return contender


@contextlib.contextmanager
def joblib_slices(function: Function) -> Iterator[Function]:
    """An array cut into as many slices as ours makes of it, and the results joined."""
    numpy = importlib.import_module("numpy")
    with joblib()(function) as run:
        yield lambda array: numpy.concatenate(run(numpy.array_split(array, WORKERS * CHUNKS_PER_WORKER)))


@contextlib.contextmanager
def mpire(function: Function) -> Iterator[Function]:
    workers = importlib.import_module("mpire").WorkerPool(n_jobs=WORKERS, start_method="forkserver", keep_alive=True)
    with workers as pool:
        yield lambda items: pool.map(function, items)


def script(path: str, needs: str = "just_distribute") -> Contender:
    """A whole program, from the interpreter's start to its end; gives what it prints."""

    @contextlib.contextmanager
    def contender(_: Function) -> Iterator[Function]:
        importlib.import_module(needs)
        yield lambda items: run_script(path, str(len(items)))

    return contender


def run_script(path: str, *arguments: str) -> str:
    command = [sys.executable, str(ROOT / "benchmarks" / "scripts" / path), *arguments]
    return subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout


def on_loop(main: Callable[[Function, Any, dict[str, Any]], Coroutine[Any, Any, Any]]) -> Contender:
    """Coroutines on an event loop that is kept."""

    @contextlib.contextmanager
    def contender(function: Function) -> Iterator[Function]:
        with asyncio.Runner() as runner:
            yield lambda items, **constants: runner.run(main(function, items, constants))

    return contender


def with_client(contender: Contender, connections: int) -> Contender:
    """Gives every call ``client=``, an aiohttp client of as many connections, made on the loop of the run."""

    @contextlib.contextmanager
    def wrapped(function: Function) -> Iterator[Function]:
        aiohttp = importlib.import_module("aiohttp")
        with contender(function) as run:
            yield run

    return wrapped


async def await_one_by_one(function: Function, items: Any, constants: dict[str, Any]) -> list[Any]:
    return [await function(item, **constants) for item in items]


def consumers(workers: int) -> Contender:
    """What an expert writes by hand: so many tasks that take from one iterator."""

    async def main(function: Function, items: Any, constants: dict[str, Any]) -> list[Any]:
        results = [None] * len(items)
        calls = enumerate(items)

        async def consume() -> None:
            for index, item in calls:
                results[index] = await function(item, **constants)

        async with asyncio.TaskGroup() as group:
            for _ in range(workers):
                group.create_task(consume())
        return results

    return on_loop(main)
