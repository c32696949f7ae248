"""Promise 15: machines where something is full, read-only, missing or scarce, each provoked for real."""

from __future__ import annotations

import functools
import os
import shlex
import shutil
import signal
import subprocess
import sys
import textwrap
import time

import psutil
import pytest
from jd_core.testing import wait_until

METHODS = ["forkserver", "spawn", "fork"]

#: Large arrays and constants, both ways; each worker's memory is its own or nobody's.
PROGRAM = """
import sys
import numpy as np
from jd_core import distribute
run = distribute(lambda array, *, other: array + other, job="compute", workers=2, start_method=sys.argv[1])
results = run([np.full(100_000, float(k)) for k in range(20)], other=np.ones(100_000))
print(all((result == k + 1).all() for k, result in enumerate(results)))
"""

#: What a shell does in a mount namespace of its own before it starts the program; $folder is an empty folder.
MACHINES = {
    "shm-full": "mount -t tmpfs -o size=64k tmpfs /dev/shm; head -c 1M /dev/zero > /dev/shm/full",
    "shm-read-only": "mount -t tmpfs -o ro tmpfs /dev/shm",
    "shm-missing": (
        "mount -t tmpfs tmpfs /dev; mknod -m 666 /dev/null c 1 3; mknod -m 666 /dev/zero c 1 5; "
        "mknod -m 666 /dev/urandom c 1 9"
    ),
    "tmpdir-full": "mount -t tmpfs -o size=64k tmpfs $folder; head -c 1M /dev/zero > $folder/full; export TMPDIR=$folder",
    "tmpdir-read-only": "mount -t tmpfs -o ro tmpfs $folder; export TMPDIR=$folder",
    "tmpdir-long": "long=$folder/$(printf %0200d 0); mkdir $long; export TMPDIR=$long",
    "folder-read-only": "mount -t tmpfs -o ro tmpfs $folder; cd $folder",
    "all-read-only": "mount -o remount,bind,ro /",
    "folder-deleted": "mkdir $folder/gone; cd $folder/gone; rmdir $folder/gone",
}

