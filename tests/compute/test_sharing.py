"""Workers with nothing to do get part of what others have not begun."""

from __future__ import annotations

import os
import random
import time
from types import SimpleNamespace

import pytest
from jd_compute.transport.status_page import Status
from jd_compute.worker import reporter as reporting
from jd_core import distribute


@pytest.fixture
def alone_for_a_while(tmp_path):
    """A function whose calls below 100 take 0.4 s each as long as only one worker has made any of them."""

    def work(number):
        if number < 100:
            (tmp_path / str(os.getpid())).touch()
            end = time.monotonic() + 0.4
            while len(os.listdir(tmp_path)) < 2 and time.monotonic() < end:
                time.sleep(0.005)

    yield work
    assert len(os.listdir(tmp_path)) == 2, "nobody helped"


@pytest.mark.parametrize("started", [1, 2])
def test_calls_that_seemed_tiny_are_shared_when_they_are_not(alone_for_a_while, started):
    """A few calls go to one worker if they are expected to cost less than a message; if they do not, others help."""
    run = distribute(alone_for_a_while, job="compute", workers=2, idle_seconds=82.0 + started)
    run(range(100, 100 + started))  # starts so many
    run._target.durations.record(10**9, 1.0)
    run(range(10))


def test_a_worker_with_nothing_to_do_gets_part_of_what_another_one_has(alone_for_a_while):
    """All long calls were in one message, and calls expected to be short."""
    run = distribute(alone_for_a_while, job="compute", workers=2)
    run(range(100, 200))
    run._target.durations.record(10**9, 1.0)
    run(range(400))


def test_calls_that_were_put_together_by_choice_stay_together():
    """Section 1: with ``chunksize`` that many calls are sent to a worker in one message, whoever has nothing to do."""

    def work(number):
        time.sleep(0.002 if number < 50 else 0.0)
        return os.getpid()

    pids = distribute(work, job="compute", workers=2, chunksize=50)(range(100))
    assert len(set(pids[:50])) == len(set(pids[50:])) == 1


@pytest.mark.parametrize("workers", [2, 5])
def test_calls_that_change_hands_run_once(tmp_path, workers):
    """Promise 6: and have their own result, however often that happens."""
    begun = tmp_path / "begun"

    def work(number, *, seconds):
        with begun.open("ab", buffering=0) as file:
            file.write(b"%d\n" % number)
        time.sleep(seconds[number])
        return number << 40

    run = distribute(work, job="compute", workers=workers)
    chance = random.Random(workers)
    for _ in range(5):
        seconds = [chance.choice([0, 0, 0, 0.0005, 0.01]) for _ in range(300)]
        run._target.durations.record(10**9, 1.0)  # so that they go in a few large messages
        assert run(range(300), seconds=seconds) == [number << 40 for number in range(300)]
        assert sorted(map(int, begun.read_bytes().split())) == list(range(300))
        begun.unlink()


@pytest.mark.parametrize(
    ("number", "milliseconds", "done", "returned"),
    [(7, 2, 10, True), (7, 0.5, 10, False), (8, 2, 10, False), (6, 2, 10, True), (7, 2, 0, False)],
    ids=["some left", "hardly begun", "a later chunk", "an earlier chunk", "no call made"],
)
def test_calls_that_are_asked_for_are_returned(monkeypatch, number, milliseconds, done, returned):
    """A worker that is asked for calls returns them once it has been at the chunk for long enough."""
    page = Status()
    page.want_back(7)
    clock = iter([1.0, 1.0 + milliseconds / 1000])
    monkeypatch.setattr(reporting, "time", SimpleNamespace(perf_counter=clock.__next__, monotonic_ns=time.monotonic_ns))
    reporter = reporting.Reporter(SimpleNamespace(status=page, is_forked=False), 1, number, 0, 100, recorded=False)
    assert reporter.between([None] * done, [], 1) is returned
    page.close()
