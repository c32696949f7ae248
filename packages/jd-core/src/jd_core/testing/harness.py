"""What the suite hands to a backend, and how it checks what comes back. Every class of tests builds on `Contract`."""

from __future__ import annotations

import asyncio
import contextlib
import functools
import tempfile
import threading
import time
from collections.abc import AsyncIterator, Callable, Generator, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, ClassVar, Literal, ParamSpec, TypeAlias, TypeVar

import pytest

from jd_core.backend import Backend, Chunk, ChunkResult, Work, registry
from jd_core.testing import functions
from jd_core.testing.feed import Feed, Gathered, chunks_of

Way: TypeAlias = Literal["run", "arun"]
Test = TypeVar("Test", bound=Callable[..., Any])
Arguments = ParamSpec("Arguments")
Result = TypeVar("Result")

#: What a backend may be unable to do by its nature. It says so, with the reason, in `Contract.cannot`.
ABILITIES = (
    "run several calls at once",
    "keep a timeout",
    "end a running call",  # a plain function's; at a timeout, or when the run is closed
    "start nothing after the end",  # closing a run says so to workers before another call can begin
    "outlive a dying worker",  # calls run in processes of their own
    "refuse what cannot travel",  # arguments and results are pickled
    "show what calls print",  # on the caller's stdout, and through its logging
    "record its calls",  # line 7; the core then takes the times of whole chunks
    "mark what it runs",  # line 6; only where all that uses the backend is marked already
)

#: Results that `jd_core.backend.bridge` may have between the thread that runs a backend and the event loop of the caller.
ON_THE_WAY = 3

#: Seconds within which something must have happened that nothing holds up: generous, for machines that are busy. On some
#: of them a cluster takes twenty seconds to start a worker.
SOON_SECONDS = 80.0


def needs(ability: str) -> Callable[[Test], Test]:
    """Marks a test that is skipped, with the stated reason, for backends that cannot do this."""
    assert ability in ABILITIES

    def mark(test: Test) -> Test:
        test.needs = ability  # type: ignore[attr-defined]
        return test

    return mark


def best_of_three(test: Callable[Arguments, Result]) -> Callable[Arguments, Result]:
    """Runs a test that depends on time up to three times, of which one has to pass.

    A machine that stands still for a moment spoils one attempt; what is always late, or always wrong, fails in all of
    them. An attempt must not depend on what the one before it has left behind.
    """

    @functools.wraps(test)
    def run(*args: Arguments.args, **kwargs: Arguments.kwargs) -> Result:
        for _ in range(2):
            # What pytest's own outcomes are based on is no Exception: a test that hangs is ended in its first attempt.
            with contextlib.suppress(Exception):
                return test(*args, **kwargs)
        return test(*args, **kwargs)

    return run


def wait_until(condition: Callable[[], object], seconds: float = SOON_SECONDS) -> None:
    """Waits until ``condition()`` is true.

    Raises:
        AssertionError: it was not within ``seconds``.
    """
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            raise AssertionError(f"not within {seconds:g} seconds: {condition}")
        time.sleep(functions.LOOK_SECONDS)


