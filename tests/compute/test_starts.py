"""How workers start, are shared by runs, and what a fork of the caller, or of a worker, does to them."""

from __future__ import annotations

import contextlib
import ctypes
import gc
import importlib
import itertools
import json
import os
import pathlib
import signal
import subprocess
import sys
import textwrap
import threading
import time

import psutil
import pytest
from jd_compute.pool import launcher, share
from jd_compute.pool.share import settings
from jd_compute.pool.shared import shared_pool
from jd_compute.transport.channel import Channel
from jd_core import BackendError, WorkerDiedError, distribute, shutdown
from jd_core.testing import wait_until
from jd_core.testing.harness import best_of_three

METHODS = ["forkserver", "spawn", "fork"]

fresh = itertools.count(1)  # of things that no test has used before


def run_program(source, *arguments, seconds=30.0, **options):
    """Runs a program in a session of its own, which must end in time; returns what it printed, and its errors."""
    process = subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(source), *map(str, arguments)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
        **options,
    )
    try:
        return process.communicate(timeout=seconds)
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.communicate()


@pytest.mark.parametrize("executable", [None, "", "/no/such/python"])
@pytest.mark.parametrize("method", METHODS)
def test_without_an_interpreter_to_start(method, executable):
    """A program that embeds Python may have no `sys.executable`: a fork needs none, all else is one error that says so."""
    program = """
        import sys
        from jd_core import BackendError, distribute
        sys.executable = {"None": None}.get(sys.argv[2], sys.argv[2])
        try:
            print(distribute(abs, job="compute", workers=2, start_method=sys.argv[1])([-1, -2]))
        except BackendError as error:
            print(error)
    """
    output, errors = run_program(program, method, executable)
    assert errors == ""
    assert output == "[1, 2]\n" if method == "fork" else f"started as sys.executable, {executable!r}" in output


@pytest.mark.parametrize("method", ["forkserver", "spawn"])
def test_an_executable_that_is_no_python(method):
    """A program that embeds Python may be `sys.executable` itself: the error names it."""
    program = """
        import sys
        from jd_core import WorkerDiedError, distribute
        sys.executable = "/bin/false"
        try:
            distribute(abs, job="compute", workers=2, start_method=sys.argv[1])([-1, -2])
        except WorkerDiedError as error:
            print(error)
    """
    output, errors = run_program(program, method)
    assert errors == ""
    assert "a sys.executable that is no Python ('/bin/false')" in output


@pytest.mark.parametrize("method", METHODS)
def test_without_arguments(method):
    """A program that embeds Python may have no `sys.argv`; there are none in workers then, nor after a change."""
    program = """
        import sys
        from jd_core import distribute
        method = sys.argv.pop()
        del sys.argv
        count = distribute(lambda _: len(sys.argv), job="compute", workers=2, start_method=method)
        print(count([1, 2]))
        sys.argv = ["now"]
        print(count([1, 2]))
    """
    assert run_program(program, method) == ("[0, 0]\n[1, 1]\n", "")


@pytest.mark.parametrize("method", METHODS)
def test_an_audit_hook_that_refuses_processes(method):
    """Promise 15: one error, which says what the hook says."""
    program = """
        import sys
        from jd_core import BackendError, distribute

        def hook(event, arguments):
            if event in ("os.posix_spawn", "os.fork"):
                raise PermissionError("no processes here")

        sys.addaudithook(hook)
        try:
            distribute(abs, job="compute", workers=2, start_method=sys.argv[1])([-1, -2])
        except BackendError as error:
            print(error)
    """
    output, errors = run_program(program, method)
    assert errors == ""
    assert "no processes here. Look for what refuses it" in output


