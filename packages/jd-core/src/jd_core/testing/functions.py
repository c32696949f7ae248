"""Functions that the suite runs in workers. Importable by name, so that workers in other processes find them.

What happens in a worker is seen by the files that it leaves in a folder: one for each call that started.
"""

from __future__ import annotations

import asyncio
import contextvars
import logging
import os
import threading
import time
import uuid
from collections.abc import AsyncGenerator, Callable, Generator, Iterator
from pathlib import Path
from typing import Any

from jd_core.worker import is_inside_worker

#: Seconds between two looks at a file that is waited for.
LOOK_SECONDS = 0.002

#: Seconds after which a held call gives up, so that a broken backend cannot keep processes for ever.
HELD_SECONDS = 100.0

#: What a call records if it was held for longer than it should have been.
GAVE_UP = "gave-up"

#: A context variable that calls set: see `change_context`.
variable: contextvars.ContextVar[str] = contextvars.ContextVar("variable", default="unset")

#: The file whose presence lets held calls go on.
GO = "go"


class OddError(Exception):
    """An exception whose ``__init__`` wants other arguments than it leaves in ``args``."""

    def __init__(self, code: int, *, reason: str) -> None:
        super().__init__(f"{reason} ({code})")
        self.code = code
        self.reason = reason


class UnrelatedError(BaseException):
    """A user's exception that is no `Exception`."""


class Unsendable:
    """A value that no pickler takes."""

    def __reduce__(self) -> Any:
        raise TypeError("an Unsendable cannot be serialized")


class Parcel:
    """Holds, rather deep, what no pickler takes."""

    def __init__(self) -> None:
        self.inside: dict[str, list[object]] = {"list": [1, Unsendable()]}


class Unloadable:
    """A value that is pickled without complaint, and cannot be rebuilt."""

    def __reduce__(self) -> Any:
        return _refuse, ()


def _refuse() -> None:
    raise ValueError("an Unloadable cannot be rebuilt")


class UnsendableError(Exception):
    """An exception with a state that no pickler takes."""

    def __init__(self, message: str) -> None:
        super().__init__(message)
        self.state = Unsendable()


def record(folder: str, what: str = "start") -> None:
    """Leaves a file that says that something happened, once more."""
    Path(folder, f"{what}-{uuid.uuid4().hex}").touch()


def count(folder: str | Path, what: str = "start") -> int:
    """Returns how often `record` was called."""
    return sum(name.startswith(f"{what}-") for name in os.listdir(folder))


def hold(folder: str) -> None:
    """Waits until the file `GO` is in the folder."""
    for _ in _looks(folder, lambda: Path(folder, GO).exists()):
        time.sleep(LOOK_SECONDS)


def _looks(folder: str, condition: Callable[[], bool]) -> Iterator[None]:
    """Yields until ``condition()`` is true; gives up after `HELD_SECONDS`, and leaves a file that says so."""
    deadline = time.monotonic() + HELD_SECONDS
    while not condition():
        if time.monotonic() > deadline:
            record(folder, GAVE_UP)
            raise TimeoutError("nobody let this call go on")
        yield


def same(value: Any) -> Any:
    """Returns its argument."""
    return value


def nothing(value: Any) -> None:
    """Returns None."""


def add(left: Any, right: Any, *, plus: Any = 0) -> Any:
    """Returns the sum of three things, of which one is a constant."""
    return left + right + plus


def describe(value: Any) -> tuple[str, Any]:
    """Returns the type's name and the value."""
    return type(value).__name__, value


def give_constants(value: Any, **constants: Any) -> Any:
    """Returns the constants."""
    return constants


def recorded(value: Any, *, folder: str) -> Any:
    """Leaves a file and returns its argument."""
    record(folder)
    return value


def held(value: Any, *, folder: str) -> Any:
    """Leaves a file, waits until it may go on, leaves another file, and returns its argument."""
    record(folder)
    hold(folder)
    record(folder, "end")
    return value


async def held_coroutine(value: Any, *, folder: str) -> Any:
    """As `held`, awaiting."""
    record(folder)
    for _ in _looks(folder, lambda: Path(folder, GO).exists()):
        await asyncio.sleep(LOOK_SECONDS)
    record(folder, "end")
    return value


def held_at(value: int, *, folder: str, at: int) -> int:
    """As `held` where the value is ``at``; else returns at once."""
    return int(held(value, folder=folder)) if value == at else value


def held_from(value: int, *, folder: str, start: int) -> int:
    """As `held` for the values from ``start`` on; the others leave their files and return at once."""
    if value >= start:
        return int(held(value, folder=folder))
    record(folder)
    record(folder, "end")
    return value


def meet(value: Any, *, folder: str, calls: int) -> Any:
    """Returns once so many calls have started: at least that many run at once."""
    record(folder)
    for _ in _looks(folder, lambda: count(folder) >= calls):
        time.sleep(LOOK_SECONDS)
    return value


async def meet_coroutine(value: Any, *, folder: str, calls: int) -> Any:
    """As `meet`, awaiting."""
    record(folder)
    for _ in _looks(folder, lambda: count(folder) >= calls):
        await asyncio.sleep(LOOK_SECONDS)
    return value


def take_long(value: Any, *, seconds: float) -> Any:
    """Stands for work that takes its time."""
    time.sleep(seconds)
    return value


def change_context(value: Any) -> str:
    """Returns the value of `variable`, and sets another one."""
    seen = variable.get()
    variable.set(f"set by {value}")
    return seen


