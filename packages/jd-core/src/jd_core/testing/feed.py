"""What the suite feeds to a backend, and what it gathers from it; both check as they go."""

from __future__ import annotations

import itertools
import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any

from jd_core.backend import Chunk, ChunkResult


def chunks_of(*columns: Iterable[Any], sizes: Iterable[int] = (1,)) -> Iterator[Chunk]:
    """Cuts columns of equal length into chunks of the given sizes, over and over; reads what is no sequence as it goes."""
    start = 0
    cuts = [_cut(column) for column in columns]
    for size in itertools.cycle(sizes):
        parts = tuple(cut(start, size) for cut in cuts)
        if not len(parts[0]):
            return
        yield Chunk(start, parts)
        start += len(parts[0])


def _cut(column: Iterable[Any]) -> Callable[[int, int], Sequence[Any]]:
    if isinstance(column, Sequence):
        return lambda start, size: column[start : start + size]
    elements = iter(column)
    return lambda _, size: list(itertools.islice(elements, size))


class Feed:
    """An iterator of chunks that watches how a backend pulls it (line 2 of the contract).

    Args:
        chunks: what it yields; an exception that it raises goes to the backend.
        most: how many chunks may be with the backend at once.

    Attributes:
        pulled: chunks yielded so far.
        asked: how often it was asked.
        with_backend: calls of each chunk, by its start, for which no result was seen.
    """

    def __init__(self, chunks: Iterable[Chunk | None], most: int) -> None:
        self.pulled = 0
        self.asked = 0
        self.with_backend: dict[int, int] = {}
        self._chunks = iter(chunks)
        self._most = most
        self._pulling = threading.Lock()

    def __iter__(self) -> Feed:
        """Returns itself."""
        return self

    def __next__(self) -> Chunk | None:
        """Returns the next chunk; fails if the backend should not have asked."""
        assert self._pulling.acquire(blocking=False), "chunks are pulled by one thread at a time"
        try:
            self.asked += 1
            chunk = next(self._chunks)
            if chunk is not None:
                self.pulled += 1
                self.with_backend[chunk.start] = len(chunk)
                found = len(self.with_backend)
                assert found <= self._most, f"{found} chunks are with the backend, and {self._most} may be"
            return chunk
        finally:
            self._pulling.release()

    def settle(self, result: ChunkResult) -> None:
        """Records a result."""
        first = result.chunk.start + result.offset
        # Of a copy, for another thread may be pulling.
        start = max(start for start in list(self.with_backend) if start <= first)
        self.with_backend[start] -= len(result.values) or len(result.chunk)
        if not self.with_backend[start]:
            del self.with_backend[start]


class Gathered(dict[int, Any]):
    """The results of a run by the calls' indices, each a value or, in ``failures``, an exception (line 1).

    Attributes:
        failures: by the call's index.
        tracebacks: of the failures, as text.
        returned: the indices of calls that were returned without having begun.
    """

    def __init__(self) -> None:
        super().__init__()
        self.returned: list[int] = []
        self.failures: dict[int, BaseException] = {}
        self.tracebacks: dict[int, str | None] = {}

    def add(self, result: ChunkResult) -> None:
        """Adds the calls of one result; fails if it is not as `ChunkResult` says."""
        first = result.chunk.start + result.offset
        assert isinstance(result.values, Sequence)
        assert result.offset >= 0
        assert result.offset + len(result.values) <= len(result.chunk)
        assert result.seconds >= 0.0
        if not len(result.values):
            assert self.failures, "calls are returned only after a failure"
            self.returned.extend(range(result.chunk.start, result.chunk.start + len(result.chunk)))
        for index, value in enumerate(result.values, first):
            assert index not in self, f"call {index} has two results"
            self[index] = value
        indices = [failure.index for failure in result.failures]
        assert indices == sorted(set(indices)), "failures are in order"
        for failure in result.failures:
            assert first <= failure.index < first + len(result.values), "a failure is one of the result's calls"
            assert self[failure.index] is None, "None stands at the place of a failed call"
            self.failures[failure.index] = failure.exception
            self.tracebacks[failure.index] = failure.traceback

    def ordered(self) -> list[Any]:
        """Returns the values in order; fails if a call is missing."""
        assert sorted(self) == list(range(len(self)))
        return [self[index] for index in range(len(self))]
