"""Makes a run that is killed and started again: prints its results, in order, when it comes to its end.

Arguments: the job, the file, the folder that records the calls, and how many calls there are.
"""

from __future__ import annotations

import logging
import os
import sys
import time

from jd_core import distribute


def count_up(value: int, *, folder: str) -> int:
    """Leaves a line in the file of its process, and takes some milliseconds."""
    with open(os.path.join(folder, f"calls-{os.getpid()}"), "a") as calls:
        calls.write(f"{value}\n")
    time.sleep(0.002)
    return value * value


if __name__ == "__main__":
    job, path, folder, calls = sys.argv[1:]
    logging.disable()
    run = distribute(count_up, job=job, workers=2, resume=path)
    print("started", flush=True)
    print(run(range(int(calls)), folder=folder), flush=True)
