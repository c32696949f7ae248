"""Which job fits calls of which a sample was measured: the one that is expected to end first.

``job="auto"`` does what is likely, and `Distributed.advise` says it only where it is sure: where even the slow end of what
is expected is no slower than a plain loop.
"""

from __future__ import annotations

import functools
import importlib.util

from jd_core._auto.forecast import Choice, Speeds, Task
from jd_core._auto.sample import Sample
from jd_core._tracing.words import short, size
from jd_core.backend import registry
from jd_core.backend.cpus import usable_cpus

#: Of a shorter sample, the CPU time of the whole process is mostly what it takes to read the clocks.
CLOCK_SECONDS = 0.001

#: Calls that use no CPU for more than this share of their time wait.
WAITING = 0.5

#: Of the gain that is likely, so much is sure: CPUs may share a core or memory; and less where other programs use them, too.
SURE_SHARE, CROWDED_SHARE = 0.7, 0.35

#: So many times as fast as their number, at most: each has a CPU's caches for itself.
FASTER = 1.1

#: How far two calls at once are taken to differ from one alone: of more, part is what only the first calls meet.
MOST_APART = 1.3

#: Where the length of the input is unknown, so many seconds of work are expected, before any is done.
UNKNOWN_SECONDS = 10.0


def choose(
    sample: Sample,
    left: int | None,
    workers: int | None,
    *,
    expected_seconds: float = UNKNOWN_SECONDS,
    warm: bool = False,
) -> Choice:
    """Returns the job for the calls that are left.

    Args:
        sample: what calls of the function cost.
        left: how many are left; None if unknown.
        workers: how many calls the user wants to run at once; None: the job's default.
        expected_seconds: how long what is left is expected to take here, where ``left`` is unknown.
        warm: whether workers are taken to be there, whatever the job.
    """
    each = sample.per_call
    rest = "one" if left == 1 else f"{left:,}" if left is not None else "calls that may be"
    if left is None:
        left = max(1, round(expected_seconds / each)) if each else 1
    task = Task(sample, left, f"the {rest} left", workers, warm)
    if not task.here:
        return task.stay("no call is left")
    found = (_waiting if sample.waiting > WAITING else _computing)(task)
    if found.job != "serial" and not is_installed(found.job):
        package = registry.OWN[found.job].package
        return task.stay(found.why, f'{package} is not installed (pip install "{package}>={registry.MAJOR}")')
    return found


def _waiting(task: Task) -> Choice:
    sample, left, here = task.sample, task.left, task.here
    job = sample.waits_in
    threads = task.workers or registry.backend(job).default_workers({}) if is_installed(job) else 1
    facts = f"calls of {short(sample.per_call)} wait {sample.waiting:.0%} of their time"
    # What they compute is done by one thread at a time, where they hold the interpreter's lock.
    ideal = likely = max(1.0, min(threads, left, here / (left * sample.cpu / sample.calls or here / threads)))
    sure = max(1.0, _sure_share(sample) * ideal)
    if sample.at_once:
        number, gain = max(sample.at_once.items())
        sure = max(1.0, 0.7 * min(gain, ideal))
        if gain < 0.7 * min(number, ideal):  # something else limits them: a server, a lock, the CPUs of other programs
            facts += f", and {number} at once were {gain:.1f} times as fast"
            likely = min(likely, max(1.0, gain))
            ideal = ideal if sample.crowded else min(ideal, max(1.0, 1.5 * gain))
    return task.there(job, threads, Speeds(likely, ideal, sure)).choice(here, facts, _is_short(task))


def _computing(task: Task) -> Choice:
    sample, left, here = task.sample, task.left, task.here
    cpus = usable_cpus()
    processes = task.workers or cpus
    at_once = min(processes, left, cpus)
    facts = f"calls of {short(sample.per_call)} compute"
    if at_once < 2:
        one = "call is left" if left < 2 else "CPU may be used" if cpus < 2 else "worker was asked for"
        return task.stay(facts, f"one {one}")
    if sample.seconds > CLOCK_SECONDS and sample.everywhere > 1.5 * max(sample.cpu, 0.7 * sample.seconds):
        # Threads of a library may well wait for work by computing, and each process would start as many: nobody knows.
        why = "calls use several CPUs by themselves"
        return Choice("serial", 1, 1.0, why, 1 / at_once, float(at_once), "compute")
    sure = _sure_share(sample) * at_once
    apart = min(MOST_APART, max(1 / MOST_APART, sample.apart)) if sample.releases_lock else 1.0
    slowed = min(1.0, apart)
    in_threads = None
    if sample.releases_lock and not sample.crowded:
        speeds = Speeds(apart * at_once, FASTER * max(1.0, apart) * at_once, slowed * sure)
        in_threads = task.there("io", task.workers or cpus, speeds)
        facts += ", and release the interpreter's lock"
    if not sample.sendable:
        if in_threads is not None:
            return in_threads.choice(here, facts, _is_short(task))
        return task.stay(facts, "what they are passed or return cannot be sent to a process")
    moving = sample.moving_per_call
    forecast = task.there("compute", processes, Speeds(slowed * at_once, FASTER * at_once, slowed * sure), moving)
    if in_threads is not None and in_threads.likely <= forecast.likely:
        forecast = in_threads
    elif moving > sample.per_call / 2:
        facts = f"calls take {short(sample.per_call)}"
        data = size(round(sample.nbytes / max(1, sample.weighed)))
        return forecast.choice(here, facts, f"their data ({data} each) takes {short(moving)} to send")
    return forecast.choice(here, facts, _is_short(task))


def _is_short(task: Task) -> str:
    return f"{task.rest} take {short(task.here)} here"


def _sure_share(sample: Sample) -> float:
    return CROWDED_SHARE if sample.crowded else SURE_SHARE


@functools.cache
def is_installed(job: str) -> bool:
    """Returns whether the package of one of the project's own jobs is installed."""
    return importlib.util.find_spec(registry.OWN[job].package.replace("-", "_")) is not None