@pytest.mark.parametrize("method", METHODS)
def test_signals_that_the_caller_holds_back(method):
    """As for `signal.sigwait`: how a worker has ended is known at once all the same, and the next call works."""
    program = """
        import os, signal, sys
        from jd_core import WorkerDiedError, distribute
        signal.pthread_sigmask(signal.SIG_BLOCK, signal.valid_signals())
        settings = dict(job="compute", workers=2, start_method=sys.argv[1])
        try:
            distribute(lambda code: os._exit(code), **settings)([3])
        except WorkerDiedError as error:
            print(error)
        print(distribute(abs, **settings)([-1, -2]))
    """
    output, errors = run_program(program, method)
    assert errors == ""
    assert "exit code 3" in output
    assert output.endswith("\n[1, 2]\n")


@pytest.mark.parametrize("method", METHODS)
def test_somebody_closes_all_files(method):
    """As daemons do: there are new workers then, and what has got the descriptors is neither closed nor written to."""
    program = """
        import contextlib, os, sys
        import numpy as np
        from jd_core import distribute, shutdown
        double = distribute(lambda x: 2 * x, job="compute", workers=2, start_method=sys.argv[1])
        for others in (0, 5, 20):
            print(double(range(3)), len(double([np.ones(100_000)] * 4)))
            os.closerange(3, 1024)
            print([os.open(os.devnull, os.O_RDONLY) for _ in range(others)])
        print(double(range(3)), len(double([np.ones(100_000)] * 4)))
        print(all(os.fstat(file).st_rdev == os.stat(os.devnull).st_rdev for file in range(3, 23)))
        os.closerange(3, 1024)
        shutdown()
        print(double(range(3)))
        os.closerange(3, 1024)
    """
    output, errors = run_program(program, method)
    results = "[0, 2, 4] 4\n"
    opened = [f"{[*range(3, 3 + others)]}\n" for others in (0, 5, 20)]
    assert output == "".join(results + files for files in opened) + results + "True\n[0, 2, 4]\n"
    assert errors == ""


def test_a_daemon_that_closes_all_files():
    """A forked child does it, and what had been the pipe to `multiprocessing`'s resource tracker is one of ours then."""
    program = """
        import os, sys
        from jd_core import distribute
        double = distribute(lambda x: 2 * x, job="compute", workers=2)
        print(double(range(3)), flush=True)
        for others in range(12):
            if os.fork() == 0:
                os.closerange(3, 1024)
                files = [os.open(os.devnull, os.O_RDONLY) for _ in range(others)]
                print(double(range(3)), flush=True)
                os._exit(0)
            os.wait()
    """
    assert run_program(program, seconds=60.0) == ("[0, 2, 4]\n" * 13, "")


@pytest.mark.parametrize("method", METHODS)
def test_workers_collect_garbage(method):
    """The process that forks them does not, and nothing that it has imported is hidden from the collector."""
    # As pytest has it here, or as an interpreter begins: Python 3.12 freezes some objects of its own.
    program = "import gc; print(gc.get_freeze_count())"
    new = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    frozen = gc.get_freeze_count() if method == "fork" else int(new.stdout)
    enabled = distribute(lambda _: (gc.isenabled(), gc.get_freeze_count() <= frozen), job="compute", workers=2)
    assert enabled.options(start_method=method)(range(4)) == [(True, True)] * 4


def test_what_was_imported_is_old():
    """Row first-call-pandas: no worker's first collection goes through all that was imported before, and copies it."""
    program = """
        import gc
        gc.disable()
        from jd_compute.worker import process
        before = gc.get_freeze_count()
        process.collect_garbage()
        is_old = any(one is vars(process) for one in gc.get_objects(generation=2))
        print(gc.isenabled(), is_old, gc.get_freeze_count() <= before)
    """
    assert run_program(program) == ("True True True\n", "")


@pytest.mark.parametrize("method", ["forkserver", "spawn"])
def test_interpreters_that_end_at_once_are_an_error_that_says_how(tmp_path, method):
    """Promise 15: within five seconds, whatever else there is to tell workers."""
    (tmp_path / "sitecustomize.py").write_text("import os, sys\nif 'jd_compute' in ''.join(sys.orig_argv): os._exit(7)\n")
    program = """
        import sys, time
        from jd_core import WorkerDiedError, distribute
        began = time.monotonic()
        try:
            distribute(abs, job="compute", workers=2, start_method=sys.argv[1])([-1, -2])
        except WorkerDiedError as error:
            print(time.monotonic() - began, error)
    """
    environment = {**os.environ, "PYTHONPATH": str(tmp_path), **{f"LONG_{k}": "x" * 2000 for k in range(40)}}
    output, errors = run_program(program, method, env=environment)
    took, message = output.split(" ", 1)
    assert float(took) < 5.0
    assert "exit code 7" in message
    assert not errors


