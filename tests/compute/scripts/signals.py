"""Waits in a distributed call until a signal comes. Usage: signals.py JOB FOLDER.

Each call leaves a file in FOLDER when it begins. After Ctrl-C, runs another distributed call, and prints when the
first one returned, on the monotonic clock, and the results of the other.
"""

from __future__ import annotations

import pathlib
import sys
import time

from jd_core import distribute

job, folder = sys.argv[1], pathlib.Path(sys.argv[2])


@distribute(job, workers=2)
def wait(number: int) -> None:
    (folder / str(number)).touch()
    time.sleep(600)


@distribute(job, workers=2)
def square(number: int) -> int:
    return number * number


try:
    wait(range(4))
except KeyboardInterrupt:
    returned = time.monotonic()
    print(returned, square(range(5)), flush=True)
