"""Kills a process of each launch at random in its first 50 ms. Usage: start_kills.py METHOD LAUNCHES. Prints JSON.

A soak: SOAK_LAUNCHES=1000 hatch run test tests/compute/test_starts.py -k launches --timeout 0
"""

from __future__ import annotations

import collections
import json
import random
import sys
import threading
import time

import psutil
from jd_core import distribute, shutdown

method, launches = sys.argv[1], int(sys.argv[2])
caller, chance = psutil.Process(), random.Random(7)


def work(number: int) -> int:
    time.sleep(0.002)
    return number


def started(before: set[psutil.Process]) -> list[psutil.Process]:
    return [process for process in caller.children(recursive=True) if process not in before]


def kill_one(before: set[psutil.Process], delay: float, over: threading.Event) -> None:
    over.wait(delay)
    while not over.is_set():
        for process in chance.sample(found := started(before), len(found)):
            try:
                process.kill()
            except psutil.Error:
                continue
            return
        over.wait(0.002)


def census() -> dict[str, int]:
    shutdown()
    children = caller.children(recursive=True)
    zombies = sum(process.status() == psutil.STATUS_ZOMBIE for process in children)
    return {
        "files": caller.num_fds(),
        "processes": len(children) - zombies,
        "zombies": zombies,
        "memory": caller.memory_info().rss,
    }


worst, outcomes, before = 0.0, collections.Counter(), {}
for launch in range(launches):
    over = threading.Event()
    arguments = set(caller.children(recursive=True)), chance.uniform(0.0, 0.05), over
    killer = threading.Thread(target=kill_one, args=arguments)
    killer.start()
    began = time.monotonic()
    try:
        run = distribute(work, job="compute", workers=4, start_method=method, idle_seconds=1000.0 + launch, retries=2)
        outcomes["results" if run(range(12)) == list(range(12)) else "wrong"] += 1
    except Exception as error:
        outcomes[f"{type(error).__name__}: {error}"] += 1
    worst = max(worst, time.monotonic() - began)
    over.set()
    killer.join()
    if launch == launches // 3:
        before = census()
json.dump({"worst": worst, "outcomes": outcomes, "before": before, "after": census()}, sys.stdout)
