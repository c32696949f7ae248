"""One run on a Ray cluster: a bounded window of tasks in flight, collected as they finish.

::

    chunks ──► pieces waiting ──► tasks in flight ──► results
                     ▲                   │
                     └── to be run again ┘   a node was lost; a worker died, and its calls are tried one by one; Ray
                                             killed one for memory, and its piece is tried with nothing beside it;
                                             a module is missing on the workers, and goes by value

`pieces` cuts chunks, `submission` sends what is cut with the function and its constants, `outcomes` puts what came back into
results and errors.
"""

from __future__ import annotations

import contextlib
import functools
from collections.abc import Generator, Iterator
from dataclasses import replace
from typing import Any

from jd_core.backend import CANCEL_SECONDS, SIGNAL_SECONDS, Chunk, ChunkResult, SettledChunk, Work
from jd_core.errors import SerializationError
from jd_core.worker.unpicklable import REFUSALS, pass_on

from jd_ray.cluster import cancellation, gpu_workers
from jd_ray.cluster.started_tasks import LOOK_SECONDS, Starts
from jd_ray.connection.session import Session
from jd_ray.run import outcomes, remote_function
from jd_ray.run.in_flight import InFlight
from jd_ray.run.pieces import Piece, Pieces
from jd_ray.run.submission import Sent, Submission
from jd_ray.run.window import Window
from jd_ray.shipped import codec, remote

#: How often a piece that was lost with a node is run again before the run is given up.
MOST_LOSSES = 5

#: Seconds that running calls have to end after an abandoned run interrupted them, before their workers are killed.
GRACE_SECONDS = 0.3

#: Seconds that a worker has to die.
KILL_SECONDS = 1.0


