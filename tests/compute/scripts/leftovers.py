"""Runs many calls, of which some fail, and prints as JSON what this process has before and after. Usage: leftovers.py WHAT.

WHAT is "plain", or "arrays": calls with large arrays, some of them as streams that are given up.
"""

from __future__ import annotations

import gc
import json
import sys
import threading
import time
from typing import Any

import numpy as np
import psutil
from jd_compute.transport.arena import arena
from jd_core import distribute

caller = psutil.Process()


@distribute("compute", workers=2)
def sometimes(number: int) -> bytes:
    if number == 7:
        raise ValueError(number)
    return bytes(number)


@distribute("compute", workers=2)
def double(array: Any) -> Any:
    if array[0] == 7:
        raise ValueError(7)
    return array * 2


def use_plain(turn: int) -> None:
    if turn % 4:
        sometimes(range(7))
    else:
        use_failing(sometimes, range(20))


def use_arrays(turn: int) -> None:
    if turn % 3 == 0:
        double(arrays[:7])
    elif turn % 3 == 1:
        use_failing(double, arrays)
    else:
        with double.stream(arrays[:7]) as stream:
            next(stream)


def use_failing(run: Any, values: Any) -> None:
    try:
        run(values)
    except ValueError:
        return
    raise AssertionError("nothing failed")


def census() -> dict[str, int]:
    gc.collect()
    return {
        "files": caller.num_fds() - arena.kept()[0],
        "threads": threading.active_count(),
        "children": len(caller.children()),
    }


arrays = [np.full(1 << 16, float(k)) for k in range(10)]
use = {"plain": use_plain, "arrays": use_arrays}[sys.argv[1]]
for turn in range(30):
    use(turn)
before, memory = census(), caller.memory_info().rss
for turn in range(200):
    use(turn)
deadline = time.monotonic() + 10
while (after := census()) != before and time.monotonic() < deadline:
    time.sleep(0.01)
growth = caller.memory_info().rss - memory
json.dump({"before": before, "after": after, "growth": growth, "kept": arena.kept()[0]}, sys.stdout)
