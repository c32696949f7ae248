"""Forty threads share two workers, ours and an executor's, in turns. Prints how many times as long ours take."""

from __future__ import annotations

import concurrent.futures
import multiprocessing
import threading
import time
from collections.abc import Callable
from typing import Any

from jd_core import distribute


def spin(number: int) -> int:
    """Takes a millisecond of CPU time."""
    end = time.thread_time() + 0.001
    while time.thread_time() < end:
        pass
    return number


def seconds(call: Callable[..., Any]) -> float:
    """Returns how long forty threads take that make twenty calls each."""
    threads = [threading.Thread(target=call, args=(range(20),)) for _ in range(40)]
    began = time.perf_counter()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return time.perf_counter() - began


if __name__ == "__main__":
    run = distribute(spin, job="compute", workers=2)
    with concurrent.futures.ProcessPoolExecutor(2, multiprocessing.get_context("forkserver")) as executor:
        ways = (run, lambda numbers: list(executor.map(spin, numbers)))
        for call in ways:
            call(range(20))  # starts the workers
        for _ in range(4):
            ours, theirs = map(seconds, ways)
            print(ours / theirs)
