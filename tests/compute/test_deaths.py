"""Promise 2: a worker's death is named at once, with its index and signal, and what comes next works."""

from __future__ import annotations

import contextlib
import json
import os
import re
import signal
import time

import numpy as np
import psutil
import pytest
from jd_core import SerializationError, WorkerDiedError, distribute
from jd_core.testing.harness import best_of_three


def squares(workers=2, **options):
    """Returns a distributed function that gives (square, process id)."""

    def square(number):
        return number * number, os.getpid()

    return distribute(square, job="compute", workers=workers, **options)


def wait_until_gone(pids):
    """Waits until the processes have ended, or are only waited for by their parent."""
    for pid in pids:
        with contextlib.suppress(psutil.NoSuchProcess):
            while psutil.Process(pid).status() != psutil.STATUS_ZOMBIE:
                time.sleep(0.005)


@pytest.mark.parametrize("workers", [1, 2, 5])
@best_of_three
def test_a_worker_killed_at_a_random_moment_is_named_within_two_seconds(run_script, workers):
    """Promise 2: with index and signal; the next call works within two seconds."""
    done = run_script("random_kills.py", workers, 4)
    assert done.returncode == 0, done.stderr
    reports = json.loads(done.stdout)
    for report in reports:
        assert report["next"] < 2.0
        if report["named"] is None:  # the worker had nothing to do at that moment
            assert report["results"] == 60 * workers
            continue
        assert report["named"] < 2.0
        assert re.search(r"signal 9 \(SIGKILL\) while it ran call \d+", report["message"])
        assert re.match(rf"distribute: \w+\(\): call \d+ of {60 * workers} failed: number=\d+", report["notes"][0])
    assert any(report["named"] is not None for report in reports)


@pytest.mark.parametrize("all_of_them", [False, True])
def test_killed_idle_workers_are_replaced_without_a_word(all_of_them):
    """Promise 1: a worker that dies between calls costs nobody anything."""
    run = squares()
    pids = {pid for _, pid in run(range(50))} | {pid for _, pid in run.options(chunksize=1)(range(50))}
    victims = list(pids)[: None if all_of_them else 1]
    for pid in victims:
        os.kill(pid, signal.SIGKILL)
    wait_until_gone(victims)
    results = run.options(chunksize=1)(range(50))
    assert [square for square, _ in results] == [number * number for number in range(50)]
    assert not {pid for _, pid in results} & set(victims)


def test_a_worker_killed_while_it_reads_a_large_message_is_named(tmp_path):
    """Section 5: nothing depends on where in a message a worker dies."""

    class Slow:
        """Takes for ever to unpickle, and says so."""

        def __reduce__(self):
            return unpickle_for_ever, (str(tmp_path / "begun"), np.zeros(1 << 20))

    def unpickle_for_ever(path, _):
        with open(path, "w") as file:
            file.write(str(os.getpid()))
        os.rename(path, path + "!")
        time.sleep(600)

    import threading

    def kill_when_begun():
        while not (tmp_path / "begun!").exists():
            time.sleep(0.005)
        os.kill(int((tmp_path / "begun!").read_text()), signal.SIGKILL)

    killer = threading.Thread(target=kill_when_begun)
    killer.start()
    results = squares(return_exceptions=True)([0, Slow(), 2])
    killer.join()
    assert isinstance(results[1], WorkerDiedError)
    assert [results[0][0], results[2][0]] == [0, 4]


def test_calls_that_shared_a_message_with_a_death_run_again_and_no_others(tmp_path):
    """Section 5: at least once for those of its message; one chunk's death does not touch another chunk."""

    def leave_a_trace(number):
        with open(tmp_path / str(number), "a") as file:
            file.write("x")
        if number == 5:
            os._exit(1)

    run = distribute(leave_a_trace, job="compute", workers=1, chunksize=4, return_exceptions=True)
    results = run(range(12))
    counts = [len((tmp_path / str(number)).read_text()) for number in range(12)]
    assert isinstance(results[5], WorkerDiedError)
    assert counts[:4] == counts[8:] == [1, 1, 1, 1]
    assert all(count >= 1 for count in counts)


def test_chunksize_one_means_at_most_once(tmp_path):
    """Section 5: with ``chunksize=1`` no call runs twice, whoever dies."""

    def leave_a_trace(number):
        with open(tmp_path / str(number), "a") as file:
            file.write("x")
        if number % 3 == 0:
            os._exit(1)

    distribute(leave_a_trace, job="compute", workers=2, chunksize=1, return_exceptions=True)(range(12))
    assert [len((tmp_path / str(number)).read_text()) for number in range(12)] == [1] * 12


