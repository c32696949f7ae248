"""Each job as a plain loop and distributed, timed, and the results compared."""

from __future__ import annotations

import asyncio
import contextlib
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Any, Generic, TypeVar

from jd_core import trace
from jd_core.errors import BackendError

from just_distribute.demo import server, work
from just_distribute.demo.sources import Source

R = TypeVar("R")

#: Files that the web job fetches, and the seconds that the server waits before each answer.
FETCHES = 200
DELAY = 0.02


@dataclass(frozen=True, slots=True)
class Timed(Generic[R]):
    """What a run gave and what it took.

    Attributes:
        value: the result.
        seconds: wall-clock time.
        computing: the processor time of this thread in it, in seconds, and the time in which it was ready and had none; the
            rest is waiting for something else.
    """

    value: R = field(repr=False)
    seconds: float
    computing: float


def timed(run: Callable[[], R]) -> Timed[R]:
    """Runs something and times it."""
    began, computed = time.perf_counter(), _computing()
    value = run()
    return Timed(value, time.perf_counter() - began, _computing() - computed)


def _computing() -> float:
    """Returns for how long this thread has had a processor, or was ready and had none (Linux tells), in seconds."""
    try:
        ready = int(Path("/proc/thread-self/schedstat").read_text("ascii").split()[1]) * 1e-9
    except (OSError, IndexError, ValueError):
        ready = 0.0
    return time.thread_time() + ready


@dataclass(frozen=True, slots=True)
class Comparison:
    """One job beside its plain loop: one row of the table.

    Attributes:
        job: name of the job.
        what: what one call does, in a few words.
        calls: number of calls.
        plain: seconds of the plain loop.
        waits: the share of those in which nothing was computed, 0 to 1.
        first: seconds of the first distributed call, the start of its workers included.
        again: seconds of the same call once more, its workers warm.
        equal: whether both gave exactly what the plain loop gave.
        notes: what else is worth telling.
    """

    job: str
    what: str
    calls: int
    plain: float
    waits: float
    first: float
    again: float
    equal: bool
    notes: tuple[str, ...] = ()

    @property
    def gained(self) -> float:
        """How many times faster than the plain loop the call with warm workers was."""
        return self.plain / self.again

    @property
    def has_gained(self) -> bool:
        """Whether that is more than nothing."""
        return self.gained >= 1.1


