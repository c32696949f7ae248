"""The calls of a run that are still to be sent: the pieces that chunks are cut into."""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

from jd_core.backend import Chunk, ChunkResult, Failure, SettledChunk, Work
from jd_core.backend.splitting import PATIENCE, part

from jd_ray.shipped import codec, remote

#: A piece of several calls carries no more bytes than this, neither as arguments nor, as far as is known, as results. Chunks
#: are sized by how long calls run: all that is in flight would not fit into Ray's store, which then spills to disk.
MOST_BYTES = 1 << 24


@dataclass(frozen=True, slots=True)
class Piece:
    """Consecutive calls of a chunk that one task runs: usually all of them.

    Attributes:
        chunk: as the core handed it over.
        offset: position in the chunk of the first call.
        count: number of calls, at least 1.
        losses: how often it was lost with a node so far.
    """

    chunk: Chunk
    offset: int
    count: int
    losses: int = 0

    @property
    def start(self) -> int:
        """Index of the first call over the whole run."""
        return self.chunk.start + self.offset

    @property
    def shown(self) -> str:
        """The calls, as Ray's dashboard shows them: ``7``, or from the first up to the last but not with it, ``7:10``."""
        return f"{self.start}" if self.count == 1 else f"{self.start}:{self.start + self.count}"

    def columns(self) -> list[Sequence[Any]]:
        """Returns the arguments, one sequence per parameter."""
        whole = self.count == len(self.chunk)
        chunk = self.chunk if whole else self.chunk.part(self.offset, self.offset + self.count)
        return list(chunk.columns)

    def calls(self) -> list[Piece]:
        """Returns a piece for each call."""
        return self.rest(0, 1)

    def rest(self, done: int, step: int) -> list[Piece]:
        """Returns pieces of ``step`` calls for those after the first ``done``."""
        return [
            replace(self, offset=self.offset + at, count=min(step, self.count - at)) for at in range(done, self.count, step)
        ]

    def unbegun(self) -> ChunkResult:
        """Returns the result that returns the piece to the core."""
        return ChunkResult(self.chunk.part(self.offset, self.offset + self.count), ())

    def failed(self, exception: BaseException, traceback: str | None = None) -> ChunkResult:
        """Returns the result of a piece of one call that failed."""
        return ChunkResult(self.chunk, [None], (Failure(self.start, exception, traceback),), 0.0, self.offset)


def result_bytes(done: remote.Done) -> int:
    """Returns how many bytes the results of a piece have, without those that stay on the cluster."""
    if done.values is None:
        return 0
    return sum(codec.size(one) for one in ([done.values] if done.together else done.values) if not isinstance(one, str))


class Pieces:
    """The pieces that wait to be sent, and what was measured of calls, which decides how chunks are cut.

    Args:
        work: what the core handed over.
        chunks: from the core.
        full: seconds that the calls of a chunk are to take together, unless many are to come.

    Attributes:
        exhausted: whether the core hands over no more chunks.
        seconds: what the calls of a piece took, as measured last.
        killed: indexes of calls whose worker was killed for memory: whatever has one of them runs alone.
    """

    def __init__(self, work: Work, chunks: Iterator[Chunk | None], full: float) -> None:
        self.exhausted = False
        self.seconds = 0.0
        self.killed: set[int] = set()
        self._work = work
        self._chunks = chunks
        self._full = full
        self._waiting: deque[Piece] = deque()
        # As measured last:
        self._seconds_per_call = 0.0
        self._argument_bytes = 0.0  # of a call
        self._result_bytes = 0.0

    def next(self, *, idle: bool = True) -> Piece | SettledChunk | None:
        """Returns what is to be sent next, or calls that have their results; None if nothing may start now.

        Args:
            idle: whether nothing is in flight.
        """
        if not self._waiting:
            chunk = self._pull()
            if chunk is None or isinstance(chunk, SettledChunk):
                return chunk
            piece = Piece(chunk, 0, len(chunk))
            # What exceeds its time is ended with its worker, so it has to be alone there.
            self._waiting.extend([piece] if self._work.timeout is None else piece.calls())
        piece = self._waiting.popleft()
        if not idle and self.is_to_run_alone(piece):
            self._waiting.appendleft(piece)
            return None
        per_call = max(self._argument_bytes, self._result_bytes)
        if piece.count * per_call > MOST_BYTES:
            piece, *others = piece.rest(0, max(1, int(MOST_BYTES / per_call)))
            self._waiting.extendleft(reversed(others))
        return piece

    def again(self, pieces: Sequence[Piece]) -> None:
        """Puts pieces up to be sent before all others."""
        self._waiting.extendleft(reversed(pieces))

    def is_to_run_alone(self, piece: Piece) -> bool:
        """Returns whether nothing else of the run may run while a piece does."""
        return bool(self.killed) and not self.killed.isdisjoint(range(piece.start, piece.start + piece.count))

    def is_too_large(self, piece: Piece, size: int) -> bool:
        """Returns whether a piece has to be cut, given how many bytes its arguments have: `next` does it if it is put up."""
        if self._work.chunksize is not None:
            return False
        self._argument_bytes = size / piece.count
        return size > MOST_BYTES and piece.count > 1

    def ran(self, done: remote.Done) -> None:
        """Records how long the calls of a piece took, and how much they returned."""
        if not done.calls:
            return
        self.seconds = done.seconds
        self._seconds_per_call = (self._seconds_per_call + done.seconds / done.calls) / 2
        if self._work.chunksize is None:
            self._result_bytes = result_bytes(done) / done.calls

    def patience(self, piece: Piece) -> float:
        """Returns after how many seconds a worker returns the calls of a piece that it has not begun."""
        return math.inf if self._work.chunksize else PATIENCE * max(self._full, piece.count * self._seconds_per_call)

    def share_out(self, piece: Piece, done: remote.Done, *, whole: bool) -> None:
        """Puts up what a worker returned, for all of them; ``whole``, as one piece, if it goes back to the core."""
        left = piece.count - done.calls
        step = left if whole else part(left, done.calls, done.seconds, self._full, self._work.workers)
        self._waiting.extend(piece.rest(done.calls, step))

    def unbegun(self) -> Iterator[ChunkResult]:
        """Takes out what has not begun, and yields it as results that return it to the core."""
        waiting, self._waiting = self._waiting, deque(filter(self._was_begun, self._waiting))
        return (piece.unbegun() for piece in waiting if not self._was_begun(piece))

    def clear(self) -> None:
        """Forgets all pieces."""
        self._waiting.clear()

    def _was_begun(self, piece: Piece) -> bool:
        return bool(piece.losses) or self.is_to_run_alone(piece)

    def _pull(self) -> Chunk | None:
        if not self.exhausted:
            for chunk in self._chunks:
                return chunk
            self.exhausted = True
        return None
