"""Section 5: a timeout is about the call: what holds up its printing is not its time, nor that of the calls beside it."""

from __future__ import annotations

import asyncio
import contextlib
import functools
import logging
import os
import sys
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from jd_core import CallTimeoutError, distribute

#: Seconds allowed to a call, and those for which nobody reads what calls print.
LIMIT, AWAY = 0.4, 0.8

WAIT = 30.0  # seconds after which an event that should have come has not

#: More than a pipe holds, and a line of it.
LINES, LINE = 300, "x" * 500

END = b"\0"  # of what is printed


def ever_more_patient(test: Callable[..., None]) -> Callable[..., None]:
    """Runs a test up to three times, with ever longer limits: on a busy machine a call that does nothing takes a while."""

    @functools.wraps(test)
    def run(*args: Any, **kwargs: Any) -> None:
        for longer in (1, 3):
            with limits(longer), contextlib.suppress(Exception):
                return test(*args, **kwargs)
        with limits(9):
            return test(*args, **kwargs)

    return run


@contextlib.contextmanager
def limits(longer: int) -> Iterator[None]:
    """Has what is allowed, and what is too long, be so many times as long in the ``with`` block."""
    with pytest.MonkeyPatch.context() as patch:
        for name in ("LIMIT", "AWAY"):
            patch.setattr(sys.modules[__name__], name, globals()[name] * longer)
        yield


def write(number: int, where: str) -> None:
    """Prints or logs, if the number is even."""
    if number % 2:
        return
    if where == "log":
        logging.getLogger("slow").warning(LINE)
    else:
        for _ in range(LINES):
            print(LINE, file=getattr(sys, where))


def plain(number: int, *, where: str) -> int:
    """Prints, then does something else."""
    write(number, where)
    time.sleep(0.01)
    return number


async def coroutine(number: int, *, where: str) -> int:
    """Prints between two waits."""
    await asyncio.sleep(0.01)
    write(number, where)
    await asyncio.sleep(0.01)
    return number


def returned(number: int, *, where: str) -> Any:
    """Returns an awaitable, which its being a plain function does not show."""
    return coroutine(number, where=where)


class Blocked(logging.Handler):
    """A log handler that is held up."""

    def __init__(self, until: threading.Event) -> None:
        super().__init__()
        self._until = until

    def emit(self, record: logging.LogRecord) -> None:
        """Waits."""
        self._until.wait(WAIT)


@contextlib.contextmanager
def unread(where: str) -> Iterator[None]:
    """Has what is written there wait until the seconds are over; what was printed is dropped."""
    over = threading.Event()
    timer = threading.Timer(AWAY, over.set)
    reading, writing = os.pipe()

    def read() -> None:
        over.wait(WAIT)
        while not os.read(reading, 1 << 16).endswith(END):  # not the pipe's: a process may keep it open
            pass
        os.close(reading)

    reader = threading.Thread(target=read)
    handler = Blocked(over)
    logging.getLogger("slow").addHandler(handler)
    with pytest.MonkeyPatch.context() as patch, open(writing, "w", buffering=1) as pipe:
        if where != "log":
            patch.setattr(sys, where, pipe)
        reader.start()
        timer.start()
        try:
            yield
        finally:
            logging.getLogger("slow").removeHandler(handler)
            timer.join()
            pipe.write(END.decode())
            pipe.flush()
            reader.join()


async def awaited(function: Any, numbers: range, where: str) -> list[Any]:
    """Returns all results, by `aio`."""
    return list(await function.aio(numbers, where=where))


async def streamed(function: Any, numbers: range, where: str) -> list[Any]:
    """Returns all results, by `astream`."""
    return [result async for result in function.astream(numbers, where=where)]


WAYS: dict[str, Callable[[Any, range, str], list[Any]]] = {
    "call": lambda function, numbers, where: list(function(numbers, where=where)),
    "stream": lambda function, numbers, where: list(function.stream(numbers, where=where)),
    "aio": lambda function, numbers, where: asyncio.run(awaited(function, numbers, where)),
    "astream": lambda function, numbers, where: asyncio.run(streamed(function, numbers, where)),
}


@pytest.mark.slow
@pytest.mark.parametrize("where", ["stdout", "stderr", "log"])
@pytest.mark.parametrize("function", [plain, coroutine, returned], ids=lambda each: str(each.__name__))
@ever_more_patient
def test_what_calls_print(job: str, function: Callable[..., Any], where: str) -> None:
    """Neither calls that print into a pipe that nobody reads, or log to a handler that waits, nor the others time out."""
    with unread(where):
        assert distribute(function, job=job, workers=8, timeout=LIMIT)(range(16), where=where) == list(range(16))


@pytest.mark.slow
@pytest.mark.parametrize("way", [way for way in WAYS if way != "call"])
@ever_more_patient
def test_what_calls_print_in_each_way_to_call(job: str, way: str) -> None:
    """However they are called."""
    with unread("stdout"):
        assert WAYS[way](distribute(coroutine, job=job, workers=8, timeout=LIMIT), range(16), "stdout") == list(range(16))


async def hangs_or_prints(number: int, *, where: str) -> int:
    """Hangs if the number is odd."""
    write(number, where)
    await asyncio.sleep(WAIT * (number % 2))
    return number


@pytest.mark.slow
@ever_more_patient
def test_a_call_that_takes_too_long_beside_others_that_print(job: str) -> None:
    """It does time out."""
    began = time.monotonic()
    with unread("stdout"):
        function = distribute(hangs_or_prints, job=job, workers=4, timeout=LIMIT, return_exceptions=True)
        results = function(range(4), where="stdout")
    assert results[::2] == [0, 2]
    assert all(isinstance(result, CallTimeoutError) for result in results[1::2])
    assert time.monotonic() - began < WAIT / 2


def test_what_stands_for_the_streams_is_gone_with_the_run(job: str) -> None:
    """Whichever of several runs ends last, and whatever was put in their place meanwhile."""
    before = sys.stdout, sys.stderr, logging.Logger.handle
    function = distribute(abs, job=job, workers=2, timeout=WAIT)
    first, second = function.stream([-1, -2]), function.stream([-3, -4])
    assert (next(first), next(second)) == (1, 3)
    first.close()
    with contextlib.redirect_stdout(None):
        assert function([-5]) == [5]
    second.close()
    assert (sys.stdout, sys.stderr, logging.Logger.handle) == before
