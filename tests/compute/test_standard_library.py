"""Nothing of the standard library is missing in a worker, and workers end in the ordinary way."""

from __future__ import annotations

import atexit
import concurrent.futures
import multiprocessing
import multiprocessing.managers
import multiprocessing.pool
import multiprocessing.shared_memory
import os
import random
import signal
import subprocess
import sys
import threading
import time

import psutil
import pytest
from jd_compute.pool.shared import shared_pool
from jd_core import distribute
from jd_core.testing import functions
from jd_core.testing.harness import best_of_three

METHODS = ["forkserver", "spawn", "fork"]


@pytest.mark.parametrize("method", METHODS)
def test_shared_memory_made_in_a_worker_outlives_it(method):
    """Section 6: as long as the caller, whose resource tracker knows of it."""

    def make(number):
        segment = multiprocessing.shared_memory.SharedMemory(create=True, size=16)
        segment.buf[0] = number
        segment.close()
        return segment.name, os.getpid()

    run = distribute(make, job="compute", workers=1, start_method=method, max_calls_per_worker=1)
    for number, (name, pid) in enumerate(run([0, 1]), 0):
        while psutil.pid_exists(pid):
            time.sleep(0.005)
        segment = multiprocessing.shared_memory.SharedMemory(name)
        assert segment.buf[0] == number
        segment.close()
        segment.unlink()


def test_a_program_whose_workers_use_shared_memory_ends_without_a_word():
    """Section 6: the tracker finds nothing to complain about."""
    program = """if True:
        from multiprocessing.shared_memory import SharedMemory
        from jd_core import distribute
        def fill(number, *, name):
            segment = SharedMemory(name)
            segment.buf[number] = number
            segment.close()
        segment = SharedMemory(create=True, size=16)
        distribute(fill, job="compute", workers=2)(range(8), name=segment.name)
        print(bytes(segment.buf[:8]))
        segment.close()
        segment.unlink()
    """
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60)
    assert (done.stdout, done.stderr) == (f"{bytes(range(8))}\n", "")


@pytest.mark.parametrize("method", METHODS)
def test_a_managers_proxies_work_in_a_worker(method):
    """Section 6: it accepts connections from workers."""
    with multiprocessing.get_context("spawn").Manager() as manager:
        shared = manager.dict()

        def note(number, *, shared):
            shared[number] = number * number

        distribute(note, job="compute", workers=2, start_method=method)(range(6), shared=shared)
        assert dict(shared) == {number: number * number for number in range(6)}


def by_pool(numbers):
    """Calls `abs` in other processes."""
    with multiprocessing.get_context("fork").Pool(2) as pool:
        return pool.map(abs, numbers)


def by_executor(numbers):
    """Calls `abs` in other processes."""
    with concurrent.futures.ProcessPoolExecutor(2, multiprocessing.get_context("forkserver")) as pool:
        return list(pool.map(abs, numbers))


def by_pathos(numbers):
    """Calls `abs` in other processes."""
    from pathos.pools import ProcessPool

    pool = ProcessPool(nodes=2)
    try:
        return pool.map(abs, numbers)
    finally:
        pool.terminate()
        pool.join()
        pool.clear()


def by_joblib(numbers):
    """Calls `abs` in other processes, of loky's."""
    from joblib import Parallel, delayed
    from joblib.externals.loky import get_reusable_executor

    try:
        return Parallel(n_jobs=2)(delayed(abs)(number) for number in numbers)
    finally:
        get_reusable_executor().shutdown(wait=True, kill_workers=True)


def by_loky(numbers):
    """Calls `abs` in other processes."""
    from loky import ProcessPoolExecutor

    with ProcessPoolExecutor(2) as pool:
        return list(pool.map(abs, numbers))