class Dispatch:
    """The state of one run; used by one thread at a time.

    Attributes:
        ray: the module, connected.
        work: what the core handed over.
    """

    def __init__(self, ray: Any, work: Work, chunks: Iterator[Chunk | None], full: float) -> None:
        self.ray = ray
        self.work = work
        self._pieces = Pieces(work, chunks, full)
        self._session = Session(ray, work.name)
        self._in_flight = InFlight(ray, work, self._session)
        self._submission = Submission(ray, work, self._session)
        self._starts = Starts(every_task=work.timeout is not None)
        self._gpu_workers: set[tuple[str, int]] = set()
        self._window = Window(ray, work, self._session, self._starts)
        self._alone: Any = None  # the task beside which no other may run

    def results(self) -> Generator[ChunkResult, None, None]:
        """Yields the results of all pieces, as they come."""
        while self.work.cancelled is None or not self.work.cancelled():
            yield from self._fill()
            if not self._in_flight and self._pieces.exhausted:
                return
            yield from self._with_returned(self._collect())

    def _with_returned(self, results: Iterator[ChunkResult]) -> Iterator[ChunkResult]:
        """Yields results, and after a failed call what has not begun, where the core is to say when it may."""
        for result in results:
            yield result
            if result.failures and self.work.return_at_failure:
                yield from self._pieces.unbegun()

    def close(self) -> None:
        """Cancels what is in flight: what has not started at once, what runs by an interrupt and then by force."""
        left = self._in_flight.clear()
        abandoned = bool(left)
        self._pieces.clear()
        self._session.close()
        if self._session.is_gone():
            return
        with contextlib.suppress(Exception):
            for force, seconds in ((False, GRACE_SECONDS), (True, KILL_SECONDS)):
                cancellation.cancel(self.ray, left, force=force)
                left = left and self.ray.wait(left, num_returns=len(left), timeout=seconds)[1]
            if self._gpu_workers:
                gpu_workers.end(self.ray, self._gpu_workers, self.work.options)
        self._starts.close(abandoned)

    def _fill(self) -> Iterator[ChunkResult]:
        """Starts tasks until the window is full or nothing is there to start; yields calls that cannot be sent."""
        while self._has_room() and (piece := self._pieces.next(idle=not self._in_flight)) is not None:
            if isinstance(piece, SettledChunk):
                yield piece.result
                continue
            try:
                arguments = self._submission.encode(piece)
            except REFUSALS as error:
                pass_on(error)
                if piece.count > 1:
                    self._pieces.again(piece.calls())
                else:
                    yield piece.failed(outcomes.argument_error(self.work, piece, error))
                continue
            if self._pieces.is_too_large(piece, codec.size(arguments.columns)):
                self._pieces.again([piece])
                continue
            key = self._starts.key()
            number = self._in_flight.next_number()
            sent = self._submission.send(piece, arguments, key, self._pieces.patience(piece), number)
            self._in_flight.add(sent)
            if self._pieces.is_to_run_alone(piece):
                self._alone = sent.outcome
            self._starts.submitted(sent.outcome, key)

    def _has_room(self) -> bool:
        return len(self._in_flight) < self._window.size and self._alone not in self._in_flight

    def _collect(self) -> Iterator[ChunkResult]:
        """Waits for the next tasks that end, or until something else has to be looked at."""
        seconds = self._patience()
        if self._has_room() and not self._pieces.exhausted:
            ended = self._in_flight.ended_unless_input(min(seconds, self.work.poll_seconds))
        else:
            # A plain call has its results together; one that is read as it goes on takes each as soon as it is there.
            at_once = self.work.cancelled is not None or self.work.timeout is not None
            count = 1 if at_once else self._window.together(len(self._in_flight), self._pieces.seconds)
            ended = self._in_flight.ended(seconds, count)
        for ref in ended:
            sent = self._in_flight.remove(ref)  # before its results are yielded, which may end the run
            self._starts.ended(ref)
            self._window.started()
            yield from self._ended(sent)
        self._session.look()
        self._window.look(self._in_flight.dereferences)
        yield from self._time_out()

    def _patience(self) -> float:
        """Returns for how many seconds to wait for results at most."""
        seconds = SIGNAL_SECONDS if self.work.cancelled is None else CANCEL_SECONDS
        return seconds if self.work.timeout is None else min(seconds, LOOK_SECONDS, self.work.timeout / 4)

    def _time_out(self) -> Iterator[ChunkResult]:
        seconds = self.work.timeout
        late: list[Any] = []
        if seconds is not None:
            late = self._session.ask_head(lambda: self._starts.running_for(seconds), [])
        if late:
            # What ended while the caller was busy with a result waits to be collected, wherever its own result lies.
            _, late = self._session.ask(lambda: self.ray.wait(late, num_returns=len(late), timeout=0, fetch_local=False))
        for ref in late:
            piece = self._in_flight.remove(ref).piece
            self._starts.ended(ref)
            self._submission.recording.ended(ref, piece, None)
            self._session.ask(functools.partial(self._end, ref))
            yield piece.failed(outcomes.timed_out(self.work, piece.start))

    def _end(self, ref: Any) -> None:
        """Kills the worker that runs a task, and waits until it is dead: the call must not come to its end."""
        cancellation.cancel(self.ray, [ref], force=True)
        self.ray.wait([ref], timeout=KILL_SECONDS)

    def _ended(self, sent: Sent) -> Iterator[ChunkResult]:
        errors, piece = self.ray.exceptions, sent.piece
        self._session.check()
        try:
            outcome = remote_function.received(self.ray.get(sent.outcome))
            self._submission.recording.ended(sent.outcome, piece, outcome)
        except (Exception, SystemExit) as error:
            if sent.dereferences and isinstance(error, errors.RayTaskError):
                # A task of ours raises nothing: Ray could not pass it a value.
                if piece.count > 1:
                    self._pieces.again(piece.calls())
                else:
                    yield piece.failed(outcomes.argument_failed(error))
            elif isinstance(error, (errors.NodeDiedError, errors.ObjectLostError, errors.LocalRayletDiedError)):
                self._submission.recording.ended(sent.outcome, piece, None)
                yield from self._lost(piece, error)
            elif isinstance(error, errors.OutOfMemoryError):
                self._submission.recording.ended(sent.outcome, piece, None)
                yield from self._killed(piece, error)
            elif isinstance(error, errors.WorkerCrashedError):
                self._submission.recording.ended(sent.outcome, piece, None)
                if piece.count > 1 and self.work.chunksize != 1:
                    self._pieces.again(piece.calls())
                else:
                    yield piece.failed(outcomes.died(self.work, piece.start, str(error)))
            else:
                raise self._session.trouble(error) from error
        else:
            if isinstance(outcome, remote.Done):
                self._pieces.ran(outcome)
                if outcome.node is not None:
                    self._gpu_workers.add((outcome.node, outcome.where[1]))
                result = outcomes.result(self.work, piece, outcome, sent.results)
                if outcome.calls < piece.count and not (self.work.stop_at_failure and result.failures):
                    self._pieces.share_out(piece, outcome, whole=bool(result.failures) and self.work.return_at_failure)
                yield result
            else:
                yield from self._refused(sent, outcome)

    def _lost(self, piece: Piece, error: BaseException) -> Iterator[ChunkResult]:
        """Runs a piece again that was lost with its node."""
        if self.work.chunksize == 1:
            yield piece.failed(outcomes.lost(self.work, piece.start, error))
        elif piece.losses == MOST_LOSSES:
            raise outcomes.lost_too_often(self.work, piece, error) from error
        else:
            self._pieces.again([replace(piece, losses=piece.losses + 1)])

    def _killed(self, piece: Piece, error: BaseException) -> Iterator[ChunkResult]:
        """Runs a piece again whose worker Ray killed for memory, alone; blames a call whose worker was killed so.

        Ray kills the worker whose task is the youngest, which need not be the one that has the memory.
        """
        alone = self._pieces.is_to_run_alone(piece)
        self._pieces.killed.update(range(piece.start, piece.start + piece.count))
        if self.work.chunksize == 1 or (alone and piece.count == 1):
            yield piece.failed(outcomes.killed(self.work, piece.start, str(error), alone=alone))
        else:
            self._pieces.again(piece.calls() if alone else [piece])

    def _refused(self, sent: Sent, refused: remote.Refused) -> Iterator[ChunkResult]:
        """Sends a piece again, of which no call was run: with more by value, or each call alone to find the one."""
        piece = sent.piece
        if self._submission.extend(refused, sent.edition):
            self._pieces.again([piece])
        elif refused.what == "work":
            missing = f"its machine has no module {refused.missing!r}: " if refused.missing else ""
            raise SerializationError(
                f"distribute: the function {self.work.name} or a constant of it does not unpickle on the Ray worker: "
                f"{missing}{refused.kind}: install it there, or option runtime_env={{'pip': [...]}} or "
                f"{{'py_modules': [...]}}\n\n{refused.traceback}"
            )
        elif piece.count > 1:
            self._pieces.again(piece.calls())
        else:
            yield piece.failed(outcomes.refused_argument(self.work, piece.start, refused))