@pytest.mark.parametrize("method", METHODS)
@best_of_three
def test_a_worker_killed_while_it_starts_costs_a_new_attempt(method):
    """Promise 15: and not the run, also when its replacement dies."""
    killed = []
    for turn in range(3):
        before = set(psutil.Process().children(recursive=True))

        def kill_one(before=before):
            deadline = time.monotonic() + 5.0
            while time.monotonic() < deadline:
                for process in set(psutil.Process().children(recursive=True)) - before:
                    with contextlib.suppress(psutil.Error):
                        process.kill()
                        killed.append(process)
                        return

        killer = threading.Thread(target=kill_one)
        killer.start()
        run = distribute(abs, job="compute", workers=4, start_method=method, idle_seconds=500.0 + turn)
        began = time.monotonic()
        assert run(range(-40, 0)) == list(range(40, 0, -1))
        assert time.monotonic() - began < 5.0
        killer.join()
    assert killed


@pytest.mark.slow
@pytest.mark.parametrize("method", METHODS)
@best_of_three
def test_launches_end_in_results_whatever_is_killed_when(run_script, method):
    """Promise 15: within five seconds each; files, processes and memory stay as they were. SOAK_LAUNCHES=1000 for a soak."""
    launches = int(os.environ.get("SOAK_LAUNCHES", "40"))
    done = run_script("start_kills.py", method, launches, seconds=max(150.0, 5.0 * launches))
    report = json.loads(done.stdout)
    assert report["outcomes"] == {"results": launches}, done.stderr
    assert report["worst"] < 5.0
    before, after = report["before"], report["after"]
    assert after["memory"] < before["memory"] + 5_000_000
    assert {**after, "memory": 0} == {**before, "memory": 0}


def test_a_replacement_that_dies_while_it_starts_is_replaced(tmp_path):
    """Promise 15: two workers; a call ends its process, and so does what comes in its place, once."""

    def initialize():
        if (tmp_path / "died").exists():
            with contextlib.suppress(FileExistsError):
                (tmp_path / "killed").touch(exist_ok=False)
                os.kill(os.getpid(), signal.SIGKILL)

    def work(number):
        if number == 7:
            with contextlib.suppress(FileExistsError):
                (tmp_path / "died").touch(exist_ok=False)
                os._exit(3)
        return number

    run = distribute(work, job="compute", workers=2, initializer=initialize, retries=2, return_exceptions=True)
    assert run(range(40)) == list(range(40))
    assert (tmp_path / "killed").exists()


def test_deaths_while_starting_are_limited_and_each_is_named(monkeypatch):
    """Promise 15: no run tries for ever; the error says how each ended."""
    monkeypatch.setattr(launcher, "MOST_ATTEMPTS", 1)
    with pytest.raises(WorkerDiedError, match=r"2 were started and ended, 2 with exit code 9"):
        distribute(abs, job="compute", workers=1, initializer=lambda: os._exit(9))([-1])


def test_a_dead_fork_server_is_replaced():
    """Section 6: calls that run go on; those that come next have workers."""
    run = distribute(lambda _: os.getppid(), job="compute", workers=1, idle_seconds=510.0)
    (server,) = run([0])
    os.kill(server, signal.SIGKILL)
    distribute(lambda _: os.getpid(), job="compute", workers=2, idle_seconds=511.0)(range(4))
    (other,) = distribute(lambda _: os.getppid(), job="compute", workers=1, idle_seconds=512.0)([0])
    assert other != server


