"""One run on a Ray cluster: a bounded window of tasks in flight, collected as they finish.

::

    chunks ──► pieces waiting ──► tasks in flight ──► results
                     ▲                   │
                     └── to be run again ┘   a node was lost; a worker died, and each call is tried alone;
                                             a module is missing on the workers, and goes by value

The function and its constants, unless tiny, are one object in Ray's store. `outcomes` puts what came back into words.
"""

from __future__ import annotations

import contextlib
import functools
import logging
import time
import uuid
from collections import deque
from collections.abc import Callable, Generator, Iterator
from dataclasses import replace
from typing import Any

from jd_core.backend import CANCEL_SECONDS, POLL_SECONDS, Chunk, ChunkResult, Work
from jd_core.errors import BackendError, CallTimeoutError, SerializationError

from jd_ray import capacity, codec, outcomes, remote, shipping
from jd_ray.outcomes import Piece
from jd_ray.starts import Starts

logger = logging.getLogger("just_distribute.ray")

#: How often a piece that was lost with a node is run again before the run is given up.
MOST_LOSSES = 5

#: Seconds without any call having started after which a warning says what is asked for and what is there.
WAITING_SECONDS = 10.0

#: A function with its constants of at most so many bytes goes with each task: that is cheaper than to look it up.
INLINE_BYTES = 1 << 13

#: Seconds between two looks at the size of the cluster.
GROWTH_SECONDS = 2.0

#: Seconds that running calls have to end after an abandoned run interrupted them, before their workers are killed.
GRACE_SECONDS = 0.3

#: The part of Ray's task options that are options of this backend.
_TASK_OPTIONS = (
    "num_cpus",
    "num_gpus",
    "memory",
    "resources",
    "runtime_env",
    "max_retries",
    "scheduling_strategy",
    "accelerator_type",
)


