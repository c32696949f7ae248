"""`jd_core.backend.cpus`: how many CPUs this process may use, by affinity and by control groups of both versions."""

import os
import sys
import time
from pathlib import Path

import pytest
from jd_core.backend import cpus

V2 = "0::/team/job\n"
V1 = "3:cpuset:/\n2:cpu,cpuacct:/docker/abc\n1:memory:/docker/abc\n0::/docker/abc\n"


def write(root: Path, files: dict[str, str]) -> Path:
    """Makes files below ``root``."""
    for name, text in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return root


@pytest.mark.parametrize(
    ("files", "quota"),
    [
        pytest.param({}, None, id="no control groups"),
        pytest.param({"proc/self/cgroup": V2}, None, id="nothing mounted"),
        pytest.param({"proc/self/cgroup": V2, "sys/fs/cgroup/team/job/cpu.max": "max 100000\n"}, None, id="v2: no limit"),
        pytest.param(
            {"proc/self/cgroup": V2, "sys/fs/cgroup/team/job/cpu.max": "250000 100000\n"},
            (2.5, "/sys/fs/cgroup/team/job/cpu.max"),
            id="v2: own group",
        ),
        pytest.param(
            {
                "proc/self/cgroup": V2,
                "sys/fs/cgroup/team/job/cpu.max": "400000 100000\n",
                "sys/fs/cgroup/team/cpu.max": "150000 50000\n",
            },
            (3.0, "/sys/fs/cgroup/team/cpu.max"),
            id="v2: a group above is tighter",
        ),
        pytest.param(
            {"proc/self/cgroup": "0::/\n", "sys/fs/cgroup/cpu.max": "50000 100000\n"},
            (0.5, "/sys/fs/cgroup/cpu.max"),
            id="v2: in a container with a namespace of its own",
        ),
        pytest.param(
            {
                "proc/self/cgroup": V1,
                "sys/fs/cgroup/cpu,cpuacct/docker/abc/cpu.cfs_quota_us": "200000\n",
                "sys/fs/cgroup/cpu,cpuacct/docker/abc/cpu.cfs_period_us": "100000\n",
            },
            (2.0, "/sys/fs/cgroup/cpu,cpuacct/docker/abc/cpu.cfs_quota_us"),
            id="v1: own group",
        ),
        pytest.param(
            {
                "proc/self/cgroup": V1,
                "sys/fs/cgroup/cpu/cpu.cfs_quota_us": "300000\n",
                "sys/fs/cgroup/cpu/cpu.cfs_period_us": "100000\n",
            },
            (3.0, "/sys/fs/cgroup/cpu/cpu.cfs_quota_us"),
            id="v1: in a container that sees the host's path but mounts its own group",
        ),
        pytest.param(
            {
                "proc/self/cgroup": V1,
                "sys/fs/cgroup/cpu/docker/abc/cpu.cfs_quota_us": "-1\n",
                "sys/fs/cgroup/cpu/docker/abc/cpu.cfs_period_us": "100000\n",
            },
            None,
            id="v1: no limit",
        ),
    ],
)
def test_cpu_quota(tmp_path, files, quota):
    """Section 1: the tightest limit of this process's control groups counts, and the file that sets it is known."""
    assert cpus.cpu_quota(write(tmp_path, files)) == quota


@pytest.mark.parametrize(
    ("allowed", "quota", "usable"),
    [(8, None, 8), (8, (3.0, "f"), 3), (8, (2.1, "f"), 3), (2, (16.0, "f"), 2), (4, (0.2, "f"), 1)],
)
def test_usable_cpus(monkeypatch, allowed, quota, usable):
    """Section 1: usable CPUs, by affinity and quota, not the host's count; at least 1."""
    monkeypatch.setattr(cpus, "allowed_cpus", lambda: allowed)
    monkeypatch.setattr(cpus, "_quota", lambda: quota)
    assert cpus.usable_cpus() == usable


@pytest.mark.skipif(not hasattr(os, "sched_setaffinity"), reason="needs affinity masks")
def test_affinity_counts():
    """Section 1: ``taskset`` and its like limit the default number of workers."""
    before = os.sched_getaffinity(0)
    try:
        os.sched_setaffinity(0, {min(before)})
        assert cpus.allowed_cpus() == 1
    finally:
        os.sched_setaffinity(0, before)


def test_explain_cpus_names_the_file(monkeypatch):
    """``just-distribute doctor`` shows what limits."""
    monkeypatch.setattr(sys, "platform", "linux")
    monkeypatch.setattr(cpus, "_quota", lambda: (1.5, "/sys/fs/cgroup/cpu.max"))
    assert ("CPU quota (control group)", "1.5 CPUs, by /sys/fs/cgroup/cpu.max") in cpus.explain_cpus()
    assert all(isinstance(text, str) for pair in cpus.explain_cpus() for text in pair)


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="only Linux says it")
def test_busy_seconds_grow_by_what_a_process_uses():
    """At least that: others may work, too."""
    before, own = cpus.busy_seconds(), time.process_time()
    while time.process_time() - own < 0.3:
        pass
    assert cpus.busy_seconds() - before > 0.2