def test_a_worker_outlives_its_server():
    """Section 5: a call is not blamed for what happened to another process."""

    def kill_the_server(number):
        if number == 0:
            os.kill(os.getppid(), signal.SIGKILL)
        return number

    assert distribute(kill_the_server, job="compute", workers=2, idle_seconds=513.0)(range(20)) == list(range(20))


def test_slow_initializers_do_not_count_as_idle_time(tmp_path):
    """Section 6: one that takes longer than others have to be idle."""

    def initialize():
        with contextlib.suppress(FileExistsError):
            (tmp_path / "slow").touch(exist_ok=False)
            time.sleep(1.0)

    run = distribute(abs, job="compute", workers=3, idle_seconds=0.2, initializer=initialize)
    assert run(range(-6, 0)) == [6, 5, 4, 3, 2, 1]


def test_a_worker_that_is_just_ending_is_no_death():
    """Section 6: idle time that is over when a chunk is on its way costs nobody anything."""
    run = distribute(abs, job="compute", workers=2, idle_seconds=0.01)
    for turn in range(60):
        assert run([-1, -2]) == [1, 2]
        time.sleep(0.0005 * (turn % 40))


def test_threads_that_call_at_once_share_workers(monkeypatch):
    """Promise 16: no more processes than one of them may have."""
    # On a busy machine a few would have waited for so long that they start their own, as they may.
    monkeypatch.setattr(share, "WAIT_SECONDS", 60.0)
    run = distribute(lambda _: (time.sleep(0.001), os.getpid())[1], job="compute", workers=2, idle_seconds=520.0)
    run(range(20))  # new workers import what the function needs, which takes long here
    results = []
    threads = [threading.Thread(target=lambda: results.append(run(range(20)))) for _ in range(40)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [len(result) for result in results] == [20] * 40
    assert len({pid for result in results for pid in result}) <= 2, "each by itself would have two of the 80"


def test_runs_wait_for_workers_that_import_what_the_function_needs(tmp_path, monkeypatch):
    """Promise 16: those that they would start themselves would have to import it, too."""
    monkeypatch.setattr(share, "LOAD_SECONDS", 60.0)
    name = f"slow_to_import_{next(fresh)}"
    (tmp_path / "go").touch()
    (tmp_path / f"{name}.py").write_text(
        f"""import os, time
open({str(tmp_path)!r} + "/started-" + str(os.getpid()), "w").close()
while not os.path.exists({str(tmp_path / "go")!r}):
    time.sleep(0.005)
def double(number):
    return 2 * number
"""
    )
    monkeypatch.syspath_prepend(str(tmp_path))
    run = distribute(importlib.import_module(name).double, job="compute", workers=2, idle_seconds=5400.0 + next(fresh))
    (tmp_path / "go").unlink()
    results = []
    threads = [threading.Thread(target=lambda: results.append(run(range(4)))) for _ in range(6)]
    for thread in threads:
        thread.start()
    wait_until(lambda: len(list(tmp_path.glob("started-*"))) == 3)  # this process, and both workers
    time.sleep(0.5)  # five times as long as a run waits else
    started = len(list(tmp_path.glob("started-*")))
    (tmp_path / "go").touch()
    for thread in threads:
        thread.join()
    assert started == 3
    assert results == [[0, 2, 4, 6]] * 6


def test_idle_workers_of_another_kind_make_room_for_no_more_than_there_may_be():
    """Promise 16: a run gets new ones in their place only where fewer are at work than there may be."""
    pool = shared_pool()
    distribute(abs, job="compute", workers=6, idle_seconds=5400.0 + next(fresh), chunksize=1)(range(6))
    common = settings({"idle_seconds": 5400.0 + next(fresh)}, (), method="forkserver", idle_seconds=300.0)
    first, second = pool.join(common, 2), pool.join(common, 2)
    try:
        started = [worker for worker, _ in pool.start(first, [0, 0, 0], set, None)]
        assert len(started) == 2
        assert pool.start(second, [0, 0], pytest.fail, None) == []
        for worker in started:
            pool.check_in(first, worker)
    finally:
        pool.leave(first)
        pool.leave(second)


def test_a_worker_that_is_checked_in_between_two_questions_is_taken():
    """Promise 16: a run that found none idle starts none in its place, and need not wait for it either."""
    pool = shared_pool()
    common = settings({"idle_seconds": 5400.0 + next(fresh)}, (), method="forkserver", idle_seconds=300.0)
    first, second = pool.join(common, 1), pool.join(common, 1)
    try:
        ((worker, _),) = pool.start(first, [0], set, None)
        assert pool.take(second) is None
        pool.check_in(first, worker)
        assert pool.start(second, [0], pytest.fail, None) == []
        began = time.monotonic()
        pool.wait(second, 60.0)
        assert pool.take(second) is worker
        assert time.monotonic() - began < share.WAIT_SECONDS
        pool.check_in(second, worker)
    finally:
        pool.leave(first)
        pool.leave(second)


@pytest.mark.slow
@best_of_three
def test_threads_that_share_workers_lose_little_time(run_script):
    """Promise 16: at most 1.5 times what they take with one executor of the standard library, in the best of four pairs."""
    done = run_script("forty_threads.py")
    assert min(map(float, done.stdout.split())) <= 1.5, done.stdout + done.stderr


def test_a_run_whose_consumer_stands_still_holds_no_other_back():
    """Section 6: it waits for a worker, not for another run's consumer."""
    run = distribute(abs, job="compute", workers=1, chunksize=1)
    with run.stream(range(-9, 0)) as stream:
        assert next(stream) == 9
        began = time.monotonic()
        assert run(range(-9, 0)) == list(range(9, 0, -1))
        assert time.monotonic() - began < 5.0
        assert list(stream) == list(range(8, 0, -1))


def test_long_calls_of_one_run_hold_no_other_back(tmp_path):
    """Section 6: each run has at least one worker."""

    def wait(number):
        while not (tmp_path / "go").exists():
            time.sleep(0.005)
        return number

    results = []
    first = threading.Thread(target=lambda: results.append(distribute(wait, job="compute", workers=2)(range(2))))
    first.start()
    try:
        assert distribute(abs, job="compute", workers=2)([-1, -2]) == [1, 2]
    finally:
        (tmp_path / "go").touch()
        first.join()
    assert results == [[0, 1]]


def test_ctrl_c_within_an_order_to_the_process_that_starts_workers(monkeypatch, capfd):
    """It takes the next order for the rest of this one, and another process starts the workers."""

    def interrupted(*_):
        raise KeyboardInterrupt

    run = distribute(abs, job="compute", workers=2, idle_seconds=5500.0 + next(fresh))
    with monkeypatch.context() as patched:
        patched.setattr(Channel, "send_files", interrupted)
        with pytest.raises(KeyboardInterrupt):
            run([-1, -2])
    assert run([-1, -2]) == [1, 2]
    assert capfd.readouterr().err == ""


def test_settings_that_come_once_leave_nothing():
    """Promise 8: their workers make room for those that come next."""

    def children():
        return {child.pid for child in psutil.Process().children(recursive=True)}

    def census():
        return psutil.Process().num_fds(), len(children() - others)

    def use(number):
        distribute(abs, job="compute", workers=2, initializer=lambda: number)([-1, -2])

    shutdown()
    others = children()  # of tests before: processes of other libraries, or that have not quite ended
    for number in range(3):
        use(number)
    files, _ = census()
    for number in range(20):
        use(number)
    assert census()[0] - files < 20  # not one for each
    # What forks, a resource tracker, and two workers, of which one may start late, once those before have ended.
    wait_until(lambda: census()[1] <= 4)


@pytest.mark.parametrize("way", ["call", "exit", "kill", "stream"])
def test_a_forked_child_calls_and_changes_nothing_for_the_parent(way):
    """Promise 17: however it ends."""
    output, errors = run_program(
        """
        import os, signal, sys, threading, time, warnings
        from jd_core import distribute
        warnings.simplefilter("ignore", DeprecationWarning)  # Python 3.12 warns of any fork beside threads
        way = sys.argv[1]
        def work(number):
            time.sleep(0.01)
            return number
        run = distribute(work, job="compute", workers=2)
        run(range(4))
        results = []
        thread = threading.Thread(target=lambda: results.append(run(range(60))))
        thread.start()
        stream = run.stream(range(50))
        next(stream)
        child = os.fork()
        if child == 0:
            if way == "call":
                assert run(range(9)) == list(range(9))
            elif way == "kill":
                os.kill(os.getpid(), signal.SIGKILL)
            elif way == "stream":
                stream.close()
            sys.exit(0)
        status = os.waitpid(child, 0)[1]
        thread.join()
        print(os.waitstatus_to_exitcode(status), results == [list(range(60))], list(stream) == list(range(1, 50)))
        """,
        way,
    )
    assert (output, errors) == (f"{-9 if way == 'kill' else 0} True True\n", "")


@pytest.mark.parametrize("by", ["Python", "C"])
@pytest.mark.parametrize("end", ["return", "exit", "raise"])
def test_a_forked_child_of_a_worker_does_not_answer(end, by, tmp_path):
    """Section 5: the call's result is the worker's own, and the child ends; also one of which Python does not know."""

    def fork(number):
        child = os.fork() if by == "Python" else ctypes.CDLL(None).fork()
        if child == 0:
            (tmp_path / str(os.getpid())).touch()
            if end == "exit":
                sys.exit(1)
            if end == "raise":
                raise ValueError
            return "child"
        return "worker"

    run = distribute(fork, job="compute", workers=2, chunksize=3)
    assert run(range(6)) == ["worker"] * 6
    assert distribute(abs, job="compute", workers=2)([-1, -2]) == [1, 2]
    children = [int(path.name) for path in tmp_path.iterdir()]
    assert children
    deadline = time.monotonic() + 10.0
    while any(is_running(child) for child in children):
        assert time.monotonic() < deadline
        time.sleep(0.01)


def is_running(pid):
    """Whether a process lives, and is not just waited for by its parent."""
    with contextlib.suppress(psutil.NoSuchProcess):
        return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    return False


def test_a_deleted_working_folder_is_no_matter(tmp_path, monkeypatch):
    """Promise 15: workers that are there, and new ones."""
    run = distribute(abs, job="compute", workers=2)
    run([-1])
    folder = tmp_path / "gone"
    folder.mkdir()
    monkeypatch.chdir(folder)
    folder.rmdir()
    assert run([-1, -2]) == [1, 2]
    assert distribute(abs, job="compute", workers=2, idle_seconds=530.0)([-1, -2]) == [1, 2]
    shutdown()  # the process that starts workers, too, which is in the folder of before
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join(["relative", "", str(tmp_path)]))
    assert run([-1, -2]) == [1, 2], "an interpreter does not start where it cannot make the first of these absolute"


