"""Kills a worker at a random moment of a run. Usage: random_kills.py WORKERS ROUNDS. Prints a JSON report per round."""

from __future__ import annotations

import json
import os
import random
import signal
import sys
import threading
import time

import psutil
from jd_core import WorkerDiedError, distribute

workers, rounds = int(sys.argv[1]), int(sys.argv[2])


@distribute("compute", workers=workers)
def slowly(number: int) -> int:
    time.sleep(0.01)
    return os.getpid()


def worker_processes() -> set[int]:
    return set(slowly(range(4 * workers)))


reports = []
for _ in range(rounds):
    victims = sorted(worker_processes())
    killed_at: list[float] = []

    def kill(victim: int, delay: float, killed_at: list[float] = killed_at) -> None:
        time.sleep(delay)
        killed_at.append(time.monotonic())
        psutil.Process(victim).send_signal(signal.SIGKILL)

    killer = threading.Thread(target=kill, args=(random.choice(victims), random.uniform(0.0, 0.2)))
    killer.start()
    report = {"named": None}
    try:
        results = slowly(range(60 * workers))
        report["results"] = len(results)
    except WorkerDiedError as error:
        raised_at = time.monotonic()
        report = {"named": raised_at - killed_at[0], "message": str(error), "notes": error.__notes__}
    killer.join()
    began = time.monotonic()
    report["next"] = slowly(range(4)) is not None and time.monotonic() - began
    reports.append(report)
json.dump(reports, sys.stdout)
