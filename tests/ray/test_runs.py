"""Runs on the session's local Ray: what the contract suite does not know of Ray."""

from __future__ import annotations

import functools
import itertools
import logging
import os
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from jd_core import per_worker
from jd_core.backend import SIGNAL_SECONDS, Chunk, Work
from jd_core.errors import BackendError, RemoteError, SerializationError, WorkerDiedError
from jd_core.testing import functions, wait_until
from jd_core.testing.harness import SOON_SECONDS, best_of_three
from jd_ray.cluster import started_tasks
from jd_ray.connection import connection, session
from jd_ray.run import outcomes, remote_function, window

pytestmark = pytest.mark.ray

CANARY = "canary-9d4e"


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[str]:
    """A folder for what workers record; at the end, calls that are still held go on."""
    yield str(tmp_path)
    (tmp_path / functions.GO).touch()


class Clock:
    """Stands for the module ``time`` where a test says what time it is."""

    def __init__(self) -> None:
        self.now = 1000.0

    def monotonic(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        time.sleep(seconds)


def held_each(value: int, *, folder: str) -> int:
    """Leaves a file, and waits until it may go on: this one, or all."""
    Path(folder, str(value)).mkdir()
    functions.record(folder)
    functions.record(folder, f"call{value}")
    functions.hold(os.path.join(folder, str(value)))
    return value


def let_go(folder: str, value: int) -> None:
    """Lets a call of `held_each` go on."""
    Path(folder, str(value), functions.GO).touch()


def test_ray_stays_initialised(ray, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch) -> None:
    """Section 6, Ray: an initialised Ray is used and left as it was found; an unused address is logged once."""
    import ray as module

    monkeypatch.setattr(connection, "_unused", set())
    before = module.get_runtime_context().gcs_address
    for address in ("192.0.2.1:6379", "192.0.2.1:6379", "auto", before, before.replace("127.0.0.1", "localhost")):
        assert ray.run(abs, [-1, -2], options={"address": address}).ordered() == [1, 2]
    said = [record.message for record in caplog.records]
    assert [message for message in said if "has started no call of" not in message] == [  # on a busy machine
        f"Ray is initialised already, at {before}: address='192.0.2.1:6379' is not used"
    ]
    assert ray.backend.default_workers({}) == 2
    assert module.is_initialized()
    assert module.get_runtime_context().gcs_address == before


def test_the_arrival_of_input_is_told(ray) -> None:
    """Promise 13: a run that waits for input or a result waits for both, and does not look again and again."""
    told: list[Callable[[], None]] = []
    came = threading.Event()
    asked: list[int] = []

    def chunks() -> Iterator[Chunk | None]:
        yield Chunk(0, ([0.3],))
        while not came.is_set():
            asked.append(1)
            yield None
        yield Chunk(1, ([0.0],))

    def sleep(seconds: float) -> float:
        time.sleep(seconds)
        return seconds

    work = Work(sleep, {}, 2, "sleep", on_input=told.append, poll_seconds=3600.0)
    began = time.monotonic()
    results = ray.backend.run(work, chunks())
    assert list(next(results).values) == [0.3], "a result ends the wait"
    came.set()
    told[0]()
    assert list(next(results).values) == [0.0], "and so does input"
    assert len(asked) <= 3 + (time.monotonic() - began) / SIGNAL_SECONDS
    assert list(results) == []


def test_a_worker_that_the_memory_monitor_ended() -> None:
    """Section 5: the error names the call, says how much memory there was, and not all else that Ray says."""
    said = (
        "2 worker(s) were killed due to the node running low on memory. Memory on the node (IP: 127.0.0.1, ID: 2fe5) was "
        "21.72GB used / 23.54GB limit (0.922631)\nOOM kill reason: Memory usage exceeded threshold "
    )
    error = str(outcomes.killed(Work(abs, {}, 2, "area"), 7, said + "and others use it, too: " * 200, alone=True))
    assert "area(): Ray killed the worker that ran call 7 for memory: 2 worker(s) were killed due to the node" in error
    assert "21.72GB used / 23.54GB limit" in error
    assert "option memory=" in error
    assert len(error) < 550


def test_tasks_have_the_name_of_the_function(ray) -> None:
    """Section 6, Ray: tasks have the function's name and the calls that they make, for the dashboard."""
    from ray.runtime_context import RuntimeContext

    if not hasattr(RuntimeContext, "get_task_name"):
        pytest.skip("this Ray does not say in a task what it is called")

    def task_name(_: int) -> str:
        import ray as module

        return module.get_runtime_context().get_task_name()

    assert ray.run(task_name, [1], name="area").ordered() == ["area[0]"]
    assert ray.run(task_name, range(5), size=3, name="area").ordered() == ["area[0:3]"] * 3 + ["area[3:5]"] * 2


def test_the_function_is_unpickled_once_per_worker(ray, folder: str) -> None:
    """Section 6, Ray: function and constants are put into the object store once, and unpickled once per worker and run."""
    outcome = ray.run(_constant_of, range(60), size=3, constants={"counted": _Counted(folder)})
    assert len(outcome.ordered()) == 60
    # Not more often than there were workers: Ray may have replaced one.
    assert functions.count(folder, "unpickled") <= len(set(outcome.ordered()))
    assert functions.count(folder, "pickled") == 1


class _Counted:
    """A constant that leaves a file each time that it is pickled or unpickled."""

    def __init__(self, folder: str) -> None:
        self.folder = folder

    def __getstate__(self) -> str:
        functions.record(self.folder, "pickled")
        return self.folder

    def __setstate__(self, folder: str) -> None:
        self.folder = folder
        functions.record(folder, "unpickled")


def _constant_of(value: int, *, counted: Any) -> int:
    return os.getpid()


def test_a_constant_larger_than_ray_takes_in_a_function(ray) -> None:
    """A constant over 95 MiB, which Ray refuses in a function, is shared, read-only, uncopied."""
    numpy = pytest.importorskip("numpy")
    constant = numpy.ones(13_000_000)  # 104 MB

    def look(_: int, *, constant: Any) -> tuple[float, bool, bool]:
        return float(constant[-1]), constant.flags.writeable, constant.flags.owndata

    assert ray.run(look, range(4), constants={"constant": constant}).ordered() == [(1.0, False, False)] * 4


def test_large_arguments_and_results(ray) -> None:
    """Section 4: an argument may be written into, and a result too, as in a plain loop; the caller's stays as it is."""
    numpy = pytest.importorskip("numpy")
    arrays = [numpy.full(200_000, number, dtype=float) for number in range(4)]

    def increase(array: Any) -> Any:
        array += 1
        return array

    results = ray.run(increase, arrays, size=2).ordered()
    assert [result[0] for result in results] == [1, 2, 3, 4]
    assert [array[0] for array in arrays] == [0, 1, 2, 3]
    results[0] += 1


def test_modules_that_workers_cannot_import(ray, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Section 6, Ray: the user's own modules, that no worker has, go by value, also those that only an argument needs."""
    (tmp_path / "only_here").mkdir()
    (tmp_path / "only_here" / "__init__.py").write_text("")
    (tmp_path / "only_here" / "shapes.py").write_text(
        "from jd_core import distribute\n"
        "from only_there import Point\n"
        "def helper(point):\n    return Point(point.x * 2)\n"
        "@distribute(job='ray')\ndef double(point):\n    return helper(point)\n"
    )
    (tmp_path / "only_there.py").write_text("class Point:\n    def __init__(self, x):\n        self.x = x\n")
    monkeypatch.syspath_prepend(tmp_path)
    from only_here.shapes import double  # type: ignore[import-not-found]
    from only_there import Point  # type: ignore[import-not-found]

    points = ray.run(double.__wrapped__, [Point(number) for number in range(6)]).ordered()
    assert [point.x for point in points] == [0, 2, 4, 6, 8, 10]
    assert all(type(point) is Point for point in points)


def test_a_module_that_must_be_installed(ray, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What is installed here but not there is no code to carry along: the error names it and the option to use."""
    site = tmp_path / "site-packages"
    site.mkdir()
    (site / "installed_here.py").write_text("def one(x):\n    return 1\n")
    monkeypatch.syspath_prepend(site)
    from installed_here import one  # type: ignore[import-not-found]

    with pytest.raises(SerializationError, match=r"no module 'installed_here'.*option runtime_env="):
        ray.run(one, range(3))


def test_what_to_send_by_value(monkeypatch: pytest.MonkeyPatch) -> None:
    """Only the user's own code is carried along: nothing of the standard library, of Ray, or of these packages."""
    for missing in ("json", "sys", "ray", "jd_core", "no_such_module", "__main__"):
        assert remote_function.to_send_by_value(missing, len, ()) is None
    own = test_what_to_send_by_value.__module__.partition(".")[0]
    assert remote_function.to_send_by_value(own, len, ()) == own
    assert remote_function.to_send_by_value("jd_core", functools.partial(test_what_to_send_by_value), ()) == own
    assert remote_function.to_send_by_value(own, len, {own}) is None


def test_a_crash_is_blamed_alone(ray, folder: str) -> None:
    """Section 5: the call whose worker dies is blamed by index; those that shared its chunk run again, and no others."""

    def crash(value: int, *, folder: str) -> int:
        functions.record(folder, f"call{value}")
        if value == 7:
            os._exit(3)
        return value

    outcome = ray.run(crash, range(12), size=4, constants={"folder": folder})
    assert set(outcome.failures) == {7}
    assert isinstance(outcome.failures[7], WorkerDiedError)
    assert "f(): the Ray worker died while it ran call 7" in str(outcome.failures[7])
    assert [outcome[index] for index in range(12) if index != 7] == [*range(7), *range(8, 12)]
    counts = [functions.count(folder, f"call{value}") for value in range(12)]
    assert counts == [1, 1, 1, 1, 2, 2, 2, 2, 1, 1, 1, 1]


def lose_results(monkeypatch: pytest.MonkeyPatch, how: str, count: int = 1) -> None:
    """Has Ray say, of the first results that are asked for, that they were lost with their node, or killed for memory."""
    import ray as module

    get, losses = module.get, iter(range(count))

    def lose(ref: object) -> Any:
        if next(losses, None) is None:
            return get(ref)
        get(ref)
        raise getattr(module.exceptions, how)("its node is gone")

    monkeypatch.setattr(module, "get", lose)


def test_a_lost_chunk_runs_again(ray, folder: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Section 6, Ray: a lost node costs its chunks a re-run."""
    lose_results(monkeypatch, "NodeDiedError")
    assert ray.run(_recorded, range(4), size=4, constants={"folder": folder}).ordered() == [0, 1, 2, 3]
    assert functions.count(folder) == 8


@pytest.mark.parametrize(("deaths", "ran"), [(1, 8), (2, 12)], ids=["once", "twice"])
def test_what_the_memory_monitor_killed_runs_again(ray, folder: str, monkeypatch: pytest.MonkeyPatch, deaths, ran) -> None:
    """Section 5: calls whose worker Ray killed for memory run again together, and if it is killed then, too, one by one."""
    lose_results(monkeypatch, "OutOfMemoryError", deaths)
    assert ray.run(_recorded, range(4), size=4, constants={"folder": folder}).ordered() == [0, 1, 2, 3]
    assert functions.count(folder) == ran


def test_nothing_runs_beside_what_the_memory_monitor_killed(ray, folder: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Section 5: what Ray killed for memory, which need not be what has it, runs again with nothing beside it."""
    lose_results(monkeypatch, "OutOfMemoryError")

    def beside(value: int, *, folder: str) -> tuple[int, int]:
        functions.record(folder, f"call{value}")
        running = Path(folder, f"running{value}")
        running.touch()
        others = 0
        for _ in range(10):
            time.sleep(0.002)
            others = max(others, len(list(Path(folder).glob("running*"))) - 1)
        running.unlink()
        return functions.count(folder, f"call{value}"), others

    results = ray.run(beside, range(20), constants={"folder": folder}).ordered()
    assert sorted(runs for runs, _ in results) == [1] * 19 + [2]
    assert dict(results)[2] == 0


def test_a_call_that_the_memory_monitor_killed_alone_is_blamed(ray, folder: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Section 5: a call whose worker is killed for memory while nothing else of the run runs has failed, and is named."""
    lose_results(monkeypatch, "OutOfMemoryError", 2)
    ((index, failure),) = ray.run(_recorded, [0, 0], workers=1, constants={"folder": folder}).failures.items()
    assert isinstance(failure, WorkerDiedError)
    assert f"f(): Ray killed the worker that ran call {index} for memory: its node is gone: have the" in str(failure)
    assert "option memory=" in str(failure)
    assert "chunksize" not in str(failure)
    assert functions.count(folder) == 3


def test_what_the_memory_monitor_killed_is_blamed_with_chunksize_one(ray, folder: str, monkeypatch) -> None:
    """Section 5: with ``chunksize=1`` no call runs twice; the error says that another may have had the memory."""
    lose_results(monkeypatch, "OutOfMemoryError")
    outcome = ray.run(_recorded, range(4), chunksize=1, constants={"folder": folder})
    ((index, failure),) = outcome.failures.items()
    assert f"call {index} for memory" in str(failure)
    assert "with chunksize=1 no call runs twice: leave that out or state retries=" in str(failure)
    assert functions.count(folder) == 4


def test_a_lost_call_is_blamed_with_chunksize_one(ray, folder: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Section 5: with ``chunksize=1`` no call runs twice, so one that was lost with its node is that call's failure."""
    lose_results(monkeypatch, "NodeDiedError")
    outcome = ray.run(_recorded, range(4), chunksize=1, constants={"folder": folder})
    ((index, failure),) = outcome.failures.items()
    assert isinstance(failure, WorkerDiedError)
    assert f"call {index} was lost with its node (NodeDiedError)" in str(failure)
    assert functions.count(folder) == 4


def _recorded(value: int, *, folder: str) -> int:
    functions.record(folder)
    return value


@pytest.mark.parametrize("how", ["exit", "kill", "segfault"])
def test_chunksize_one_runs_no_call_twice(ray, folder: str, how: str) -> None:
    """Section 5: with ``chunksize=1`` a call whose worker dies, in whatever way, was run at most once."""

    def crash(value: int, *, folder: str, how: str) -> int:
        functions.record(folder)
        if value == 1:
            if how == "exit":
                sys.exit(0) if value != 1 else os._exit(0)
            if how == "kill":
                os.kill(os.getpid(), signal.SIGKILL)
            import ctypes

            ctypes.string_at(0)
        return value

    outcome = ray.run(crash, range(3), chunksize=1, constants={"folder": folder, "how": how})
    assert {index: type(error) for index, error in outcome.failures.items()} == {1: WorkerDiedError}
    assert functions.count(folder) == 3


def test_a_chunk_that_the_user_fixed_is_no_single_call(ray) -> None:
    """A chunksize above 1 shares messages: the calls beside a crash have their results."""

    def crash(value: int) -> int:
        if value == 2:
            os._exit(1)
        return value

    outcome = ray.run(crash, range(6), size=3, chunksize=3)
    assert set(outcome.failures) == {2}


def test_max_retries_is_rays(ray, folder: str) -> None:
    """Section 6, Ray: ``max_retries`` goes to Ray under its own name: Ray itself runs a crashed task again."""

    def crash_once(value: int, *, folder: str) -> int:
        functions.record(folder)
        if functions.count(folder) == 1:
            os._exit(1)
        return value

    outcome = ray.run(crash_once, [5], chunksize=1, constants={"folder": folder}, options={"max_retries": 1})
    assert outcome.ordered() == [5]


def test_timeouts_count_from_the_start(ray, folder: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Section 5: time in Ray's queue is no time of the call: six calls of 7 s on two CPUs all stay below 10 s."""
    monkeypatch.setattr(started_tasks, "time", clock := Clock())
    taken: list[int] = []
    seen = False

    def go_on() -> bool:
        """Whenever two calls run and no result is under way: has the run look at them, then lets them take their time."""
        nonlocal seen
        running = [value for value in range(6) if value not in taken and functions.count(folder, f"call{value}")]
        if len(running) == 2 and len(taken) % 2 == 0:
            if not seen:
                seen = True
                clock.now += 1
            elif not Path(folder, str(running[0]), functions.GO).exists():
                clock.now += 6
                for value in running:
                    let_go(folder, value)
        return False

    options = {"size": 6, "workers": 6, "timeout": 10.0, "cancelled": go_on, "constants": {"folder": folder}}
    for result in ray.start(held_each, range(6), **options):
        assert not result.failures
        taken += result.values
        seen = False
    assert sorted(taken) == list(range(6))
    assert clock.now == 1021.0


def test_a_caller_that_takes_its_time_costs_no_call_its_own(ray, folder: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Section 5: a call that ended in time, while the caller was busy with another result, has its result."""
    import ray as module

    monkeypatch.setattr(started_tasks, "time", clock := Clock())
    refs: list[Any] = []
    starts = started_tasks.Starts
    submitted = starts.submitted
    monkeypatch.setattr(starts, "submitted", lambda self, ref, key: (refs.append(ref), submitted(self, ref, key)))
    looks = 0

    def go_on() -> bool:
        nonlocal looks
        if functions.count(folder) == 2:
            looks += 1
            clock.now += looks == 1  # so that the run looks which calls have begun
            if looks == 2:
                let_go(folder, 0)
        return False

    results = ray.start(held_each, range(2), timeout=10.0, cancelled=go_on, constants={"folder": folder})
    assert next(results).values == [0]
    let_go(folder, 1)
    assert module.wait(refs, num_returns=2, timeout=SOON_SECONDS)[1] == []
    clock.now += 100
    assert [(result.values, result.failures) for result in results] == [([1], ())]


def test_the_window_is_bounded(ray, folder: str) -> None:
    """Section 6, Ray: no more calls run at once than the run's workers, however large the cluster; 2 CPUs, 1 worker."""

    def overlap(value: int, *, folder: str) -> int:
        functions.record(folder, "running")
        time.sleep(0.02)
        found = functions.count(folder, "running")
        for name in os.listdir(folder):
            os.remove(os.path.join(folder, name))
        return found

    assert ray.run(overlap, range(10), workers=1, constants={"folder": folder}).ordered() == [1] * 10


@pytest.mark.parametrize("streamed", [False, True])
def test_outcomes_are_taken_together(ray, streamed: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    """A plain call wakes up for several outcomes, while other tasks wait for a worker; a stream has each at once."""
    import ray as module

    asked: list[int] = []
    wait = module.wait

    def record(refs: Any, *, num_returns: int, **settings: Any) -> Any:
        asked.append(num_returns)
        return wait(refs, num_returns=num_returns, **settings)

    monkeypatch.setattr(module, "wait", record)
    cancelled = (lambda: False) if streamed else None
    assert ray.run(abs, range(60), workers=8, cancelled=cancelled).ordered() == list(range(60))
    # Twelve tasks are there, of which two run.
    assert max(asked) == (1 if streamed else 7)
    assert min(asked) == 1
    asked.clear()
    assert ray.run(time.sleep, [0.3] * 6, workers=8).ordered() == [None] * 6
    assert set(asked) == {1}, "long ones are taken as they come"


@best_of_three
def test_abandoned_runs_cancel_what_runs(ray, tmp_path_factory: pytest.TempPathFactory) -> None:
    """Abandoned runs cancel their tasks: a call that computes is interrupted, one that blocks killed."""
    folder = str(tmp_path_factory.mktemp("abandoned"))

    def last(value: int, *, folder: str) -> int:
        if value == 0:
            return value
        if value == 1:
            try:
                functions.record(folder)
                while True:
                    value += 1
            except KeyboardInterrupt:
                functions.record(folder, "interrupted")
                raise
        functions.record(folder)
        lock = threading.Lock()
        lock.acquire()
        lock.acquire()
        return value

    results = ray.start(last, range(8), constants={"folder": folder})
    assert next(results).values == [0]
    wait_until(lambda: functions.count(folder) >= 2)
    began = time.monotonic()
    results.close()
    assert time.monotonic() - began < 2
    assert functions.count(folder, "interrupted") == 1
    assert ray.run(abs, range(4)).ordered() == [0, 1, 2, 3]
    assert functions.count(folder) == 2


def test_errors_of_ray_are_backend_errors(ray) -> None:
    """Contract 3: what Ray refuses or cannot do is a BackendError, not an exception of Ray's."""
    with pytest.raises(BackendError, match=r"Ray could not run f: ValueError.*"):
        ray.run(abs, [1], options={"resources": {"disk": 0.00000001}})


@pytest.mark.parametrize(("ending", "why"), [(False, "Ray was shut down in this process"), (True, "the interpreter is")])
def test_why_a_run_has_no_connection(ray, monkeypatch: pytest.MonkeyPatch, ending: bool, why: str) -> None:
    """Section 5: where Ray has ended with the interpreter, a daemon thread is told so, and not that somebody has."""
    import ray as module

    running = session.Session(module, "f")
    monkeypatch.setattr(session, "is_ending", lambda: ending)
    monkeypatch.setattr(module, "is_initialized", lambda: False)
    with pytest.raises(BackendError, match=f"f cannot go on: {why}"):
        running.check()


def test_waiting_is_said(ray, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> None:
    """Where no call can start for 10 s, a warning names what is asked and what is there, once."""
    assert window.WAITING_SECONDS == 10
    monkeypatch.setattr(window, "WAITING_SECONDS", 0.2)
    results = ray.start(abs, range(3), options={"num_gpus": 3}, cancelled=lambda: bool(caplog.records))
    with caplog.at_level(logging.WARNING, "just_distribute.ray"):
        assert list(results) == []
    (record,) = caplog.records
    assert "each asks for CPU 1, GPU 3; of it the cluster has CPU 2, GPU 1" in record.message


def test_nothing_is_said_of_long_calls(
    ray, folder: str, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """A call that takes its time has started: no warning."""
    monkeypatch.setattr(window, "time", clock := Clock())
    looks = 0

    def go_on() -> bool:
        nonlocal looks
        if functions.count(folder):
            looks += 1
            clock.now += window.WAITING_SECONDS
            if looks == 3:
                Path(folder, functions.GO).touch()
        return False

    with caplog.at_level(logging.WARNING, "just_distribute.ray"):
        assert ray.run(functions.held, [1], cancelled=go_on, constants={"folder": folder}).ordered() == [1]
    assert looks >= 3
    assert not caplog.records


def test_what_cannot_be_sent_is_named(ray) -> None:
    """Section 5: a function, constant, argument or result that cannot travel is named with the part; no value is shown."""
    rest = (number for number in ())

    def closed(value: int) -> Any:
        return rest, value

    with pytest.raises(SerializationError, match=r"f\(\) \(its variable rest\), .* generator, cannot be sent"):
        ray.run(closed, [1])
    with pytest.raises(SerializationError, match=r"constant key\[key 0\], .* generator, cannot be sent") as caught:
        ray.run(functions.give_constants, [1], constants={"key": {CANARY: rest}, "other": CANARY})
    assert CANARY not in str(caught.value)
    outcome = ray.run(functions.same, [1, (CANARY, rest), 3], size=3)
    assert set(outcome.failures) == {1}
    assert "call 1 of f(): argument 1[1], an object of type generator, cannot be sent" in str(outcome.failures[1])
    assert CANARY not in str(outcome.failures[1])
    outcome = ray.run(_make_generator, range(4), size=4)
    assert "f(): call 2 ran, but its result cannot be sent back" in str(outcome.failures[2])
    assert "the result[1], an object of type generator: TypeError: " in str(outcome.failures[2])
    assert [outcome[index] for index in (0, 1, 3)] == [0, 1, 3]


def _make_generator(value: int) -> Any:
    return [value, (number for number in ())] if value == 2 else value


def test_exceptions_that_cannot_come_back(ray) -> None:
    """Section 5: an exception that cannot come back is a RemoteError with its type, message and traceback."""

    def fail(value: int) -> None:
        raise functions.UnsendableError("a message")

    failure = ray.run(fail, [1]).failures[0]
    assert isinstance(failure, RemoteError)
    assert "UnsendableError: a message" in str(failure)
    assert "in fail" in str(failure)


def test_a_worker_traceback_has_no_frames_of_ours(ray) -> None:
    """The traceback that comes with an exception begins in the user's function."""

    def fail(value: int) -> None:
        raise ValueError("broken")

    traceback = ray.run(fail, [1]).tracebacks[0]
    assert traceback is not None
    assert traceback.count("File ") == 1
    assert "in fail" in traceback


def test_classes_of_the_caller_come_home(ray) -> None:
    """Section 5: instances of a class that only the caller has come back as instances of that class."""

    class Local:
        def __init__(self, x: int) -> None:
            self.x = x

    results = ray.run(Local, range(4), size=2).ordered()
    assert [result.x for result in results] == [0, 1, 2, 3]
    assert all(type(result) is Local for result in results)


def test_globals_are_those_of_the_time_of_the_call(ray) -> None:
    """Section 5: a global that a function sent by value uses has the value of now, on a warm worker, too."""
    namespace: dict[str, Any] = {"__name__": "__main__", "factor": 1}
    exec("def scale(x):\n    return x * factor", namespace)
    for factor in (2, 3):
        namespace["factor"] = factor
        assert ray.run(namespace["scale"], range(3)).ordered() == [0, factor, 2 * factor]


def test_input_is_read_lazily(ray) -> None:
    """Promise 9: an endless input is no matter, and no more of it is read than fits the window."""
    read = 0

    def endless() -> Iterator[Chunk]:
        nonlocal read
        for index in itertools.count():
            read += 1
            yield Chunk(index, ([index],))

    results = ray.backend.run(Work(abs, {}, 2, "abs"), endless())
    assert [next(results).chunk.start for _ in range(5)]
    results.close()
    assert read <= 5 + 4


def test_calls_in_calls_run_in_place(ray) -> None:
    """Section 5: a distributed call inside a worker runs its calls there, in that worker's process."""

    def outer(value: int) -> bool:
        from jd_core import distribute

        inner = distribute(lambda _: os.getpid(), job="ray")
        return set(inner(range(value + 2))) == {os.getpid()}

    assert ray.run(outer, range(2)).ordered() == [True, True]


def test_gpu_workers_end_with_the_run(ray, folder: str) -> None:
    """Section 6, Ray: workers that held GPUs are reused within a run, for ``per_worker``, and end with it."""
    model = per_worker(lambda: functions.record(folder, "loaded"))

    def use(_: int, *, model: Any) -> int:
        return os.getpid()

    options = {"num_gpus": 0.5, "num_cpus": 0.1}
    used = ray.run(use, range(8), chunksize=1, constants={"model": model}, options=options).ordered()
    # Ray may have replaced one.
    assert functions.count(folder, "loaded") == len(set(used)) < 8
    wait_until(lambda: not any(is_alive(pid) for pid in used))


def is_alive(pid: int) -> bool:
    """Whether a process of this machine has not ended."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True
