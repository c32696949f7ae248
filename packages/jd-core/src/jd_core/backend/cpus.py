"""How many CPUs this process may use: not the host's, but what an affinity mask and a container's quota leave of them.

Backends take their default number of workers from here, and ``just-distribute doctor`` prints the reasons.
"""

from __future__ import annotations

import functools
import os
import sys
from collections.abc import Iterator


def usable_cpus() -> int:
    """Returns how many CPUs this process may use, at least 1: the smaller of `allowed_cpus` and the quota, rounded up.

    Rounded up as loky does (``loky.cpu_count``): a quota of 1.5 CPUs keeps two workers busier than one.
    """
    import math  # here, because who states ``workers`` needs it not (row io-whole-script)

    found = _quota()
    return allowed_cpus() if found is None else max(1, min(allowed_cpus(), math.ceil(found[0])))


def machine_load() -> float:
    """Returns how many threads of all programs have a CPU or want one, with the calling one; 0.0 if unknown.

    The number now (Linux: the fourth field of /proc/loadavg, see proc(5)), or the mean of the last minute if that is more.
    """
    try:
        with open("/proc/loadavg", encoding="ascii") as file:
            mean, _, _, now, _ = file.read().split()
        return max(float(mean), float(now.partition("/")[0]))
    except (OSError, ValueError):
        return os.getloadavg()[0] if hasattr(os, "getloadavg") else 0.0


def busy_seconds() -> float | None:
    """Returns for how many seconds the machine's CPUs have worked since it was started, all of them together.

    Returns:
        The seconds, in steps of a hundredth or so (Linux: the first line of /proc/stat, see proc(5)); None if unknown.
    """
    try:
        with open("/proc/stat", encoding="ascii") as file:
            user, nice, system, _, _, irq, softirq, steal, *_ = map(int, file.readline().split()[1:])
    except (OSError, ValueError):
        return None
    return (user + nice + system + irq + softirq + steal) / os.sysconf("SC_CLK_TCK")


def explain_cpus() -> list[tuple[str, str]]:
    """Returns what `usable_cpus` follows from, as (label, text)."""
    found = _quota()
    if not sys.platform.startswith("linux"):
        quota = "this system has no control groups"
    elif found is None:
        quota = "no limit"
    else:
        quota = f"{found[0]:g} CPUs, by {found[1]}"
    return [
        ("CPUs of the machine", str(os.cpu_count() or "unknown")),
        ("CPUs this process may run on", str(allowed_cpus())),
        ("CPU quota (control group)", quota),
    ]


def allowed_cpus() -> int:
    """Returns how many CPUs the scheduler lets this process run on.

    That is `os.process_cpu_count` from Python 3.13 on, which ``-X cpu_count`` and ``PYTHON_CPU_COUNT`` override; before
    that, the size of the affinity mask (`os.sched_getaffinity`, Linux), and elsewhere `os.cpu_count`.
    """
    if sys.version_info >= (3, 13):
        return os.process_cpu_count() or 1
    if sys.platform.startswith("linux"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


@functools.cache
def _quota() -> tuple[float, str] | None:
    # Kept for the process: it is asked at every run whose number of workers is the default, and files are slow.
    return cpu_quota("/") if sys.platform.startswith("linux") else None


def cpu_quota(root: str | os.PathLike[str]) -> tuple[float, str] | None:
    """Returns the CPUs' worth of time that control groups allow this process, and the file that says so.

    None means no limit.

    The limit of a group holds for all below it, so the tightest one from this process's group up to the root counts.
    Files: ``cpu.max`` of version 2 ("Control Group v2", docs.kernel.org/admin-guide/cgroup-v2.html, "CPU Interface
    Files"), ``cpu.cfs_quota_us`` and ``cpu.cfs_period_us`` of version 1 ("CFS Bandwidth Control",
    docs.kernel.org/scheduler/sched-bwc.html). Where a container hides its own path (cgroups(7), "Cgroup namespaces"),
    its group is what is mounted at the top.

    Args:
        root: the folder that holds ``proc`` and ``sys``.
    """
    limits = [(limit, f"/{os.path.relpath(path, root)}") for path, limit in _limits(os.fspath(root))]
    return min(limits, default=None)


def _limits(root: str) -> Iterator[tuple[str, float]]:
    for version, folder in control_groups(root, "cpu"):
        if version == 2:
            # "200000 100000": microseconds in each period of so many microseconds; "max": no limit.
            maximum = _words(f"{folder}/cpu.max")
            if len(maximum) == 2 and maximum[0] != "max":
                yield f"{folder}/cpu.max", int(maximum[0]) / int(maximum[1])
        else:
            quota, period = _words(f"{folder}/cpu.cfs_quota_us"), _words(f"{folder}/cpu.cfs_period_us")
            if quota and period and int(quota[0]) > 0:  # -1: no limit
                yield f"{folder}/cpu.cfs_quota_us", int(quota[0]) / int(period[0])


def control_groups(root: str, controller: str) -> Iterator[tuple[int, str]]:
    """Yields the control groups that this process is in, from its own up to the top: their version, 1 or 2, and folder.

    Args:
        root: the folder that holds ``proc`` and ``sys``.
        controller: such as "cpu" or "memory". One of version 2 may lack it.
    """
    mounted = f"{root}/sys/fs/cgroup"
    for line in _words(f"{root}/proc/self/cgroup", "\n"):
        _, controllers, group = line.split(":", 2)
        if not controllers:
            yield from ((2, folder) for folder in _upwards(mounted, group))
        elif controller in controllers.split(","):
            # The controller may be mounted under its own name, or together with others under all their names.
            for name in {controller, controllers}:
                yield from ((1, folder) for folder in _upwards(f"{mounted}/{name}", group))


def _upwards(mounted: str, group: str) -> Iterator[str]:
    parts = group.strip("/").split("/") if group != "/" else []
    for count in range(len(parts), -1, -1):
        yield "/".join([mounted, *parts[:count]])


def _words(path: str, separator: str | None = None) -> list[str]:
    try:
        with open(path, encoding="utf-8") as file:
            text = file.read()
    except (OSError, UnicodeDecodeError):
        return []
    return [word for word in text.split(separator) if word]
