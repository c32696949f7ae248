"""``job="auto"``: calls that are so brief that they go on in the calling thread whatever they do."""

from __future__ import annotations

import logging
import threading
import time
from typing import Any

import pytest
from jd_core import distribute
from jd_core._auto import choose as choosing
from jd_core._auto import forecast, trial
from jd_core._auto.choose import choose
from jd_core._auto.forecast import brief_seconds
from jd_core._auto.sample import Clocks, Sample


@distribute(job="auto")
def square(number: int) -> int:
    """Too little to be worth a message."""
    return number * number


@pytest.fixture
def read(monkeypatch: pytest.MonkeyPatch) -> list[Clocks]:
    """What is read of all clocks."""
    found: list[Clocks] = []

    class Counted(Clocks):
        @classmethod
        def now(cls) -> Clocks:
            found.append(Clocks.now())
            return found[-1]

    monkeypatch.setattr(trial, "Clocks", Counted)
    return found


def test_one_clock_is_enough(read: list[Clocks], monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> None:
    """Of a function whose calls were brief before, nothing has to be decided; the log says what is done, once."""
    monkeypatch.setattr(trial, "brief_seconds", lambda left, workers: 1.0)  # they are, however busy the machine is
    square(range(5_000))
    assert read  # nothing was known of the first call
    read.clear()
    monkeypatch.delattr(trial, "choose")
    with caplog.at_level(logging.INFO, "just_distribute"):
        assert square(range(5_000)) == [number * number for number in range(5_000)]
    assert not read
    (line,) = [record.getMessage() for record in caplog.records]
    assert line.startswith("square(): job='auto' goes on with its calls here: calls of ")


@pytest.mark.parametrize("sized", [True, False], ids=["list", "iterator"])
def test_calls_that_become_longer_move(sized: bool) -> None:
    """Also where earlier runs, and the first calls of this one, were brief; after at most as many as there were before."""

    @distribute(job="auto")
    def pause(seconds: float) -> str:
        if seconds:
            time.sleep(seconds)
        return threading.current_thread().name

    for _ in range(2):
        pause(2_000 * [0.0])
    seconds = 300 * [0.0] + 900 * [0.001]
    names = pause(seconds if sized else iter(seconds))
    assert set(names[:300]) == {threading.current_thread().name}
    assert names[-1].startswith("just-distribute-io")


def test_a_long_call_ends_it(read: list[Clocks]) -> None:
    """Also the last one of its chunk: the next ones are measured."""

    @distribute(job="auto", workers=1)
    def pause(seconds: float) -> float:
        if seconds:
            time.sleep(seconds)
        return seconds

    for _ in range(2):
        pause(2_000 * [0.0])
    read.clear()
    seconds = 100 * [0.0] + 8 * [0.05]
    assert pause(iter(seconds)) == seconds
    assert read


def test_a_chunk_that_the_user_chose_says_nothing(read: list[Clocks]) -> None:
    """Its calls may be long: all is measured from the first one on."""
    twice = square.options(chunksize=1_000)
    for _ in range(2):
        read.clear()
        twice(range(1_000))
        assert read


def test_results_and_failures_are_those_of_a_loop() -> None:
    """Wherever a call fails, and however long it took."""

    @distribute(job="auto", return_exceptions=True)
    def check(number: int) -> int:
        if number == 700:
            time.sleep(0.002)
        if number % 1_000 == 999:
            raise ValueError(number)
        return -number

    for _ in range(3):
        found: list[Any] = check(range(3_000))
        assert [index for index, value in enumerate(found) if isinstance(value, ValueError)] == [999, 1_999, 2_999]
        assert found[700] == -700
        assert [value for value in found if not isinstance(value, ValueError)] == [-k for k in range(3_000) if -~k % 1_000]


@pytest.mark.parametrize("start", [0.0, 0.002, 0.2])
@pytest.mark.parametrize("cpus", [1, 2, 4, 64])
@pytest.mark.parametrize("left", [1, 100, 10_000, 1_000_000, 100_000_000])
def test_what_is_brief_would_have_stayed(start: float, cpus: int, left: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """The short way comes to what a full measurement of calls that compute comes to, even without data to send."""
    monkeypatch.setattr(choosing, "usable_cpus", lambda: cpus)
    monkeypatch.setattr(choosing, "is_installed", lambda job: True)
    monkeypatch.setattr(forecast, "_start", lambda job: start)
    limit = brief_seconds(left, cpus)
    assert 0.0 < limit <= forecast.BRIEF_SECONDS
    for each in (limit * 0.99, limit * 0.5, 1e-8):
        sample = Sample(1_000, 1_000 * each, 1_000 * each, 0.0, 1_000 * each)
        assert each > limit or choose(sample, left, None).job == "serial"
    if limit < forecast.BRIEF_SECONDS and left >= cpus:  # and longer ones would not
        each = limit * 1.01
        assert choose(Sample(1_000, 1_000 * each, 1_000 * each, 0.0, 1_000 * each), left, None).job == "compute"
