"""The compute backend's own options, and how functions and data get to its workers."""

from __future__ import annotations

import asyncio
import datetime
import functools
import importlib
import io
import json
import logging
import os
import subprocess
import sys
import threading
import time
from collections import OrderedDict

import cloudpickle
import numpy as np
import pytest
from jd_core import SerializationError, distribute
from jd_core.testing import functions


@pytest.mark.parametrize("method", ["fork", "spawn", "forkserver"])
def test_each_start_method_gives_the_same_results(method):
    """Section 6: the default is safe with threads; fork and spawn work by choice."""
    assert distribute(lambda x: x + 1, job="compute", workers=2, start_method=method)(range(5)) == [1, 2, 3, 4, 5]


def test_threads_that_hold_locks_in_the_caller_do_not_hang_workers():
    """Section 6: by default nothing is forked from a process with threads."""
    lock = threading.Lock()
    release = threading.Event()

    def hold():
        with lock:
            release.wait()

    holder = threading.Thread(target=hold)
    holder.start()

    def take(number):
        with lock:  # the worker's own, which nobody holds
            return number

    try:
        run = distribute(take, job="compute", workers=2, initializer=int)
        assert run(range(4)) == [0, 1, 2, 3]
    finally:
        release.set()
        holder.join()


@pytest.mark.skipif(not hasattr(os, "SCHED_BATCH"), reason="a way in which Linux shares out time")
def test_a_worker_that_wakes_up_does_not_push_its_caller_aside():
    """The caller has others to wake."""
    assert distribute(os.sched_getscheduler, job="compute", workers=2)([0, 0]) == [os.SCHED_BATCH] * 2


def test_an_initializer_runs_once_in_each_worker(tmp_path):
    """Section 6: before the first call."""

    def leave_a_trace():
        (tmp_path / str(os.getpid())).touch(exist_ok=False)

    run = distribute(lambda x: os.getpid(), job="compute", workers=2, initializer=leave_a_trace, chunksize=1)
    pids = set(run(range(8))) | set(run(range(8)))
    assert {int(path.name) for path in tmp_path.iterdir()} >= pids


def test_an_error_in_the_initializer_is_the_calls_error():
    """Section 6: it is no hang, and keeps its type."""

    def fail():
        raise LookupError("no database")

    with pytest.raises(LookupError, match="no database"):
        distribute(lambda x: x, job="compute", workers=2, initializer=fail)(range(4))


def test_a_worker_is_replaced_after_max_calls_per_worker():
    """Section 6: no process makes more calls than allowed, and none is lost."""
    run = distribute(lambda x: (x, os.getpid()), job="compute", workers=2, max_calls_per_worker=3)
    results = run(range(20))
    assert [number for number, _ in results] == list(range(20))
    pids = [pid for _, pid in results]
    assert max(pids.count(pid) for pid in pids) <= 3


def test_calls_that_a_worker_could_not_take_do_not_count_for_max_calls_per_worker(monkeypatch):
    """None of them has run: the worker still serves, what it sent back is run, and only what cannot be read fails."""
    import types

    module = types.ModuleType("not_on_any_path")
    exec("def f(x): return x", vars(module))
    monkeypatch.setitem(sys.modules, "not_on_any_path", module)
    options = {"workers": 2, "chunksize": 3, "max_calls_per_worker": 3}
    assert distribute(module.f, job="compute", **options)(range(20)) == list(range(20))

    elements = [*range(4), functions.Unloadable(), *range(5, 20)]
    results = distribute(lambda value: len(str(value)), job="compute", return_exceptions=True, **options)(elements)
    assert [index for index, result in enumerate(results) if result != 1 + (index > 9)] == [4]
    assert isinstance(results[4], SerializationError)


@pytest.mark.parametrize(("threads", "wanted"), [({}, "1"), ({"threads_per_worker": 3}, "3")])
def test_threads_of_numeric_libraries_are_capped(monkeypatch, threads, wanted):
    """Section 6: one per worker by default, so that workers do not fight for the CPUs; what the user set stays."""
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    monkeypatch.setenv("MKL_NUM_THREADS", "7")
    run = distribute(
        lambda x: (os.environ.get("OMP_NUM_THREADS"), os.environ.get("MKL_NUM_THREADS")),
        job="compute",
        workers=1,
        idle_seconds=50.0 + len(threads),  # another kind of worker than other tests', so new ones with this environment
        **threads,
    )
    assert run([0]) == [(wanted, "7")]


def test_what_workers_print_reaches_the_callers_stdout_in_whole_lines(capsys):
    """Section 5, output: also where stdout is no terminal, as in a notebook."""

    def talk(number):
        print("number", number, "says", "a" * 50)
        print("half a line", end="")

    distribute(talk, job="compute", workers=2, chunksize=1)(range(20))
    output = capsys.readouterr().out
    for number in range(20):
        assert f"number {number} says {'a' * 50}\n" in output
    assert output.count("half a line") == 20


