"""``job="auto"``: the first calls run here and count; the others run where they belong."""

from __future__ import annotations

import asyncio
import logging
import os
import threading
import time
from typing import TYPE_CHECKING, Any

import pytest
from jd_core import Retry, distribute, trace
from jd_core._auto import backend as auto_backend
from jd_core._auto import choose as choosing
from jd_core._auto import forecast, trial
from jd_core._auto import sample as sampling
from jd_core._auto.forecast import Choice
from jd_core._execution import serial
from jd_core.testing.harness import best_of_three

if TYPE_CHECKING:
    from collections.abc import Generator, Iterator

    from jd_core.backend import Chunk, ChunkResult, Work


@distribute(job="auto")
def pause(seconds: float) -> tuple[int, str]:
    """Waits; returns where."""
    if seconds:  # to sleep for no time takes a tenth of a millisecond
        time.sleep(seconds)
    return os.getpid(), threading.current_thread().name


@distribute(job="auto")
def square(number: int) -> int:
    """Too little to be worth a message."""
    return number * number


@distribute(job="auto")
def compute(rounds: int) -> int:
    """Computes for so many rounds; returns where."""
    sum(number * number for number in range(rounds))
    return os.getpid()


def test_calls_that_wait_run_in_threads(caplog: pytest.LogCaptureFixture) -> None:
    """The first ones ran here and are results like the others; the log says what was decided, and why."""
    with caplog.at_level(logging.INFO, "just_distribute"):
        places = pause(30 * [0.015])
    names = [name for _, name in places]
    assert names[0] == threading.current_thread().name
    assert names[-1].startswith("just-distribute-io")
    assert {pid for pid, _ in places} == {os.getpid()}
    (line,) = [record.getMessage() for record in caplog.records]
    assert line.startswith("pause(): job='auto' runs its calls under 'io': calls of ")


def test_the_report_says_where_calls_ran() -> None:
    """With the reason, and with as many workers as there were; also that they stayed here."""
    with trace() as run:
        pause(30 * [0.015])
    (record,) = run.runs
    (note,) = record.notes
    assert note in str(run.report)
    assert note.startswith("auto     runs its calls under 'io': calls of ")
    assert record.workers == distribute(pause.local, job="io").explain([1.0] * 50).workers
    with trace() as run:
        square(range(100_000))
    assert "\nauto     goes on with its calls here: " in str(run.report)
    assert run.runs[0].workers == 1


