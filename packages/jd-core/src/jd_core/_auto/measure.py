"""Makes some calls of a function here, to see what they cost: one after the other, and several at once."""

from __future__ import annotations

import contextlib
import contextvars
import functools
import math
import os
import statistics
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor

from jd_core._auto.choose import SURE_SHARE, WAITING
from jd_core._auto.sample import Sample
from jd_core._execution.serial import run_chunk
from jd_core.backend import Chunk, ChunkResult, Work, registry
from jd_core.backend.cpus import busy_seconds, machine_load
from jd_core.worker import Span, close_loop, is_async, plain, release

#: What is measured of calls one after the other: so many and so many seconds, but not more than so many seconds.
CALLS, SECONDS, MOST_SECONDS = 20, 0.1, 0.6

#: Calls so short that a clock is a part of their time are measured in groups that take so many seconds. In much less time,
#: what measuring costs is a large part.
GROUP_SECONDS, SHORT_SECONDS = 0.002, 0.0003

#: So many calls run at once, to see whether that is faster: of those that compute, and of those that wait.
TWO, MANY = 2, 8

#: Calls at once go on for so many seconds, as far as there are elements.
AT_ONCE_SECONDS = 0.1

#: In less nothing is seen: of two that compute, one holds the interpreter's lock for 5 ms (`sys.getswitchinterval`), in
#: which the other has not begun.
TOO_SHORT_SECONDS = {TWO: 0.01, MANY: 0.002}

#: What other programs use is known, in steps of 0.01 s, where calls were measured for so many seconds.
OTHERS_SECONDS = 0.05


class _Times:
    """A recorder that keeps when calls began and ended; see `jd_core.backend.Recorder`."""

    def __init__(self) -> None:
        self.each: list[tuple[float, float]] = []

    def ran(self, worker: str, start: int, spans: Sequence[Span]) -> None:
        self.each += ((began, ended) for _, _, began, ended, _ in spans)

    def moved(self, *, sent: int = 0, received: int = 0) -> None:
        pass

    def died(self, worker: str) -> None:
        pass

    def noted(self, line: str) -> None:
        pass


def _error(each: list[float]) -> float:
    """Returns the standard error of the mean of some durations as a part of it; a guess where there is but one."""
    if len(each) < 2:
        return 0.3
    return statistics.stdev(each) / math.sqrt(len(each)) / max(statistics.fmean(each), 1e-9)


@contextlib.contextmanager
def _closing(call: Callable[..., object]) -> Iterator[None]:
    """Closes what calls in this thread have opened."""
    try:
        yield
    finally:
        release(call)
        close_loop()


@contextlib.contextmanager
def _watching_others(sample: Sample) -> Iterator[None]:
    """Finds whether other programs use the CPUs in the ``with`` block."""
    busy, own, began = busy_seconds(), time.process_time(), time.perf_counter()
    yield
    own, took, ended = time.process_time() - own, time.perf_counter() - began, busy_seconds()
    is_known = busy is not None and ended is not None and took >= OTHERS_SECONDS
    sample.crowded = is_crowded(max(0.0, (ended or 0.0) - (busy or 0.0) - own) / took if is_known else None)


def is_crowded(others: float | None) -> bool:
    """Returns whether other programs leave less of the CPUs than is sure of a gain.

    Args:
        others: how many CPUs they use; None if that is not known, and then the load of the machine decides.
    """
    cpus = os.cpu_count() or 1
    return machine_load() > cpus if others is None else cpus - others < SURE_SHARE * cpus


