"""The calls of a run under ``job="auto"`` that run in the calling thread, until they show where the others belong."""

from __future__ import annotations

import itertools
import logging
import threading
import time
from collections.abc import Callable, Generator, Iterator, Sequence
from typing import Any

from jd_core._auto.choose import choose
from jd_core._auto.forecast import Choice, brief_seconds
from jd_core._auto.sample import MANY_CALLS, Clocks, Sample
from jd_core._execution.serial import rest_of, run_chunk
from jd_core._tracing.words import short
from jd_core.backend import Chunk, ChunkResult, SettledChunk, Work
from jd_core.worker import close_loop, plain, release

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


class Trial:
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
        self._made, self._passed = 0, 0.0  # calls that ran here, and the seconds that they took
        self._unrun: Chunk | None = None  # the rest of the last chunk
        self._is_confirming = False  # a sample has shown that calls belong elsewhere
        self._is_brief = False  # the calls of the last chunk were
        self._stays = self._said = False  # it was decided, and said, that calls go on here

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
        """Runs the calls of a chunk, until it is clear that the others belong elsewhere.

        While calls are as brief as earlier ones let expect, one clock is enough: to read all of them, and to decide, takes
        as long as thousands of such calls (function tiny of benchmarks.advice).
        """
        counted = last = 0
        brief = self._brief_seconds(chunk)
        began = Clocks.now() if not brief else None
        start = time.perf_counter()
        wall, cpu = (start, 0.0) if began is None else (began.wall, began.thread)

        def is_clear(values: Sequence[Any]) -> bool:
            nonlocal counted, last, began, wall, cpu
            calls, last_wall, last_cpu = len(values), wall, cpu
            wall = time.perf_counter()
            if began is None:
                if wall - last_wall > max(brief * (calls - last), CONFIRMING * SHORT_SECONDS):
                    self._ran(calls, wall - start)
                    self._stays, self._is_confirming = False, wall - last_wall >= SAMPLE_SECONDS
                    began, counted = Clocks.now(), calls
                    wall, cpu = began.wall, began.thread
                last = calls
                return False
            cpu = time.thread_time()
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
        clear, self._is_brief = is_clear(result.values), began is None
        if began is None:
            self._ran(done, result.seconds)
            self._stay(f"calls of {short(result.seconds / max(1, done))} are over before a worker has them")
        elif not clear and done > counted and self._left != done - counted:
            self._count(done - counted, began)
        self._unrun = chunk.part(done, len(chunk)) if done < len(chunk) else None
        return result

    def _brief_seconds(self, chunk: Chunk) -> float:
        """Returns how long calls of a chunk may take to be brief; 0.0 where nothing says that earlier ones were."""
        if self._work.chunksize is not None or not (self._is_brief or len(chunk) > SAMPLE_CALLS):
            return 0.0
        return brief_seconds(self._left or max(self._made, len(chunk)), self._work.workers)

    def _ran(self, calls: int, seconds: float) -> None:
        """Records calls that ran here."""
        self._made += calls
        self._passed += seconds
        if self._left is not None:
            self._left = max(0, self._left - calls)

    def _stay(self, why: str) -> None:
        if not self._said:
            tell(self._work, f"goes on with its calls here: {why}")
        self._stays = self._said = True

    def _count(self, calls: int, began: Clocks) -> None:
        """Adds the last calls to the sample."""
        before = self._sample.seconds
        self._sample.took(began)
        self._sample.calls += calls
        self._ran(calls, self._sample.seconds - before)

    def _is_enough(self, calls: int, seconds: float) -> bool:
        besides = seconds - self._slowest.seconds  # mostly of the first call, or of what measuring has cost
        if seconds >= SAMPLE_SECONDS or besides >= CLEAR_SECONDS:
            return True
        part = CONFIRMING if self._is_confirming else 1 - CONFIRMING
        may_end = self._is_confirming or not self._stays
        return may_end and calls >= part * SAMPLE_CALLS and besides >= part * SHORT_SECONDS

    def _decide(self, chunk: Chunk, values: Sequence[Any], first: int) -> None:
        """Decides by the sample, whose last calls are those of a chunk from offset ``first`` on."""
        choice = self._chosen()
        if choice.job == "compute":  # which it might not be with its data: to weigh that takes as long as many tiny calls
            last = min(len(values), first + MANY_CALLS)
            self._sample.weigh(ChunkResult(chunk.part(first, last), values[first:last]))
            choice = self._chosen()
        belongs_elsewhere = choice.job != "serial"
        if belongs_elsewhere and (self._is_confirming or self._sample.seconds - self._slowest.seconds >= CLEAR_SECONDS):
            self.choice = choice
        elif not belongs_elsewhere:
            self._stay(choice.why)
        self._is_confirming = belongs_elsewhere
        self._sample, self._slowest = self._sample.renewed(), Sample()

    def _chosen(self) -> Choice:
        workers = self._work.workers if self._work.workers_given else None
        # What has run may be all there is: as much again is a fair guess (J. Gott, "Implications of the Copernican
        # Principle for Our Future Prospects", Nature 363, 1993), and workers that start in vain are a part of what was.
        return choose(self._sample.without(self._slowest), self._left, workers, expected_seconds=self._passed)


def tell(work: Work, decided: str) -> None:
    """Says what was decided, in the log and in the report of a trace."""
    _log.info("%s(): job='auto' %s", work.name, decided)
    if work.recorder is not None:
        work.recorder.noted(f"auto     {decided}")


def _cut(chunk: Chunk, parts: int) -> Iterator[Chunk]:
    """Yields a chunk in parts: it was made for one worker, and may be all that is left."""
    size = -(-len(chunk) // parts)
    for start in range(0, len(chunk), size):
        yield chunk.part(start, min(start + size, len(chunk)))
