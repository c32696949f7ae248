"""Ours and theirs: each makes a function ready to be called for many inputs, in the way its documentation recommends.

A contender is a context manager for a function. Inside it the workers are there, and ``run(items, **constants)`` returns the
results. Pools of processes start by ``forkserver``, as ours does: forking is not safe in a process with threads, and warm
workers are alike. What is not installed raises ImportError. Coroutines are in `loops`.
"""

from __future__ import annotations

import concurrent.futures
import contextlib
import functools
import importlib
import io
import itertools
import multiprocessing
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from typing import Any, NamedTuple

from just_distribute import distribute, trace

from benchmarks.places import ROOT

Function = Callable[..., Any]
Contender = Callable[[Function], AbstractContextManager[Function]]

#: Processes of every pool, and of ours.
WORKERS = 2

#: What `multiprocessing.Pool.map` cuts by default, for those where the size of chunks is the caller's choice.
CHUNKS = 4 * WORKERS


def slices(items: Any, chunks: int = CHUNKS) -> list[Any]:
    """Returns a sequence or array in as many parts as there are chunks, all but the last equally long."""
    size = -(-len(items) // chunks)
    return [items[start : start + size] for start in range(0, len(items), size)]


@contextlib.contextmanager
def ours(function: Function, *, stream: bool = False, **options: Any) -> Iterator[Function]:
    """The distributed function, called or streamed."""
    distributed = distribute(function, **{"workers": WORKERS, **options})
    yield (lambda items: list(distributed.stream(items))) if stream else distributed


@contextlib.contextmanager
def ours_with_bar(function: Function, **options: Any) -> Iterator[Function]:
    """The distributed function with ``progress=True``, with what it takes for a terminal."""
    terminal = type("Terminal", (io.StringIO,), {"isatty": lambda self: True})
    with ours(function, progress=True, **options) as distributed:

        def run(items: Any) -> Any:
            with contextlib.redirect_stderr(terminal()):
                return distributed(items)

        yield run


@contextlib.contextmanager
def ours_traced(function: Function, **options: Any) -> Iterator[Function]:
    """The distributed function, with a trace of each run."""
    with ours(function, **options) as distributed:

        def run(items: Any) -> Any:
            with trace():
                return distributed(items)

        yield run


@contextlib.contextmanager
def ours_known_as_tiny(function: Function, *, tiny: list[Any], **options: Any) -> Iterator[Function]:
    """The distributed function, after it was called for inputs that take next to no time; that call is timed, too."""
    with ours(function, **options) as distributed:

        def run(items: Any) -> Any:
            distributed(tiny)
            return distributed(items)

        yield run


@contextlib.contextmanager
def ours_kept(function: Function, *, again: bool = False, **options: Any) -> Iterator[Function]:
    """The distributed function with a new file for its results in each run; or the time of a run that finds them all."""
    with tempfile.TemporaryDirectory() as folder, ours(function, **options) as distributed:
        numbers = itertools.count()

        def run(items: Any) -> Any:
            kept = distributed.options(resume=f"{folder}/{0 if again else next(numbers)}.db")
            results = kept(items)
            if not again:
                return results
            began = time.perf_counter()
            results = kept(items)
            return Reported(time.perf_counter() - began, results)

        yield run


@contextlib.contextmanager
def at_most(function: Function, *, seconds: float) -> Iterator[Function]:
    """So many seconds for each call, whatever it does."""
    yield lambda items: Reported(len(items) * seconds, [function(item) for item in items])


@contextlib.contextmanager
def loop(function: Function) -> Iterator[Function]:
    yield lambda items: [function(item) for item in items]


@contextlib.contextmanager
def folding_loop(function: Function, *, combine: Callable[[Any, Any], Any]) -> Iterator[Function]:
    """A plain loop that combines what calls return."""
    yield lambda items: functools.reduce(combine, map(function, items))


@contextlib.contextmanager
def seeded_loop(function: Function, *, seed: int) -> Iterator[Function]:
    """A plain loop with a generator for each call."""
    random = importlib.import_module("numpy.random")

    def run(items: Any) -> list[Any]:
        streams = random.SeedSequence(seed).spawn(len(items))
        return [function(item, random.default_rng(stream)) for item, stream in zip(items, streams, strict=True)]

    yield run


@contextlib.contextmanager
def half_a_loop(function: Function) -> Iterator[Function]:
    """The ideal on two CPUs: half of the calls are made, by their lengths every second one; each returns its argument."""

    def run(items: list[float]) -> list[float]:
        for place, item in enumerate(sorted(items)):
            if place % 4 in (0, 3):
                function(item)
        return list(items)

    yield run


@contextlib.contextmanager
def one_sleep(_: Function, *, workers: int) -> Iterator[Function]:
    """The ideal for calls that sleep and return for how long: their sum, shared equally, at one go."""

    def run(items: list[float]) -> list[float]:
        time.sleep(sum(items) / workers)
        return list(items)

    yield run


@contextlib.contextmanager
def copies(function: Function) -> Iterator[Function]:
    """A plain loop, after the constant was copied once for each worker."""

    def run(items: Any, *, table: Any) -> list[Any]:
        copied = [table.copy() for _ in range(WORKERS)]
        return [function(item, table=copied[index % WORKERS]) for index, item in enumerate(items)]

    yield run


@contextlib.contextmanager
def multiprocessing_pool(function: Function) -> Iterator[Function]:
    with multiprocessing.get_context("forkserver").Pool(WORKERS) as pool:
        yield lambda items: pool.map(function, items)


@contextlib.contextmanager
def process_executor(function: Function) -> Iterator[Function]:
    """With large chunks for very long iterables, as its documentation says."""
    with concurrent.futures.ProcessPoolExecutor(WORKERS, multiprocessing.get_context("forkserver")) as pool:

        def run(items: Any) -> list[Any]:
            return list(pool.map(function, items, chunksize=len(items) // CHUNKS if len(items) > 1000 else 1))

        yield run


@contextlib.contextmanager
def process_executor_singly(function: Function) -> Iterator[Function]:
    """Each call a task of its own."""
    with concurrent.futures.ProcessPoolExecutor(WORKERS, multiprocessing.get_context("forkserver")) as pool:
        yield lambda items: list(pool.map(function, items))


@contextlib.contextmanager
def ours_on_executor(function: Function) -> Iterator[Function]:
    """The distributed function on the same kind of executor."""
    with concurrent.futures.ProcessPoolExecutor(WORKERS, multiprocessing.get_context("forkserver")) as pool:
        yield distribute(function, job=pool, workers=WORKERS)


@contextlib.contextmanager
def thread_executor(function: Function, *, workers: int) -> Iterator[Function]:
    with concurrent.futures.ThreadPoolExecutor(workers) as pool:
        yield lambda items: list(pool.map(function, items))


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


@contextlib.contextmanager
def joblib(function: Function) -> Iterator[Function]:
    """Batches follow measured durations, its default; a fixed ``batch_size`` was no faster for tiny calls."""
    module = importlib.import_module("joblib")
    with module.Parallel(n_jobs=WORKERS) as parallel:
        yield lambda items: parallel(module.delayed(function)(item) for item in items)


@contextlib.contextmanager
def joblib_slices(function: Function) -> Iterator[Function]:
    """An array in the slices that ours makes of it, and the results joined."""
    numpy = importlib.import_module("numpy")
    with joblib(function) as run:
        yield lambda array: numpy.concatenate(run(slices(array)))


@contextlib.contextmanager
def mpire(function: Function) -> Iterator[Function]:
    pool = importlib.import_module("mpire").WorkerPool(n_jobs=WORKERS, start_method="forkserver", keep_alive=True)
    with pool:
        yield lambda items: pool.map(function, items)


def run_script(name: str, *arguments: str) -> str:
    """Runs a whole program, from the start of the interpreter to its end, and returns what it prints."""
    command = [sys.executable, str(ROOT / "benchmarks" / "scripts" / name), *arguments]
    # With compiled modules at hand, as those of the standard library always are.
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    return subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True, cwd=ROOT, env=environment).stdout


@contextlib.contextmanager
def script(_: Function, *, name: str, needs: str) -> Iterator[Function]:
    importlib.import_module(needs)
    yield lambda items: run_script(name, str(len(items)))


class Reported(NamedTuple):
    """What a program says of itself: how many seconds the part that counts took, and its results."""

    seconds: float
    results: Any


@contextlib.contextmanager
def first_call(_: Function, *, who: str, what: str, needs: str = "just_distribute") -> Iterator[Function]:
    """The first call of a program of its own, after the imports."""
    importlib.import_module(needs)

    def run(items: Any) -> Reported:
        seconds, results = run_script("timed_first_call.py", who, what, str(len(items))).split(" ", 1)
        return Reported(float(seconds), results)

    yield run


@contextlib.contextmanager
def cpu_time(function: Function, *, of: Contender) -> Iterator[Function]:
    """Another contender, whose time is what the caller's CPUs do meanwhile, in all threads of this process."""
    with of(function) as run:

        def measured(items: Any) -> Reported:
            began = time.process_time()
            results = run(items)
            return Reported(time.process_time() - began, results)

        yield measured


@contextlib.contextmanager
def ray_pool(function: Function, *, processes: int = WORKERS) -> Iterator[Function]:
    pool = importlib.import_module("ray.util.multiprocessing").Pool(processes=processes)
    try:
        yield lambda items: pool.map(function, items)
    finally:
        pool.terminate()
        pool.join()


@contextlib.contextmanager
def ray_tasks(function: Function) -> Iterator[Function]:
    """One task per element."""
    ray = importlib.import_module("ray")
    task = ray.remote(function)
    yield lambda items: ray.get([task.remote(item) for item in items])


@contextlib.contextmanager
def ray_chunks(function: Function, *, chunks: int = CHUNKS) -> Iterator[Function]:
    """What an expert writes by hand: constants put once, and a task for each chunk."""
    ray = importlib.import_module("ray")

    @ray.remote
    def run_chunk(chunk: Any, **constants: Any) -> list[Any]:
        return [function(item, **constants) for item in chunk]

    def run(items: Any, **constants: Any) -> list[Any]:
        put = {name: ray.put(value) for name, value in constants.items()}
        results = ray.get([run_chunk.remote(chunk, **put) for chunk in slices(items, chunks)])
        return [result for chunk in results for result in chunk]

    yield run
