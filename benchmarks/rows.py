"""The table of what is measured: each row says what work it is, with whom ours is compared, and how far it may be off.

A limit is ours divided by theirs; a speed-up of 1.9 over the plain loop is a limit of 1 / 1.9. Without a limit a figure is
just shown.
"""

from __future__ import annotations

import functools
import importlib
import operator
import random
from collections.abc import Callable
from typing import Any

import numpy
from just_distribute import Fold

from benchmarks import loops, peers, work
from benchmarks.measure import Memory, Row, against
from benchmarks.places import local_ray, log_files, nothing, ray_client, server

Inputs = tuple[Any, dict[str, Any]]


def numbers(size: int, _: object) -> Inputs:
    return range(size), {}


def numbers_when_idle(size: int, place: object) -> Inputs:
    """As `numbers`, once Ray's client server has released the results of the run before: 5,000 references take it a second.

    It does that before it answers what is asked later.
    """
    ray = importlib.import_module("ray")
    for _ in range(2):
        ray.get(ray.put(None))
    return numbers(size, place)


def lengths(length: Callable[[int], float]) -> Callable[[int, object], Inputs]:
    """Makes inputs from the seconds that each call lasts, by its index."""
    return lambda size, _: ([length(index) for index in range(size)], {})


def arrays(size: int, _: object) -> Inputs:
    return [numpy.full(1_000_000, float(index)) for index in range(size)], {}


def one_array(size: int, _: object) -> Inputs:
    return numpy.arange(size, dtype=float), {}


def table(megabytes: int) -> Callable[[int, object], Inputs]:
    return lambda size, _: (range(size), {"table": numpy.arange(megabytes * 125_000, dtype=float)})


def urls(size: int, address: str) -> Inputs:
    return [f"{address}/{number}" for number in range(size)], {}


def files(size: int, folder: str) -> Inputs:
    return [f"{folder}/{number}.log" for number in range(size)], {}


def ours(job: str, **options: Any) -> Any:
    return functools.partial(peers.ours, job=job, **options)


LOOP = functools.partial(against, "plain loop", peers.loop)
POOL = functools.partial(against, "`multiprocessing.Pool.map`", peers.multiprocessing_pool)
EXECUTOR = functools.partial(against, "`ProcessPoolExecutor.map`", peers.process_executor)
PATHOS = functools.partial(against, "pathos", peers.pathos)
JOBLIB = functools.partial(against, "joblib", peers.joblib)
MPIRE = functools.partial(against, "mpire", peers.mpire)
THREADS = functools.partial(against, "`ThreadPoolExecutor.map`", peers.thread_executor)
CONSUMERS = functools.partial(against, "consumers by hand", loops.consumers)
RAY_POOL = functools.partial(against, "`ray.util.multiprocessing.Pool.map`", peers.ray_pool)
HALF = functools.partial(against, "ideal: half of the plain loop", peers.half_a_loop)
RAY_TASKS = functools.partial(against, "a task for each call", peers.ray_tasks)

compute, ray = ours("compute"), ours("ray")
ray_on_eight = ours("ray", workers=8)
eight_cpus = functools.partial(local_ray, cpus=8)
pool_of_eight = functools.partial(peers.ray_pool, processes=8)
ten_long = lengths(lambda index: 0.08 if index % 30 == 29 else 0.005)
long_first = lengths(lambda index: 0.2 if index < 10 else 0.005)
long_last = lengths(lambda index: 0.2 if index >= 90 else 0.005)
long_spread = lengths(lambda index: 0.2 if index % 10 == 9 else 0.005)
ever_longer = lengths(lambda index: 0.0025 * 40 ** (index / 99))
in_any_order = random.Random(6).sample(range(100), 100)
shuffled = lengths(lambda index: 0.0025 * 40 ** (in_any_order[index] / 99))

