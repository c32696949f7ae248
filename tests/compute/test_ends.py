"""Promises 7 and 8: Ctrl-C, the end of the caller, and that nothing is left behind."""

from __future__ import annotations

import contextlib
import json
import os
import pathlib
import signal
import subprocess
import sys
import threading
import time

import psutil
import pytest
from jd_compute.backend import DEFAULT_METHOD
from jd_compute.pool import launcher
from jd_core import distribute
from jd_core.testing.harness import best_of_three
from multiprocess import reduction
from pathos.pools import ProcessPool

SIGNALS = pathlib.Path(__file__).parent / "scripts" / "signals.py"


@contextlib.contextmanager
def waiting(job, folder):
    """Runs the script in a session of its own; gives it when two calls are running, and its descendants."""
    process = subprocess.Popen(
        [sys.executable, str(SIGNALS), job, str(folder)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    try:
        while len(list(folder.iterdir())) < 2:
            assert process.poll() is None, process.communicate()
            time.sleep(0.01)
        yield process, psutil.Process(process.pid).children(recursive=True)
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.communicate()


@pytest.mark.parametrize("job", ["compute", "io", "web"])
@best_of_three
def test_one_ctrl_c_is_enough(tmp_path_factory, job):
    """Section 5, promise 7: it returns within two seconds, without a word, the next call works, and no process is left."""
    with waiting(job, tmp_path_factory.mktemp(job)) as (process, descendants):
        began = time.monotonic()
        os.killpg(process.pid, signal.SIGINT)
        output, errors = process.communicate(timeout=20)
        returned, results = output.split(" ", 1)
        assert float(returned) - began < 2.0
        assert (results, errors, process.returncode) == ("[0, 1, 4, 9, 16]\n", "", 0)
        assert not psutil.wait_procs(descendants, timeout=5.0)[1]


@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
@best_of_three
def test_workers_end_with_their_caller(tmp_path_factory, how):
    """Promise 7: no child five seconds after the caller's end, also when a call is running."""
    with waiting("compute", tmp_path_factory.mktemp("ends")) as (process, descendants):
        assert len(descendants) >= 2
        process.send_signal(how)
        process.communicate(timeout=20)
        assert not psutil.wait_procs(descendants, timeout=5.0)[1]


def test_two_hundred_calls_leave_nothing_behind(run_script):
    """Promise 8: descriptors, threads, children and memory as before, after successes and failures."""
    done = run_script("leftovers.py", "plain")
    assert done.returncode == 0, done.stderr
    report = json.loads(done.stdout)
    assert report["after"] == report["before"]
    assert report["growth"] < 5_000_000


def test_nothing_is_left_in_shared_memory_or_the_temporary_folder(tmp_path):
    """Promise 8: what is shared has no name, and the sockets' folder goes."""
    script = (
        "import sys, numpy as np, os, tempfile\n"
        "from jd_core import distribute\n"
        "@distribute('compute', workers=2)\n"
        "def double(array):\n"
        "    if array[0] == 3: os._exit(1)\n"
        "    return array * 2\n"
        "try:\n"
        "    double([np.full(1 << 18, float(k)) for k in range(6)])\n"
        "except Exception as error:\n"
        "    print(type(error).__name__)\n"
    )
    shared = pathlib.Path("/dev/shm")
    before = set(shared.iterdir()) if shared.exists() else set()
    done = subprocess.run(
        [sys.executable, "-c", script],
        env={**os.environ, "TMPDIR": str(tmp_path)},
        capture_output=True,
        text=True,
        timeout=50,
        check=True,
    )
    assert done.stdout == "WorkerDiedError\n", done.stderr
    left = {path for path in tmp_path.rglob("*") if path.name.startswith("jd-")}
    assert not left
    assert not {path for path in (set(shared.iterdir()) if shared.exists() else set()) - before if "jd" in path.name}


@best_of_three
def test_idle_workers_end_after_their_time():
    """Section 6: an idle worker ends by itself, and the next call starts another."""

    def process_id(_):
        return os.getpid()

    run = distribute(process_id, job="compute", workers=1, idle_seconds=0.5)
    (first,) = run([0])
    psutil.Process(first)  # it is there: it waits for more
    while psutil.pid_exists(first):
        time.sleep(0.01)
    assert run([0]) != [first]


@pytest.mark.skipif(DEFAULT_METHOD != "forkserver", reason="no server makes the workers here")
def test_ctrl_c_that_another_thread_takes_while_workers_start_leaves_the_next_call_working(monkeypatch):
    """Promise 7: as in a notebook, whose threads take it, too. Python's server of forks ends when one asks by halves."""
    distribute(abs, job="compute", workers=1)([-1])  # the server is there
    run = distribute(abs, job="compute", workers=2, idle_seconds=85.0)
    children, over = psutil.Process().children(recursive=True), threading.Event()
    other = threading.Thread(target=over.wait)
    other.start()
    assert other.ident is not None
    send = reduction.sendfds

    def interrupt_and_send(*arguments):
        monkeypatch.setattr(reduction, "sendfds", send)
        signal.pthread_kill(other.ident, signal.SIGINT)
        time.sleep(0.1)  # in which Python has the main thread handle it, if nothing keeps it from that
        send(*arguments)

    monkeypatch.setattr(reduction, "sendfds", interrupt_and_send)
    try:
        with pytest.raises(KeyboardInterrupt):
            run([-1, -2])
    finally:
        over.set()
        other.join()
    started = [child for child in psutil.Process().children(recursive=True) if child not in children]
    assert not psutil.wait_procs(started, timeout=30)[1]
    assert run([-1, -2]) == [1, 2]


def test_ctrl_c_while_workers_start_leaves_nothing(monkeypatch):
    """Promise 7: neither processes, nor threads that would start new ones for ever."""
    distribute(abs, job="compute", workers=1)([-1])  # what starts the workers is there
    run = distribute(abs, job="compute", workers=2, idle_seconds=79.0)
    dismiss, children = launcher._dismiss, psutil.Process().children(recursive=True)
    main = threading.main_thread().ident
    assert main is not None

    def interrupt_and_dismiss(pool):
        monkeypatch.setattr(launcher, "_dismiss", dismiss)
        signal.pthread_kill(main, signal.SIGINT)
        dismiss(pool)

    monkeypatch.setattr(launcher, "_dismiss", interrupt_and_dismiss)
    with pytest.raises(KeyboardInterrupt):
        run([-1, -2])
    assert not [thread for thread in threading.enumerate() if "_handle_workers" in thread.name]
    assert not [name for name in ProcessPool.__state__ if name.startswith("just-distribute")]
    started = [child for child in psutil.Process().children(recursive=True) if child not in children]
    assert not psutil.wait_procs(started, timeout=30)[1]
    assert run([-1, -2]) == [1, 2]