class Contract:
    """What all classes of the suite share.

    Attributes:
        job: the backend's job, under which its entry point is declared. Or override the fixture `backend`.
        cannot: what the backend cannot do by its nature, of `ABILITIES`, each with the reason.
        workers: how many calls run at once in the tests.
        options: the backend's own options for every run.
    """

    job: ClassVar[str]
    cannot: ClassVar[Mapping[str, str]] = {}
    workers: ClassVar[int] = 2
    options: ClassVar[Mapping[str, Any]] = {}

    def __init_subclass__(cls) -> None:
        """Refuses what would quietly weaken the contract."""
        unknown = set(cls.cannot) - set(ABILITIES)
        if unknown:
            raise TypeError(f"{cls.__name__}.cannot names {sorted(unknown)}; the abilities are {', '.join(ABILITIES)}")
        own = cls.__module__.startswith(f"{__package__}.")
        for name in () if own else vars(cls):
            if name.startswith("test_") and any(hasattr(base, name) for base in cls.__bases__):
                raise TypeError(f"{cls.__name__} overrides {name}; state what the backend cannot do in `cannot` instead")

    @pytest.fixture
    def backend(self) -> Backend:
        """The backend under test: the instance that the core would use for the job."""
        return registry.backend(registry.canonical(self.job))

    @pytest.fixture(params=["run", "arun"])
    def way(self, request: pytest.FixtureRequest) -> Way:
        """Which of its two methods runs the calls."""
        found: Way = request.param
        return found

    @pytest.fixture
    def folder(self, tmp_path: Path) -> Iterator[str]:
        """A folder for what workers record; at the end, calls that are still held go on. None may have given up."""
        yield str(tmp_path)
        self.let_go(str(tmp_path))
        assert not functions.count(tmp_path, functions.GAVE_UP), "a call was held until it gave up"

    @pytest.fixture(autouse=True)
    def _able(self, request: pytest.FixtureRequest) -> None:
        ability = getattr(request.function, "needs", None)
        if ability is not None and ability in self.cannot:
            pytest.skip(f"cannot {ability}: {self.cannot[ability]}")

    def work(self, function: Callable[..., Any], constants: Mapping[str, Any] | None = None, **changes: Any) -> Work:
        """Returns work for the backend; it does not stop at a failure unless ``changes`` say so."""
        given: dict[str, Any] = {"workers": self.workers, "stop_at_failure": False, "options": self.options, **changes}
        name = getattr(function, "__qualname__", "function")
        return Work(function=function, constants=constants or {}, name=name, **given)

    def feed(self, work: Work, chunks: Iterable[Chunk | None], way: Way = "run") -> Feed:
        """Returns chunks for a run of ``work``."""
        return Feed(chunks, 2 * work.workers + (ON_THE_WAY if way == "arun" else 0))

    def gather(self, backend: Backend, work: Work, chunks: Iterable[Chunk | None], way: Way = "run") -> Gathered:
        """Runs to the end and returns what came."""
        feed = chunks if isinstance(chunks, Feed) else self.feed(work, chunks, way)
        gathered = Gathered()
        if way == "arun":
            asyncio.run(self._agather(backend, work, feed, gathered))
        else:
            for _ in self.results(backend, work, feed, gathered):
                pass
        return gathered

    def results(
        self, backend: Backend, work: Work, feed: Feed, gathered: Gathered | None = None
    ) -> Generator[ChunkResult, None, None]:
        """Yields what `Backend.run` does, each result checked and recorded."""
        gathered = Gathered() if gathered is None else gathered
        with contextlib.closing(backend.run(work, feed)) as results:
            for result in results:
                self.take(feed, gathered, result)
                yield result

    async def _agather(self, backend: Backend, work: Work, feed: Feed, gathered: Gathered) -> None:
        results: AsyncIterator[ChunkResult] = backend.arun(work, feed)
        async with contextlib.aclosing(results) as open_results:  # type: ignore[type-var]
            async for result in open_results:
                self.take(feed, gathered, result)

    def take(self, feed: Feed, gathered: Gathered, result: ChunkResult) -> None:
        """Checks and records one result."""
        gathered.add(result)
        feed.settle(result)

    def check_usable(self, backend: Backend) -> None:
        """Fails unless the backend still runs calls as it should."""
        values = list(range(2 * self.workers))
        gathered = self.gather(backend, self.work(functions.same), chunks_of(values))
        assert gathered.failures == {}
        assert gathered.ordered() == values

    @contextlib.contextmanager
    def folder_within(self, folder: str) -> Iterator[str]:
        """Yields a new folder inside ``folder``, as for one of several attempts; at its end, calls held there go on."""
        inner = tempfile.mkdtemp(dir=folder)
        try:
            yield inner
        finally:
            self.let_go(inner)
        assert not functions.count(inner, functions.GAVE_UP), "a call was held until it gave up"

    def let_go(self, folder: str) -> None:
        """Lets held calls go on."""
        Path(folder, functions.GO).touch()

    @contextlib.contextmanager
    def letting_go(self, folder: str, condition: Callable[[], object]) -> Iterator[None]:
        """Lets held calls go on as soon as ``condition()`` is true, while the block runs."""

        def wait() -> None:
            try:
                wait_until(condition)
            finally:
                self.let_go(folder)

        thread = threading.Thread(target=wait, name="contract-letting-go")
        thread.start()
        try:
            yield
        finally:
            thread.join()
