"""What the system says of memory: how much is left, how much a process has, how many it has killed.

Linux says it in files; elsewhere psutil does, which is asked only there.
"""

from __future__ import annotations

import contextlib
import importlib
import os
import sys
from collections.abc import Iterator
from typing import Any, NamedTuple

from jd_core.backend.cpus import control_groups
from jd_core.errors import BackendError

_ON_LINUX = sys.platform.startswith("linux")

#: No limit is one of version 1 above this: it shows the largest number of whole pages.
_NO_LIMIT = 1 << 60


class Size(NamedTuple):
    """Bytes of memory that a process has, and the most that it has had; the same where only the one is known."""

    now: int
    most: int


def memory_left(root: str = "/") -> int:
    """Returns how many more bytes this process and its children may use before the system kills or swaps.

    That is ``MemAvailable`` of the machine ("The /proc Filesystem", docs.kernel.org/filesystems/proc.html), or what a
    control group leaves, if that is less: of this process's group and those above it, limit less usage, where files that
    the kernel can drop do not count as used ("Control Group v2", Memory Interface Files; version 1: "Memory Resource
    Controller").

    Args:
        root: the folder that holds ``proc`` and ``sys``.
    """
    if not _ON_LINUX:
        return int(_psutil().virtual_memory().available)
    available = _fields(os.path.join(root, "proc/meminfo")).get("MemAvailable:", 0) * 1024
    return max(0, min([available, *_left_in_groups(root)]))


def _left_in_groups(root: str) -> Iterator[int]:
    for version, folder in control_groups(root, "memory"):
        # Above memory.high the system does not kill, but slows down what is there until nothing gets on.
        limits, name, files = ["memory.max", "memory.high"], "memory.current", "inactive_file"
        if version == 1:
            limits, name, files = ["memory.limit_in_bytes"], "memory.usage_in_bytes", "total_inactive_file"
        known = [limit for each in limits if (limit := _number(f"{folder}/{each}")) is not None]
        limit = min(known, default=_NO_LIMIT)
        usage = _number(f"{folder}/{name}")
        if usage is not None and limit < _NO_LIMIT:
            yield limit - usage + min(usage, _fields(f"{folder}/memory.stat").get(files, 0))


def memory_of(process: int) -> Size | None:
    """Returns how much memory a process has; None if it has ended."""
    if not _ON_LINUX:
        psutil = _psutil()
        try:
            now = int(psutil.Process(process).memory_info().rss)
        except psutil.Error:
            return None
        return Size(now, now)
    fields = _fields(f"/proc/{process}/status")
    if "VmRSS:" not in fields:
        return None
    return Size(fields["VmRSS:"] * 1024, fields.get("VmHWM:", 0) * 1024)


def forget_peak(process: int) -> None:
    """Has the most memory that a process has had count from now on, if the system can do that (proc(5), ``clear_refs``)."""
    with contextlib.suppress(OSError), open(f"/proc/{process}/clear_refs", "w", encoding="ascii") as file:
        file.write("5")


def kills(root: str = "/") -> int:
    """Returns how many processes of this one's control groups the system has killed so far, since memory ran out there."""
    if not _ON_LINUX:
        return 0
    names = {1: "memory.oom_control", 2: "memory.events"}
    found = [_fields(f"{folder}/{names[version]}").get("oom_kill", 0) for version, folder in control_groups(root, "memory")]
    return max(found, default=0)


_noted = 0


def note_kills() -> None:
    """Notes how many there are, so that `have_killed` tells whether there are more."""
    global _noted
    _noted = kills()


def have_killed() -> bool:
    """Whether the system has killed a process, since memory ran out, after they were noted last; each counts once."""
    global _noted
    if kills() <= _noted:
        return False
    _noted += 1  # the next one may have been killed at the same time
    return True


def _number(path: str) -> int | None:
    try:
        with open(path, encoding="ascii") as file:
            return int(file.read())
    except (OSError, ValueError):  # "max" is no limit
        return None


def _fields(path: str) -> dict[str, int]:
    """Returns the lines of a file that are a name and a number."""
    try:
        with open(path, encoding="utf-8") as file:
            lines = [line.split() for line in file]
    except (OSError, UnicodeDecodeError):
        return {}
    return {words[0]: int(words[1]) for words in lines if len(words) > 1 and words[1].isdecimal()}


def _psutil() -> Any:
    try:
        return importlib.import_module("psutil")
    except ImportError as error:
        raise BackendError("option memory=... needs psutil on this system: pip install 'jd-compute[memory]'") from error
