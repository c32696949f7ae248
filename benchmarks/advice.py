"""Measures what `f.advise` says of twelve functions, and ``job="auto"`` beside a loop and the best job.

``python -m benchmarks.advice``: see README.md beside this file. Each function has a process of its own, in which all jobs
have made a first call, so that the advice is for workers that are there.
"""

from __future__ import annotations

import argparse
import contextlib
import functools
import random
import statistics
import subprocess
import sys
import time
from typing import Any

from just_distribute import distribute

from benchmarks.kinds import KINDS, Kind
from benchmarks.places import ROOT

HEADING = """\
| function | loop | compute | io | auto | auto / loop | auto / best | advice | measured gain | |
|---|---|---|---|---|---|---|---|---|---|"""


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.advice", description=__doc__)
    parser.add_argument("functions", nargs="*", metavar="NAME", help="names of functions; all if none")
    parser.add_argument("--pairs", type=int, default=5, help="how often each job is measured; medians are shown")
    parser.add_argument("--here", action="store_true", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    kinds = [kind for kind in KINDS if kind.name in (arguments.functions or [kind.name])]
    if arguments.here:
        for kind in kinds:
            print(line(kind, arguments.pairs), flush=True)
        return 0
    print(HEADING, flush=True)
    command = [sys.executable, "-m", "benchmarks.advice", "--here", f"--pairs={arguments.pairs}"]
    return max(subprocess.run([*command, kind.name], cwd=ROOT).returncode for kind in kinds)


def line(kind: Kind, pairs: int) -> str:
    """Returns the line of the table of one function."""
    jobs = {job: distribute(kind.function, job=job) for job in ("compute", "io", "auto")}
    with kind.inputs(kind.size) as (items, constants):
        call = functools.partial(kind.function, **constants) if constants else kind.function
        for job in ("compute", "io"):
            jobs[job](items[:2], **constants)
        advice = jobs["compute"].advise(items, **constants)
        runs = {"loop": lambda: [call(item) for item in items]}
        runs |= {job: functools.partial(run, items, **constants) for job, run in jobs.items()}
        seconds: dict[str, list[float]] = {name: [] for name in runs}
        expected = runs["loop"]()  # kept beside all runs: one without it has its memory at hand, and is a third faster
        for _ in range(pairs):
            for name, run in random.sample([*runs.items()], len(runs)):  # who runs before is a part of what memory costs
                found = None  # to free results, maybe of another thread's, is not a part of the next run
                began = time.perf_counter()
                found = run()
                seconds[name].append(time.perf_counter() - began)
                assert found == expected
    shown = " | ".join(f"{statistics.median(seconds[job]) * 1e3:.3g} ms" for job in ("loop", "compute", "io", "auto"))
    gains = {job: _ratio(seconds["loop"], seconds[job]) for job in jobs}
    best = min(("loop", "compute", "io"), key=lambda job: statistics.median(seconds[job]))
    gain, verdict = _verdict(advice, gains)
    low, high = advice.gain_range
    return (
        f"| {kind.name} | {shown} | {1 / gains['auto']:.2f} | {_ratio(seconds['auto'], seconds[best]):.2f} "
        f"| {advice.job or 'not sure'}, {low:.2g} to {high:.2g} | {gain} | {verdict} |"
    )


def _ratio(one: list[float], other: list[float]) -> float:
    """Returns the median of the ratios of runs in turns: where the machine is slow for a while, it is for both."""
    return statistics.median(a / b for a, b in zip(one, other, strict=True))


def _verdict(advice: Any, gains: dict[str, float]) -> tuple[str, str]:
    """Returns the gain that was measured, and whether the advice was right: its gain within the range, or no job better."""
    if advice.job is None:
        return "", "not sure"
    if advice.job == "serial":
        gain = max(gains["compute"], gains["io"])
        return f"{gain:.2f}", "right" if gain <= 1.25 else "WRONG"  # what `job="auto"` moves calls for
    gain = gains[advice.job]
    low, high = advice.gain_range
    if gain < 1.0:
        return f"{gain:.2f}", "WRONG"
    return f"{gain:.2f}", "within" if low <= gain <= high else "outside"


if __name__ == "__main__":
    with contextlib.suppress(KeyboardInterrupt):
        sys.exit(main())