# fmt: off
# name, work, function, inputs, how many, how many in a warm-up, ours, [whom it is compared with (at most)]
ROWS: list[Row | Memory] = [
    Row("tiny-calls", "200,000 calls of `x * x`, a `range`", work.square, numbers, 200_000, 2_000, compute,
        [LOOP(1.3, pairs=101), POOL(0.6), EXECUTOR(1.0),
         PATHOS(0.03, pairs=7), JOBLIB(0.03, pairs=7), MPIRE(0.02, pairs=7)]),
    Row("tiny-calls-unhinted", "the same of a function without hints, whose results have to be looked at",
        work.square_unhinted, numbers, 200_000, 2_000, compute, [LOOP(pairs=51), POOL(0.6)]),
    Row("ten-calls", "a warm call of 10 elements", work.square, numbers, 10, 10, compute,
        [POOL(0.7), EXECUTOR(1.0), PATHOS(0.1), JOBLIB(0.1)], pairs=101, before=10),
    Row("ten-calls-in-turns", "the same, each call right after one of the other", work.square, numbers, 10, 10, compute,
        [POOL(), EXECUTOR(), PATHOS(), JOBLIB()], pairs=101),
    Row("even-calls", "300 calls of 5 ms (speed-up of 1.9)", work.spin, lengths(lambda index: 0.005), 300, 20, compute,
        [LOOP(1 / 1.9)], pairs=9),
    Row("skewed-calls", "the same with ten of 80 ms, one of them last (speed-up of 1.8)", work.spin, ten_long, 300, 30,
        compute, [LOOP(1 / 1.8)], pairs=9),
    Row("tiny-then-long", "40 calls of 20 ms of a function that was just called 1,000 times for nothing", work.spin,
        lengths(lambda index: 0.02), 40, 10, functools.partial(peers.ours_known_as_tiny, tiny=[0.0] * 1_000, job="compute"),
        [HALF(1.1)], pairs=9),
    *(Row(f"{name}-traced", f"{what}, in `trace()`", function, shape, size, quick,
          functools.partial(peers.ours_traced, job="compute"), [against("without it", peers.ours, limit, job="compute")],
          pairs=pairs)
      for name, what, function, shape, size, quick, limit, pairs in (
          ("tiny-calls", "200,000 calls of `x * x`", work.square, numbers, 200_000, 2_000, 1.05, 101),
          ("even-calls", "300 calls of 5 ms", work.spin, lengths(lambda index: 0.005), 300, 20, 1.02, 15))),
    Row("seeded-calls", "20,000 calls that draw a number, each of a generator of its own", work.draw, numbers, 20_000, 200,
        ours("compute", seed=7), [against("plain loop", peers.seeded_loop, 1.0, seed=7)], pairs=9),
    Row("resume-tiny-calls", "50,000 calls of `x * x`, each result kept in a new file", work.square, numbers, 50_000, 500,
        functools.partial(peers.ours_kept, job="compute"), [against("20 µs for each", peers.at_most, 1.0, seconds=20e-6)],
        pairs=9),
    Row("resume-calls", "2,000 calls of 1 ms, each result kept in a new file", work.spin, lengths(lambda index: 0.001),
        2_000, 20, functools.partial(peers.ours_kept, job="compute"),
        [against("without a file", peers.ours, 1.02, job="compute")]),
    Row("resume-all-there", "1,000,000 results that a file has", work.square, numbers, 1_000_000, 1_000,
        functools.partial(peers.ours_kept, again=True, job="compute"),
        [against("5 µs for each", peers.at_most, 1.0, seconds=5e-6)], pairs=3),
    *(Row(f"log-files-{name}", f"2,000 log files, counted to one Counter by `{name}`, a call per file", work.count_words,
          files, 2_000, 100, ours("compute", aggregate=Fold(combine)),
          [against("plain loop", peers.folding_loop, limit, combine=combine)], pairs=9, place=log_files)
      for name, combine, limit in (("add", operator.add, 0.5), ("update", work.updated, 0.6))),
    Row("arrays-in", "25 fresh arrays of 8 MB in", work.touch, arrays, 25, 3, compute, [EXECUTOR(0.3), JOBLIB(0.5)]),
    Row("arrays-in-out", "25 fresh arrays of 8 MB in and out", work.increment, arrays, 25, 3, compute,
        [EXECUTOR(0.3), JOBLIB(0.3)]),
    Row("large-array", "one array of 400 MB, autobatched, array out", work.increment_batch, one_array, 50_000_000, 100_000,
        compute, [against("joblib, same slices, joined", peers.joblib_slices, 0.3)], pairs=9),
    Row("large-constant", "a fresh constant of 100 MB, 1,000 small calls", work.pick, table(megabytes=100), 1_000, 10,
        compute, [against("a copy of it for each worker", peers.copies, 1.5)]),
    Row("whole-script", "a whole script with a first call of 10 elements", work.square, numbers, 10, 10,
        functools.partial(peers.script, name="first_call.py", needs="just_distribute"),
        [against("the same with joblib", peers.script, 0.33, name="first_call_joblib.py", needs="joblib")]),
    Row("io-whole-script", "a whole script with a first call of 10 elements, io, 8 threads", work.square, numbers, 10, 10,
        functools.partial(peers.script, name="first_call_io.py", needs="just_distribute"),
        [against("the same with `ThreadPoolExecutor`", peers.script, 1.8, name="first_call_threads.py", needs="threading")],
        pairs=51),
    Row("import", "a whole script that imports just_distribute, and nothing else", work.square, numbers, 10, 10,
        functools.partial(peers.script, name="import_ours.py", needs="just_distribute"),
        [against("one that imports `ThreadPoolExecutor`", peers.script, 1.5, name="import_threads.py", needs="threading")],
        pairs=51),
    Row("first-call", "a script's first call of 10 elements, after the imports", work.square, numbers, 10, 10,
        functools.partial(peers.first_call, who="ours", what="plain"),
        [against("`ProcessPoolExecutor` by forkserver", peers.first_call, 1.7, who="forkserver", what="plain")]),
    Row("first-call-pandas", "the same with a function that uses pandas, which the script has imported", work.square,
        numbers, 10, 10, functools.partial(peers.first_call, who="ours", what="pandas"),
        [against("`ProcessPoolExecutor` by fork", peers.first_call, who="fork", what="pandas", needs="pandas"),
         against("it, and one import of pandas", peers.first_call, 1, who="import-and-fork", what="pandas", needs="pandas")],
        pairs=5),
    Memory("stream-memory", "streaming 1,000,000 elements from a generator: growth of the parent",
           lambda size: float(peers.run_script("stream_memory.py", str(size))), 1_000_000, 10_000, limit=20),

    Row("io-tiny-calls", "50,000 calls of `x * x`, io, 8 threads", work.square, numbers, 50_000, 1_000,
        ours("io", workers=8), [THREADS(0.08, workers=8)]),
    Row("io-sleeps", "10,000 sleeps of 1 ms, io, 64 threads", work.sleep, lengths(lambda index: 0.001), 10_000, 640,
        ours("io", workers=64), [against("ideal", peers.one_sleep, 1.5, workers=64)]),
    Row("web-tiny-calls", "100,000 calls of an empty coroutine, web, 100 workers", work.echo, numbers, 100_000, 1_000,
        ours("web", workers=100),
        [against("plain await loop", loops.await_loop, 10),
         against("semaphore and gather", loops.semaphore_and_gather, 0.1, workers=100),
         against("aiometer", loops.aiometer, 0.02, workers=100, pairs=3)]),
    Row("web-sleeps", "30,000 sleeps of 5 ms, web, 1,000 workers", work.sleep_on_loop, lengths(lambda index: 0.005),
        30_000, 2_000, ours("web", workers=1_000), [CONSUMERS(1.1, workers=1_000)]),
    Row("web-requests", "5,000 GETs on loopback, `aio` with aiohttp's client, 200 at once", work.fetch, urls, 5_000, 200,
        functools.partial(loops.ours_on_loop, workers=200, connections=200),
        [CONSUMERS(1.05, workers=200, connections=200)], place=server),
    *(Row(f"{job}-urllib", f"the same through `urllib` in plain functions, {job}, 64 workers", work.fetch_plainly, urls,
          5_000, 100, ours(job, workers=64), [THREADS(1.05, workers=64)], place=server) for job in ("web", "io")),

    Row("executor-tiny-calls", "200,000 calls of `x * x` on a `ProcessPoolExecutor`", work.square, numbers, 200_000, 2_000,
        peers.ours_on_executor, [against("its own `map`, a call each", peers.process_executor_singly, 0.05, pairs=3)]),
    Row("executor-even-calls", "100 calls of 20 ms on a `ProcessPoolExecutor`", work.spin, lengths(lambda index: 0.02),
        100, 10, peers.ours_on_executor, [HALF(1.1)], pairs=9),

    Row("ray-tiny-calls", "20,000 calls of `x * x`, ray", work.square, numbers, 20_000, 100, ray,
        [RAY_POOL(0.4), RAY_TASKS(0.01, pairs=3)], place=local_ray),
    Row("ray-even-calls", "100 calls of 20 ms, ray", work.spin, lengths(lambda index: 0.02), 100, 10, ray,
        [HALF(1.1)], place=local_ray),
    *(Row(f"ray-{name}", what, work.spin, shape, 100, 20, ray, [RAY_POOL(limit), HALF(1.1)], pairs=9, place=local_ray)
      for name, what, shape, limit in (
          ("long-last", "90 calls of 5 ms, then ten of 200 ms, ray", long_last, 0.9),
          ("long-first", "ten calls of 200 ms, then 90 of 5 ms, ray", long_first, 0.9),
          ("ever-longer", "100 calls, from 2.5 ms ever longer to 100 ms, ray", ever_longer, 1.0),
          ("shuffled", "the same in random order, ray", shuffled, None),
          ("long-spread", "90 calls of 5 ms and ten of 200 ms, spread evenly, ray", long_spread, None))),
    Row("ray-constant", "a fresh constant of 200 MB, 100 calls, ray", work.pick, table(megabytes=200), 100, 10, ray,
        [against("one `ray.put` and chunks by hand", peers.ray_chunks, 1.2)], place=local_ray),
    Row("ray-sleeps", "1,000 calls that sleep for 50 ms on 8 CPUs, ray", work.sleep, lengths(lambda index: 0.05), 1_000, 100,
        ray_on_eight, [against("ideal: one sleep for all", peers.one_sleep, 1 / 0.9, workers=8),
                       against("`ray.util.multiprocessing.Pool.map`", pool_of_eight, 1.1)], pairs=3, place=eight_cpus),
    Row("ray-sleeps-cpu", "the same, CPU time of the caller", work.sleep, lengths(lambda index: 0.05), 1_000, 100,
        functools.partial(peers.cpu_time, of=ray_on_eight),
        [against(name, peers.cpu_time, of=contender) for name, contender in (
            ("`ray.util.multiprocessing.Pool.map`", pool_of_eight),
            ("four chunks per CPU by hand", functools.partial(peers.ray_chunks, chunks=32)),
            ("118 chunks by hand, as many as here", functools.partial(peers.ray_chunks, chunks=118)),
            ("a task for each call", peers.ray_tasks))], pairs=3, place=eight_cpus),
    Row("ray-client", "5,000 calls of `x * x` through `ray://`", work.square, numbers_when_idle, 5_000, 50, ray,
        [RAY_TASKS(0.1, pairs=3)], place=ray_client),

    *(row for job, function, place in (("compute", work.square, nothing), ("io", work.square, nothing),
                                       ("web", work.echo, nothing), ("ray", work.square, local_ray)) for row in (
        Row(f"{job}-stream", f"`stream` over 1,000,000 tiny elements, {job}", function, numbers, 1_000_000, 2_000,
            ours(job, stream=True), [against("the plain call", peers.ours, 1.5, job=job)], place=place),
        Row(f"{job}-progress", f"`progress=True` over 100,000 tiny calls, {job}", function, numbers, 100_000, 2_000,
            functools.partial(peers.ours_with_bar, job=job), [against("without it", peers.ours, 1.02, job=job)],
            pairs=101, place=place))),
]