@pytest.mark.parametrize("files", [64, 128])
def test_few_open_files_are_enough_for_large_arrays(files):
    """Promise 15: both ways, as elements and constants."""
    output, errors = run_program(
        """
        import resource, sys
        import numpy as np
        from jd_core import distribute
        resource.setrlimit(resource.RLIMIT_NOFILE, (int(sys.argv[1]),) * 2)
        results = distribute(lambda k: np.full(40_000, float(k)), job="compute", workers=2)(range(300))
        print(all((result == k).all() for k, result in enumerate(results)))
        add = distribute(lambda one, *, other: (one + other).sum(), job="compute", workers=2)
        print(add([np.ones(40_000)] * 60, other=np.ones(40_000)) == [80_000.0] * 60)
        """,
        files,
    )
    assert (output, errors) == ("True\nTrue\n", "")


def test_no_further_process_allowed_is_one_error_that_says_so(monkeypatch):
    """Promise 15: never an OSError from inside."""

    def refuse(*arguments, **options):
        raise BlockingIOError(11, "Resource temporarily unavailable")

    monkeypatch.setattr(os, "posix_spawn", refuse)
    with pytest.raises(BackendError, match=r"Resource temporarily unavailable \(EAGAIN\).*ulimit -u"):
        distribute(abs, job="compute", workers=2, threads_per_worker=7)([-1, -2])


