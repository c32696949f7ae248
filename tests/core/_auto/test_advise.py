"""`f.advise`: what it calls, what it leaves alone, and what it says."""

from __future__ import annotations

import asyncio
import os
import random
import threading
import time
from collections.abc import AsyncIterator, Iterator
from typing import Any, Self

import pytest
from jd_core import BatchingError, Retry, SignatureError, distribute, per_worker
from jd_core._auto import choose as choosing
from jd_core._auto import forecast, measure
from jd_core._auto import sample as sampling
from jd_core._insight.advice import Advice
from jd_core.backend.cpus import busy_seconds
from jd_core.testing.harness import best_of_three

CANARY = "-".join(("canary", "of", "advice"))


@pytest.fixture(autouse=True)
def idle(monkeypatch: pytest.MonkeyPatch) -> None:
    """A machine with four CPUs that nobody else uses, and workers that have started."""
    monkeypatch.setattr(choosing, "usable_cpus", lambda: 4)
    monkeypatch.setattr(forecast, "_start", lambda job: 0.003)
    monkeypatch.setattr(measure, "is_crowded", lambda others: False)


def wait(number: int, *, seconds: float = 0.004) -> int:
    """Waits."""
    time.sleep(seconds)
    return number


async def wait_on_loop(number: int) -> int:
    """Lets others run meanwhile."""
    await asyncio.sleep(0.004)
    return number


async def block(number: int) -> int:
    """Lets nobody run meanwhile."""
    time.sleep(0.004)
    return number


def test_waiting_calls():
    """Threads, by as much as there are of them; it fits a screen."""

    @best_of_three
    def look() -> None:
        advice = distribute(wait).advise(range(500))
        low, high = advice.gain_range
        assert advice.job == "io"
        assert advice.workers == distribute(wait, job="io").explain(range(500)).workers
        assert 1.0 < low <= advice.gain <= high
        assert advice.calls == 500
        assert advice.seconds is not None
        assert advice.seconds >= 2.0
        lines = str(advice).splitlines()
        assert lines[0] == f"wait(): job='io', workers={advice.workers}"
        assert len(lines) <= 10

    look()


@pytest.mark.parametrize(("function", "job"), [(wait_on_loop, "web"), (block, "io")])
def test_coroutine_functions(function: Any, job: str):
    """Those that wait go to web; those that block its loop would run there one at a time, and threads wait for them."""
    assert distribute(function, job="web").advise(range(500)).job in (job, None)  # None: on a busy machine


def test_on_a_running_loop():
    """The caller's event loop is not in the way of a coroutine function."""

    async def main() -> Advice:
        return distribute(wait_on_loop, job="web").advise(range(500))

    assert asyncio.run(main()).job in ("web", None)


def test_few_calls_are_made_and_each_element_once():
    """The first ones, in order, then others at once; far fewer than there are."""
    seen: list[int] = []
    distribute(lambda number: seen.append(number) or wait(number)).advise(range(10_000))
    assert seen[:10] == list(range(10))
    assert sorted(seen) == list(range(len(seen)))
    assert len(seen) < 500


@pytest.mark.parametrize("number", [1, 2, 3, 4, 7])
def test_there_are_few_calls(number: int):
    """No element twice, and no more than there are."""
    seen: list[int] = []
    advice = distribute(lambda number: seen.append(number) or wait(number)).advise(range(number))
    assert len(seen) == len(set(seen)) <= number
    assert advice.calls == number
    assert str(advice)


def test_no_call():
    """There is nothing to measure."""
    advice = distribute(wait).advise([])
    assert advice.job is None
    assert "there is no call" in str(advice)


class Lazy:
    """Can be read again and again, and has no length."""

    def __iter__(self) -> Iterator[int]:
        return iter(range(60))


def test_an_unknown_length():
    """Then it is not said how long a loop takes."""
    advice = distribute(wait).advise(Lazy())
    assert advice.job == "io"
    assert advice.calls is None
    assert advice.seconds is None


def test_iterators_are_left_alone():
    """What can be read only once is for the call: an argument, an element, a constant."""
    numbers = iter(range(100))
    assert "number can be read only once" in distribute(wait).advise(numbers).why
    assert len(list(numbers)) == 100
    elements = [iter(range(3)) for _ in range(50)]
    assert "elements of values" in distribute(lambda values: list(values)).advise(elements).why
    assert [len(list(element)) for element in elements] == [3] * 50
    source = iter(range(100))
    take = distribute(lambda number, *, source: next(source))
    assert "source can be read only once" in take.advise([1], source=source).why
    assert len(list(source)) == 100


def test_async_iterables_are_left_alone():
    """They are for a loop, and `advise` may be called without one."""

    async def numbers() -> AsyncIterator[int]:
        yield 1

    source = numbers()
    advice = distribute(wait, job="io").advise(source)
    assert advice.job is None
    asyncio.run(source.aclose())  # type: ignore[attr-defined]


def test_wrong_arguments_raise_as_the_call_does():
    """Before anything is called."""
    with pytest.raises(SignatureError):
        distribute(wait).advise(3)
    with pytest.raises(BatchingError):
        distribute(lambda one, two: None).advise([1, 2], [1])


def refuse(number: int, *, calls: list[int]) -> None:
    """Fails."""
    calls.append(number)
    time.sleep(0.002)
    raise LookupError(number)