@dataclass
class Jobs:
    """Runs the jobs on one input.

    Attributes:
        sources: the input.
        workers: how many calls run at once in every job; None: each backend's default.
        progress: is told what runs now.
    """

    sources: Sequence[Source]
    workers: int | None
    progress: Callable[[str], None]

    @cached_property
    def measured(self) -> Timed[list[work.Measured]]:
        """The plain loop of compute and ray: both do the same work, so it runs once."""
        return timed(lambda: [work.measure.local(source.name, source.text) for source in self.sources])

    def compute(self) -> Comparison:
        """Measures every file, in processes."""
        return self._measure("compute")

    def ray(self) -> Comparison:
        """Measures every file, on Ray."""
        try:
            compared = self._measure("ray")
        except BackendError:  # on a busy machine Ray may give up while it starts
            self.progress(" ray: it did not start; once more …")
            compared = self._measure("ray")
        start = max(0.0, compared.first - compared.again)
        note = f"about {start:.1f} s of its first call went into finding or starting Ray"
        return replace(compared, notes=(note, *compared.notes))

    def io(self) -> Comparison:
        """Copies every file, in threads: every run into a folder of its own, whose copies are then read back."""
        names, paths = [source.name for source in self.sources], [source.path for source in self.sources]
        copy = work.copy.options(workers=self.workers)
        written: list[bool] = []

        def one_by_one(to: str) -> list[work.Digest]:
            return [work.copy.local(name, path, folder=to) for name, path in zip(names, paths, strict=True)]

        def waited(plain: Timed[Any]) -> str:
            milliseconds = 1000 * (plain.seconds - plain.computing) / len(names)
            return f"the plain loop waited {milliseconds:.2f} ms per file; the slower a disk, the more threads gain"

        with _folders() as folder:

            def checked(run: Callable[[str], list[work.Digest]]) -> Timed[list[work.Digest]]:
                target = folder()
                result = timed(lambda: run(target))
                copies = ((name, Path(work.copy_path(target, name)).read_bytes()) for name in names)
                written.append(result.value == [work.digest(name, content) for name, content in copies])
                return result

            compared = self._compare(
                "io",
                "copy and hash a file",
                plain=lambda: checked(one_by_one),
                distributed=lambda: checked(lambda to: copy(names, paths, folder=to)),
                note=waited,
                equal=lambda: all(written),
            )
        return compared

    def web(self) -> Comparison:
        """Fetches some of the files from a server on loopback, in coroutines."""
        fetch = work.fetch.options(workers=self.workers)
        step = max(1, len(self.sources) // FETCHES)
        chosen = {source.name: source.text for source in self.sources[::step][:FETCHES]}
        names = list(chosen)
        with server.serving(chosen, DELAY) as serving, asyncio.Runner() as runner:
            runner.get_loop()  # made here, so that its making is not timed

            async def one_by_one() -> list[work.Digest]:
                fetched: list[work.Digest] = []
                for name in names:
                    if len(fetched) % (FETCHES // 10) == 0:
                        self.progress(f" web: the plain loop … {len(fetched)} of {len(names)}")
                    fetched.append(await work.fetch.local(name, port=serving.port))
                return fetched

            def together() -> Timed[list[work.Digest]]:
                serving.reset_peak()
                return timed(lambda: fetch(names, port=serving.port))

            return self._compare(
                "web",
                "get a file over HTTP",
                plain=lambda: timed(lambda: runner.run(one_by_one())),
                distributed=together,
                note=lambda plain: (
                    f"the server is {1000 * DELAY:.0f} ms away, and saw up to {serving.peak} requests open at once"
                ),
            )

    def _measure(self, job: str) -> Comparison:
        measure = work.measure.options(job=job, workers=self.workers)
        names, texts = [source.name for source in self.sources], [source.text for source in self.sources]
        return self._compare(
            job,
            "measure a source file",
            plain=lambda: self.measured,
            distributed=lambda: timed(lambda: measure(names, texts)),
        )

    def _compare(
        self,
        job: str,
        what: str,
        *,
        plain: Callable[[], Timed[list[Any]]],
        distributed: Callable[[], Timed[list[Any]]],
        note: Callable[[Timed[list[Any]]], str] | None = None,
        equal: Callable[[], bool] = lambda: True,
    ) -> Comparison:
        self.progress(f" {job}: the plain loop …")
        expected = plain()
        self.progress(f" {job}: distributed, and first the start of its workers …")
        first = distributed()
        self.progress(f" {job}: distributed, with warm workers …")
        with trace() as run:
            again = distributed()
        compared = Comparison(
            job,
            what,
            calls=len(expected.value),
            plain=expected.seconds,
            waits=max(0.0, 1 - expected.computing / expected.seconds),
            first=first.seconds,
            again=again.seconds,
            equal=first.value == expected.value and again.value == expected.value and equal(),
            notes=(note(expected),) if note else (),
        )
        return compared if compared.has_gained else replace(compared, notes=(*compared.notes, _nothing_gained(run.report)))


def _nothing_gained(report: Any) -> str:
    """Returns why, in the words of the report of a trace."""
    if not report.losses:
        return "gained nothing: the calls themselves take the time, and there is no more processor than the plain loop has"
    return f"gained nothing: {report.losses[0].text}; {report.losses[0].remedy}"


@contextlib.contextmanager
def _folders() -> Iterator[Callable[[], str]]:
    with tempfile.TemporaryDirectory(prefix="just-distribute-demo-") as top:
        yield lambda: tempfile.mkdtemp(dir=top)