class Measured:
    """What calls cost here: in this thread, in others, or on an event loop.

    Attributes:
        sample: what they cost, for `jd_core._auto.choose.choose`.
        calls: how many were made.

    Args:
        work: the function.
        take: returns the next so many calls, or fewer; None: there are no more.
        total: how many there are; None if unknown.
    """

    def __init__(self, work: Work, take: Callable[[int], Chunk | None], total: int | None) -> None:
        self.sample = Sample()
        self.calls = 0
        self._work = work
        self._take = take
        self._total = math.inf if total is None else total
        self._interrupted = threading.Event()

    def in_threads(self) -> None:
        """Measures calls in threads, as "io" would make them.

        Raises:
            Exception: what a call raises.
        """
        self.sample = sample = Sample()
        with _watching_others(sample):
            if is_async(self._work.function):  # a loop may run in this thread
                self._in_threads([self._alone])
            else:  # as a plain loop makes them: a thread of its own may have its memory nearer at hand
                contextvars.copy_context().run(self._alone)
        if not sample.seconds:
            return
        wanted = MANY if sample.waiting > WAITING else TWO
        each = min(100_000, max(1, int(AT_ONCE_SECONDS / sample.per_call)))
        chunk = self._take(wanted * each)
        number = min(wanted, 0 if chunk is None else len(chunk))
        if chunk is None or number < 2 or len(chunk) // number * sample.per_call < TOO_SHORT_SECONDS[wanted]:
            return
        each = len(chunk) // number
        samples = [Sample() for _ in range(number)]
        parts = [chunk.part(k * each, (k + 1) * each) for k in range(number)]
        began = time.perf_counter()
        self._in_threads([functools.partial(self._warm, one, part) for one, part in zip(samples, parts, strict=True)])
        took = time.perf_counter() - began
        if wanted == TWO:  # not beside calls alone: their data may not have been cached
            sample.at_once[number] = sum(one.cpu for one in samples) / took
            sample.apart = sample.cpu / sample.calls / statistics.fmean(one.cpu / one.calls for one in samples)
        else:
            sample.at_once[number] = number * sample.per_call / statistics.fmean(one.per_call for one in samples)

    def on_loop(self) -> bool:
        """Measures coroutines, alone and several at once on one event loop, as "web" would make them.

        Returns:
            Whether they let each other run: those that block the loop run one at a time.

        Raises:
            Exception: what a call raises.
        """
        self.sample = sample = Sample(waits_in="web")
        alone = self._on_loop(3, 1)[1:]  # the first one may load things, or open a connection
        if alone and alone[-1][1] - alone[0][0] < SECONDS:
            alone += self._on_loop(int(min(CALLS, self._total // 4)), 1)
        if not alone:
            return False
        own = [ended - began for began, ended in alone]
        sample.calls, sample.seconds, sample.error = len(own), sum(own), _error(own)
        cpu = time.process_time()
        together = self._on_loop(MANY, MANY)
        if not together:
            return False
        sample.cpu = sample.everywhere = (time.process_time() - cpu) * sample.calls / len(together)
        took = max(ended for _, ended in together) - min(began for began, _ in together)
        sample.at_once[len(together)] = sample.per_call * len(together) / took
        return sum(ended - began for began, ended in together) > 2 * took

    def _on_loop(self, number: int, workers: int) -> list[tuple[float, float]]:
        """Makes so many calls, or as many as there are, and returns when each began and ended."""
        chunk = self._take(number) if number else None
        if chunk is None:
            return []
        self.calls += len(chunk)
        times = _Times()
        work = self._work.replace(workers=workers, calls=len(chunk), recorder=times)
        with contextlib.closing(registry.backend("web").run(work, iter([chunk]))) as results:
            for result in results:
                self.sample.weigh(result)
                self._raise_failure(result)
        return times.each

    def _alone(self) -> None:
        """Measures calls one after the other; if it can, without the first, which may load things, and short groups."""
        sample, own = self.sample, list[float]()
        most = self._total if self._total < 4 else self._total / 2
        call = plain(self._work.function, self._work.constants)
        size, first = 1, None
        with _closing(call):
            while (sample.calls < CALLS or sample.seconds < SECONDS) and sample.seconds < MOST_SECONDS:
                chunk = self._take(int(min(size, most - self.calls))) if self.calls + 1 <= most else None
                if chunk is None or self._interrupted.is_set():
                    break
                one = self._run(call, chunk, weighed_in=sample)
                if one.seconds < MOST_SECONDS and (first is None or one.seconds < SHORT_SECONDS):
                    first = one
                else:
                    sample.add(one)
                    own.append(one.per_call)
                size = max(1, min(int(GROUP_SECONDS / max(one.per_call, 1e-8)), 4 * size))
        if first is not None and not own:
            sample.add(first)
        sample.error = _error(own) if sample.calls < self._total else 0.0

    def _warm(self, sample: Sample, chunk: Chunk) -> None:
        """Measures calls in a thread that has made one before, if there are others."""
        call = plain(self._work.function, self._work.constants)
        with _closing(call):
            if len(chunk) > 1:
                self._run(call, chunk.part(0, 1))
            sample.add(self._run(call, chunk.part(min(1, len(chunk) - 1), len(chunk))))

    def _run(self, call: Callable[..., object], chunk: Chunk, *, weighed_in: Sample | None = None) -> Sample:
        one = Sample()
        with one.measuring():
            result = run_chunk(self._work, call, chunk)
        one.calls = len(result.values)
        self.calls += one.calls
        if weighed_in is not None:
            weighed_in.weigh(result)
        self._raise_failure(result)
        return one

    def _raise_failure(self, result: ChunkResult) -> None:
        if self._work.stop_at_failure and result.failures:
            raise result.failures[0].exception

    def _in_threads(self, functions: Sequence[Callable[[], None]]) -> None:
        """Calls functions at the same time, each in a thread and in the caller's context."""
        pool = ThreadPoolExecutor(len(functions), "just-distribute-advise")
        try:
            for future in [pool.submit(contextvars.copy_context().run, function) for function in functions]:
                future.result()
        except BaseException:
            self._interrupted.set()
            raise
        finally:
            pool.shutdown(wait=not self._interrupted.is_set(), cancel_futures=True)  # a call cannot be ended