def test_a_call_that_raises_ends_it():
    """With its own exception, as the call would."""
    calls: list[int] = []
    with pytest.raises(LookupError):
        distribute(refuse).advise(range(100), calls=calls)
    assert calls == [0]


@pytest.mark.parametrize("options", [{"return_exceptions": True}, {"retries": Retry(3)}], ids=["returned", "retried"])
def test_failures_that_the_run_would_survive(options: dict[str, Any]):
    """They count as any call: the time that they take is theirs."""
    calls: list[int] = []
    assert distribute(refuse, **options).advise(range(500), calls=calls).job == "io"
    assert len(calls) > 10


def test_a_rate_is_not_measured():
    """A service would be called faster than was promised."""
    seen: list[int] = []
    advice = distribute(seen.append, job="io", max_per_second=5).advise(range(100))
    assert not seen
    assert "max_per_second" in advice.why


def test_constants_of_workers_are_closed():
    """Each thread has one, and closes it."""
    opened, closed = [], []

    class Client:
        def __enter__(self) -> Self:
            opened.append(threading.get_ident())
            return self

        def __exit__(self, *error: object) -> None:
            closed.append(threading.get_ident())

    distribute(lambda number, *, client: wait(number)).advise(range(500), client=per_worker(Client))
    assert opened
    assert sorted(opened) == sorted(closed)


def test_batches_and_random_numbers_and_methods():
    """They are made as for a call."""

    class Scale:
        @distribute(batch_size=50)
        def apply(self, values: list[int], *, rng: random.Random) -> list[float]:
            assert isinstance(values, list)
            time.sleep(0.004)
            return [rng.random() for _ in values]

    assert Scale().apply.advise(range(1000)).calls == 20


def test_nothing_secret_is_shown():
    """No argument, constant or result is in it."""
    advice = distribute(lambda text, *, key: text + key).advise([CANARY] * 200, key=CANARY)
    assert CANARY not in f"{advice}{advice!r}{advice._repr_html_()}"


def test_the_text_and_the_table():
    """The same facts; what could be HTML is not."""
    advice = Advice("f.<locals>.g", "compute", 2, 1.9, (1.3, 2.2), 3, 2.5, "a < b", ("2 calls",), ("more CPUs",))
    assert str(advice).splitlines() == [
        "f.<locals>.g(): job='compute', workers=2",
        "gain      1.9 times as fast as a plain loop (1.3 to 2.2)",
        "why       a < b",
        "a loop    about 2.5 s for 3 calls",
        "measured  2 calls",
        "changes   more CPUs",
    ]
    assert "<td>a &lt; b</td>" in advice._repr_html_()
    assert "f.&lt;locals&gt;.g()" in advice._repr_html_()


def test_what_would_change_it():
    """A plain loop may be as fast because there are few calls, or because their data is large."""
    few = distribute(lambda number: sum(range(2000))).advise(range(30))
    assert few.job != "compute"
    large = distribute(len).advise([bytes(2_000_000)] * 40)
    assert large.job == "serial"
    assert "names of files" in large.changes[0]


def look_at(data: bytes) -> int:
    """Holds the interpreter's lock for some microseconds."""
    return sum(data[::2048])


def test_a_moment_does_not_show_whether_calls_release_the_lock():
    """Two threads that have it for a millisecond each, one after the other, are not at work at the same time."""
    advice = distribute(look_at).advise([bytes(1_000_000)] * 800)  # on a busy machine they have it for several
    assert not any("at once" in line for line in advice.measured)
    assert "release" not in advice.why


def test_calls_alone_are_made_as_a_plain_loop_makes_them():
    """In the caller's thread, whose memory may be further away than that of a thread of its own; coroutines are not."""
    caller = threading.get_ident()
    seen: list[int] = []
    distribute(lambda number: seen.append(threading.get_ident()) or wait(number)).advise(range(500))
    assert set(seen[:10]) == {caller}
    assert len(set(seen)) > 2
    seen.clear()

    async def nap(number: int) -> None:
        seen.append(threading.get_ident())
        time.sleep(0.004)

    distribute(nap, job="web").advise(range(500))
    assert caller not in seen


def test_what_measuring_costs_is_none_of_the_calls(monkeypatch: pytest.MonkeyPatch):
    """Calls of 0.1 µs are measured as such, though a look at a clock takes as long as fifty of them."""
    now = 100.0

    class Clock:
        def perf_counter(self) -> float:
            nonlocal now
            now += 5e-6
            return now

        thread_time = process_time = perf_counter

    for module in (sampling, measure):
        monkeypatch.setattr(module, "time", Clock())
    monkeypatch.setattr(sampling, "_runqueue_seconds", lambda: 0.0)

    @distribute
    def tiny(number: int) -> int:
        nonlocal now
        now += 1e-7
        return number

    advice = tiny.advise(range(20_000))
    assert advice.seconds == pytest.approx(0.002, rel=0.1)


def test_other_programs_are_seen_while_calls_are_measured(monkeypatch: pytest.MonkeyPatch):
    """What they use of the CPUs at the time, not what the machine did in the last minute."""
    seen: list[float | None] = []
    monkeypatch.setattr(measure, "is_crowded", lambda others: bool(seen.append(others)))
    distribute(wait).advise(range(500))
    assert seen[0] is None or 0.0 <= seen[0] <= (os.cpu_count() or 1) + 0.5
    assert (seen[0] is None) == (busy_seconds() is None)
