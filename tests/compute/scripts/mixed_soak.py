"""Makes runs of every kind at random, and watches what this process has. Usage: mixed_soak.py SECONDS SEED [KIND ...].

Prints a line of JSON after each tenth of the time, and last the kinds of runs with how often each was made. Ends with exit
code 1 where a run went wrong, or descriptors, processes, threads or memory are more at the end than at the start.

A soak: python tests/compute/scripts/mixed_soak.py 3600 1
"""

from __future__ import annotations

import asyncio
import collections
import contextlib
import functools
import gc
import json
import os
import random
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import psutil
from jd_compute.transport.arena import arena
from jd_core import CallTimeoutError, Retry, WorkerDiedError, distribute, per_worker, shutdown

seconds, seed = float(sys.argv[1]), int(sys.argv[2])
caller, chance = psutil.Process(), random.Random(seed)

#: Bytes that this process may have more at the end.
MOST_GROWTH = 8_000_000


def same(number: int) -> int:
    return number


def slow(number: int) -> int:
    time.sleep(0.002)
    return number


def fail_at_seven(number: int) -> int:
    if number == 7:
        raise ValueError(number)
    return number


def fail_at_times(number: int) -> int:
    if random.random() < 0.1:
        raise ValueError(number)
    return number


def hang_at_seven(number: int) -> int:
    time.sleep(600 if number == 7 else 0)
    return number


def die_at_seven(number: int) -> int:
    if number == 7:
        os._exit(3)
    return number


def fork_at_seven(number: int) -> int:
    if number == 7 and os.fork() == 0:
        return -1
    return number


def nested(number: int) -> int:
    return sum(distribute(same, job="compute", workers=2)(range(number)))


def double(array: Any, *, factor: Any = None) -> Any:
    return array * (2 if factor is None else factor[0])


def with_object(number: int, *, made: dict[str, int]) -> int:
    return number + made["one"]


def say(number: int) -> int:
    print("x" * 100)
    return number


def compute(function: Callable[..., Any], **options: Any) -> Any:
    if chance.random() < 0.1:
        options.setdefault("start_method", chance.choice(["spawn", "fork"]))
    return distribute(function, job="compute", workers=options.pop("workers", chance.choice([1, 2, 3])), **options)


def expect(found: Any, wanted: Any) -> None:
    if found != wanted:
        raise AssertionError(f"{found!r} instead of {wanted!r}")


def plain() -> None:
    count = chance.choice([0, 1, 10, 1000, 30_000])
    expect(compute(same)(range(count)), list(range(count)))


def streams() -> None:
    with compute(same).stream(range(300)) as stream:
        for number in range(chance.choice([0, 1, 100, 300])):
            expect(next(stream), number)


def completed() -> None:
    expect(sorted(compute(slow).as_completed(range(50))), [(number, number) for number in range(50)])


def on_a_loop() -> None:
    async def use() -> None:
        run = compute(slow)
        expect(await asyncio.gather(run.aio(range(30)), run.aio(range(20))), [list(range(30)), list(range(20))])
        async with run.astream(range(100)) as stream:
            async for number in stream:
                if number == 20:
                    break
        task = asyncio.create_task(run.aio(range(10_000)))
        await asyncio.sleep(0.02)
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task

    asyncio.run(use())


def failing() -> None:
    with contextlib.suppress(ValueError):
        compute(fail_at_seven)(range(100))
        raise AssertionError("nothing failed")
    results = compute(fail_at_seven, return_exceptions=True)(range(20))
    expect([number for number, result in enumerate(results) if isinstance(result, ValueError)], [7])


def retries() -> None:
    again = Retry(20, initial=0.001, maximum=0.002)
    expect(compute(fail_at_times, retries=again)(range(200)), list(range(200)))


def timeouts() -> None:
    results = compute(hang_at_seven, timeout=0.3, return_exceptions=True)(range(12))
    expect(type(results[7]), CallTimeoutError)
    expect({type(result) for result in results} - {int, CallTimeoutError}, set())  # a busy machine: others, too


def deaths() -> None:
    results = compute(die_at_seven, return_exceptions=True)(range(12))
    expect([type(result) for result in results], [int] * 7 + [WorkerDiedError] + [int] * 4)


def objects() -> None:
    run = compute(with_object)
    expect(run(range(30), made=per_worker(functools.partial(dict, one=1))), list(range(1, 31)))


def settings() -> None:
    value = chance.random()
    options: dict[str, Any] = {"initializer": lambda: value, "max_calls_per_worker": chance.choice([None, 5])}
    expect(compute(same, **options)(range(20)), list(range(20)))


def arrays() -> None:
    elements = [np.full(chance.choice([10, 50_000, 200_000]), float(k)) for k in range(6)]
    results = compute(double)(elements, factor=chance.choice([None, np.full(100_000, 2.0)]))
    expect([(len(result), result[0]) for result in results], [(len(each), 2 * each[0]) for each in elements])


