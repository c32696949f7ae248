"""``job="auto"``: the first calls run here and are measured; the others run where they belong."""

from __future__ import annotations

import contextlib
import itertools
import logging
import threading
import time
from collections.abc import AsyncGenerator, Callable, Generator, Iterator, Mapping, Sequence
from typing import Any

from jd_core._auto.choose import choose, is_installed
from jd_core._auto.forecast import Choice
from jd_core._auto.sample import MANY_CALLS, Clocks, Sample
from jd_core._execution.serial import rest_of, run_chunk
from jd_core.backend import Backend, Chunk, ChunkResult, SettledChunk, Work, registry
from jd_core.backend.cpus import usable_cpus
from jd_core.worker import close_loop, is_async, plain, release

#: The sample: so many calls, or calls for so many seconds, whichever is reached first. Of calls so short that the cost of
#: measuring would count as theirs, it is as many as take a millisecond.
SAMPLE_CALLS = 20
SAMPLE_SECONDS = 0.2
SHORT_SECONDS = 0.001

#: Fewer calls are sample enough if they took so long: their clocks tell waiting from computing. Calls that go on here are
#: looked at again each time they have taken as long: they may become longer.
CLEAR_SECONDS = 0.02

#: Of a shorter sample, so much are its last calls, which have to show the same as those before: a moment in which this
#: thread did something else looks like calls that take longer.
CONFIRMING = 0.25

_log = logging.getLogger("just_distribute")


class AutoBackend(Backend):
    """Runs a few calls in the calling thread, and hands the rest of the run to the backend that fits what they cost.

    Coroutine functions go to web at once. Functions with a ``timeout`` go to compute, which can end a call. Calls that wait
    go to io, and calls that compute to compute. While nothing is expected to be gained, calls go on running here, and each
    chunk is measured anew.
    """

    name = "auto"
    message_seconds = 4e-4

    def default_workers(self, options: Mapping[str, Any]) -> int:
        """Returns the number of usable CPUs, as for compute."""
        return usable_cpus()

    def run(self, work: Work, chunks: Iterator[Chunk | None]) -> Generator[ChunkResult, None, None]:
        """Runs chunks here until it is clear where they belong; then there."""
        choice = _at_once(work)
        if choice is None:
            trial = _Trial(work, chunks)
            yield from trial.run()
            choice, chunks = trial.choice, trial.rest
        if choice is not None:
            backend, moved = _moved(work, choice)
            with contextlib.closing(backend.run(moved, chunks)) as results:
                yield from results

    async def arun(self, work: Work, chunks: Iterator[Chunk | None]) -> AsyncGenerator[ChunkResult, None]:
        """Like `run`, for a caller on an event loop, which stays free: calls that run here run in a thread."""
        from jd_core.backend.bridge import nested  # here, because it imports asyncio, which the other way does not need

        choice = _at_once(work)
        if choice is None:
            results = super().arun(work, chunks)
        else:
            backend, moved = _moved(work, choice)
            results = backend.arun(moved, chunks)
        async with nested(results) as chunk_results:
            async for result in chunk_results:
                yield result


