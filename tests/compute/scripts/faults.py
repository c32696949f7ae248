"""Provokes one fault, in one phase of one call, on one job, and prints what came of it as JSON.

Usage: faults.py JOB FAULT PHASE TIMES. Runs with chunks of one call, of all calls, and of automatic size, TIMES times each.
"""

from __future__ import annotations

import json
import os
import signal
import sys
import time
from typing import Any

from jd_core import distribute

job, fault, phase, times = sys.argv[1], sys.argv[2], sys.argv[3], int(sys.argv[4])
caller = os.getpid()
CALLS = 12
BAD = 7


def break_down() -> None:
    if fault == "error":
        raise ValueError("boom")
    if fault == "sys.exit":
        sys.exit(3)
    if os.getpid() == caller:
        raise ValueError("this would end the caller itself")
    if fault == "os._exit":
        os._exit(3)
    os.kill(os.getpid(), getattr(signal, fault))


class Cargo:
    """Breaks down when it is pickled or unpickled, here or there."""

    def __init__(self, breaks_when: str) -> None:
        self.breaks_when = breaks_when

    def __reduce__(self) -> Any:
        if self.breaks_when == ("argument pickles" if os.getpid() == caller else "result pickles"):
            break_down()
        return rebuild, (self.breaks_when,)


def rebuild(breaks_when: str) -> Cargo:
    if breaks_when == ("result unpickles" if os.getpid() == caller else "argument unpickles"):
        break_down()
    return Cargo(breaks_when)


def work(number: int, cargo: Any) -> Any:
    if number == BAD and phase == "running":
        break_down()
    return cargo if number == BAD else number * number


cargo = [Cargo(phase) if number == BAD else None for number in range(CALLS)]
run = distribute(work, job=job, workers=2, return_exceptions=True)
reports = []
for _ in range(times):
    for chunksize in (1, CALLS, "auto"):
        began = time.monotonic()
        results = run.options(chunksize=chunksize)(range(CALLS), cargo)
        seconds = time.monotonic() - began
        innocent = all(results[number] == number * number for number in range(CALLS) if number != BAD)
        error = results[BAD]
        reports.append(
            {
                "chunksize": chunksize,
                "seconds": seconds,
                "results": len(results),
                "innocent": innocent,
                "error": type(error).__name__,
                "message": str(error),
                "notes": getattr(error, "__notes__", []),
            }
        )
json.dump(reports, sys.stdout)
