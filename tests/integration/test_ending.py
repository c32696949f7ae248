"""Section 5: calls that are made while the interpreter shuts down."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Callable
from typing import TypeAlias

import pytest

Unexpected: TypeAlias = Callable[[str], list[str]]


@pytest.fixture
def environment(job: str, request: pytest.FixtureRequest) -> dict[str, str]:
    """That of a program, which on ray uses the session's own."""
    return {**os.environ, **(request.getfixturevalue("ray_program") if job == "ray" else {})}


def run(program: str, environment: dict[str, str]) -> subprocess.CompletedProcess[str]:
    """Runs a program to its end."""
    command = [sys.executable, "-c", program]
    return subprocess.run(command, capture_output=True, text=True, timeout=120, check=False, env=environment)


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


FIRST = """
from jd_core import distribute

class Last:
    def __init__(self):
        self.call = distribute(lambda value: value, job=JOB)

    def __del__(self):
        self.call([1])

last = Last()
"""


def test_the_first_call_of_all_at_the_very_end(job: str) -> None:
    """A ``__del__`` after the modules are gone gets one clear error: what a first call needs is imported no more."""
    program = f"JOB = {job!r}\n{FIRST}"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60, check=False)
    assert (done.stdout, done.returncode) == ("", 0)
    assert "BackendError: the interpreter is shutting down" in done.stderr
    assert done.stderr.count("Error") == 1


ENDS = {
    "a daemon thread": """
def call_for_ever():
    while True:
        plain(range(4))
        list(plain.stream(iter(range(4))))

for _ in range(2):
    threading.Thread(target=call_for_ever, daemon=True).start()
plain(range(4))
said(plain)
""",
    "a thread that outlives the main one": """
def call_late():
    threading.main_thread().join()
    said(plain)
    said(later)

threading.Thread(target=call_late).start()
""",
    "a dying thread": """
class Last:
    def __del__(self):
        said(plain)
        said(later)

local = threading.local()
def keep():
    local.last = Last()

thread = threading.Thread(target=keep)
thread.start()
thread.join()
""",
    "an open stream": """
streams = [one.stream(iter(range(1000))) for one in (plain, later)]
for stream in streams:
    assert next(stream) == 0
atexit.register(lambda: [print(sum(1 for _ in stream)) for stream in streams])
""",
}

BEFORE = """
import asyncio, atexit, threading
from jd_core import distribute

def square(value):
    return value * value

async def square_later(value):
    await asyncio.sleep(0)
    return value * value

plain, later = (distribute(one, job=JOB, workers=3) for one in (square, square_later))

def said(function):
    print(function(range(4)), list(function.stream(iter(range(4)))))
"""

#: The same without distributed functions.
WITHOUT = """
import asyncio, threading
plain = later = 0.0

def said(seconds):
    asyncio.run(asyncio.sleep(seconds))
"""

SAID = "[0, 1, 4, 9] [0, 1, 4, 9]\n"


@pytest.mark.process
@pytest.mark.parametrize("who", ENDS)
def test_who_calls_at_the_end(job: str, who: str, environment: dict[str, str], unexpected: Unexpected) -> None:
    """Threads that end with the program, or after its main thread, have their results or one clear error."""
    program = f"JOB = {job!r}\n{BEFORE}\n{ENDS[who]}"
    done = run(program, environment)
    expected = {"a daemon thread": SAID, "an open stream": "999\n999\n"}.get(who, 2 * SAID)
    assert (done.stdout, done.returncode) == (expected, 0)
    if who == "a daemon thread":  # its workers may end before it does
        complaints = [line for line in done.stderr.splitlines() if "Error" in line]
        assert all("the interpreter is shutting down" in line for line in complaints), done.stderr
        assert len(complaints) <= 2
    elif who == "a dying thread":  # in which Python 3.13.0 itself complains of any event loop
        assert_no_other_complaints(unexpected(done.stderr), run(f"{WITHOUT}\n{ENDS[who]}", environment).stderr.splitlines())
    else:
        assert unexpected(done.stderr) == []


def assert_no_other_complaints(found: list[str], expected: list[str]) -> None:
    """Takes lines of stderr, in which objects may have other addresses."""
    assert {re.sub("0x[0-9a-f]+", "", line) for line in found} <= {re.sub("0x[0-9a-f]+", "", line) for line in expected}


@pytest.mark.parametrize("warm", [False, True])
def test_calls_while_the_interpreter_shuts_down(
    job: str, warm: bool, environment: dict[str, str], unexpected: Unexpected
) -> None:
    """A call from ``atexit`` or ``__del__`` ends at once with its result, though no thread can be started any more."""
    program = f"JOB, WARM = {job!r}, {warm}\n{PROGRAM}"
    done = run(program, environment)
    said = "atexit" + 4 * " [0, 1, 4, 9]" + "\n" + warm * "__del__ [0, 1, 4, 9] [4, 9]\n"
    assert (done.stdout, unexpected(done.stderr), done.returncode) == (said, [], 0)
