"""What became of a task, as results and failures of the core; `dispatch` decides what has to run again."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from jd_core._executors import sources as sent
from jd_core._executors.shipment import Task, errors
from jd_core.backend import ChunkResult, Failure, Work
from jd_core.errors import SerializationError
from jd_core.worker.unpicklable import REFUSALS, show


def result(work: Work, task: Task, outcome: tuple[Any, ...]) -> ChunkResult:
    """Returns the result of a task that was run, here or elsewhere."""
    kind, _, values, failed, seconds, *_ = outcome
    if kind == "here":
        failures = [Failure(task.start + offset, error) for offset, error in failed]
    else:
        failures = [_failure(work, task.start + offset, *fields) for offset, *fields in failed]
        values = _decoded(work, task, outcome, failures)
        failures.sort(key=lambda failure: failure.index)
    return ChunkResult(task.chunk, values, tuple(failures), seconds, task.offset)


def _decoded(work: Work, task: Task, outcome: tuple[Any, ...], failures: list[Failure]) -> Sequence[Any]:
    """Returns the results; adds to ``failures`` those that cannot be sent back or unpickled."""
    _, count, encoded, *_ = outcome
    if isinstance(encoded, bytes):
        try:
            values: Sequence[Any] = sent.codec().loads(encoded)
        except REFUSALS as error:
            failures[:] = [_unreadable(work, task.start + offset, error) for offset in range(count)]
            values = [None] * count
        return values
    values = []
    for index, one in enumerate(encoded, task.start):
        value = None
        if isinstance(one, str):
            failures.append(Failure(index, errors().result(work.name, index, one)))
        else:
            try:
                value = sent.codec().loads(one)
            except REFUSALS as error:
                failures.append(_unreadable(work, index, error))
        values.append(value)
    return values


def _failure(work: Work, index: int, exception: bytes | None, kind: str, message: str, traceback: str) -> Failure:
    why = "does not pickle"
    if exception is not None:
        try:
            return Failure(index, sent.codec().loads(exception), traceback)
        except REFUSALS as error:
            why = f"does not unpickle: {show(error)}"
    return Failure(index, errors().exception(kind, message, traceback, why), traceback)


def _unreadable(work: Work, index: int, error: BaseException) -> Failure:
    return Failure(index, errors().unreadable_result(work.name, index, error))


def refused_code(work: Work, kind: str, message: str, traceback: str, missing: str | None) -> SerializationError:
    """Returns the error for a function or a constant that does not unpickle in the executor's process."""
    lacks = f"its machine has no module {missing!r}; install it there" if missing else f"{kind}: {message}"
    return SerializationError(
        f"distribute: the function {work.name} or a constant of it does not unpickle in a worker of the executor: "
        f"{lacks}\n\n{traceback}"
    )


def refused_argument(
    work: Work, index: int, kind: str, message: str, traceback: str, missing: str | None
) -> SerializationError:
    """Returns the error for a call whose arguments pickle here but do not unpickle there."""
    remedy = f"install {missing} there" if missing else "make the class's __reduce__ or __setstate__ sound"
    return SerializationError(
        f"an argument of call {index} of {work.name}() was sent to a worker of the executor, but does not unpickle there: "
        f"{kind}: {message}: {remedy}\n\n{traceback}"
    )