#: Whose processes are limited: one user for each process of xdist, since they are counted by user.
USER = 65533 - int(os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw"))

#: Runs a command as that user, who reads what belongs to others, as Python may, and has no other rights.
FEW_PROCESSES = (
    f"setpriv --reuid={USER} --clear-groups --inh-caps=-all,+dac_read_search --ambient-caps=-all,+dac_read_search "
    "--bounding-set=-all,+dac_read_search"
)


@functools.cache
def may(command: str) -> bool:
    """Whether this machine lets us do something."""
    return (
        shutil.which(command.split()[0]) is not None
        and not subprocess.run(["sh", "-c", command], capture_output=True, check=False).returncode
    )


def limit_processes() -> None:
    """Skips the test where that is not allowed; waits until the user has none, also none that nobody has waited for."""
    if not may(f"{FEW_PROCESSES} true"):
        pytest.skip("this user may not start processes of another one")
    wait_until(lambda: all(process.info["uids"].real != USER for process in psutil.process_iter(["uids"])))


def run_in_shell(command: str, seconds: float = 60.0, **options):
    """Runs a shell in a session of its own, which must end in time; returns what it printed, and its errors."""
    process = subprocess.Popen(
        ["sh", "-c", command], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True, **options
    )
    try:
        return process.communicate(timeout=seconds)
    finally:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
        process.communicate()


@pytest.mark.parametrize(
    ("machine", "method"),
    [*((machine, "forkserver") for machine in MACHINES), ("all-read-only", "spawn"), ("all-read-only", "fork")],
)
def test_places_that_are_full_read_only_or_missing(tmp_path, machine, method):
    """Nothing of ours lies there, so all works."""
    if not may("unshare -m true"):
        pytest.skip("this user may not make a mount namespace")
    if machine == "folder-deleted" and sys.version_info[:3] == (3, 13, 0):
        pytest.skip("there, this Python cannot import socket: SystemError: error return without exception set")
    started = f"exec {sys.executable} -c {shlex.quote(PROGRAM)} {method}"
    inside = f"{MACHINES[machine]}; {started}"
    environment = {**os.environ, "folder": str(tmp_path)}
    output, errors = run_in_shell(f"exec unshare -m sh -c {shlex.quote(inside)}", env=environment)
    errors = errors.replace("head: error writing 'standard output': No space left on device\n", "")
    assert (output, errors) == ("True\n", "")


@pytest.mark.parametrize(
    ("processes", "method"), [(1, "fork"), (2, "forkserver"), (2, "spawn"), (3, "spawn"), (4, "forkserver"), (6, "fork")]
)
def test_few_processes_are_results_or_one_error(processes, method):
    """A worker is enough; where there can be none, one error says what is missing, and what to do."""
    limit_processes()
    program = textwrap.dedent("""
        import resource, sys, time
        from jd_core import BackendError, distribute
        resource.setrlimit(resource.RLIMIT_NPROC, (int(sys.argv[1]),) * 2)
        run, began = distribute(abs, job="compute", workers=4, start_method=sys.argv[2]), time.monotonic()
        try:
            print(run(range(-40, 0)) == list(range(40, 0, -1)))
        except BackendError as error:
            print(error)
        print(time.monotonic() - began < 20.0, file=sys.stderr)
    """)
    command = f"exec {FEW_PROCESSES} {sys.executable} -c {shlex.quote(program)} {processes} {method}"
    output, in_time = run_in_shell(command)
    if output != "True\n":
        assert "Resource temporarily unavailable (EAGAIN)" in output
        assert "ulimit -u" in output
        assert processes <= 3
    assert in_time == "True\n"


@pytest.mark.parametrize("method", METHODS)
def test_nothing_is_left_of_a_caller_that_is_killed_where_few_processes_are_allowed(tmp_path, method):
    """Promise 7: workers need neither a thread nor a process to notice."""
    limit_processes()
    tmp_path.chmod(0o777)
    program = textwrap.dedent("""
        import os, resource, sys, time
        from jd_core import distribute
        def initialize():
            open(sys.argv[2] + "/" + str(os.getpid()), "w").close()
            time.sleep(600)
        resource.setrlimit(resource.RLIMIT_NPROC, (5, 5))
        distribute(abs, job="compute", workers=4, start_method=sys.argv[1], initializer=initialize)(range(8))
    """)
    folder = tmp_path / "workers"
    folder.mkdir()
    folder.chmod(0o777)
    for above in tmp_path.parents[:2]:  # which pytest keeps for its own user
        above.chmod(0o755)
    command = f"exec {FEW_PROCESSES} {sys.executable} -c {shlex.quote(program)} {method} {folder}"
    process = subprocess.Popen(["sh", "-c", command], stderr=subprocess.DEVNULL)
    try:
        deadline = time.monotonic() + 30.0
        while not list(folder.iterdir()):
            assert process.poll() is None
            assert time.monotonic() < deadline
            time.sleep(0.005)
        left = set(psutil.Process(process.pid).children(recursive=True))
        trackers = {each for each in left if any("resource_tracker" in argument for argument in each.cmdline())}
    finally:
        process.kill()
        process.wait()
    assert not psutil.wait_procs(left - trackers, timeout=5.0)[1]


@pytest.mark.parametrize(("limit", "size"), [("RLIMIT_FSIZE", 0), ("RLIMIT_STACK", 1 << 20)])
def test_other_limits_do_not_matter(limit, size):
    """Files of no size, so that what is large goes through the connection, and dill finds no temporary folder."""
    program = f"import resource\nresource.setrlimit(resource.{limit}, ({size}, resource.getrlimit(resource.{limit})[1]))\n"
    output, errors = run_in_shell(f"exec {sys.executable} -c {shlex.quote(program + PROGRAM)} forkserver")
    assert (output, errors) == ("True\n", "")


#: The process that starts workers may open one file more, so that it gets only some of those that a worker needs.
FEW_FILES_FOR_THE_SERVER = """
import os, resource, sys
from jd_core import BackendError, distribute
run = distribute(lambda _: os.getppid(), job="compute", workers=1)
server, = run([0])
before = resource.prlimit(server, resource.RLIMIT_NOFILE)
_, limit = sorted({*range(100)} - {*map(int, os.listdir(f"/proc/{server}/fd"))})[:2]
resource.prlimit(server, resource.RLIMIT_NOFILE, (limit, before[1]))
others = run.options(initializer=lambda: None, workers=2)
try:
    others([0])
except BackendError as error:
    print(error)
print(run([0]) == [server])
resource.prlimit(server, resource.RLIMIT_NOFILE, before)
print(others([0]) == [server])
"""


@pytest.mark.skipif(sys.platform != "linux", reason="has no prlimit")
def test_a_server_that_may_open_few_files():
    """What it cannot start is one error, and what it has started goes on."""
    output, errors = run_in_shell(f"exec {sys.executable} -c {shlex.quote(FEW_FILES_FOR_THE_SERVER)}")
    first, *others = output.splitlines()
    assert "no worker process could be started, of 1 wanted: Too many open files (EMFILE). Allow this process" in first
    assert (others, errors) == (["True", "True"], "")
