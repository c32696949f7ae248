"""Promises 7 and 8: Ctrl-C, the end of the caller, and that nothing is left behind."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import json
import os
import pathlib
import signal
import subprocess
import sys
import threading
import time

import numpy as np
import psutil
import pytest
from jd_compute.pool import launcher
from jd_compute.pool.share import Shares
from jd_compute.transport import arena
from jd_core import distribute
from jd_core.testing import wait_until
from jd_core.testing.harness import best_of_three

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


@pytest.mark.slow
@best_of_three
def test_runs_of_every_kind_leave_nothing_behind(run_script):
    """Promise 8: whatever happens to them. SOAK_SECONDS=3600 for a soak, SOAK_SEED=2 for another one."""
    seconds = float(os.environ.get("SOAK_SECONDS", "3"))
    done = run_script("mixed_soak.py", seconds, os.environ.get("SOAK_SEED", "1"), seconds=2.0 * seconds + 150.0)
    assert (done.returncode, done.stderr) == (0, ""), done.stdout


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


def test_ctrl_c_just_after_a_worker_was_started_leaves_nothing(monkeypatch):
    """Promises 7 and 8: before anybody has it but the one who was interrupted."""

    def interrupt():
        raise KeyboardInterrupt

    def use(seconds):
        distribute(abs, job="compute", workers=1, start_method="spawn", idle_seconds=seconds)([-1])

    use(91.0)
    before = psutil.Process().num_fds()
    with monkeypatch.context() as patch:
        patch.setattr(launcher, "introduction", interrupt)
        for seconds in (92.0, 93.0, 94.0):
            with pytest.raises(KeyboardInterrupt):
                use(seconds)
    gc.collect()
    use(95.0)
    assert psutil.Process().num_fds() <= before


@pytest.mark.parametrize("method", ["forkserver", "spawn", "fork"])
def test_ctrl_c_while_workers_start_leaves_nothing(method, tmp_path):
    """Promise 7: neither processes nor threads; and the next call works."""

    def initialize():
        (tmp_path / str(os.getpid())).touch()
        time.sleep(600)

    def interrupt():
        wait_until(lambda: len(list(tmp_path.iterdir())) == 2)
        os.kill(os.getpid(), signal.SIGINT)

    run = distribute(abs, job="compute", workers=2, start_method=method, initializer=initialize)
    children = psutil.Process().children(recursive=True)
    thread = threading.Thread(target=interrupt)
    thread.start()
    with pytest.raises(KeyboardInterrupt):
        run([-1, -2])
    thread.join()
    started = [child for child in psutil.Process().children(recursive=True) if child not in children]
    workers = [process for process in started if is_worker(process)]
    assert not psutil.wait_procs(workers, timeout=30)[1]
    assert distribute(abs, job="compute", workers=2, start_method=method)([-1, -2]) == [1, 2]


@pytest.mark.parametrize("way", ["aclose", "cancel", "close"])
def test_a_run_that_is_given_up_while_its_workers_start(way, tmp_path):
    """Section 1, promise 21: it ends at once, its workers too; an initializer that takes long is not waited for."""

    def initialize():
        (tmp_path / str(os.getpid())).touch()
        time.sleep(600)

    run = distribute(abs, job="compute", workers=2, initializer=initialize)

    def wait_for_workers():
        wait_until(lambda: len(list(tmp_path.iterdir())) == 2)

    async def give_up_awaited():
        if way == "aclose":
            stream = run.astream([-1, -2])
            task = asyncio.create_task(anext(stream))
            await asyncio.to_thread(wait_for_workers)
            await stream.aclose()
        else:
            task = asyncio.create_task(run.aio([-1, -2]))
            await asyncio.to_thread(wait_for_workers)
            task.cancel()
        await asyncio.wait([task])

    if way == "close":
        stream = run.stream([-1, -2])
        thread = threading.Thread(target=list, args=(stream,))
        thread.start()
        wait_for_workers()
        stream.close()
        thread.join()
    else:
        asyncio.run(give_up_awaited())
    assert not [path for path in tmp_path.iterdir() if psutil.pid_exists(int(path.name))]


@pytest.mark.parametrize(("where", "function"), [(Shares, "add"), (Shares, "lend"), (arena, "open_nameless")])
def test_garbage_collection_ends_a_stream_in_the_middle_of_another_run(where, function, monkeypatch):
    """Section 1: dropping a stream cancels it, whenever that is noticed, and whatever locks this thread holds then."""
    original, collected = getattr(where, function), []

    def collect(*arguments):
        collected.append(gc.collect())
        return original(*arguments)

    def drop_a_stream():
        stream = run.stream([np.ones(1 << 16)] * 100)
        next(stream)
        circle = [stream]
        circle.append(circle)

    run = distribute(lambda array: array, job="compute", workers=2, idle_seconds=600.0)
    gc.disable()
    try:
        drop_a_stream()
        with monkeypatch.context() as patched:
            patched.setattr(where, function, collect)
            other = distribute(lambda array: array.sum(), job="compute", workers=2, idle_seconds=601.0)
            # More than is kept for later, so that it is not in a file of an earlier run.
            assert other([np.ones(1 << 25)]) == [1 << 25]
        assert collected
        assert len(run([np.ones(1)] * 4)) == 4
    finally:
        gc.enable()


def is_worker(process):
    """Whether a process is a worker, and not a server that stays, or the tracker of the standard library."""
    with contextlib.suppress(psutil.Error):
        return any("multiprocess" not in line and "fork_server" not in line for line in process.cmdline()[-1:])
    return False