async def change_context_coroutine(value: Any) -> str:
    """As `change_context`, interrupted once."""
    seen = change_context(value)
    await asyncio.sleep(0)
    assert variable.get() == f"set by {value}"
    return seen


async def change_context_at_once(value: Any) -> str:
    """As `change_context`, never interrupted."""
    return change_context(value)


async def change_context_generator(value: Any) -> AsyncGenerator[str, None]:
    """As `change_context`, yielded."""
    yield change_context(value)


def is_inside(value: Any) -> bool:
    """Returns whether this runs marked as inside a worker."""
    return is_inside_worker()


async def is_inside_coroutine(value: Any) -> bool:
    """As `is_inside`."""
    await asyncio.sleep(0)
    return is_inside_worker()


def raise_at(value: int, *, at: tuple[int, ...], error: Callable[[], BaseException]) -> int:
    """Raises what ``error`` makes for the values in ``at``; returns the others."""
    if value in at:
        raise error()
    return value


async def raise_at_coroutine(value: int, *, at: tuple[int, ...], error: Callable[[], BaseException]) -> int:
    """As `raise_at`, after having waited."""
    await asyncio.sleep(0)
    return raise_at(value, at=at, error=error)


def raise_at_generator(value: int, *, at: tuple[int, ...], error: Callable[[], BaseException]) -> Generator[int, None, None]:
    """As `raise_at`, after having yielded."""
    yield value
    yield raise_at(value, at=at, error=error)


async def raise_at_async_generator(
    value: int, *, at: tuple[int, ...], error: Callable[[], BaseException]
) -> AsyncGenerator[int, None]:
    """As `raise_at`, after having yielded."""
    yield value
    yield raise_at(value, at=at, error=error)


async def awaited(value: Any) -> Any:
    """Returns its argument, after having waited."""
    await asyncio.sleep(0)
    return value


def counted(value: int) -> Generator[int, None, None]:
    """Yields ``value`` numbers."""
    yield from range(value)


async def counted_async(value: int) -> AsyncGenerator[int, None]:
    """Yields ``value`` numbers, awaiting between them."""
    for number in range(value):
        await asyncio.sleep(0)
        yield number


def make_odd_error() -> OddError:
    """Returns an exception that its args do not rebuild."""
    return OddError(7, reason="odd")


def make_group() -> ExceptionGroup[Exception]:
    """Returns a group whose first part its args do not rebuild, and has a cause."""
    odd = make_odd_error()
    odd.__cause__ = KeyError("the cause")
    return ExceptionGroup("several", [odd, OSError(5, "input/output")])


def make_unsendable_error() -> UnsendableError:
    """Returns an exception that does not pickle."""
    return UnsendableError("kept its message")


def fail_at(value: Any, *, at: Any, token: str) -> Any:
    """Raises an odd exception, which has a cause, where the value is ``at``; returns the others."""
    if value == at:
        raise make_odd_error() from KeyError("the cause")
    return value


def fail_beside_held(value: int, *, folder: str) -> int:
    """Holds the first call, and once that has started fails in the fourth."""
    if value == 0:
        return int(held(value, folder=folder))
    for _ in _looks(folder, lambda: count(folder) > 0):
        time.sleep(LOOK_SECONDS)
    record(folder)
    if value == 3:
        raise LookupError(time.time())
    return value


def fail_until(value: int, *, folder: str, at: int, failures: int) -> int:
    """Fails so often where the value is ``at``; returns how many calls have started."""
    record(folder)
    started = count(folder)
    if value == at:
        record(folder, "attempt")
        if count(folder, "attempt") <= failures:
            raise ConnectionError(f"attempt {count(folder, 'attempt')}")
    return started


def held_once(value: int, *, folder: str, at: int) -> int:
    """As `held_at`, at the first attempt."""
    record(folder, f"attempt{value}")
    return held_at(value, folder=folder, at=at) if count(folder, f"attempt{value}") == 1 else value


def die_once(value: int, *, folder: str, at: int) -> int:
    """Ends the process at the first attempt where the value is ``at``."""
    record(folder)
    if value == at:
        record(folder, "attempt")
        if count(folder, "attempt") == 1:
            os._exit(3)
    return value


def talk(number: int) -> None:
    """Prints a line, and logs two, of which one is not wanted."""
    print(number, "says", "a" * 200)  # noqa: T201 - it is what is looked at
    logging.getLogger("talking").info("call %s", number)
    logging.getLogger("talking").debug("never")


def parcel_at(value: int, *, at: int) -> Any:
    """Returns what holds something that does not pickle where the value is ``at``."""
    return Parcel() if value == at else value


def exit_at(value: int, *, at: int, token: str) -> int:
    """Ends the process with code 3 where the value is ``at``."""
    if value == at:
        os._exit(3)
    return value


def make_error_with_unsendable_cause() -> OddError:
    """Returns an exception that can be serialized, with a cause that cannot."""
    error = make_odd_error()
    error.__cause__ = make_unsendable_error()
    return error


def unsendable_at(value: int, *, at: int) -> Any:
    """Returns what does not pickle where the value is ``at``."""
    return Unsendable() if value == at else value


def unloadable_at(value: int, *, at: int) -> Any:
    """Returns what does not unpickle where the value is ``at``."""
    return Unloadable() if value == at else value


def thread_and_process(value: Any) -> tuple[int, int]:
    """Returns where this runs."""
    return os.getpid(), threading.get_ident()
