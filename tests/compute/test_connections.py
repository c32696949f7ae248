"""Promise 1: calls that use descriptors that are not theirs, and programs that inherit them."""

from __future__ import annotations

import atexit
import ctypes
import json
import os
import shlex
import signal
import socket
import subprocess
import sys
import time

import pytest
from jd_compute.transport.channel import Channel
from jd_compute.transport.frame import BrokenChannelError
from jd_core import WorkerDiedError, distribute, shutdown

METHODS = ["forkserver", "spawn", "fork"]


@pytest.mark.parametrize(
    "what", ["read forkserver", "read spawn", "read fork", "read_one_byte spawn", "wait forkserver", "patch fork"]
)
def test_a_call_that_reads_what_its_worker_was_sent_has_a_result(run_script, what):
    """Promise 1: what it has taken is sent again, and it never waits for more; however it is called, and what comes next."""
    done = run_script("descriptors.py", *what.split())
    assert all(results == list(range(12)) for results in json.loads(done.stdout)), done.stdout + done.stderr
    assert "." in done.stderr or not what.startswith("read "), "nothing was read"


@pytest.mark.parametrize(
    "what", ["close forkserver", "close spawn", "close fork", "write forkserver", "replace spawn", "become_a_daemon fork"]
)
def test_a_call_that_breaks_its_connection_ends_its_worker_and_no_more(run_script, what):
    """Promise 1: what breaks the protocol is a dead worker, not a hang, and others are not touched."""
    done = run_script("descriptors.py", *what.split())
    *results, after = json.loads(done.stdout)
    right = [0, 1, 2, "WorkerDiedError", *range(4, 12)]
    automatic = results.pop(4)
    assert automatic == right, done.stdout + done.stderr
    for each in results:  # with chunksize=1 none runs twice, so neither does what the worker had begun after it
        assert each[3] == right[3], done.stdout + done.stderr
        assert sum(one != other for one, other in zip(each, right, strict=True)) <= 1, done.stdout + done.stderr
    assert after == list(range(12))


def test_a_call_that_breaks_its_connection_and_ends_does_not_run_again(run_script):
    """Section 5: with ``chunksize=1`` none does, nor what its worker has begun before it was killed."""
    *results, after = json.loads(run_script("descriptors.py", "write_and_go_on", "forkserver").stdout)
    for each in results:
        assert each[3] == "WorkerDiedError"
        assert all(result in (number, "WorkerDiedError") for number, result in enumerate(each))
    assert after == list(range(12))


def test_a_missing_message_is_seen_by_the_next_one():
    """Promise 3: a worker that was not told about a run does not take its calls for those of the last one."""
    one, other = map(Channel, socket.socketpair())
    for kind in range(300):  # the numbers begin anew in between
        one.send(kind % 100)
        assert other.receive().kind == kind % 100
    one.send(1)
    os.read(other.fileno(), 1 << 10)
    one.send(2)
    with pytest.raises(BrokenChannelError, match="missing"):
        other.receive()
    one.close()
    other.close()


@pytest.mark.parametrize("method", METHODS)
def test_a_call_that_becomes_another_program_ends(method):
    """Promise 1: its process lives on and never answers, which is seen at once."""

    def become(number):
        if number == 1:
            os.execv(sys.executable, [sys.executable, "-c", "import time; time.sleep(600)"])
        return number

    run = distribute(become, job="compute", workers=2, start_method=method, return_exceptions=True, chunksize=1)
    results = run(range(3))
    assert (results[0], type(results[1]), results[2]) == (0, WorkerDiedError, 2)
    assert "a broken connection" in str(results[1])


@pytest.mark.parametrize("start", ["os.system", "subprocess", "posix_spawn", "fork"])
@pytest.mark.parametrize("method", METHODS)
def test_a_program_that_outlives_the_worker_does_not_hide_its_death(method, start, tmp_path):
    """Promise 1: it inherits no end of the connection; or it is a fork by C, and has one, but the worker's end is known."""
    program = "import pathlib, sys; pathlib.Path(sys.argv[1]).touch(); open(sys.argv[2], 'rb').read()"
    command = [sys.executable, "-c", program, str(tmp_path / "started"), str(tmp_path / "end")]

    def start_and_die(number):
        if number == 1:
            if start == "os.system":
                os.system(shlex.join(command) + " &")
            elif start == "subprocess":
                subprocess.Popen(command, close_fds=False)
            elif start == "posix_spawn":
                os.posix_spawn(command[0], command, os.environ)
            elif ctypes.CDLL(None).fork() == 0:
                (tmp_path / "started").touch()
                deadline = time.monotonic() + 60.0  # it may have inherited the other end of what the others read from
                while not (tmp_path / "over").exists() and time.monotonic() < deadline:
                    time.sleep(0.002)
                (tmp_path / ("ended" if (tmp_path / "over").exists() else "was waited for")).touch()
                os._exit(0)
            while not (tmp_path / "started").exists():
                time.sleep(0.002)
            os.kill(os.getpid(), signal.SIGKILL)
        return number

    os.mkfifo(tmp_path / "end")  # the program reads from it until this test closes it
    with open(os.open(tmp_path / "end", os.O_RDWR), "wb"):
        run = distribute(start_and_die, job="compute", workers=2, start_method=method, return_exceptions=True, chunksize=1)
        results = run(range(3))
    (tmp_path / "over").touch()
    assert not (tmp_path / "was waited for").exists()
    assert (results[0], type(results[1]), results[2]) == (0, WorkerDiedError, 2)


def test_a_fork_of_the_caller_by_c_holds_no_worker_back(tmp_path):
    """Promise 17: it has the caller's ends of all connections, and workers end in the ordinary way all the same."""

    def register():
        atexit.register((tmp_path / str(os.getpid())).touch)

    distribute(abs, job="compute", workers=2, initializer=register, idle_seconds=540.0)([-1, -2])
    if ctypes.CDLL(None).fork() == 0:
        deadline = time.monotonic() + 60.0
        while not (tmp_path / "over").exists() and time.monotonic() < deadline:
            time.sleep(0.002)
        os._exit(0)
    shutdown()
    ended = list(tmp_path.iterdir())
    (tmp_path / "over").touch()
    assert len(ended) in (1, 2), "by force, without their exit handlers"
