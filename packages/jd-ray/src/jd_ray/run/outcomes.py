"""What became of a piece, as results and failures of the core; and which pieces have to be run again.

`dispatch` hands over what a task returned or raised; this module decides what it means.
"""

from __future__ import annotations

import textwrap
from collections.abc import Sequence
from typing import Any

from jd_core.backend import ChunkResult, Failure, Work
from jd_core.backend.serialization import SerializationErrors
from jd_core.errors import BackendError, CallTimeoutError, SerializationError, WorkerDiedError
from jd_core.worker.unpicklable import REFUSALS, show

from jd_ray.run.pieces import Piece
from jd_ray.shipped import codec, remote

#: Characters of what Ray says of a worker's death; where memory was short, it has 2,500, mostly of other processes.
MOST_SAID = 320

serialization = SerializationErrors(codec.encode, "a Ray worker")


def result(work: Work, piece: Piece, done: remote.Done, kept: Sequence[Any]) -> ChunkResult:
    """Returns the result of a piece that was run.

    Args:
        work: the run's.
        piece: the calls.
        done: what became of them.
        kept: references to the results if they stay on the cluster.
    """
    failures = [_failure(work, piece, remote.Raised(*fields)) for fields in done.failures]
    values: list[Any]
    if kept:
        failed = {failure.index - piece.start for failure in failures}
        values = [None if at in failed else reference for at, reference in enumerate(kept[: done.calls])]
    elif done.together:
        try:
            values = codec.decode(done.values, codec.copy_all)
        except REFUSALS as error:
            values = [None] * done.calls
            failures = [_lost_value(work, piece.start + at, error) for at in range(done.calls)]
    else:
        values = [None] * done.calls
        for at, encoded in enumerate(done.values):
            if not isinstance(encoded, str):
                try:
                    values[at] = codec.decode(encoded, codec.copy_all)
                except REFUSALS as error:
                    failures.append(_lost_value(work, piece.start + at, error))
        failures.sort(key=lambda failure: failure.index)
    return ChunkResult(piece.chunk, values, tuple(failures), done.seconds, piece.offset)


def _failure(work: Work, piece: Piece, raised: remote.Raised) -> Failure:
    index = piece.start + raised.offset
    if not raised.kind:
        return Failure(index, serialization.result(work.name, index, raised.message))
    why = "does not pickle"
    if raised.exception is not None:
        try:
            return Failure(index, codec.decode(raised.exception, codec.copy_all), raised.traceback)
        except REFUSALS as error:
            why = f"does not unpickle: {show(error)}"
    return Failure(index, serialization.exception(raised.kind, raised.message, raised.traceback, why), raised.traceback)


def _lost_value(work: Work, index: int, error: BaseException) -> Failure:
    return Failure(index, serialization.unreadable_result(work.name, index, error))


def argument_error(work: Work, piece: Piece, error: BaseException) -> SerializationError:
    """Returns the error for a piece of one call whose arguments do not pickle."""
    return serialization.arguments(work, piece.chunk, piece.offset, error)


def refused_argument(work: Work, index: int, refused: remote.Refused) -> SerializationError:
    """Returns the error for a call whose arguments pickle here but do not unpickle on a worker."""
    remedy = (
        f"its machine has no module {refused.missing!r}: option runtime_env={{'pip': [...]}} or {{'py_modules': [...]}}"
        if refused.missing
        else "make the class's __reduce__ or __setstate__ sound"
    )
    return SerializationError(
        f"an argument of call {index} of {work.name}() was sent to a Ray worker, but does not unpickle there: "
        f"{refused.kind}: {refused.message}: {remedy}\n\n{refused.traceback}"
    )


def died(work: Work, index: int, what: str) -> WorkerDiedError:
    """Returns the error for a call whose worker ended while it ran: Ray tells neither exit code nor signal."""
    return WorkerDiedError(
        f"{work.name}(): the Ray worker died while it ran call {index}: {_shortened(what)}: look for a "
        f"crash in native code, os._exit or too little memory (option memory=)"
    )


def killed(work: Work, index: int, what: str, *, alone: bool) -> WorkerDiedError:
    """Returns the error for a call whose worker Ray killed for memory.

    Args:
        work: the run's.
        index: the call's.
        what: Ray's words.
        alone: whether nothing else of the run ran beside it.
    """
    remedy = "have the call take less, or state what it takes, in bytes (option memory=), so that no node runs too many"
    if not alone:
        remedy += (
            ". Ray kills the youngest, whichever has the memory, and with chunksize=1 no call runs twice: leave that out or "
            "state retries=, and the call is tried with nothing else of the run beside it"
        )
    return WorkerDiedError(
        f"{work.name}(): Ray killed the worker that ran call {index} for memory: {_shortened(what)}: {remedy}"
    )


def _shortened(what: str) -> str:
    return textwrap.shorten(what, MOST_SAID, placeholder=" [...]")


def lost_too_often(work: Work, piece: Piece, error: BaseException) -> BackendError:
    """Returns the error for a piece that one node after the other has lost."""
    return BackendError(
        f"distribute: call {piece.start} of {work.name} was lost with its node {piece.losses + 1} times, and is not tried "
        f"again: {type(error).__name__}: {error}"
    )


def timed_out(work: Work, index: int) -> CallTimeoutError:
    """Returns the error for a call that had its time."""
    return CallTimeoutError(
        f"{work.name}(): call {index} took longer than timeout={work.timeout:g} seconds, and its Ray worker was killed; "
        f"allow more time, or None for no limit"
    )


def lost(work: Work, index: int, error: BaseException) -> WorkerDiedError:
    """Returns the error for a call that was lost with its node, and may not run twice."""
    return WorkerDiedError(
        f"{work.name}(): call {index} was lost with its node ({type(error).__name__}), and with chunksize=1 no call runs "
        "twice: leave chunksize out, or let the call be tried again by retries="
    )


def argument_failed(error: BaseException) -> BaseException:
    """Returns the failure of a call whose argument is a reference to what could not be made, or is lost."""
    cause: Any = getattr(error, "cause", None)  # what the task raised that was to make it, as a RayTaskError has it
    return cause if isinstance(cause, Exception) else error