def test_what_workers_log_goes_through_the_callers_handlers_and_levels():
    """Section 5, output: the parent's level and handlers apply."""

    def log(number):
        logger = logging.getLogger("tests.workers")
        logger.info("call %s", number)
        logger.debug("never")

    stream = io.StringIO()
    handler = logging.StreamHandler(stream)
    logger = logging.getLogger("tests.workers")
    logger.addHandler(handler)
    logger.setLevel(logging.INFO)
    try:
        distribute(log, job="compute", workers=2)(range(5))
    finally:
        logger.removeHandler(handler)
        logger.setLevel(logging.NOTSET)
    assert sorted(stream.getvalue().splitlines()) == [f"call {number}" for number in range(5)]


@pytest.mark.parametrize("size", [10, 1 << 15, 1 << 19])
def test_arrays_of_any_size_come_back_whole_and_writable(size):
    """Section 6: large buffers go through shared memory; nobody can tell."""
    arrays = [np.arange(size, dtype=float) + k for k in range(7)]

    def change(array, *, shift):
        array += shift[0]
        shift[0] += 1000  # a worker's own copy: no other worker may see it
        return array

    run = distribute(change, job="compute", workers=2, chunksize=1, max_calls_per_worker=1)
    results = run(arrays, shift=np.full(size, 5.0))
    for k, result in enumerate(results):
        assert np.array_equal(result, np.arange(size, dtype=float) + k + 5)
        result[0] = -1.0
    assert arrays[0][0] == 0.0


def test_many_large_results_can_be_kept_without_a_descriptor_each():
    """Promise 8: what is kept of a run is memory, not open files."""
    import psutil

    before = psutil.Process().num_fds()
    results = distribute(lambda k: np.full(1 << 15, float(k)), job="compute", workers=2)(range(600))
    assert all(result[0] == k for k, result in enumerate(results))
    assert psutil.Process().num_fds() - before < 300


def test_a_large_array_is_cut_and_joined():
    """Sections 2 and 4: an autobatched array travels in slices and comes back as one."""

    def halve(xs: np.ndarray) -> np.ndarray:
        return xs / 2

    array = np.arange(3_000_000, dtype=float).reshape(-1, 3)
    assert np.array_equal(distribute(halve, job="compute", workers=2)(array), array / 2)


def test_what_does_not_pickle_is_named_by_its_path():
    """Section 5: the call, and the part of the object that does not pickle."""

    class Client:
        def __init__(self):
            self.pools = {"main": [1, (number for number in ())]}

    run = distribute(lambda x, *, client=None: x, job="compute", workers=2)
    with pytest.raises(SerializationError, match=r"constant client\.pools\['main'\]\[1\], an object of type generator"):
        run(range(3), client=Client())
    with pytest.raises(SerializationError, match=r"call 1 of .*argument 1\.pools\['main'\]\[1\]"):
        run([0, Client()])
    with pytest.raises(SerializationError, match=r"call 0 ran, but its result .*the result\[0\], an object of type gen"):
        distribute(lambda x: [(y for y in ())], job="compute", workers=2)([0])


def test_functions_of_modules_that_workers_cannot_import_are_sent_by_value(tmp_path):
    """Section 6: whatever cloudpickle or dill can send can be sent; that a worker cannot import it is found out there."""
    import types

    module = types.ModuleType("made_up_here")
    exec("OFFSET = 5\nclass Thing:\n    def __init__(self, x): self.x = x\ndef f(x): return Thing(x + OFFSET)", vars(module))
    sys.modules["made_up_here"] = module
    try:
        results = distribute(module.f, job="compute", workers=2)(range(3))
        assert [type(result) for result in results] == [module.Thing] * 3
        assert [result.x for result in results] == [5, 6, 7]
    finally:
        del sys.modules["made_up_here"]


def test_modules_that_import_what_workers_cannot_import_are_sent_by_value(tmp_path, monkeypatch):
    """Section 6: a module that only a finder of the caller's finds, imported by one that workers would find."""
    import types

    made_up = types.ModuleType("made_up_for_another")
    exec("def twice(x): return 2 * x", vars(made_up))
    monkeypatch.setitem(sys.modules, made_up.__name__, made_up)
    package = tmp_path / "importing_made_up"
    package.mkdir()
    (package / "__init__.py").write_text("from .inner import f")
    (package / "inner.py").write_text("from made_up_for_another import twice\ndef f(x): return twice(x) + 1")
    monkeypatch.syspath_prepend(tmp_path)
    try:
        function = importlib.import_module("importing_made_up").f
        assert distribute(function, job="compute", workers=2)(range(3)) == [1, 3, 5]
    finally:
        for name in ("importing_made_up.inner", "importing_made_up"):
            sys.modules.pop(name, None)


