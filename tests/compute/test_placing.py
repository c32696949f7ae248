"""Where workers run: spread over the CPUs by the caller, and without any trace of that in the user's function."""

from __future__ import annotations

import os
import subprocess
import sys
import threading

import pytest
from jd_compute import placing
from jd_core import distribute

if not hasattr(os, "sched_setaffinity"):
    pytest.skip("this system does not say where a process may run", allow_module_level=True)

CPUS = os.sched_getaffinity(0)

several = pytest.mark.skipif(len(CPUS) < 2, reason="there is one CPU only")


def where(value: int) -> list[set[int]]:
    """Returns where its process may run, and a thread that it starts."""
    found = [os.sched_getaffinity(0)]
    thread = threading.Thread(target=lambda: found.append(os.sched_getaffinity(0)))
    thread.start()
    thread.join()
    return found


def stay(value: int) -> set[int]:
    """Keeps its process to one CPU from now on; returns where it was allowed to run before."""
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {min(CPUS)})
    return before


def stay_from_the_start() -> None:
    """Keeps its process to one CPU."""
    stay(0)


def policy(value: int) -> int:
    """Returns how its process is scheduled."""
    return os.sched_getscheduler(0)


@pytest.fixture
def sleeper():
    """A process that does nothing."""
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as process:
        yield process
        process.kill()


@several
def test_workers_are_placed_apart(sleeper):
    """Each wakes up on a CPU of its own, where there are as many workers as CPUs or more."""
    count = len(CPUS)
    placed = set()
    for position in range(2 * count):
        os.sched_setaffinity(sleeper.pid, CPUS)
        placing.place(sleeper.pid, position, count)
        (cpu,) = os.sched_getaffinity(sleeper.pid)
        placed.add(cpu)
    assert placed == CPUS
    os.sched_setaffinity(sleeper.pid, CPUS)
    placing.place(sleeper.pid, 0, count - 1)  # there is room enough: the system finds an idle one
    assert os.sched_getaffinity(sleeper.pid) == CPUS
    sleeper.kill()
    sleeper.wait()
    placing.place(sleeper.pid, 0, count)  # it has died; that will show


def test_functions_may_use_all_cpus():
    """Whatever the caller said of where a worker wakes up is taken back before anything of the user's runs."""
    run = distribute(where, job="compute", workers=len(CPUS), chunksize=1)
    for _ in range(5):
        assert all(found == [CPUS, CPUS] for found in run(range(50)))


@several
def test_where_a_function_put_its_worker_it_stays():
    """The user's own choice is kept from call to call, made by a function or by the initializer."""
    workers = len(CPUS)
    run = distribute(stay, job="compute", workers=workers, chunksize=1, initializer=stay_from_the_start)
    assert all(before == {min(CPUS)} for before in run(range(50)))
    found = distribute(stay, job="compute", workers=workers, chunksize=1, idle_seconds=77)(range(50))
    assert found.count(CPUS) <= workers
    assert all(before in ({min(CPUS)}, CPUS) for before in found)


def test_workers_give_way():
    """A worker that wakes up does not push the caller aside; SCHED_BATCH, if nothing else was asked for."""
    expected = os.SCHED_BATCH if os.sched_getscheduler(0) == os.SCHED_OTHER else os.sched_getscheduler(0)
    assert set(distribute(policy, job="compute", workers=2)(range(4))) == {expected}