@pytest.mark.parametrize(
    ("way", "method"),
    [
        *((way, method) for way in (by_pool, by_executor, by_pathos) for method in METHODS),
        (by_joblib, "forkserver"),
        (by_loky, "forkserver"),
    ],
)
def test_a_worker_may_have_processes_of_its_own(way, method):
    """Section 6: pools inside calls."""
    run = distribute(lambda numbers, *, way: way(numbers), job="compute", workers=2, start_method=method, autobatch=False)
    assert run([[-1, -2], [-3]], way=lambda numbers: way(numbers)) == [[1, 2], [3]]


@best_of_three  # a worker that cannot end within two seconds, as on a busy machine, is ended by force, which joblib warns of
def test_processes_that_joblib_keeps_in_a_worker_are_ended_with_it():
    """Section 6: in silence, and none is left; its processes wait for more calls, as nobody shuts them down."""
    program = """if True:
        import os
        import just_distribute

        def processes(number):
            from joblib import Parallel, delayed
            found = set()
            while len(found) < number:  # all are up
                found.update(Parallel(n_jobs=number)(delayed(os.getpid)() for _ in range(20)))
            return found

        for pids in just_distribute.distribute(processes, job="compute", workers=1)([2]):
            print(*pids, flush=True)
        just_distribute.shutdown()
    """
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60)
    assert (done.returncode, done.stderr) == (0, "")
    while any(psutil.pid_exists(int(pid)) for pid in done.stdout.split()):
        time.sleep(0.005)


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("end", ["shutdown", "idle"])
def test_workers_end_in_the_ordinary_way(tmp_path, method, end):
    """Section 6: exit handlers run, and their own children are ended."""

    def register(number, *, path):
        def leave_a_trace():
            with open(path, "a") as file:
                file.write("ended ")

        atexit.register(leave_a_trace)
        child = multiprocessing.get_context("fork").Process(target=time.sleep, args=(600,), daemon=True)
        child.start()
        return child.pid

    idle = 0.2 if end == "idle" else 540.0
    run = distribute(register, job="compute", workers=1, start_method=method, idle_seconds=idle)
    (child,) = run([1], path=str(tmp_path / "trace"))
    if end == "shutdown":
        began = time.monotonic()
        shared_pool().end(only_idle=True)
        assert time.monotonic() - began < 3.0
    while not (tmp_path / "trace").exists() or psutil.pid_exists(child):
        time.sleep(0.005)
    assert (tmp_path / "trace").read_text() == "ended "


@pytest.mark.parametrize("method", METHODS)
def test_workers_that_do_not_end_are_ended(method):
    """Section 6: after two seconds, by force."""

    def register(number):
        threading.Thread(target=time.sleep, args=(600,)).start()
        atexit.register(time.sleep, 600)
        return os.getpid()

    (pid,) = distribute(register, job="compute", workers=1, start_method=method, idle_seconds=541.0)([1])
    began = time.monotonic()
    shared_pool().end(only_idle=True)
    assert time.monotonic() - began < 4.0
    assert not psutil.pid_exists(pid)


def test_exit_handlers_of_the_caller_do_not_run_in_workers():
    """Section 6: also where workers are forked from it."""
    program = """if True:
        import atexit
        from jd_core import distribute
        atexit.register(print, "end")
        for method in ("forkserver", "fork", "spawn"):
            distribute(abs, job="compute", workers=2, start_method=method)([-1, -2])
    """
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60)
    assert (done.stdout, done.stderr) == ("end\n", "")


def test_libraries_are_imported_once_before_workers_are_forked():
    """The first call: one import, not one per worker; the user's own modules are not touched."""
    import pandas

    def look(number):
        found = "pandas" in sys.modules
        return found, pandas.__name__, os.getppid()

    # The initializer runs before the function comes, and what that needs is there.
    run = distribute(look, job="compute", workers=2, initializer=lambda: sys.modules["pandas"])
    assert {found for found, _, _ in run(range(4))} == {True}


