"""Runs the web backend by itself, without the core around it."""

import asyncio
import threading
from collections.abc import AsyncGenerator, Callable, Generator, Iterable, Iterator
from contextlib import aclosing
from dataclasses import dataclass, field
from typing import Any

import pytest
from jd_core.backend import Chunk, ChunkResult, Work
from jd_web.backend import WebBackend


@dataclass
class Outcome:
    """What a run gave, by index of the call; a call that is given twice is an error."""

    values: dict[int, Any] = field(default_factory=dict)
    failures: dict[int, BaseException] = field(default_factory=dict)

    def add(self, result: ChunkResult) -> None:
        for index, value in enumerate(result.values, result.chunk.start + result.offset):
            assert index not in self.values
            self.values[index] = value
        for failure in result.failures:
            assert self.values[failure.index] is None
            self.failures[failure.index] = failure.exception


class Web:
    """The backend, and short ways to run it."""

    def __init__(self) -> None:
        self.backend = WebBackend()

    def start(
        self, function: Callable[..., Any], *columns: Iterable[Any], size: int = 1, workers: int = 4, **work: Any
    ) -> Generator[ChunkResult, None, None]:
        """Returns the generator of a run whose chunks hold ``size`` calls."""
        return self.backend.run(*arguments(function, columns, size, workers, work))

    def astart(
        self, function: Callable[..., Any], *columns: Iterable[Any], size: int = 1, workers: int = 4, **work: Any
    ) -> AsyncGenerator[ChunkResult, None]:
        """Like `start`, for the running loop."""
        return self.backend.arun(*arguments(function, columns, size, workers, work))

    def run(self, function: Callable[..., Any], *columns: Iterable[Any], **options: Any) -> Outcome:
        """Runs to the end."""
        outcome = Outcome()
        for result in self.start(function, *columns, **options):
            outcome.add(result)
        return outcome

    async def arun(self, function: Callable[..., Any], *columns: Iterable[Any], **options: Any) -> Outcome:
        """Like `run`, on the running loop."""
        outcome = Outcome()
        async with aclosing(self.astart(function, *columns, **options)) as results:
            async for result in results:
                outcome.add(result)
        return outcome

    def run_either(self, way: str, function: Callable[..., Any], *columns: Iterable[Any], **options: Any) -> Outcome:
        """Runs to the end with `run`, or with `arun` on a loop of its own."""
        if way == "run":
            return self.run(function, *columns, **options)
        return asyncio.run(self.arun(function, *columns, **options))


def arguments(
    function: Callable[..., Any], columns: tuple[Iterable[Any], ...], size: int, workers: int, work: dict[str, Any]
) -> tuple[Work, Iterator[Chunk]]:
    """Returns the arguments of a backend's ``run``."""
    work.setdefault("constants", {})
    return Work(function=function, workers=workers, name="f", **work), chunks(columns, size)


def chunks(columns: tuple[Iterable[Any], ...], size: int) -> Iterator[Chunk]:
    """Gives the chunks of a run, read from the columns as they are asked for."""
    start = 0
    iterators = [iter(column) for column in columns]
    while True:
        rows = []
        for row in zip(*iterators, strict=True):
            rows.append(row)
            if len(rows) == size:
                break
        if not rows:
            return
        yield Chunk(start, tuple(list(column) for column in zip(*rows, strict=True)))
        start += len(rows)


@pytest.fixture
def web() -> Web:
    """The backend."""
    return Web()


@pytest.fixture(params=["run", "arun"])
def way(request: pytest.FixtureRequest) -> str:
    """Which of the backend's two ways to run: on the process's loop, or on the caller's."""
    return str(request.param)


@pytest.fixture
def threads() -> Callable[[], list[threading.Thread]]:
    """Gives the backend's threads for plain functions that were not there when the test began."""
    before = set(threading.enumerate())

    def found() -> list[threading.Thread]:
        new = set(threading.enumerate()) - before
        return [one for one in new if one.name.startswith("just-distribute-web") and one.name != "just-distribute-web-loop"]

    return found
