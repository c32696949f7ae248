"""``job="auto"``: the first calls run in the calling thread and are measured; the others run under the job that fits."""

from __future__ import annotations

import contextlib
import itertools
import logging
import threading
from collections.abc import AsyncGenerator, Callable, Generator, Iterator, Mapping
from dataclasses import replace
from typing import Any

from jd_core._auto.choose import Choice, choose, is_installed
from jd_core._auto.sample import Sample
from jd_core._execution.serial import rest_of, run_chunk
from jd_core.backend import Backend, Chunk, ChunkResult, SettledChunk, Work, registry
from jd_core.backend.cpus import usable_cpus
from jd_core.worker import close_loop, is_async, plain, release

#: The sample: this many calls, or calls for this many seconds, whichever is reached first. Of calls that are so short that
#: the cost of measuring would matter, it is as many as take a millisecond.
SAMPLE_CALLS = 20
SAMPLE_SECONDS = 0.2
SHORT_SECONDS = 0.001

#: Two calls are a sufficient sample if they took this many seconds: their clocks distinguish waiting from computing.
CLEAR_SECONDS = 0.02

_log = logging.getLogger("just_distribute")


class AutoBackend(Backend):
    """Runs a few calls in the calling thread, and hands the rest of the run to the backend that fits them.

    Coroutine functions go to web at once. Functions with a ``timeout`` go to compute, which can end a call. Calls that wait
    go to io, and calls that compute to compute. While no gain is expected, calls continue to run in the calling thread, and
    each chunk is measured again.
    """

    name = "auto"
    message_seconds = 2e-4

    def default_workers(self, options: Mapping[str, Any]) -> int:
        """Returns the number of usable CPUs, as for compute."""
        return usable_cpus()

    def run(self, work: Work, chunks: Iterator[Chunk | None]) -> Generator[ChunkResult, None, None]:
        """Runs chunks here until it is clear which job fits, and then there."""
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
        """Like `run`, for a caller on an event loop, which stays responsive: the measured calls run in a thread."""
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
    """The calls of a run that run here, until it is clear which job fits the others.

    Attributes:
        choice: the job for the rest; None while calls continue here.
        rest: the calls that have not run.
    """

    def __init__(self, work: Work, chunks: Iterator[Chunk | None]) -> None:
        self.choice: Choice | None = None
        self.rest = chunks
        self._work = work
        self._sample = Sample()
        self._left = work.calls
        self._is_first = True
        self._stays = False  # it was decided, and said, that calls go on here

    def run(self) -> Generator[ChunkResult, None, None]:
        """Runs calls here, until there are no more or it is clear which job fits."""
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
        """Yields the pieces that run here: a call, then the rest of the sample, then whole chunks."""
        for chunk in self.rest:
            if chunk is None or isinstance(chunk, SettledChunk):
                yield chunk
                continue
            done = 0
            while done < len(chunk):
                size = min(self._wanted(), len(chunk) - done)
                yield chunk.part(done, done + size)
                done += size
                if self.choice is not None:
                    left = [chunk.part(done, len(chunk))] if done < len(chunk) else []
                    self.rest = itertools.chain(left, self.rest)
                    return

    def _wanted(self) -> int:
        """Returns how many calls may run before the next decision."""
        sample = self._sample
        if not sample.calls:
            return 1 if self._is_first else SAMPLE_CALLS
        most = SAMPLE_CALLS - sample.calls
        if sample.seconds < SHORT_SECONDS:
            most = max(most, int(SHORT_SECONDS * sample.calls / max(sample.seconds, 1e-7)))
        return max(1, min(most, int((SAMPLE_SECONDS - sample.seconds) * sample.calls / max(sample.seconds, 1e-7))))

    def _measured(self, call: Callable[..., Any], chunk: Chunk) -> ChunkResult:
        with self._sample.measuring():
            result = run_chunk(self._work, call, chunk)
        sample = self._sample
        sample.count(result)
        if self._left is not None:
            self._left = max(0, self._left - len(chunk))
        if self._is_first and sample.seconds < SHORT_SECONDS:
            self._sample = sample = sample.renewed()  # most of it is what measuring costs, and what a first call costs
        self._is_first = False
        clear = sample.calls > 1 and sample.seconds >= CLEAR_SECONDS
        many = sample.calls >= SAMPLE_CALLS and sample.seconds >= SHORT_SECONDS
        if clear or many or sample.seconds >= SAMPLE_SECONDS:
            choice = choose(sample, self._left, self._work.workers if self._work.workers_given else None)
            self.choice = None if choice.job == "serial" else choice
            if self.choice is None and not self._stays:
                self._stays = True
                _tell(self._work, f"goes on with its calls here: {choice.why}")
            self._sample = sample.renewed()  # those that run here are measured anew: they may become longer
        return result


def _at_once(work: Work) -> Choice | None:
    """Returns the job of a run if it is clear without measuring a call; None if it is not."""
    if is_async(work.function) and is_installed("web"):
        return Choice("web", work.workers if work.workers_given else 0, 1.0, "it is a coroutine function")
    if work.timeout is not None and is_installed("compute"):
        return Choice("compute", work.workers, 1.0, "only another process can be ended after a timeout")
    return None


def _moved(work: Work, choice: Choice) -> tuple[Backend, Work]:
    """Returns the backend of a choice, and the work for it. Notifies the core, which makes the chunks."""
    backend = registry.backend(choice.job)
    workers = choice.workers or backend.default_workers({})
    _tell(work, f"runs its calls under {choice.job!r}: {choice.why}")
    if work.moved is not None:
        work.moved(choice.job, workers)
    return backend, replace(work, workers=workers, moved=None)


def _tell(work: Work, decided: str) -> None:
    """Reports the decision, in the log and in the report of a trace."""
    _log.info("%s(): job='auto' %s", work.name, decided)
    if work.recorder is not None:
        work.recorder.noted(f"auto     {decided}")
