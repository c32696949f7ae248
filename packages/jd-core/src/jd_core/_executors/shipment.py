"""What goes to an executor: tasks that run in this process as they are, and in another one need nothing there but Python.

An executor's ``submit`` gets ``operator.call`` and a `Task`. If it calls that in this process, the calls get the very
objects. If it pickles it, the task becomes an expression of builtins with pickled arguments. The sources of the modules that
it needs, the function and its constants go along where the process may not have them; one that lacks them says so.
"""

from __future__ import annotations

import functools
import itertools
import math
import os
import pickle
import threading
import time
import uuid
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from jd_core import worker
from jd_core._executors import sources as sent
from jd_core.backend import Chunk, ChunkResult, Failure, Work
from jd_core.backend.serialization import SerializationErrors
from jd_core.worker.unpicklable import REFUSALS, pass_on


@functools.cache
def errors() -> SerializationErrors:
    """Returns what makes the errors for what cannot be sent."""
    return SerializationErrors(sent.codec().encode, "a worker of the executor")


class Shipment:
    """The function and its constants, as the tasks of one run need them.

    Args:
        work: the run's.
        patience: seconds after which a task begins no further call: others may have nothing to do.

    Attributes:
        work: the run's.
        stopped: set when the run has ended: tasks in this process begin no further call.
        by_value: modules of the user's that other processes lack, so that they go along.
    """

    def __init__(self, work: Work, patience: float) -> None:
        self.work = work
        self.stopped = threading.Event()
        self.by_value: set[str] = set()
        self._patience = patience
        self._stops = work.stop_at_failure or work.return_at_failure
        self._name = uuid.uuid4().hex
        self._encoded: bytes | None = None
        self._lock = threading.Lock()

    def extend(self, module: str) -> None:
        """Sends a module of the user's by value from now on."""
        with self._lock:
            self.by_value.add(module)
            self._name, self._encoded = uuid.uuid4().hex, None

    def encoded(self) -> bytes:
        """Returns the function and its constants, pickled once.

        Raises:
            SerializationError: they cannot be sent.
        """
        with self._lock:
            if self._encoded is None:
                constants = dict(self.work.constants)
                try:
                    with sent.codec().by_value(self.by_value):
                        encoded: bytes = sent.codec().encode((self.work.function, constants), constants.values)
                except REFUSALS as error:
                    pass_on(error)
                    made = errors().code(self.work, error)
                else:
                    self._encoded = encoded
                    return encoded
                raise made  # here, so that it has no context: the frames of a pickler hold what was pickled
            return self._encoded

    def scope(self, task: Task) -> dict[str, Any]:
        """Returns the names of `sources.EXPRESSION` for a task. Raises whatever its arguments raise."""
        codec = sent.codec()
        package, sources = sent.package()
        columns = task.columns()
        with codec.by_value(self.by_value):
            encoded = codec.encode(columns, lambda: itertools.chain(*columns))
        code = self.encoded() if task.carries else None
        recorded = self.work.recorder is not None
        arguments = self._name, code, encoded, self._stops, self._patience, recorded
        carried = {"sources": sources, "loader": sent.LOADER} if task.carries else {"sources": None, "loader": None}
        return {"package": package, "arguments": arguments, **carried}

    @functools.cached_property
    def _call(self) -> Any:
        return worker.plain(self.work.function, self.work.constants)

    def run_here(self, task: Task) -> tuple[Any, ...]:
        """Makes the calls of a task in this thread; returns as `shipped.remote.run_piece`, but nothing is encoded."""
        spans: list[Any] | None = None if self.work.recorder is None else []
        began = time.perf_counter()
        until = began + self._patience
        with worker.as_worker():
            values, failures = worker.run_calls(
                self._call,
                task.columns(),
                task.count,
                stop_at_failure=self._stops,
                between=lambda values, *_: self.stopped.is_set() or (bool(values) and time.perf_counter() > until),
                clock=time.perf_counter,
                spans=spans,
            )
            # The thread is the executor's, and may run anything next.
            worker.release(self._call)
            worker.close_loop()
        where = f"thread {threading.current_thread().name} of process {os.getpid()}"
        return "here", len(values), values, failures, time.perf_counter() - began, spans or (), where


@dataclass(eq=False)
class Task:
    """Consecutive calls of a chunk, as they are given to an executor.

    Attributes:
        shipment: the run's.
        chunk: as the core handed it over.
        offset: position in the chunk of the first call.
        count: number of calls, at least 1.
        carries: whether function, constants and sources go along if it is pickled.
        was_pickled: whether it went to another process.
        refusal: what its arguments, or the function, raised when it was pickled.
        submitted: when, by the performance counter.
    """

    shipment: Shipment
    chunk: Chunk
    offset: int
    count: int
    carries: bool
    was_pickled: bool = False
    refusal: BaseException | None = None
    submitted: float = field(default=math.nan)

    @property
    def start(self) -> int:
        """Index of the first call over the whole run."""
        return self.chunk.start + self.offset

    def columns(self) -> list[Sequence[Any]]:
        """Returns the arguments, one sequence per parameter."""
        whole = self.count == len(self.chunk)
        return list((self.chunk if whole else self.chunk.part(self.offset, self.offset + self.count)).columns)

    def again(self, done: int = 0, step: int | None = None, *, carries: bool | None = None) -> list[Task]:
        """Returns new tasks of at most ``step`` calls for those after the first ``done``."""
        size = step or self.count
        flag = self.carries if carries is None else carries
        fresh = {"carries": flag, "was_pickled": False, "refusal": None}
        return [
            replace(self, offset=self.offset + at, count=min(size, self.count - at), **fresh)  # type: ignore[arg-type]
            for at in range(done, self.count, size)
        ]

    def unbegun(self) -> ChunkResult:
        """Returns what returns the calls of a task, none of which has begun, to the core."""
        return ChunkResult(self.chunk.part(self.offset, self.offset + self.count), ())

    def failed(self, exception: BaseException) -> ChunkResult:
        """Returns the result of a task of one call that failed."""
        return ChunkResult(self.chunk, [None], (Failure(self.start, exception),), 0.0, self.offset)

    def __call__(self) -> tuple[Any, ...]:
        """Makes the calls: the executor's workers are in this process."""
        return self.shipment.run_here(self)

    def __reduce__(self) -> Any:
        self.was_pickled = True
        try:
            scope = self.shipment.scope(self)
        except REFUSALS as error:
            self.refusal = error
            raise pickle.PicklingError("this task of just-distribute holds what cannot be serialized") from None
        return functools.partial, (eval, sent.EXPRESSION, scope)