@pytest.mark.parametrize("folder", ["missing", "read-only", "long"])
def test_temporary_folders_do_not_matter(tmp_path, folder):
    """Promise 15: nothing of ours has a name there."""
    path = tmp_path / ("x" * 150 if folder == "long" else "folder")
    if folder != "missing":
        path.mkdir(mode=0o500 if folder == "read-only" else 0o700)
    program = "from jd_core import distribute; print(distribute(abs, job='compute', workers=2)([-1, -2]))"
    output, errors = run_program(program, env={**os.environ, "TMPDIR": str(path)})
    assert (output, errors) == ("[1, 2]\n", "")


@pytest.mark.parametrize("method", METHODS)
def test_nothing_is_left_of_a_caller_killed_while_workers_start(method, tmp_path):
    """Promise 7: after two seconds, also while a forked child of it lives."""
    program = """if True:
        import os, sys, threading, time
        from jd_core import distribute
        def initialize():
            open(sys.argv[2] + "/" + str(os.getpid()), "w").close()
            time.sleep(600)
        run = distribute(abs, job="compute", workers=2, start_method=sys.argv[1], initializer=initialize)
        threading.Thread(target=run, args=([1, 2],), daemon=True).start()
        while len(os.listdir(sys.argv[2])) < 2:
            time.sleep(0.005)
        if os.fork() == 0:
            time.sleep(20)
            os._exit(0)
        print("ready", flush=True)
        time.sleep(600)
    """
    process = subprocess.Popen(
        [
            sys.executable,
            "-c",
            program,
            method,
            str(tmp_path),
        ],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    try:
        assert process.stdout.readline() == b"ready\n"
        workers = [int(path.name) for path in pathlib.Path(tmp_path).iterdir()]
        servers = [psutil.Process(worker).ppid() for worker in workers]
        process.kill()
        process.wait()
        deadline = time.monotonic() + 2.0
        while left := [pid for pid in {*workers, *servers} - {process.pid} if is_running(pid)]:
            assert time.monotonic() < deadline, left
            time.sleep(0.01)
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.communicate()


def test_a_program_whose_sockets_have_a_timeout_has_results():
    """Section 6: such sockets never block, and neither would those of workers, which get theirs from the caller."""
    program = """
        import socket, sys, time
        socket.setdefaulttimeout(0.001)
        from jd_compute.worker import interpreter
        introduce = interpreter.introduction
        from jd_compute.pool import fork_server, launcher

        def late():
            time.sleep(0.2)
            return introduce()

        fork_server.introduction = launcher.introduction = late
        from jd_core import distribute
        for method in "forkserver", "spawn":
            print(distribute(lambda x: time.sleep(0.1) or x, job="compute", workers=2, start_method=method)([1, 2]))
    """
    assert run_program(program) == ("[1, 2]\n[1, 2]\n", "")


def test_a_program_patched_by_gevent_has_results():
    """Section 6: or an error at once; no hang."""
    pytest.importorskip("gevent")
    program = """
        from gevent import monkey
        monkey.patch_all()
        from jd_core import distribute
        import gevent, time
        run = distribute(abs, job="compute", workers=2)
        print(run(range(-4, 0)))
        greenlets = [gevent.spawn(run, range(-4, 0)) for _ in range(5)]
        print(all(greenlet.get() == [4, 3, 2, 1] for greenlet in greenlets))
        others = []
        ticking = gevent.spawn(lambda: [others.append(gevent.sleep(0.01)) for _ in range(1000)])
        distribute(lambda _: time.sleep(0.3), job="compute", workers=1)([0])
        print(len(others) > 2)
    """
    assert run_program(program) == ("[4, 3, 2, 1]\nTrue\nTrue\n", "")
