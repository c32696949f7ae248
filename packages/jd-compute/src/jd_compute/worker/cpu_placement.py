"""When and where the system lets workers run: what Linux is told so that short runs use all CPUs.

Linux wakes a process where it ran last or where the one that wakes it runs, and after a busy time it does not look for an
idle CPU (SIS_UTIL in kernel/sched/fair.c): in one run of 15 ms of three, both workers were seen to share one CPU of two for
half of it. So where a run has a worker for each CPU, each then waits for the next one on a CPU of its own, for some seconds
(row tiny-calls: the slowest tenth take 1.17 without).
It says so itself, and takes that back as soon as it is awake: no other process is touched, and neither are the user's
function and what that starts (but for CPUs that the control group gets later: who has said where it runs does not use them).
"""

from __future__ import annotations

import contextlib
import itertools
import os
from collections.abc import Iterator

_CAN_PLACE = hasattr(os, "sched_setaffinity")


def give_way() -> None:
    """Worker: makes this process not push aside, when it wakes up, the caller, who has others to wake.

    It gets as much time as before (SCHED_BATCH in sched(7); row tiny-calls: 1.03 to 1.12 without). Programs that the user's
    function starts inherit that.
    """
    if hasattr(os, "SCHED_BATCH"):
        with contextlib.suppress(OSError):  # forbidden here; or the C library, musl for one, has the functions in name only
            if os.sched_getscheduler(0) == os.SCHED_OTHER:
                os.sched_setscheduler(0, os.SCHED_BATCH, os.sched_param(0))


def waiting_cpus(workers: int) -> list[int | None]:
    """Caller: returns for each worker of a run the CPU where it is to wait for the next one; None: where it likes."""
    cpus = sorted(os.sched_getaffinity(0)) if _CAN_PLACE else []
    if not 1 < len(cpus) <= workers:
        return [None] * workers  # with CPUs to spare, those that are idle now are better than any that could be named before
    return list(itertools.islice(itertools.cycle(cpus), workers))


@contextlib.contextmanager
def waiting_on(cpu: int) -> Iterator[None]:
    """Worker: makes this thread wake up on a CPU, and run anywhere, as before, after the ``with`` block."""
    before = os.sched_getaffinity(0)
    if cpu not in before:  # the user's function has other plans
        yield
        return
    with contextlib.suppress(OSError):  # the CPU was taken from this machine, or from its control group, just now
        os.sched_setaffinity(0, {cpu})
    try:
        yield
    finally:
        with contextlib.suppress(OSError):
            os.sched_setaffinity(0, before)