@pytest.mark.process
def test_calls_that_compute_run_in_processes(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where there is enough of them, and more CPUs than one."""
    monkeypatch.setattr(choosing, "usable_cpus", lambda: 4)
    monkeypatch.setattr(forecast, "_start", lambda job: 0.0)
    pids = compute(60 * [200_000])
    assert pids[0] == os.getpid()
    assert pids[-1] != os.getpid()


def test_tiny_calls_stay_here(caplog: pytest.LogCaptureFixture) -> None:
    """Nothing is started for them; the log says so once."""
    with caplog.at_level(logging.INFO, "just_distribute"):
        assert square(range(50_000)) == [number * number for number in range(50_000)]
    (line,) = [record.getMessage() for record in caplog.records]
    assert line.startswith("square(): job='auto' goes on with its calls here: calls ")


def test_tiny_calls_that_become_long() -> None:
    """What stays here is measured on: calls that get longer move, after at most as many as there were before."""
    places = pause(100 * [0.0] + 300 * [0.001])
    assert places[0][1] == threading.current_thread().name
    assert places[-1][1].startswith("just-distribute-io")


@best_of_three  # a busy machine has more such moments
def test_a_moment_in_which_nothing_runs_is_no_reason_to_move() -> None:
    """Where the thread did not run for 10 ms, calls around that seem to take longer; the next ones do not."""
    places: list[int] = []

    @distribute(job="auto")
    def tiny(number: int) -> int:
        if number in (8, 5_000):
            time.sleep(0.01)
        places.append(threading.get_ident())
        return number

    assert tiny(range(20_000)) == list(range(20_000))
    assert places == [threading.get_ident()] * 20_000


@pytest.mark.parametrize("seconds", [0.0, 0.005], ids=["stay", "wait"])
def test_only_what_may_be_sent_is_serialized(seconds: float) -> None:
    """What calls cost in a process need not be known of those that stay here, or run in threads."""
    serialized: list[object] = []

    class Argument:
        def __reduce__(self) -> str | tuple[Any, ...]:
            serialized.append(self)
            return Argument, ()

    @distribute(job="auto", workers=1 if not seconds else 2)
    def take(argument: Argument) -> Argument:
        if seconds:
            time.sleep(seconds)
        return argument

    arguments = [Argument() for _ in range(5_000 if not seconds else 50)]
    assert take(arguments) == arguments
    assert not serialized


def test_coroutines_run_on_a_loop() -> None:
    """From the first call on."""

    @distribute(job="auto")
    async def nap(seconds: float) -> str:
        await asyncio.sleep(seconds)
        return threading.current_thread().name

    assert set(nap(5 * [0.001])) == {"just-distribute-web-loop"}

    async def main() -> set[str]:
        return set(await nap.aio(5 * [0.001]))

    assert asyncio.run(main()) == {threading.current_thread().name}


@pytest.mark.process
def test_a_timeout_is_kept() -> None:
    """A call that must be ended runs in a process from the start."""
    results = pause.options(timeout=0.3, workers=2, return_exceptions=True)([0.0, 60.0])
    assert isinstance(results[1], TimeoutError)


@pytest.mark.parametrize("length", [0, 1, 2, 19, 20, 21, 300])
def test_every_call_runs_once_in_order(length: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """However the calls are divided between here and there."""
    made: list[int] = []
    monkeypatch.setattr(choosing, "_computing", choosing._waiting)  # threads, which share this list

    @distribute(job="auto", workers=3)
    def note(number: int) -> int:
        made.append(number)
        time.sleep(0.0005)
        return -number

    assert note(range(length)) == [-number for number in range(length)]
    assert sorted(made) == list(range(length))
    made.clear()
    assert list(note.stream(iter(range(length)))) == [-number for number in range(length)]
    assert dict(note.options(chunksize=7).as_completed(range(length))) == {number: -number for number in range(length)}
    assert len(made) == 2 * length


def test_results_come_as_they_are_there() -> None:
    """A stream has the first result before the sample is complete, and reads no further than it must."""
    read: list[int] = []

    def source() -> Iterator[float]:
        for number in range(1000):
            read.append(number)
            yield 0.01

    with pause.stream(source()) as results:
        assert next(results)[1]
        assert len(read) < 200


def test_the_loop_stays_free() -> None:
    """Calls that run here run in a thread, where the caller is on an event loop."""
    loop_thread = threading.get_ident()

    @distribute(job="auto")
    def where(number: int) -> int:
        return threading.get_ident()

    async def main() -> list[int]:
        return await where.aio(range(3))

    assert loop_thread not in asyncio.run(main())


def test_failures_are_those_of_any_job() -> None:
    """With index and note; in the sample and after it."""

    @distribute(job="auto", workers=2)
    def check(number: int) -> int:
        time.sleep(0.002)
        if number in (1, 40):
            raise ValueError(number)
        return number

    with pytest.raises(ValueError, match="1") as caught:
        check(range(50))
    assert "call 1 of 50" in caught.value.__notes__[0]
    assert caught.value.partial == {0: 0}  # type: ignore[attr-defined]
    kept = check.options(return_exceptions=True)(range(50))
    assert [index for index, result in enumerate(kept) if isinstance(result, ValueError)] == [1, 40]


def test_retries_go_on_elsewhere() -> None:
    """A call that fails in the sample is attempted again, wherever that is."""
    attempts: dict[int, int] = {}

    @distribute(job="auto", workers=2, retries=Retry(2, initial=0.001))
    def flaky(number: int) -> int:
        attempts[number] = attempts.get(number, 0) + 1
        time.sleep(0.003)
        if attempts[number] < 2:
            raise OSError
        return number

    assert flaky(range(40)) == list(range(40))
    assert set(attempts.values()) == {2}


def test_batches() -> None:
    """A parameter that is hinted as a collection is cut as under any job."""

    @distribute(job="auto")
    def double(numbers: list[int]) -> list[int]:
        return [2 * number for number in numbers]

    assert double(range(100)) == [2 * number for number in range(100)]


class Clock:
    """Stands for the module `time`: calls take what they say, and nothing else takes any."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.now = 100.0
        for module in (trial, sampling, serial):
            monkeypatch.setattr(module, "time", self)
        monkeypatch.setattr(sampling, "_runqueue_seconds", lambda: 0.0)

    def perf_counter(self) -> float:
        """Seconds, of which all are CPU time."""
        return self.now

    thread_time = process_time = perf_counter


@pytest.mark.parametrize("each", [2e-6, 2e-5, 2e-4])
def test_short_runs_are_looked_at_once(each: float, monkeypatch: pytest.MonkeyPatch) -> None:
    """A run of a few milliseconds costs hardly more than a loop: one decision, one chunk, and no look at the machine."""
    clock = Clock(monkeypatch)
    chunks: list[int] = []
    decisions: list[Choice] = []

    @distribute(job="auto")
    def tiny(number: int) -> int:
        clock.now += each
        return -number

    def run_chunk(*arguments: Any) -> Any:
        result = serial.run_chunk(*arguments)
        chunks.append(len(result.chunk))
        return result

    def choose(*arguments: Any, **more: Any) -> Choice:
        decisions.append(choosing.choose(*arguments, **more))
        return decisions[-1]

    monkeypatch.setattr(trial, "run_chunk", run_chunk)
    monkeypatch.setattr(trial, "choose", choose)
    monkeypatch.setattr(trial, "brief_seconds", lambda left, workers: 0.0)
    number = round(0.008 / each)
    for _ in range(2):  # the first one does not know yet how long calls take
        chunks.clear()
        decisions.clear()
        assert tiny(range(number)) == [-k for k in range(number)]
    assert sum(chunks) == number
    assert len(chunks) == 1
    assert [decision.job for decision in decisions] == ["serial"]


@pytest.mark.parametrize(("start", "least", "most"), [(0.2, 0.5, 1.0), (0.002, 0.0, 0.05)], ids=["cold", "warm"])
def test_a_source_without_a_length_may_end_at_once(
    start: float, least: float, most: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Workers are not started before calls here have taken a few times as long as that, so little is lost if it was all."""
    clock = Clock(monkeypatch)
    moved: list[float] = []

    @distribute(job="auto")
    def computing(number: int) -> int:
        clock.now += 0.0005
        return -number

    def move(work: Work, choice: Choice) -> Any:
        moved.append(clock.now - began)
        return serial.SerialBackend(), work

    monkeypatch.setattr(choosing, "usable_cpus", lambda: 2)
    monkeypatch.setattr(forecast, "_start", lambda job: start)
    monkeypatch.setattr(auto_backend, "_moved", move)
    began = clock.now
    assert computing(iter(range(4000))) == [-k for k in range(4000)]
    assert len(moved) == 1
    assert least < moved[0] < most


def test_what_is_left_when_calls_move_is_for_all_workers(monkeypatch: pytest.MonkeyPatch) -> None:
    """Calls that earlier ones let expect to be tiny are in one chunk, of which each worker gets a part."""
    clock = Clock(monkeypatch)
    seconds = 1e-6
    chunks: list[int] = []

    class There(serial.SerialBackend):
        def run(self, work: Work, given: Iterator[Chunk | None]) -> Generator[ChunkResult, None, None]:
            for chunk in given:
                assert chunk is not None
                chunks.append(len(chunk))
                yield from super().run(work, iter([chunk]))

    @distribute(job="auto")
    def changing(number: int) -> int:
        clock.now += seconds
        return -number

    changing(range(1000))
    seconds = 0.3
    monkeypatch.setattr(trial, "choose", lambda *arguments, **more: Choice("io", 4, 4.0, "they are long"))
    monkeypatch.setattr(auto_backend, "_moved", lambda work, choice: (There(), work))
    assert changing(range(1000)) == [-k for k in range(1000)]
    assert len(chunks) == 4
    assert max(chunks) <= 250
    chunks.clear()
    assert changing.options(chunksize=500)(range(1000)) == [-k for k in range(1000)]
    assert chunks == [498, 500]  # after two, of which the first may have loaded things
