"""Section 5: calls that are made while the interpreter shuts down."""

from __future__ import annotations

import subprocess
import sys

import pytest

PROGRAM = """
import asyncio, atexit, sys
from jd_core import distribute

def square(value):
    return value * value

async def square_later(value):
    await asyncio.sleep(0)
    return value * value

plain, later = (distribute(one, job=JOB, workers=8, retries=1) for one in (square, square_later))

class Last:
    def __init__(self):
        self.plain, self.print = plain, print

    def __del__(self):
        self.print("__del__", self.plain(range(4)), list(self.plain.stream([2, 3])))

def say():
    streamed = list(plain.stream(number for number in range(4)))
    print("atexit", plain(range(4)), later(range(4)), streamed, asyncio.run(plain.aio(range(4))))

if WARM:
    plain(range(4))
    last = Last()
atexit.register(say)
"""


@pytest.mark.parametrize("warm", [False, True])
def test_calls_while_the_interpreter_shuts_down(job: str, warm: bool) -> None:
    """A call from ``atexit`` or ``__del__`` ends at once with its result, though no thread can be started any more."""
    if job == "ray":
        pytest.skip("it would start a Ray of its own; that calls are made here is decided before any backend is asked")
    program = f"JOB, WARM = {job!r}, {warm}\n{PROGRAM}"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60, check=False)
    said = "atexit" + 4 * " [0, 1, 4, 9]" + "\n" + warm * "__del__ [0, 1, 4, 9] [4, 9]\n"
    assert (done.stdout, done.stderr, done.returncode) == (said, "", 0)
