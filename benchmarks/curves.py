"""How the cost grows: with the number of elements, of workers, and of bytes; ours and the peers of `peers`, in turns.

Writes docs/pictures/cost.svg.

Usage: hatch run bench:curves [--quick] [--write]
"""

from __future__ import annotations

import argparse
import contextlib
import functools
import statistics
import sys
import time
from collections.abc import Callable
from typing import Any

import numpy

from benchmarks import peers, work
from benchmarks.chart import Chart, short, svg
from benchmarks.measure import timed
from benchmarks.peers import Contender, Function
from benchmarks.places import ROOT

PICTURE = ROOT / "docs" / "pictures" / "cost.svg"

#: A line ends where a run of it takes longer, in seconds: the next one would take ten times as long.
LONGEST = 6.0

POOLS: dict[str, Contender] = {
    "just-distribute": functools.partial(peers.ours, job="compute"),
    "ProcessPoolExecutor.map": peers.process_executor,
    "joblib": peers.joblib,
    "multiprocessing.Pool.map": peers.multiprocessing_pool,
    "plain loop": peers.loop,
}


def curve(
    contenders: dict[str, Contender],
    function: Function,
    sizes: list[int],
    inputs: Callable[[int], Any],
    turns: int,
) -> dict[str, list[tuple[float, float]]]:
    """Returns the median seconds of each contender for each size, with warm workers, in turns."""
    found: dict[str, list[tuple[float, float]]] = {name: [] for name in contenders}
    with contextlib.ExitStack() as stack:
        runs = {name: stack.enter_context(contender(function)) for name, contender in contenders.items()}
        for size in sizes:
            going = {name: run for name, run in runs.items() if not found[name] or found[name][-1][1] < LONGEST / 10}
            seconds: dict[str, list[float]] = {name: [] for name in going}
            for turn in range(turns + (size == sizes[0])):
                for name, run in going.items():
                    took, _ = timed(run, inputs(size), {})
                    if turn or size != sizes[0]:  # the very first starts the workers
                        seconds[name].append(took)
            for name in going:
                found[name].append((size, statistics.median(seconds[name])))
                print(f"{short(size):>6} {name:26} {found[name][-1][1]:.6f} s", flush=True)
    return found


def elements(quick: bool) -> Chart:
    sizes = [10**power for power in range(1, 4 if quick else 8)]
    lines = curve(POOLS, work.square, sizes, range, 1 if quick else 3)
    return Chart("Calls of x * x, two processes", "calls", "seconds", lines, logarithmic=True)


def workers(quick: bool) -> Chart:
    """640 sleeps of 10 ms in threads; the ideal is their sum, shared by the workers."""
    counts, sleeps = [1, 8] if quick else [1, 2, 4, 8, 16, 32, 64], [0.001 if quick else 0.01] * 640
    lines: dict[str, list[tuple[float, float]]] = {"just-distribute": [], "ThreadPoolExecutor.map": []}
    for count in counts:
        ours, theirs = peers.ours(work.sleep, job="io", workers=count), peers.thread_executor(work.sleep, workers=count)
        for name, contender in zip(lines, (ours, theirs), strict=True):
            with contender as run:
                run(sleeps[:count])
                lines[name].append((count, timed(run, sleeps, {})[0]))
                print(f"{count:>6} {name:26} {lines[name][-1][1]:.6f} s", flush=True)
    ideal = [(count, sum(sleeps) / count) for count in counts]
    return Chart("640 sleeps of 10 ms, in threads", "workers", "seconds", lines, {"ideal": ideal}, logarithmic=True)


def sent(quick: bool) -> Chart:
    """Two calls, each with an array of its own."""
    sizes = [8, 80_000] if quick else [*(8 * 10**power for power in range(8)), 10**9]
    contenders = {name: contender for name, contender in POOLS.items() if name != "plain loop"}
    lines = curve(contenders, work.touch, sizes, _arrays, 1 if quick else 3)
    return Chart("Two calls, an array for each", "bytes of an array", "seconds", lines, logarithmic=True)


def _arrays(size: int) -> list[Any]:
    return [numpy.ones(size // 8) for _ in range(2)]


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.curves", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="few and small sizes, each once: shows that all works")
    parser.add_argument("--write", action="store_true", help="write the picture")
    arguments = parser.parse_args()
    began = time.perf_counter()
    picture = svg([draw(arguments.quick) for draw in (elements, workers, sent)])
    print(f"{time.perf_counter() - began:.0f} s")
    if arguments.write:
        PICTURE.parent.mkdir(exist_ok=True)
        PICTURE.write_text(picture, encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
