"""Runs the io backend by itself, without the core around it."""

import threading
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any

import pytest
from jd_core.backend import Chunk, ChunkResult, Work
from jd_io.backend import IoBackend


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


class Io:
    """The backend, and short ways to run it."""

    def __init__(self) -> None:
        self.backend = IoBackend()

    def start(
        self, function: Callable[..., Any], *columns: Iterable[Any], size: int = 1, workers: int = 4, **work: Any
    ) -> Any:
        """Returns the generator of a run whose chunks hold ``size`` calls."""
        work.setdefault("constants", {})
        return self.backend.run(Work(function=function, workers=workers, name="f", **work), chunks(columns, size))

    def run(self, function: Callable[..., Any], *columns: Iterable[Any], **options: Any) -> Outcome:
        """Runs to the end."""
        outcome = Outcome()
        for result in self.start(function, *columns, **options):
            outcome.add(result)
        return outcome


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
def io() -> Io:
    """The backend."""
    return Io()


@pytest.fixture
def threads() -> Callable[[], list[threading.Thread]]:
    """Gives the backend's threads that were not there when the test began: other tests leave some behind, in a call."""
    before = set(threading.enumerate())
    return lambda: [one for one in threading.enumerate() if one.name.startswith("just-distribute-io") and one not in before]