def test_two_runs_at_once_find_out_that_workers_cannot_import_a_module(monkeypatch):
    """Promise 2: the one that is told later than the other sends it by value, too."""
    import types

    for turn in range(3):
        module = types.ModuleType(f"made_up_for_two_{turn}")
        exec("import time\ndef f(x):\n    time.sleep(0.01)\n    return x\ndef g(x):\n    return -f(x)", vars(module))
        monkeypatch.setitem(sys.modules, module.__name__, module)
        runs = [distribute(function, job="compute", workers=1) for function in (module.f, module.g)]

        async def both(runs=runs):
            return await asyncio.gather(*(run.aio(range(4)) for run in runs))

        assert asyncio.run(both()) == [[0, 1, 2, 3], [0, -1, -2, -3]]


def test_dill_takes_what_cloudpickle_refuses():
    """Section 6: dill takes what nothing else takes, beside functions and classes that go by their names."""
    refused = datetime.datetime_CAPI  # type: ignore[attr-defined]
    with pytest.raises(TypeError, match="PyCapsule"):
        cloudpickle.dumps(refused)

    def kinds(number, *, values):
        return [type(value).__name__ for value in values]

    run = distribute(kinds, job="compute", workers=1)
    assert run([1], values=[refused, json.loads, OrderedDict]) == [["PyCapsule", "function", "type"]]


@pytest.mark.parametrize("mode", ["w", "a", "r+", "w+", "wb", "ab", "r+b", "w+b", "rb"])
def test_open_files_are_refused(tmp_path, mode, monkeypatch):
    """Section 6: what calls write there would be lost, or what is there; binary ones would be read from their beginning."""
    path = tmp_path / "file"
    path.write_text("what is there")
    monkeypatch.setattr(sys, "stdout", io.StringIO())  # as in a notebook, it is no such file
    with path.open() as sound, path.open(mode) as file:
        before = path.read_text()
        with pytest.raises(SerializationError, match=r"constant file\[1\], an object of type _io\..* cannot be sent"):
            distribute(lambda number, *, file: number, job="compute", workers=1)([1], file=[sound, file])
        assert path.read_text() == before


def test_the_working_folder_and_import_path_are_the_callers(tmp_path, monkeypatch):
    """Section 5, current values: what changed since the workers started is seen."""
    run = distribute(lambda x: (os.getcwd(), __import__("made_after_start").VALUE), job="compute", workers=1)
    assert distribute(lambda x: x, job="compute", workers=1)([1]) == [1]
    (tmp_path / "made_after_start.py").write_text("VALUE = 42\n")
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(str(tmp_path))
    assert run([0]) == [(str(tmp_path), 42)]


def test_a_million_elements_of_a_generator_do_not_fill_the_caller():
    """Promise 9: under 20 MB of growth."""
    script = (
        "import psutil, collections\n"
        "from jd_core import distribute\n"
        "run = distribute(lambda x: x, job='compute', workers=2)\n"
        "collections.deque(run.stream(iter(range(50_000))), maxlen=0)\n"
        "before = psutil.Process().memory_info().rss\n"
        "count = sum(1 for _ in run.stream(iter(range(1_000_000))))\n"
        "print(count, psutil.Process().memory_info().rss - before)\n"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=50, check=True)
    count, growth = map(int, done.stdout.split())
    assert count == 1_000_000
    assert growth < 20_000_000


def test_partials_of_importable_functions_travel():
    """Section 1: a partial is a function like any other."""
    assert distribute(functools.partial(divmod, 17), job="compute", workers=2)([5, 3]) == [(3, 2), (5, 2)]


def test_a_distributed_call_in_a_thread_of_a_worker_runs_in_that_worker():
    """Section 5, nested calls: also where the user's function starts threads of its own."""
    import concurrent.futures

    inner = distribute(lambda x: os.getpid(), job="compute", workers=2)

    def outer(x):
        with concurrent.futures.ThreadPoolExecutor(1) as threads:
            return os.getpid(), threads.submit(inner, range(3)).result()

    for pid, pids in distribute(outer, job="compute", workers=2)(range(2)):
        assert pids == [pid] * 3


def fail_beside_others(value: int, *, folder: str) -> int:
    """At 0, fails once 3 has begun; takes a moment at the others."""
    if value == 0:
        functions.meet(value, folder=folder, calls=2)
        raise LookupError
    if value == 3:
        functions.meet(value, folder=folder, calls=2)
    time.sleep(0.005)
    return value


def test_a_worker_that_made_its_calls_in_a_run_that_failed_serves_no_other(tmp_path):
    """What ``max_calls_per_worker`` says holds, however a run ends: the next one has workers."""
    run = distribute(fail_beside_others, job="compute", workers=2, chunksize=3, max_calls_per_worker=3)
    for turn in range(3):
        folder = tmp_path / str(turn)
        folder.mkdir()
        with pytest.raises(LookupError):
            run(range(6), folder=str(folder))
        assert run(range(10, 30), folder=str(folder)) == list(range(10, 30))