class Dispatch:
    """The state of one run; used by one thread at a time.

    Attributes:
        ray: the module, connected.
        work: what the core handed over.
    """

    def __init__(self, ray: Any, work: Work, chunks: Iterator[Chunk | None]) -> None:
        self.ray = ray
        self.work = work
        self._chunks: Iterator[Chunk | None] | None = chunks
        self._waiting: deque[Piece] = deque()
        self._in_flight: dict[Any, Piece] = {}
        self._sent_with: dict[Any, int] = {}
        self._run = uuid.uuid4().hex
        self._by_value: set[str] = set()
        self._through_client = shipping.through_client()
        self._sent_work = self._put_work()
        self._starts = Starts(self._run, every_task=work.timeout is not None)
        options = {name: work.options[name] for name in _TASK_OPTIONS if name in work.options}
        self._task = self._ask(lambda: shipping.task(ray).options(**{"max_retries": 0, **options}, name=work.name))
        self._looked_at_cluster = time.monotonic()
        given = work.workers
        self._window = self._window_for(
            given if isinstance(given, capacity.Offered) else capacity.offered(ray, work.options)
        )
        self._warn_at: float | None = time.monotonic() + WAITING_SECONDS

    def results(self) -> Generator[ChunkResult, None, None]:
        """Gives the results of all pieces, as they come."""
        while self.work.cancelled is None or not self.work.cancelled():
            yield from self._fill()
            if self._in_flight:
                yield from self._collect()
            elif self._chunks is None:
                return
            else:
                time.sleep(POLL_SECONDS)

    def close(self) -> None:
        """Cancels what is in flight: what has not started at once, what runs by an interrupt and then by force."""
        left = list(self._in_flight)
        abandoned = bool(left)
        self._in_flight.clear()
        self._waiting.clear()
        with contextlib.suppress(Exception):
            for force, seconds in ((False, GRACE_SECONDS), (True, 1.0)):
                for ref in left:
                    self.ray.cancel(ref, force=force)
                if left:
                    left = self.ray.wait(left, num_returns=len(left), timeout=seconds)[1]
        self._starts.close(abandoned)

    def _window_for(self, offered: int) -> int:
        """Returns how many tasks may be in flight so that no more than the run's workers run at once.

        Where the cluster cannot run more than that anyway, half as many again wait there for a free worker.
        """
        workers = int(offered) if isinstance(self.work.workers, capacity.Offered) else self.work.workers
        return workers + (workers + 1) // 2 if workers >= offered else workers

    def _put_work(self) -> Any:
        try:
            with codec.by_value(self._by_value):
                encoded = codec.encode((self.work.function, dict(self.work.constants)), not self._through_client)
        except Exception as error:
            raise outcomes.unsendable_work(self.work, error) from None
        data, buffers, _ = encoded
        if not buffers and len(memoryview(data)) <= INLINE_BYTES:
            return encoded
        ref = self._ask(lambda: self.ray.put(encoded))
        # Ray gives a task the object that it refers to; without buffers beside it, that is a copy for each task. A worker
        # that gets a list asks for the object once.
        return [ref] if self._through_client else ref

    def _fill(self) -> Iterator[ChunkResult]:
        """Starts tasks until the window is full or nothing is there to start; gives calls that cannot be sent."""
        while len(self._in_flight) < self._window:
            if not self._waiting:
                chunk = self._pull()
                if chunk is None:
                    return
                piece = Piece(chunk, 0, len(chunk))
                # What exceeds its time is ended with its worker, so it has to be alone there.
                self._waiting.extend([piece] if self.work.timeout is None else piece.calls())
            piece = self._waiting.popleft()
            try:
                with codec.by_value(self._by_value):
                    columns = codec.encode(piece.columns(), not self._through_client)
            except Exception as error:
                if piece.count > 1:
                    self._waiting.extendleft(reversed(piece.calls()))
                else:
                    yield piece.failed(outcomes.argument_error(self.work, piece, error))
                continue
            key = self._starts.key()
            beside = not self._through_client
            arguments = (self._run, self._sent_work, columns, self.work.stop_at_failure, key, beside)
            ref = self._ask(functools.partial(self._task.remote, *arguments))
            self._in_flight[ref] = piece
            self._sent_with[ref] = len(self._by_value)
            self._starts.submitted(ref, key)

    def _pull(self) -> Chunk | None:
        if self._chunks is None:
            return None
        try:
            return next(self._chunks)
        except StopIteration:
            self._chunks = None
            return None

    def _collect(self) -> Iterator[ChunkResult]:
        """Waits for the next tasks that end, or until something else has to be looked at."""
        refs = list(self._in_flight)
        ready, _ = self._ask(lambda: self.ray.wait(refs, num_returns=1, timeout=self._patience()))
        if ready and len(refs) > 1:
            ready, _ = self._ask(lambda: self.ray.wait(refs, num_returns=len(refs), timeout=0))
        for ref in ready:
            # A result that is given out may end the run: the task must not be in flight any more then.
            piece = self._in_flight.pop(ref)
            self._starts.ended(ref)
            self._warn_at = None
            yield from self._ended(piece, ref, self._sent_with.pop(ref))
        self._look_around()
        yield from self._time_out()

    def _patience(self) -> float:
        """Returns for how many seconds to wait for results at most."""
        if len(self._in_flight) < self._window and self._chunks is not None:
            return POLL_SECONDS
        seconds = 1.0 if self.work.cancelled is None else CANCEL_SECONDS
        return seconds if self.work.timeout is None else min(seconds, 0.1, self.work.timeout / 4)

    def _look_around(self) -> None:
        """Follows the size of the cluster, and warns where nothing could be started for long."""
        now = time.monotonic()
        if isinstance(self.work.workers, capacity.Offered) and now - self._looked_at_cluster > GROWTH_SECONDS:
            self._looked_at_cluster = now
            self._window = self._window_for(capacity.offered(self.ray, self.work.options))
        if self._warn_at is not None and now > self._warn_at:
            self._warn_at = None
            if not self._starts.any():
                logger.warning(capacity.waiting(self.ray, self.work.name, self.work.options, WAITING_SECONDS))

    def _time_out(self) -> Iterator[ChunkResult]:
        if self.work.timeout is None:
            return
        for ref in self._starts.running_for(self.work.timeout):
            piece = self._in_flight.pop(ref)
            self._starts.ended(ref)
            self.ray.cancel(ref, force=True)
            message = f"distribute: call {piece.start} of {self.work.name} took longer than timeout={self.work.timeout:g} s"
            yield piece.failed(CallTimeoutError(f"{message}; its worker was ended: raise timeout, or pass None"))

    def _ended(self, piece: Piece, ref: Any, sent_with: int) -> Iterator[ChunkResult]:
        errors = self.ray.exceptions
        try:
            outcome = shipping.received(self._ask(lambda: self.ray.get(ref)))
        except (errors.NodeDiedError, errors.ObjectLostError) as error:
            yield from self._lost(piece, error)
        except (errors.WorkerCrashedError, errors.OutOfMemoryError, errors.LocalRayletDiedError) as error:
            if piece.count > 1 and self.work.chunksize != 1:
                self._waiting.extendleft(reversed(piece.calls()))
            else:
                yield piece.failed(outcomes.died(self.work, piece.start, str(error)))
        except errors.RayError as error:
            raise self._trouble(error) from error
        else:
            if isinstance(outcome, remote.Done):
                yield outcomes.result(self.work, piece, outcome)
            else:
                yield from self._refused(piece, outcome, sent_with)

    def _lost(self, piece: Piece, error: Exception) -> Iterator[ChunkResult]:
        """Runs a piece again that was lost with its node."""
        if self.work.chunksize == 1:
            yield piece.failed(outcomes.died(self.work, piece.start, f"its node was lost ({type(error).__name__})"))
        elif piece.losses == MOST_LOSSES:
            raise BackendError(
                f"distribute: call {piece.start} of {self.work.name} was lost with its node {piece.losses + 1} times, "
                f"and is not tried again: {type(error).__name__}: {error}"
            ) from error
        else:
            self._waiting.appendleft(replace(piece, losses=piece.losses + 1))

    def _refused(self, piece: Piece, refused: remote.Refused, sent_with: int) -> Iterator[ChunkResult]:
        """Sends a piece again, of which no call was run: with more by value, or each call alone to find the one."""
        if self._send_by_value(refused, sent_with):
            self._waiting.appendleft(piece)
        elif refused.what == "work":
            missing = f"its machine has no module {refused.missing!r}: " if refused.missing else ""
            raise SerializationError(
                f"distribute: the function {self.work.name} or a constant of it does not unpickle on the Ray worker: "
                f"{missing}{refused.kind}: install it there, or option runtime_env={{'pip': [...]}} or "
                f"{{'py_modules': [...]}}\n\n{refused.traceback}"
            )
        elif piece.count > 1:
            self._waiting.extendleft(reversed(piece.calls()))
        else:
            yield piece.failed(outcomes.refused_argument(self.work, piece.start, refused))

    def _send_by_value(self, refused: remote.Refused, sent_with: int) -> bool:
        """Sees to it that what workers cannot import goes by value; returns whether a new try is worthwhile."""
        if refused.missing is None:
            return False
        if sent_with < len(self._by_value):
            return True
        module = shipping.to_send_by_value(refused.missing, self.work.function, self._by_value)
        if module is None:
            return False
        self._by_value.add(module)
        self._run = uuid.uuid4().hex
        self._sent_work = self._put_work()
        return True

    def _ask(self, request: Callable[[], Any]) -> Any:
        """Makes a request of Ray. What a task became is left to `_ended`; that Ray itself fails is a BackendError."""
        try:
            return request()
        except self.ray.exceptions.RayError:
            raise
        except Exception as error:
            raise self._trouble(error) from error

    def _trouble(self, error: Exception) -> BackendError:
        return BackendError(f"distribute: Ray could not run {self.work.name}: {type(error).__name__}: {error}")
