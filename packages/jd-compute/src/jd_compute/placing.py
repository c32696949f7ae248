"""When and where the system runs workers: what Linux is told so that short runs use all CPUs.

Linux wakes a process where it ran last or where the one that wakes it runs, and after a busy time it does not look for an
idle CPU (SIS_UTIL in kernel/sched/fair.c): in one short run of three the caller and both workers were seen to share one CPU
of two to the end. So where there is a worker for each CPU, the caller says where each is to wake up, and the worker takes
that back before it does anything, since threads that the user's function starts inherit it. A worker that wakes also does
not push aside the caller, who has others to wake. Both together make 200,000 tiny calls a tenth faster, and steady.
"""

from __future__ import annotations

import contextlib
import os

_CAN_PLACE = hasattr(os, "sched_setaffinity")


def give_way() -> None:
    """Worker: makes it never push aside who runs on the CPU where it wakes up.

    It gets as much time as others (SCHED_BATCH in sched(7)). Programs that the user's function starts inherit that.
    """
    if hasattr(os, "sched_setscheduler") and os.sched_getscheduler(0) == os.SCHED_OTHER:
        with contextlib.suppress(OSError):  # forbidden here
            os.sched_setscheduler(0, os.SCHED_BATCH, os.sched_param(0))


def place(process: int, position: int, workers: int) -> None:
    """Caller: makes a worker that has nothing to do wake up on a CPU of its own, if there are no more CPUs than workers.

    Args:
        process: its id.
        position: which of the workers it is.
        workers: how many there are.
    """
    if _CAN_PLACE:
        with contextlib.suppress(OSError):  # it has died
            cpus = os.sched_getaffinity(process)
            if 1 < len(cpus) <= workers:
                os.sched_setaffinity(process, {sorted(cpus)[position % len(cpus)]})


def cpus() -> set[int]:
    """Worker: returns where it may run; to be asked while the caller knows it to be at work, and so does not place it."""
    return os.sched_getaffinity(0) if _CAN_PLACE else set()


def roam(cpus: set[int]) -> None:
    """Worker: makes it run wherever it could before it was placed."""
    if _CAN_PLACE and os.sched_getaffinity(0) != cpus:
        with contextlib.suppress(OSError):  # they have been taken from this machine, or from its control group
            os.sched_setaffinity(0, cpus)