@pytest.mark.parametrize("method", METHODS)
def test_global_generators_draw_other_numbers_in_each_worker(method, tmp_path):
    """Calls draw no numbers twice, also where a worker is forked from a process that has imported and used the library."""
    from numpy import random as numpy_random

    numpy_random.seed(5)

    def draw(number):
        functions.meet(number, folder=str(tmp_path), calls=2)
        return os.getpid(), numpy_random.random(), random.random()

    run = distribute(draw, job="compute", workers=2, chunksize=1, start_method=method, idle_seconds=560.0)
    (first, *ones), (second, *others) = run(range(2))
    assert first != second
    assert not {*ones} & {*others}


@pytest.mark.parametrize(
    "source",
    [
        "import counted.part\ndef call(number): return os.getpid()",
        "from counted import part\ndef call(number): return os.getpid()",
        "from counted.part import Class\ndef call(number): return os.getpid()",
        "import helpers\ndef call(number): return os.getpid()",
        "import functools, helpers\ncall = functools.partial(lambda number, other: os.getpid(), other=helpers.Holder())",
        "from other.helpers import call",
    ],
    ids=["module", "part", "class", "through a module", "through an argument", "in a package"],
)
def test_what_the_modules_of_a_function_import_is_imported_once(source, tmp_path):
    """The first call: a worker imports the function's module, so what this imports is needed, whoever names it."""
    log = tmp_path / "imported"
    count = f"import os\nos.write(os.open({str(log)!r}, os.O_APPEND | os.O_CREAT | os.O_WRONLY), b'.')"
    warn = "import warnings\nwarnings.warn('imported', FutureWarning)"
    files = {
        "site-packages/counted/__init__.py": "",
        "site-packages/counted/part.py": f"{count}\n{warn}\nclass Class: pass",
        "helpers.py": "from counted import part\nclass Holder: pass",
        "other/__init__.py": "",
        "other/helpers.py": "import os\nfrom counted.part import Class as Renamed\ndef call(number): return os.getpid()",
        "calls.py": f"import os\n{source}",
    }
    for name, text in files.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text + "\n")
    script = (
        f"import sys; sys.path[:0] = {[str(tmp_path), str(tmp_path / 'site-packages')]}\n"
        "import calls\n"
        "from just_distribute import distribute\n"
        "run = distribute(calls.call, job='compute', workers=2, max_calls_per_worker=1)\n"
        "print(len(set(run(range(6)))))"
    )
    said = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False, cwd=tmp_path)
    assert said.stdout == "6\n"
    assert said.stderr.count("FutureWarning: imported") == 1  # in the caller, as without workers
    assert log.read_text() == ".."  # by the caller, and by the process that forks workers


def test_a_library_that_starts_threads_is_not_imported_before_workers_are_forked(tmp_path, monkeypatch):
    """Section 6: by default nothing is forked from a process with threads."""
    from jd_compute.run import workers

    source = "import threading, time\nthreading.Thread(target=time.sleep, args=(600,), daemon=True).start()\n"
    (tmp_path / "starts_threads.py").write_text(source)
    for name in ("before", "z_after"):
        (tmp_path / f"{name}_it.py").touch()
    monkeypatch.syspath_prepend(str(tmp_path))
    modules = {"before_it", "starts_threads", "z_after_it"}
    monkeypatch.setattr(workers, "libraries", lambda work: modules)

    def look(number):
        return threading.active_count(), modules & {*sys.modules}, os.getppid()

    run = distribute(look, job="compute", workers=2, idle_seconds=550.0)
    results = run(range(4))
    # The others are.
    assert {(threads, *sorted(imported)) for threads, imported, _ in results} == {(1, "before_it", "z_after_it")}
    again = run.options(idle_seconds=551.0)(range(4))
    assert {server for *_, server in again} == {server for *_, server in results}


@pytest.mark.parametrize("signal_number", [signal.SIGINT, signal.SIGCHLD])
def test_signals_are_a_workers_own_again(signal_number):
    """Section 6: what the process that forks it does with signals is not left in it."""
    run = distribute(lambda number: str(signal.getsignal(number)), job="compute", workers=1)
    assert "fork_server" not in run([int(signal_number)])[0]