def killed() -> None:
    """Kills a descendant, a fork server maybe, while calls run."""

    def kill() -> None:
        time.sleep(delay)
        with contextlib.suppress(psutil.Error, IndexError):
            random.choice([each for each in caller.children(recursive=True) if not is_tracker(each)]).kill()

    delay = chance.uniform(0.0, 0.1)
    killer = threading.Thread(target=kill)
    killer.start()
    expect(compute(slow, retries=3)(range(60)), list(range(60)))
    killer.join()


def is_tracker(process: psutil.Process) -> bool:
    """Whether this is the process that `multiprocessing` starts with the first worker, and keeps."""
    return "resource_tracker" in "".join(process.cmdline())


def forks() -> None:
    expect(compute(fork_at_seven)(range(20)), list(range(20)))
    run = compute(same)
    child = os.fork()
    if child == 0:
        status = 1
        with contextlib.suppress(BaseException):
            expect(run(range(10)), list(range(10)))
            shutdown()
            status = 0
        os._exit(status)
    expect(run(range(10)), list(range(10)))
    expect(os.waitpid(child, 0)[1], 0)


def nests() -> None:
    expect(compute(nested)(range(6)), [0, 0, 1, 3, 6, 10])


def threads() -> None:
    found: list[Any] = []
    calls = [threading.Thread(target=lambda: found.append(compute(slow)(range(30)))) for _ in range(5)]
    for call in calls:
        call.start()
    for call in calls:
        call.join()
    expect(found, [list(range(30))] * 5)


def interrupted() -> None:
    timer = threading.Timer(chance.uniform(0.0, 0.1), os.kill, (os.getpid(), signal.SIGINT))
    try:
        timer.start()
        compute(slow)(range(100))
        time.sleep(10)  # it comes in a moment
    except KeyboardInterrupt:
        timer.join()


def prints() -> None:
    with open(os.devnull, "w") as nowhere, contextlib.redirect_stdout(nowhere):
        expect(compute(say)(range(100)), list(range(100)))


def ends() -> None:
    shutdown()


def census() -> dict[str, int]:
    """Returns what there is when all workers have ended. The tracker of `multiprocessing`, which they share, stays."""
    shutdown()
    gc.collect()
    return {
        "descriptors": caller.num_fds() - arena.kept()[0],
        "processes": len(caller.children(recursive=True)),
        "threads": caller.num_threads(),
        "memory": memory(),
    }


def files() -> Iterator[str]:
    """Yields what each descriptor of this process is."""
    for number in os.listdir("/proc/self/fd"):
        with contextlib.suppress(OSError):  # the one of the list itself
            yield os.readlink(f"/proc/self/fd/{number}")


def more(end: dict[str, int]) -> list[str]:
    """Returns what there is more of than at the start."""
    return [name for name in start if end[name] > start[name] + (MOST_GROWTH if name == "memory" else 0)]


def memory() -> int:
    """Returns this process's own memory, in bytes, without what it shares with workers."""
    return caller.memory_full_info().uss


def sizes() -> Iterator[tuple[int, int]]:
    """Yields descriptors and memory of each worker and fork server that lives."""
    for process in caller.children(recursive=True):
        with contextlib.suppress(psutil.Error):
            yield process.num_fds(), process.memory_info().rss


kinds = [plain, streams, completed, on_a_loop, failing, retries, timeouts, deaths, objects, settings, arrays, killed]
kinds += [forks, nests, threads, interrupted, prints, ends]
kinds = [kind for kind in kinds if kind.__name__ in sys.argv[3:]] or kinds
made: collections.Counter[str] = collections.Counter()
slowest: dict[str, float] = {}


def make(kind: Callable[[], None]) -> None:
    began = time.monotonic()
    kind()
    made[kind.__name__] += 1
    slowest[kind.__name__] = max(slowest.get(kind.__name__, 0.0), round(time.monotonic() - began, 2))


for kind in [*kinds, *kinds]:
    make(kind)
start = census()
began = time.monotonic()
for step in range(1, 11):
    while time.monotonic() - began < seconds * step / 10:
        make(chance.choice(kinds))
    others = list(sizes())
    print(
        json.dumps(
            {
                "seconds": round(time.monotonic() - began),
                "descriptors": caller.num_fds(),
                "processes": len(others),
                "threads": caller.num_threads(),
                "memory": memory(),
                "most of a process": [max(column, default=0) for column in zip(*others, strict=True)],
            }
        ),
        flush=True,
    )
deadline = time.monotonic() + 5.0
while more(end := census()) and time.monotonic() < deadline:  # what a killed worker has forked ends by itself
    time.sleep(0.1)
print(json.dumps({"start": start, "end": end, "files": sorted(files()), "runs": made, "slowest": slowest}))
sys.exit(f"more than at the start: {', '.join(more(end))}" if more(end) else 0)
