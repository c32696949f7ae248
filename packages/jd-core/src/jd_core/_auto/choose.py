"""Which job fits calls of which a sample was measured: the one that is expected to end first."""

from __future__ import annotations

import importlib.util
from dataclasses import dataclass

from jd_core._auto.sample import Sample
from jd_core.backend import registry
from jd_core.backend.cpus import usable_cpus

#: Calls that use no CPU for more than this share of their time wait.
WAITING = 0.5

#: Another job must be expected to take at most this share of the time here. What is nearer is within the error of a sample.
GAIN = 0.8

#: Seconds until the first result of a job whose workers have to be started, or were started before.
STARTING = {"compute": (0.35, 0.003), "io": (0.005, 0.001)}

#: What a call costs in a message among others, in seconds, beside what its data costs.
PER_CALL = {"compute": 5e-7, "io": 2e-7}

#: Where the length of the input is unknown, so many seconds of work are expected to be left.
UNKNOWN_SECONDS = 10.0


@dataclass(frozen=True)
class Choice:
    """A job, and why.

    Attributes:
        job: its name.
        workers: how many calls are to run at once there.
        gain: how many times as fast as here the calls that are left are expected to be.
        why: one clause, for people.
    """

    job: str
    workers: int
    gain: float
    why: str


def choose(sample: Sample, left: int | None, workers: int | None) -> Choice:
    """Returns the job for the calls that are left.

    Args:
        sample: what calls of the function cost.
        left: how many are left; None if unknown.
        workers: how many calls the user wants to run at once; None: the job's default.
    """
    each = sample.per_call
    if left is None:
        left = max(1, round(UNKNOWN_SECONDS / each)) if each else 1
    here = left * each
    if not here:
        return Choice("serial", 1, 1.0, "no call is left")
    find = _waiting if sample.waiting > WAITING else _computing
    found = find(sample, left, workers, here)
    if found.job != "serial" and not is_installed(found.job):
        package = registry.OWN[found.job].package
        why = f'{found.why}, and {package} is not installed (pip install "{package}>={registry.MAJOR}")'
        return Choice("serial", 1, 1.0, why)
    return found


def _waiting(sample: Sample, left: int, workers: int | None, here: float) -> Choice:
    threads = workers or registry.backend("io").default_workers({}) if is_installed("io") else 1
    at_once = min(threads, left)
    there = _start("io") + max(here / at_once, left * sample.cpu / sample.calls) + left * PER_CALL["io"]
    facts = f"calls of {shown(sample.per_call)} wait {sample.waiting:.0%} of their time"
    if there < GAIN * here:
        return Choice("io", threads, here / there, facts)
    return Choice("serial", 1, 1.0, f"{facts}, and the {_counted(left)} left take {shown(here)}")


def _computing(sample: Sample, left: int, workers: int | None, here: float) -> Choice:
    processes = workers or usable_cpus()
    at_once = min(processes, left, usable_cpus())
    facts = f"calls of {shown(sample.per_call)} compute"
    if at_once < 2:
        why = f"{facts}, and " + ("one CPU may be used" if usable_cpus() < 2 else "one worker was asked for")
        return Choice("serial", 1, 1.0, why if left > 1 else f"{facts}, and one call is left")
    if sample.everywhere > 1.5 * max(sample.cpu, 0.7 * sample.seconds):
        return Choice("serial", 1, 1.0, "calls use several CPUs by themselves")
    if not sample.sendable:
        why = f"{facts}, and what they are passed or return cannot be sent to a process"
        return Choice("serial", 1, 1.0, why)
    there = _start("compute") + here / at_once + left * (sample.moving_per_call + PER_CALL["compute"])
    if there < GAIN * here:
        return Choice("compute", processes, here / there, facts)
    if sample.moving_per_call > sample.per_call / 2:
        size = f"{sample.nbytes / max(1, sample.weighed):,.0f} bytes"
        why = f"calls take {shown(sample.per_call)}, and their data ({size} each) as long to send"
        return Choice("serial", 1, 1.0, why)
    why = f"{facts}, and the {_counted(left)} left take {shown(here)} here"
    return Choice("serial", 1, 1.0, why)


def _start(job: str) -> float:
    """Returns how long it takes to have workers: less if the process has used the job before."""
    cold, warm = STARTING[job]
    return warm if job in registry.loaded() else cold


def is_installed(job: str) -> bool:
    """Returns whether the package of one of the project's own jobs is installed."""
    return importlib.util.find_spec(registry.OWN[job].package.replace("-", "_")) is not None


def _counted(calls: int) -> str:
    return "one" if calls == 1 else f"{calls:,}"


def shown(seconds: float) -> str:
    """Returns a time as people say it, with two digits."""
    for limit, factor, unit in ((1e-3, 1e6, "µs"), (1.0, 1e3, "ms")):
        if seconds < limit:
            return f"{seconds * factor:.2g} {unit}"
    return f"{seconds:.1f} s"
