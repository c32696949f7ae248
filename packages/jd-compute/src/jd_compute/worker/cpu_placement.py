"""When and where workers run: settings for Linux's scheduler, so that short runs use all CPUs.

Linux wakes a process on the CPU where it ran last or where the waking process runs, and after a busy time it does not look
for an idle CPU (SIS_UTIL in kernel/sched/fair.c): in a third of all runs of 15 ms, both workers were seen to share one of
two CPUs for half of the time. So if a run has a worker for each CPU, each worker then waits for the next run on its own CPU,
for some seconds (row tiny-calls: the slowest tenth take 1.17 without). The worker sets its own affinity, and resets it as
soon as it is awake: other processes, the user's function, and processes that this starts are not affected (except that a
process with an affinity does not use CPUs that its control group gets later).
"""

from __future__ import annotations

import contextlib
import itertools
import os
from collections.abc import Iterator

_CAN_PLACE = hasattr(os, "sched_setaffinity")


def give_way() -> None:
    """Worker: prevents this process from preempting the caller when it wakes up, since the caller has to wake others.

    It gets as much CPU time as before (SCHED_BATCH in sched(7); row tiny-calls: 1.03 to 1.12 without). Programs that the
    user's function starts inherit this.
    """
    if hasattr(os, "SCHED_BATCH"):
        with contextlib.suppress(OSError):  # forbidden here; or the C library, musl for one, has the functions in name only
            if os.sched_getscheduler(0) == os.SCHED_OTHER:
                os.sched_setscheduler(0, os.SCHED_BATCH, os.sched_param(0))


def waiting_cpus(workers: int) -> list[int | None]:
    """Caller: returns for each worker of a run the CPU on which it waits for the next run; None: any."""
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