class _Trial:
    """The calls of a run that run here, until they show where the others belong.

    Attributes:
        choice: where the rest belongs; None while that is here.
        rest: the calls that have not run.
    """

    def __init__(self, work: Work, chunks: Iterator[Chunk | None]) -> None:
        self.choice: Choice | None = None
        self.rest = chunks
        self._work = work
        self._sample = Sample()
        self._slowest = Sample()  # of the blocks of calls in the sample: this thread may not have run meanwhile
        self._left = work.calls
        self._passed = 0.0  # seconds of the calls that ran here
        self._unrun: Chunk | None = None  # the rest of the last chunk
        self._is_confirming = False  # a sample has shown that calls belong elsewhere
        self._stays = False  # it was decided, and said, that calls go on here

    def run(self) -> Generator[ChunkResult, None, None]:
        """Runs calls here, until there are no more or it is clear where they belong."""
        work, event = self._work, threading.Event()
        if work.on_input is not None:
            work.on_input(event.set)
        call = plain(work.function, work.constants)
        try:
            for chunk in self._pieces():
                if work.cancelled is not None and work.cancelled():
                    return
                if isinstance(chunk, SettledChunk):
                    yield chunk.result
                elif chunk is not None:
                    yield (result := self._measured(call, chunk))
                    yield from rest_of(work, result)
                else:
                    event.wait(work.poll_seconds)
                    event.clear()
        finally:
            release(call)
            close_loop()

    def _pieces(self) -> Iterator[Chunk | None]:
        """Yields chunks until it is clear where the others belong."""
        for chunk in self.rest:
            yield chunk
            if self.choice is not None:
                if self._unrun is not None:
                    whole = self._work.chunksize is not None  # so long chunks are the user's wish
                    self.rest = itertools.chain(_cut(self._unrun, 1 if whole else self.choice.workers), self.rest)
                return

    def _measured(self, call: Callable[..., Any], chunk: Chunk) -> ChunkResult:
        """Runs the calls of a chunk, until it is clear that the others belong elsewhere."""
        counted = last = 0
        began = Clocks.now()
        wall, cpu = began.wall, began.thread

        def is_clear(values: Sequence[Any]) -> bool:
            nonlocal counted, last, began, wall, cpu
            calls, last_wall, last_cpu = len(values), wall, cpu
            wall, cpu = time.perf_counter(), time.thread_time()
            if wall - last_wall > self._slowest.seconds:
                self._slowest = Sample(calls - last, wall - last_wall, cpu - last_cpu)
            last = calls
            seconds = self._sample.seconds + wall - began.wall
            if calls > counted and self._is_enough(self._sample.calls + calls - counted, seconds):
                self._count(calls - counted, began)
                self._decide(chunk, values, counted)
                began, counted = Clocks.now(), calls
                wall, cpu = began.wall, began.thread
            return self.choice is not None

        result = run_chunk(self._work, call, chunk, is_clear)
        done = len(result.chunk)
        if not is_clear(result.values) and done > counted and self._left != done - counted:
            self._count(done - counted, began)
        self._unrun = chunk.part(done, len(chunk)) if done < len(chunk) else None
        return result

    def _count(self, calls: int, began: Clocks) -> None:
        """Adds the last calls to the sample."""
        self._sample.took(began)
        self._sample.calls += calls
        if self._left is not None:
            self._left = max(0, self._left - calls)

    def _is_enough(self, calls: int, seconds: float) -> bool:
        besides = seconds - self._slowest.seconds  # mostly of the first call, or of what measuring has cost
        if seconds >= SAMPLE_SECONDS or besides >= CLEAR_SECONDS:
            return True
        part = CONFIRMING if self._is_confirming else 1 - CONFIRMING
        may_end = self._is_confirming or not self._stays
        return may_end and calls >= part * SAMPLE_CALLS and besides >= part * SHORT_SECONDS

    def _decide(self, chunk: Chunk, values: Sequence[Any], first: int) -> None:
        """Decides by the sample, whose last calls are those of a chunk from offset ``first`` on."""
        self._passed += self._sample.seconds
        choice = self._chosen()
        if choice.job == "compute":  # which it might not be with its data: to weigh that takes as long as many tiny calls
            last = min(len(values), first + MANY_CALLS)
            self._sample.weigh(ChunkResult(chunk.part(first, last), values[first:last]))
            choice = self._chosen()
        belongs_elsewhere = choice.job != "serial"
        if belongs_elsewhere and (self._is_confirming or self._sample.seconds - self._slowest.seconds >= CLEAR_SECONDS):
            self.choice = choice
        elif not belongs_elsewhere and not self._stays:
            self._stays = True
            _tell(self._work, f"goes on with its calls here: {choice.why}")
        self._is_confirming = belongs_elsewhere
        self._sample, self._slowest = self._sample.renewed(), Sample()

    def _chosen(self) -> Choice:
        workers = self._work.workers if self._work.workers_given else None
        # What has run may be all there is: as much again is a fair guess (J. Gott, "Implications of the Copernican
        # Principle for Our Future Prospects", Nature 363, 1993), and workers that start in vain are a part of what was.
        return choose(self._sample.without(self._slowest), self._left, workers, expected_seconds=self._passed)


def _cut(chunk: Chunk, parts: int) -> Iterator[Chunk]:
    """Yields a chunk in parts: it was made for one worker, and may be all that is left."""
    size = -(-len(chunk) // parts)
    for start in range(0, len(chunk), size):
        yield chunk.part(start, min(start + size, len(chunk)))


def _at_once(work: Work) -> Choice | None:
    """Returns where a run belongs of which no call need be measured; None if one has to."""
    if is_async(work.function) and is_installed("web"):
        return Choice("web", work.workers if work.workers_given else 0, 1.0, "it is a coroutine function")
    if work.timeout is not None and is_installed("compute"):
        return Choice("compute", work.workers, 1.0, "only another process can be ended after a timeout")
    return None


def _moved(work: Work, choice: Choice) -> tuple[Backend, Work]:
    """Returns the backend of a choice, and the work as it is there. Tells whoever made the chunks."""
    backend = registry.backend(choice.job)
    workers = choice.workers or backend.default_workers({})
    _tell(work, f"runs its calls under {choice.job!r}: {choice.why}")
    if work.moved is not None:
        work.moved(choice.job, workers)
    return backend, work.replace(workers=workers, moved=None)


def _tell(work: Work, decided: str) -> None:
    """Says what was decided, in the log and in the report of a trace."""
    _log.info("%s(): job='auto' %s", work.name, decided)
    if work.recorder is not None:
        work.recorder.noted(f"auto     {decided}")
