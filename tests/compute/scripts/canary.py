"""Provokes a fault in a call whose constants, items and results are secret, and shows all that anybody could see of it.

Usage: canary.py JOB FAULT PHASE. Prints the exception with the locals of the library's frames, and what was logged.
"""

from __future__ import annotations

import logging
import os
import pathlib
import signal
import sys
import traceback
from typing import Any

import jd_core
from jd_core import distribute

job, fault, phase = sys.argv[1:4]
caller = os.getpid()
PARTS = ("canary", "in", "the", "mine")


def secret(what: str) -> str:
    """Made at run time, so that it stands in no line of source that a traceback shows."""
    return "-".join((*PARTS, what))


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
    """Holds a secret, and breaks down when it is pickled or unpickled, here or there."""

    def __init__(self, breaks_when: str) -> None:
        self.breaks_when = breaks_when
        self.value = secret("cargo")

    def __reduce__(self) -> Any:
        if self.breaks_when == ("argument pickles" if os.getpid() == caller else "result pickles"):
            break_down()
        return rebuild, (self.breaks_when,)


def rebuild(breaks_when: str) -> Cargo:
    if breaks_when == ("result unpickles" if os.getpid() == caller else "argument unpickles"):
        break_down()
    return Cargo(breaks_when)


def work(number: int, text: str, cargo: Any, *, key: str) -> Any:
    if number == 7 and phase == "running":
        break_down()
    return cargo if number == 7 else text + key


def shown(error: BaseException | None) -> None:
    """Prints an exception, with the locals of the frames that are the library's."""
    while error is not None:
        print(type(error).__name__, error, *getattr(error, "__notes__", ()))
        trace = error.__traceback__
        while trace is not None:
            library = pathlib.Path(trace.tb_frame.f_code.co_filename).parent.name.startswith("jd_")
            if library:
                summary = traceback.StackSummary.extract([(trace.tb_frame, trace.tb_lineno)], capture_locals=True)
                print("".join(summary.format()))
            trace = trace.tb_next
        error = error.__cause__ or error.__context__


logging.basicConfig(level=logging.DEBUG, stream=sys.stdout)
progress: list[tuple[int, int | None]] = []
run = distribute(
    work, job=job, workers=2, progress=lambda done, total: print("progress", done, total), timeout=30.0, retries=1
)
texts = [secret(f"item {number}") if number != 7 else "plain" for number in range(12)]
cargo = [Cargo(phase) if number == 7 else None for number in range(12)]
print(repr(run), repr(run.options(workers=3)))
for form in ("call", "stream", "as_completed"):
    try:
        if form == "call":
            run(range(12), texts, cargo, key=secret("key"))
        else:
            list(getattr(run, form)(range(12), texts, cargo, key=secret("key")))
    except jd_core.DistributeError as error:
        shown(error)
    except ValueError as error:
        shown(error)
