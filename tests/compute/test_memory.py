"""Section 6: ``memory=``: calls start while they fit; and what is said of a worker that was killed for memory."""

from __future__ import annotations

import os
import pathlib
import signal
import subprocess
import sys
import time
import uuid

import psutil
import pytest
from jd_compute.memory import gate, system
from jd_core import WorkerDiedError, distribute

MB = 1_000_000

#: Fifty calls, each of which takes 300 MB for a moment, on eight workers; in a control group that allows 1 GB.
PROGRAM = """
import os, sys, time
from jd_core import distribute
with open(sys.argv[1] + "/cgroup.procs", "w") as file:
    file.write(str(os.getpid()))
def take(number):
    block = bytearray(290_000_000)
    block[::4096] = b"x" * len(block[::4096])
    time.sleep(0.01)
    return number
memory = sys.argv[2]
run = distribute(take, job="compute", workers=8, memory=300_000_000 if memory == "stated" else "auto")
print(run(range(50)) == list(range(50)))
"""


@pytest.fixture
def group():
    """A control group below this process's that allows 1 GB."""
    found = [(version, folder) for version, folder in system.control_groups("/", "memory") if os.access(folder, os.W_OK)]
    for version, folder in found:
        path = pathlib.Path(folder, f"just-distribute-{uuid.uuid4().hex}")
        try:
            path.mkdir()
            (path / ("memory.limit_in_bytes" if version == 1 else "memory.max")).write_text(str(1000 * MB))
        except OSError:
            continue
        yield path
        deadline = time.monotonic() + 10.0
        while (path / "cgroup.procs").read_text() and time.monotonic() < deadline:
            time.sleep(0.01)
        path.rmdir()
        return
    pytest.skip("this user may not make control groups for memory")


@pytest.mark.slow
@pytest.mark.parametrize("memory", ["stated", "auto"])
def test_calls_start_while_they_fit(group, memory):
    """All have results, and the system kills none."""
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, str(group), memory], capture_output=True, text=True, timeout=120, check=False
    )
    assert (done.stdout, done.stderr) == ("True\n", "")
    counted = [path for name in ("memory.oom_control", "memory.events") if (path := group / name).exists()]
    assert all("oom_kill 0" in path.read_text() for path in counted)


def concurrent(spans):
    """Returns how many calls ran at once, of those that ran from one time to another."""
    return max(sum(other[0] <= began < other[1] for other in spans) for began, _ in spans)


def span(_):
    """Returns when it ran."""
    began = time.monotonic()
    time.sleep(0.02)
    return began, time.monotonic()


@pytest.fixture
def warm():
    """Four workers that have imported this module: what that takes is not what calls take."""
    distribute(span, job="compute", workers=4, chunksize=1)(range(16))


@pytest.mark.parametrize(("left", "most"), [(350, 3), (90, 1), (0, 1)])
@pytest.mark.usefixtures("warm")
def test_as_many_run_as_fit(monkeypatch, left, most):
    """And one, even if it does not."""
    monkeypatch.setattr(gate, "memory_left", lambda: left * MB)
    found = concurrent(distribute(span, job="compute", workers=4, memory=100 * MB)(range(12)))
    assert min(2, most) <= found <= most


@pytest.mark.usefixtures("warm")
def test_what_a_call_takes_is_learned(monkeypatch):
    """From the first, which runs alone, and from each that takes more."""
    workers = [child.pid for child in psutil.Process().children(recursive=True)]

    def used():
        return sum(size.now for worker in workers if (size := system.memory_of(worker)) is not None)

    left = 150 * MB + used()
    monkeypatch.setattr(gate, "memory_left", lambda: left - used())

    def take(number):
        block = bytearray(60 * MB)
        block[::4096] = b"x" * len(block[::4096])
        return span(number)

    spans = distribute(take, job="compute", workers=4, memory="auto")(range(8))
    assert sum(other[0] < spans[0][1] for other in spans) == 1
    assert concurrent(spans) <= 2


@pytest.mark.usefixtures("warm")
def test_what_other_runs_took_is_not_learned(monkeypatch):
    """The peak of a worker counts from this run's calls on."""

    def take(number):
        bytearray(100 * MB)[::4096] = b"x" * len(range(0, 100 * MB, 4096))
        return span(number)

    distribute(take, job="compute", workers=4, chunksize=1)(range(8))
    monkeypatch.setattr(gate, "memory_left", lambda: 80 * MB)
    assert concurrent(distribute(span, job="compute", workers=4, memory="auto")(range(12))) >= 2


@pytest.mark.usefixtures("warm")
def test_runs_at_once_share_what_is_left(monkeypatch):
    """What another run's calls may take is not there."""
    monkeypatch.setattr(gate, "memory_left", lambda: 150 * MB)
    run = distribute(span, job="compute", workers=2, memory=100 * MB)
    with run.stream(range(20)) as first, run.stream(range(20)) as second:
        spans = [each for pair in zip(first, second, strict=True) for each in pair]
    assert concurrent(spans) == 1