def test_a_function_that_kills_every_worker_that_loads_it_ends_in_an_error():
    """Section 5: a death that no call can be blamed for does not go on for ever."""

    class Deadly:
        def __reduce__(self):
            return os._exit, (9,)

    deadly = Deadly()
    with pytest.raises(WorkerDiedError, match="unpickling the function ends the process"):
        distribute(lambda number, *, cargo: number, job="compute", workers=2)(range(3), cargo=deadly)


@best_of_three
def test_a_worker_that_takes_too_long_is_killed_and_its_call_named():
    """Section 5: ``timeout`` ends the one call; its worker is replaced, and all others give their results."""

    def sleep_long(number):
        if number == 3:
            time.sleep(600)
        return number

    run = distribute(sleep_long, job="compute", workers=2, timeout=0.5, return_exceptions=True)
    results = run(range(8))
    assert isinstance(results[3], TimeoutError)
    assert "call 3 took longer than timeout=0.5 seconds" in str(results[3])
    assert results[:3] + results[4:] == [0, 1, 2, 4, 5, 6, 7]


@best_of_three
def test_chunksize_one_means_at_most_once_while_the_caller_is_busy(tmp_path):
    """Section 5: a worker whose call took too long may have sent the result of the one before; that is taken first."""
    seconds = {3: 0.05, 4: 600, 5: 600}

    def leave_a_trace(number):
        with open(tmp_path / str(number), "a") as file:
            file.write("x")
        time.sleep(seconds.get(number, 0))
        return number

    run = distribute(leave_a_trace, job="compute", workers=2, chunksize=1, timeout=0.5, return_exceptions=True)
    results = {}
    for index, result in run.as_completed(range(6)):
        results[index] = result
        if index == 2:
            time.sleep(0.8)  # meanwhile 3 ends, and the time of what comes after it
    assert [results[index] for index in range(4)] == [0, 1, 2, 3]
    assert all(isinstance(results[index], TimeoutError) for index in (4, 5))
    assert [len((tmp_path / str(number)).read_text()) for number in range(6)] == [1] * 6


@best_of_three
def test_a_call_that_prints_without_end_is_ended_by_its_timeout(capsys):
    """Section 5: however much it sends."""

    def print_for_ever(number):
        while number == 0:
            print("x" * 1000)
        return number

    results = distribute(print_for_ever, job="compute", workers=2, timeout=0.5, return_exceptions=True)(range(4))
    capsys.readouterr()
    assert isinstance(results[0], TimeoutError)
    assert results[1:] == [1, 2, 3]


class UnreadableHere:
    """Does not unpickle in the caller."""

    def __init__(self, caller):
        self.caller = caller

    def __reduce__(self):
        return unread, (self.caller,)


def unread(pid):
    """Raises in the process with this id."""
    if os.getpid() == pid:
        raise ValueError("does not unpickle")


@best_of_three
@pytest.mark.parametrize("end", ["death", "timeout"])
def test_results_that_came_before_a_worker_was_lost_are_given_once(end):
    """Section 5: also where others that came with the first of them did not unpickle, and had to be asked for again."""
    caller = os.getpid()

    def work(number):
        time.sleep(0.15)  # so that results are sent while the others run
        if number == 4 and end == "death":
            os._exit(3)
        if number == 4:
            time.sleep(600)
        return UnreadableHere(caller) if number == 0 else number

    limit = {"timeout": 1.0} if end == "timeout" else {}
    run = distribute(work, job="compute", workers=1, chunksize=6, return_exceptions=True, **limit)
    results = list(run.as_completed(range(6)))
    assert sorted(index for index, _ in results) == list(range(6))
    by_index = dict(results)
    assert isinstance(by_index[0], SerializationError)
    assert isinstance(by_index[4], WorkerDiedError if end == "death" else TimeoutError)
    assert [by_index[index] for index in (1, 2, 3, 5)] == [1, 2, 3, 5]


@best_of_three
def test_each_worker_is_judged_by_the_call_it_is_at():
    """Section 5: while the caller has a failure, other workers end calls that took too long and begin innocent ones."""

    def work(number):
        time.sleep({0: 600, 4: 1.2, 5: 0.6}.get(number, 0))
        return number

    run = distribute(work, job="compute", workers=2, chunksize=4, timeout=1.0, return_exceptions=True)
    run([1] * 8)
    results = {}
    for index, result in run.as_completed(range(8)):
        results[index] = result
        if index == 0:
            time.sleep(0.5)  # until the other worker is at call 5
    assert isinstance(results[0], TimeoutError)
    assert [results[index] for index in (1, 2, 3, 5, 6, 7)] == [1, 2, 3, 5, 6, 7]
