"""Section 6: `worker_number`, on every job: alone, in threads, in coroutines, and for factories of `per_worker`."""

from __future__ import annotations

import asyncio
import concurrent.futures
import os
import signal
import threading
import time

import pytest
from jd_core import distribute, per_worker, worker_number

WORKERS = 3


def number_and_span(_, *, seconds=0.02):
    """Returns the number, and when it had it."""
    began = time.monotonic()
    time.sleep(seconds)
    return worker_number(), began, time.monotonic()


@pytest.fixture
def workers(job):
    """How many workers a run of the job has."""
    return 1 if job == "serial" else WORKERS


def test_numbers_are_those_of_the_runs_workers(job, workers):
    """From 0 on, and two calls at the same time have different ones (but on a cluster, which decides that itself)."""
    spans = distribute(number_and_span, job=job, workers=WORKERS)(range(12))
    assert {number for number, _, _ in spans} <= set(range(workers))
    if job != "ray":
        for at, (number, began, ended) in enumerate(spans):
            same = [other for other in spans[at + 1 :] if other[0] == number]
            assert all(other[1] >= ended - 0.001 or other[2] <= began + 0.001 for other in same)
            assert sum(other[1] < began < other[2] for other in spans) < workers


@pytest.mark.parametrize("way", ["stream", "as_completed", "aio", "astream"])
def test_every_way_to_call(job, workers, way):
    """The numbers are there however results are taken."""
    run = distribute(number_and_span, job=job, workers=WORKERS, chunksize=1)

    async def awaited():
        return await run.aio(range(6)) if way == "aio" else [each async for each in run.astream(range(6))]

    results = asyncio.run(awaited()) if way in ("aio", "astream") else list(getattr(run, way)(range(6)))
    numbers = {each[1][0] if way == "as_completed" else each[0] for each in results}
    assert numbers <= set(range(workers))


def test_coroutines_have_numbers():
    """Also those that wait for each other."""

    async def gather(_):
        nonlocal waiting
        waiting += 1
        while waiting < WORKERS:
            await asyncio.sleep(0.001)
        return worker_number()

    waiting = 0
    assert sorted(distribute(gather, job="web", workers=WORKERS)(range(WORKERS))) == list(range(WORKERS))


def test_tasks_and_threads_of_a_call_have_its_number(job):
    """What a call starts in a context of its own, and, in processes, in any thread."""

    def compare(_):
        number, found = worker_number(), []
        threads = [threading.Thread(target=lambda: found.append(worker_number()))] if job == "compute" else []
        for thread in threads:
            thread.start()
            thread.join()

        async def inside():
            return worker_number()

        with concurrent.futures.ThreadPoolExecutor(1) as executor:
            found.append(executor.submit(asyncio.run, inside()).result() if job == "compute" else number)
        return set(found) == {number}

    assert all(distribute(compare, job=job, workers=WORKERS)(range(6)))


def test_calls_inside_a_call_have_its_number(job):
    """The worker makes them itself."""
    inner = distribute(lambda _: worker_number(), job="io", workers=2)
    assert all(distribute(lambda _: set(inner(range(3))) == {worker_number()}, job=job, workers=WORKERS)(range(6)))


def test_outside_of_calls_it_is_zero(job):
    """Before, and after; and in a call that is made here."""
    run = distribute(number_and_span, job=job, workers=WORKERS)
    assert worker_number() == 0
    run(range(3))
    assert worker_number() == 0
    assert run.local(0)[0] == 0


def test_a_thread_in_the_place_of_one_that_was_left_behind_has_its_number():
    """Under io, after a timeout."""
    gate = threading.Event()

    def work(index):
        if index == 0:
            gate.wait(20)
        return worker_number()

    try:
        run = distribute(work, job="io", workers=2, timeout=0.1, return_exceptions=True)
        assert set(run(range(200))[1:]) <= {0, 1}
    finally:
        gate.set()


def test_a_process_in_the_place_of_one_that_died_has_its_number(tmp_path):
    """Under compute."""

    def work(index):
        if index == 3 and not (tmp_path / "died").exists():
            (tmp_path / "died").touch()
            os.kill(os.getpid(), signal.SIGKILL)
        time.sleep(0.01)
        return worker_number()

    assert set(distribute(work, job="compute", workers=2, retries=1)(range(30))) == {0, 1}


def test_a_factory_that_needs_an_argument_gets_the_number(job, workers):
    """And one that needs none, or whose argument has a default, gets none."""

    def compare(_, *, mine, other, third):
        return mine[1] in range(workers) and mine[0] == "mine" and other == "none" and third == 7

    made = distribute(compare, job=job, workers=WORKERS)(
        range(8),
        mine=per_worker(lambda number: ("mine", number)),
        other=per_worker(lambda: "none"),
        third=per_worker(lambda number=7: number),
    )
    assert all(made)


def test_a_factory_on_an_event_loop_gets_zero():
    """All workers share what it makes."""

    async def use(_, *, made):
        await asyncio.sleep(0.001)
        return made

    async def make(number):
        return number

    assert distribute(use, job="web", workers=WORKERS)(range(9), made=per_worker(make)) == [0] * 9