def test_nothing_is_promised_after_the_end(monkeypatch):
    """Also where a worker died, or the run was given up."""
    monkeypatch.setattr(gate, "memory_left", lambda: 1000 * MB)
    run = distribute(lambda index: os._exit(1) if index == 3 else index, job="compute", workers=2, memory="auto")
    with pytest.raises(WorkerDiedError):
        run(range(9))
    with run.stream(range(3)) as stream:
        next(stream)
    assert not gate._promised


@pytest.mark.parametrize("memory", [None, 10 * MB])
def test_a_worker_that_was_killed_is_said_to_have_had_no_memory(memory):
    """With its last size, where that is looked at."""

    def work(index):
        if index == 2:
            os.kill(os.getpid(), signal.SIGKILL)
        return index

    expected = r"ended with signal 9 \(SIGKILL\) while it ran call 2: nothing here has killed it, .* for memory"
    with pytest.raises(WorkerDiedError, match=expected + (r", when it had \d+ MB\." if memory else r"\.")):
        distribute(work, job="compute", workers=2, memory=memory, chunksize=1)(range(4))


def test_a_worker_that_the_system_killed_is_said_to_have_been(monkeypatch):
    """Where the control group counts that."""
    counted = iter(range(1, 1000))
    monkeypatch.setattr(system, "kills", lambda: next(counted))
    monkeypatch.setattr(system, "_noted", 0)
    with pytest.raises(WorkerDiedError, match="the system has killed it for memory"):
        distribute(lambda _: os.kill(os.getpid(), signal.SIGKILL), job="compute", workers=1)([1])


def test_each_kill_of_the_system_counts_once(monkeypatch):
    """Of several workers that it has killed at the same time, each is said to have been; of one more, not."""
    counted = 7
    monkeypatch.setattr(system, "kills", lambda: counted)
    monkeypatch.setattr(system, "_noted", 0)
    system.note_kills()
    counted += 2
    assert [system.have_killed() for _ in range(3)] == [True, True, False]


def test_a_killed_call_runs_again_alone(tmp_path):
    """If it may run again at all."""

    def work(index):
        if index == 5 and not (tmp_path / "killed").exists():
            (tmp_path / "killed").touch()
            os.kill(os.getpid(), signal.SIGKILL)
        return span(index)

    spans = distribute(work, job="compute", workers=3, retries=1)(range(30))
    began, ended = spans[5]
    assert not [index for index, other in enumerate(spans) if index != 5 and other[0] < ended and other[1] > began]


def put(folder, **files):
    """Writes files, whose names have __ for a slash and - for a dot."""
    for name, text in files.items():
        path = folder.joinpath(*name.replace("_dot_", ".").split("__"))
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)


def test_memory_left_is_the_least_of_what_machine_and_groups_leave(tmp_path):
    """Version 2: of the process's group and those above; files that can be dropped do not count."""
    put(tmp_path, proc__meminfo="MemTotal: 9000 kB\nMemAvailable: 8000 kB\n", proc__self__cgroup="0::/a/b\n")
    assert system.memory_left(str(tmp_path)) == 8000 * 1024
    group = tmp_path / "sys/fs/cgroup/a"
    put(group, memory_dot_max="5000000\n", memory_dot_current="3000000\n", memory_dot_stat="anon 1\ninactive_file 400000\n")
    put(group / "b", memory_dot_max="max\n", memory_dot_current="3000000\n", memory_dot_events="oom 3\noom_kill 2\n")
    assert system.memory_left(str(tmp_path)) == 2_400_000
    assert system.kills(str(tmp_path)) == 2
    put(group, memory_dot_high="4000000\n")  # where the system begins to slow down what is there
    assert system.memory_left(str(tmp_path)) == 1_400_000
    put(group, memory_dot_current="7000000\n")
    assert system.memory_left(str(tmp_path)) == 0


def test_memory_left_in_groups_of_version_1(tmp_path):
    """Where no limit is a large number."""
    put(tmp_path, proc__meminfo="MemAvailable: 8000 kB\n", proc__self__cgroup="4:memory:/a\n2:cpu,cpuacct:/\n0::/\n")
    group = tmp_path / "sys/fs/cgroup/memory"
    put(group, memory_dot_limit_in_bytes=f"{2**63 - 4096}\n", memory_dot_usage_in_bytes="100\n")
    put(
        group / "a",
        memory_dot_limit_in_bytes="5000000\n",
        memory_dot_usage_in_bytes="3000000\n",
        memory_dot_stat="total_inactive_file 100000\n",
        memory_dot_oom_control="oom_kill_disable 0\nunder_oom 0\noom_kill 4\n",
    )
    assert system.memory_left(str(tmp_path)) == 2_100_000
    assert system.kills(str(tmp_path)) == 4


def test_nothing_is_looked_at_where_nobody_asks(monkeypatch):
    """No cost where it is unused."""
    monkeypatch.setattr(gate, "memory_left", None)
    monkeypatch.setattr(gate, "memory_of", None)
    assert distribute(abs, job="compute", workers=2)(range(-3, 0)) == [3, 2, 1]


@pytest.mark.parametrize("memory", [0, -1, "much", "300MB", float("inf")])
def test_what_is_no_amount_is_refused(memory):
    """When the decorator runs."""
    with pytest.raises(ValueError, match="option memory="):
        distribute(abs, job="compute", memory=memory)
