"""Calls that use all descriptors of their worker as if they were their own. Usage: descriptors.py WHAT METHOD.

Prints as JSON what each way to call them returned: of a failed call, its error's type. In a program of its own, for a worker
that is forked has the descriptors of its caller.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import select
import stat
import sys
import time
from collections.abc import Iterator
from typing import Any

from jd_core import distribute

what, method = sys.argv[1:]


def connections() -> Iterator[int]:
    for file in range(3, 64):
        with contextlib.suppress(OSError):
            if stat.S_ISSOCK(os.fstat(file).st_mode):
                yield file


def read(number: int) -> int:
    """Reads what is there, and whatever comes next, for a while."""
    for file in connections():
        poller = select.poll()
        poller.register(file, select.POLLIN)
        if poller.poll(500 if number == 3 else 0):
            with contextlib.suppress(OSError):
                os.write(2, b"." if os.read(file, 1 << 20) else b"")
    return number


def read_one_byte(number: int) -> int:
    for file in connections():
        with contextlib.suppress(OSError):
            os.read(file, 1)
    return number


def wait(number: int) -> int:
    """Reads where there is nothing, from pipes, too."""
    for file in range(3, 64):
        if number == 3:
            with contextlib.suppress(OSError):
                os.read(file, 1 << 20)
    return number


def write(number: int) -> int:
    if number == 3:
        for file in connections():
            os.write(file, b"nonsense" * 10)
        time.sleep(600)
    return number


def write_and_go_on(number: int) -> int:
    if number == 3:
        for file in connections():
            os.write(file, b"nonsense" * 10)
    return number


def close(number: int) -> int:
    if number == 3:
        os.closerange(3, 256)
    return number


def replace(number: int) -> int:
    """Has files of its own where others were."""
    if number == 3:
        for file in range(3, 64):
            os.dup2(1, file)
    return number


def become_a_daemon(number: int) -> int:
    if number == 3:
        if os.fork():
            os._exit(0)
        os.setsid()
        os.closerange(3, 256)
    return number


def patch(number: int) -> int:
    from gevent import monkey

    monkey.patch_all()
    return number


async def awaited() -> list[Any]:
    return await run.aio(range(12))


async def iterated() -> list[Any]:
    return [result async for result in run.astream(range(12))]


run = distribute(globals()[what], job="compute", workers=2, start_method=method, chunksize=1, return_exceptions=True)
ways = [
    lambda: run(range(12)),
    lambda: list(run.stream(iter(range(12)))),
    lambda: [result for _, result in sorted(run.as_completed(range(12)), key=lambda pair: pair[0])],
    lambda: run.options(timeout=30.0)(range(12)),
    lambda: run.options(chunksize="auto")(range(12)),
]
if method != "fork":  # which copies the sockets of the loop, too
    ways += [lambda: asyncio.run(iterated()), lambda: asyncio.run(awaited())]
ways.append(lambda: distribute(abs, job="compute", workers=2, start_method=method)(range(12)))
found = [[type(result).__name__ if isinstance(result, Exception) else result for result in way()] for way in ways]
json.dump(found, sys.stdout)
