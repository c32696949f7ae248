"""Provokes faults in phases of a call whose constant, items and results are secret, and reports all that came of it.

Usage: faults.py REPORT JOB FAULTS PHASES FORMS TIMES SECONDS, with commas in the lists. Writes a JSON list to the file
REPORT. A form is a chunksize, for a call with ``return_exceptions``, or one of call, stream, as_completed, aio, for one that
raises. What takes longer than SECONDS is tried again, up to twice, and all tries are reported: the machine may stand still.
"""

from __future__ import annotations

import asyncio
import json
import logging
import os
import pathlib
import signal
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from jd_core import Distributed, Retry, distribute
from jd_core.testing import everything_shown

CALLS = 12
BAD = 7


def secret(what: str) -> str:
    """Made at run time, so that it stands in no line of source that a traceback shows."""
    return "-".join(("canary", "in", "the", "mine", what))


@dataclass(frozen=True)
class Fault:
    """What goes wrong in the bad call, and when; with the caller's process, which it must not end."""

    kind: str
    phase: str
    caller: int

    def strike(self, *, here: str, there: str) -> None:
        """Breaks down if its phase is what happens now: one thing in the caller's process, another in a worker's."""
        in_caller = os.getpid() == self.caller
        if self.phase != (here if in_caller else there):
            return
        if self.kind == "sys.exit":
            sys.exit(3)
        if self.kind == "error" or in_caller:
            raise ValueError("boom")
        if self.kind == "os._exit":
            os._exit(3)
        os.kill(os.getpid(), getattr(signal, self.kind))


class Cargo:
    """Holds a secret, and may break down when it is pickled or unpickled."""

    def __init__(self, fault: Fault) -> None:
        self.fault = fault
        self.value = secret("cargo")

    def __reduce__(self) -> Any:
        self.fault.strike(here="argument pickles", there="result pickles")
        return rebuild, (self.fault,)


def rebuild(fault: Fault) -> Cargo:
    fault.strike(here="result unpickles", there="argument unpickles")
    return Cargo(fault)


def work(number: int, text: str, cargo: Cargo | None, *, key: str, fault: Fault) -> Any:
    if number == BAD:
        fault.strike(here="running", there="running")
        return cargo
    return text + key


def attempt(run: Distributed[..., Any], fault: Fault, form: str) -> dict[str, Any]:
    """Provokes one fault, and returns what came of it."""
    key = secret("key")
    texts = [secret(f"item {number}") if number != BAD else "plain" for number in range(CALLS)]
    arguments = range(CALLS), texts, [Cargo(fault) if number == BAD else None for number in range(CALLS)]
    constants = {"key": key, "fault": fault}
    results: dict[int, Any] = {}
    began = time.monotonic()
    try:
        if form == "call":
            results = dict(enumerate(run(*arguments, **constants)))
        elif form == "aio":
            results = dict(enumerate(asyncio.run(run.aio(*arguments, **constants))))
        elif form == "stream":
            results.update(enumerate(run.stream(*arguments, **constants)))
        elif form == "as_completed":
            results.update(run.as_completed(*arguments, **constants))
        else:
            size: Any = int(form) if form.isdecimal() else form
            kept = run.options(retries=0, return_exceptions=True, chunksize=size)
            results = dict(enumerate(kept(*arguments, **constants)))
        outcome = results.pop(BAD)
    except Exception as error:
        outcome = error
        results.update(getattr(error, "partial", {}))
    return {
        "fault": fault.kind,
        "phase": fault.phase,
        "form": form,
        "seconds": time.monotonic() - began,
        "calls": sorted(results),
        "innocent": all(result == texts[number] + key for number, result in results.items()),
        "outcome": type(outcome).__name__,
        "message": str(outcome),
        "notes": getattr(outcome, "__notes__", []),
        "shown": everything_shown(outcome, {__file__}) if isinstance(outcome, Exception) else "",
    }


def attempts(run: Distributed[..., Any], fault: Fault, form: str, seconds: float) -> Iterator[dict[str, Any]]:
    """Provokes one fault until it ends within so many seconds, at most three times."""
    for _ in range(3):
        attempted = attempt(run, fault, form)
        yield attempted
        if attempted["seconds"] < seconds:
            return


def report(done: int, total: int | None) -> None:
    print("progress", done, total)


logging.basicConfig(level=logging.DEBUG)
path, job, faults, phases, forms, times, seconds = sys.argv[1:]
run = distribute(work, job=job, workers=2, progress=report, timeout=30.0, retries=Retry(1, initial=0.001))
print(repr(run), repr(run.options(workers=3)))
reports = [
    attempted
    for fault in faults.split(",")
    for phase in phases.split(",")
    for form in forms.split(",")
    for _ in range(int(times))
    for attempted in attempts(run, Fault(fault, phase, os.getpid()), form, float(seconds))
]
pathlib.Path(path).write_text(json.dumps(reports))
