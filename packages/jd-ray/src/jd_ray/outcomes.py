"""What became of a piece, as results and failures of the core; and which pieces have to be run again.

`dispatch` hands over what a task returned or raised; this module decides what it means.
"""

from __future__ import annotations

import pickle
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from jd_core.backend import Chunk, ChunkResult, Failure, Work
from jd_core.errors import RemoteError, SerializationError, WorkerDiedError

from jd_ray import codec, parts, remote


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

    def columns(self) -> list[Sequence[Any]]:
        """Returns the arguments, one sequence per parameter."""
        if self.count == len(self.chunk):
            return list(self.chunk.columns)
        return [column[self.offset : self.offset + self.count] for column in self.chunk.columns]

    def calls(self) -> list[Piece]:
        """Returns a piece for each call."""
        return [replace(self, offset=self.offset + at, count=1) for at in range(self.count)]

    def failed(self, exception: BaseException, traceback: str | None = None) -> ChunkResult:
        """Returns the result of a piece of one call that failed."""
        return ChunkResult(self.chunk, [None], (Failure(self.start, exception, traceback),), 0.0, self.offset)


def result(work: Work, piece: Piece, done: remote.Done) -> ChunkResult:
    """Returns the result of a piece that was run."""
    failures = [_failure(work, piece, remote.Raised(*fields)) for fields in done.failures]
    if done.together:
        try:
            values = codec.decode(done.values, codec.copy_all)
        except Exception as error:
            values = [None] * done.calls
            failures = [_lost_value(work, piece.start + at, error) for at in range(done.calls)]
    else:
        values = [None] * done.calls
        for at, encoded in enumerate(done.values):
            if not isinstance(encoded, str):
                try:
                    values[at] = codec.decode(encoded, codec.copy_all)
                except Exception as error:
                    failures.append(_lost_value(work, piece.start + at, error))
        failures.sort(key=lambda failure: failure.index)
    return ChunkResult(piece.chunk, values, tuple(failures), done.seconds, piece.offset)


def _failure(work: Work, piece: Piece, raised: remote.Raised) -> Failure:
    index = piece.start + raised.offset
    if not raised.kind:
        return Failure(
            index,
            SerializationError(
                f"distribute: the result of call {index} of {work.name} cannot be sent back from its Ray worker: "
                f"{raised.message}: return plain data, or make its class picklable"
            ),
        )
    if raised.exception is not None:
        try:
            return Failure(index, _chained(raised), raised.traceback)
        except Exception:
            pass  # its class is not to be had here: the stand-in below says all that is known
    return Failure(index, RemoteError(f"{raised.kind}: {raised.message}\n\n{raised.traceback}"), raised.traceback)


def _chained(raised: remote.Raised) -> BaseException:
    """Returns the exception with those that led to it."""
    assert raised.exception is not None
    error: BaseException = pickle.loads(raised.exception)
    later = error
    for is_cause, encoded in raised.before:
        earlier: BaseException = pickle.loads(encoded)
        if is_cause:
            later.__cause__ = earlier
        else:
            later.__context__ = earlier
        later = earlier
    return error


def _lost_value(work: Work, index: int, error: Exception) -> Failure:
    unpickled = SerializationError(
        f"distribute: the result of call {index} of {work.name} came back from its Ray worker but does not unpickle "
        f"({type(error).__name__}): make its class importable here and its __reduce__ or __setstate__ sound"
    )
    error.__context__ = None
    unpickled.__cause__ = error.with_traceback(None)  # the frames of an unpickler hold what was pickled
    return Failure(index, unpickled)


def argument_error(work: Work, piece: Piece, error: Exception) -> SerializationError:
    """Returns the error for a piece of one call whose arguments do not pickle."""
    index = piece.start
    for place, argument in enumerate(piece.chunk.arguments(piece.offset)):
        try:
            codec.encode(argument)
        except Exception as own:
            return SerializationError(
                f"distribute: argument {place} of call {index} of {work.name} cannot be sent to a Ray worker: "
                f"{parts.describe(argument, own)}: pass plain data and make such objects inside the function"
            )
    return SerializationError(
        f"distribute: the arguments of call {index} of {work.name} cannot be sent to a Ray worker: together they raise "
        f"{type(error).__name__}: pass plain data"
    )


def refused_argument(work: Work, index: int, refused: remote.Refused) -> SerializationError:
    """Returns the error for a call whose arguments pickle here but do not unpickle on a worker."""
    remedy = (
        f"its machine has no module {refused.missing!r}: option runtime_env={{'pip': [...]}} or {{'py_modules': [...]}}"
        if refused.missing
        else "make the class's __reduce__ or __setstate__ sound"
    )
    return SerializationError(
        f"distribute: the arguments of call {index} of {work.name} do not unpickle on the Ray worker "
        f"({refused.kind}): {remedy}"
    )


def unsendable_work(work: Work, error: Exception) -> SerializationError:
    """Returns the error for a function or a constant that does not pickle."""
    for name, constant in work.constants.items():
        try:
            codec.encode(constant)
        except Exception as own:
            return SerializationError(
                f"distribute: the constant {name!r} of {work.name} cannot be sent to Ray workers: "
                f"{parts.describe(constant, own)}: pass plain data and make such objects inside the function"
            )
    return SerializationError(
        f"distribute: the function {work.name} cannot be sent to Ray workers: {parts.describe(work.function, error)}: "
        "make such objects inside the function"
    )


def died(work: Work, index: int, what: str) -> WorkerDiedError:
    """Returns the error for a call whose worker ended while it ran."""
    return WorkerDiedError(
        f"distribute: the Ray worker that ran call {index} of {work.name} died: {' '.join(what.split())}: look for a "
        "crash in native code, os._exit or too little memory (option memory=)"
    )
