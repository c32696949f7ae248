"""Where workers wait for work, and that calls run anywhere."""

from __future__ import annotations

import errno
import os
import threading
import time

import pytest
from jd_compute.worker.cpu_placement import give_way, waiting_cpus, waiting_on
from jd_core import distribute

pytestmark = pytest.mark.skipif(not hasattr(os, "sched_setaffinity"), reason="this system does not say where threads run")


def cpus() -> set[int]:
    """Returns where this thread may run."""
    return os.sched_getaffinity(0)


@pytest.mark.parametrize(
    ("usable", "workers", "found"),
    [({4, 2}, 2, [2, 4]), ({0, 1}, 3, [0, 1, 0]), ({0, 1, 2}, 2, [None] * 2), ({0}, 2, [None] * 2)],
    ids=["one each", "more workers", "more CPUs", "one CPU"],
)
def test_workers_have_a_cpu_each_where_there_are_no_more(monkeypatch, usable, workers, found):
    """With CPUs to spare, the system chooses one that is idle."""
    monkeypatch.setattr(os, "sched_getaffinity", lambda process: usable)
    assert waiting_cpus(workers) == found


def test_who_waits_elsewhere_runs_where_it_ran_before():
    """Also where the user's function has said that it may run on some CPUs only."""
    seen = []

    def look():
        for before in [usable] if len(usable) == 1 else [usable, {max(usable)}]:
            os.sched_setaffinity(0, before)
            for cpu in sorted(usable):
                with waiting_on(cpu):
                    seen.append((cpus(), {cpu} if cpu in before else before))
                seen.append((cpus(), before))

    usable = cpus()
    thread = threading.Thread(target=look)  # what is said of this one is forgotten with it
    thread.start()
    thread.join()
    assert len(seen) >= 2
    assert all(found == expected for found, expected in seen)


def apart(pids: set[int]) -> bool:
    """Whether each of these processes is to run on a single CPU, and no two on the same."""
    places = [os.sched_getaffinity(pid) for pid in pids]
    return {len(place) for place in places} == {1} and len(set.union(*places)) == len(places)


@pytest.mark.skipif(hasattr(os, "sched_getaffinity") and len(cpus()) < 2, reason="there is one CPU only")
def test_calls_run_anywhere_and_their_workers_wait_on_different_cpus():
    """Two workers that wake up on one CPU would do one after the other what they could do at once."""
    usable = cpus()

    def work(_):
        time.sleep(0.002)
        return os.getpid(), os.sched_getaffinity(0)

    run = distribute(work, job="compute", workers=len(usable), chunksize=1, idle_seconds=81.0)
    for _ in range(3):
        found = run(range(20 * len(usable)))
        assert {frozenset(places) for _, places in found} == {frozenset(usable)}
        pids = {pid for pid, _ in found}
        deadline = time.monotonic() + 40
        while not apart(pids):
            assert time.monotonic() < deadline, "the workers do not wait on a CPU each"
            time.sleep(0.005)


@pytest.mark.parametrize("function", ["sched_getscheduler", "sched_setscheduler"])
def test_workers_start_where_nobody_may_say_when_they_run(monkeypatch, function):
    """Section 6: or where the C library has these functions in name only, as musl does."""
    if not hasattr(os, "SCHED_BATCH"):
        pytest.skip("a way in which Linux shares out time")

    def refuse(*_):
        raise OSError(errno.ENOSYS, "not here")

    monkeypatch.setattr(os, function, refuse)
    give_way()
