"""Which job fits calls of which a sample was measured: the one that is expected to end first.

``job="auto"`` does what is likely, and `Distributed.advise` says it only where it is sure: where even the slow end of what
is expected is no slower than a plain loop.
"""

from __future__ import annotations

import functools
import importlib.util
from dataclasses import dataclass
from typing import NamedTuple

from jd_core._auto.sample import Sample
from jd_core._tracing.words import short, size
from jd_core.backend import registry
from jd_core.backend.cpus import usable_cpus

#: Of a shorter sample, the CPU time of the whole process is mostly what it takes to read the clocks.
CLOCK_SECONDS = 0.001

#: Calls that use no CPU for more than this share of their time wait.
WAITING = 0.5

#: Another job must be expected to take at most this share of the time here. What is nearer is within the error of a sample.
GAIN = 0.8

#: Seconds until the first result of a job whose workers have to be started, or were started before.
STARTING = {"compute": (0.35, 0.003), "io": (0.005, 0.001), "web": (0.02, 0.001)}

#: How much of that it is at least, and at most: on a fast machine, and on a busy one or with large imports.
FAST, SLOW = 0.3, 3.0

#: Of the gain that is likely, so much is sure: CPUs may share a core or memory; and less where other programs use them, too.
SURE_SHARE, CROWDED_SHARE = 0.7, 0.35

#: So many times as fast as their number, at most: each has a CPU's caches for itself.
FASTER = 1.1

#: What a call costs in a message among others, in seconds, beside what its data costs.
PER_CALL = {"compute": 5e-7, "io": 2e-7, "web": 5e-6}

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
        low: the least gain to be expected; where calls are to stay here, by the job that comes next.
        high: the largest.
        second: that job, if it was considered.
    """

    job: str
    workers: int
    gain: float
    why: str
    low: float = 1.0
    high: float = 1.0
    second: str | None = None

    @property
    def is_sure(self) -> bool:
        """Whether the job is no slower than calls here even at the low end; to stay here: hardly faster at the high end."""
        return self.high <= 1.0 / GAIN if self.job == "serial" else self.low >= 1.0


class _Forecast(NamedTuple):
    """How many seconds calls take under a job: likely, at least, and at most."""

    job: str
    workers: int
    likely: float
    least: float
    most: float

    def choice(self, here: float, facts: str, reason: str) -> Choice:
        """Returns this job if it gains enough; otherwise to stay here, for a reason."""
        low, high = here / self.most, here / self.least
        if self.likely < GAIN * here:
            return Choice(self.job, self.workers, here / self.likely, facts, low, high)
        return Choice("serial", 1, 1.0, f"{facts}, and {reason}", low, high, self.job)


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
    job = sample.waits_in
    threads = workers or registry.backend(job).default_workers({}) if is_installed(job) else 1
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
    forecast = _forecast(job, threads, sample, left, here, (likely, ideal, sure), 0.0)
    return forecast.choice(here, facts, f"the {_counted(left)} left take {short(here)}")


def _computing(sample: Sample, left: int, workers: int | None, here: float) -> Choice:
    processes = workers or usable_cpus()
    cpus = min(processes, left, usable_cpus())
    facts = f"calls of {short(sample.per_call)} compute"
    if cpus < 2:
        why = f"{facts}, and " + ("one CPU may be used" if usable_cpus() < 2 else "one worker was asked for")
        return Choice("serial", 1, 1.0, why if left > 1 else f"{facts}, and one call is left")
    if sample.seconds > CLOCK_SECONDS and sample.everywhere > 1.5 * max(sample.cpu, 0.7 * sample.seconds):
        return Choice("serial", 1, 1.0, "calls use several CPUs by themselves")
    sure = _sure_share(sample) * cpus
    speeds = (cpus, FASTER * cpus, sure)
    in_threads = None
    if sample.releases_lock and not sample.crowded:
        tried = (cpus, FASTER * max(cpus, sample.at_once[2] * cpus / 2), sure)
        in_threads = _forecast("io", workers or usable_cpus(), sample, left, here, tried, 0.0)
        facts += ", and release the interpreter's lock"
    if not sample.sendable:
        if in_threads is not None:
            return in_threads.choice(here, facts, f"the {_counted(left)} left take {short(here)} here")
        why = f"{facts}, and what they are passed or return cannot be sent to a process"
        return Choice("serial", 1, 1.0, why)
    moving = sample.moving_per_call
    forecast = _forecast("compute", processes, sample, left, here, speeds, moving)
    if in_threads is not None and in_threads.likely <= forecast.likely:
        forecast = in_threads
    elif moving > sample.per_call / 2:
        facts = f"calls take {short(sample.per_call)}"
        data = size(round(sample.nbytes / max(1, sample.weighed)))
        return forecast.choice(here, facts, f"their data ({data} each) as long to send")
    return forecast.choice(here, facts, f"the {_counted(left)} left take {short(here)} here")


def _forecast(
    job: str, workers: int, sample: Sample, left: int, here: float, speeds: tuple[float, float, float], moving: float
) -> _Forecast:
    """Returns how long calls take under a job.

    Args:
        job: its name.
        workers: how many calls run at once.
        sample: what they cost here.
        left: how many there are.
        here: seconds that they take here.
        speeds: how many times as fast they are without the cost of workers and messages: likely, at most, and surely.
        moving: seconds to send one call's data there and back.
    """
    start, each = _start(job), PER_CALL[job]
    likely, most, least = speeds
    vague = min(0.9, 2 * sample.error)  # where calls differ, there may be less work than it seems, or more
    return _Forecast(
        job,
        workers,
        start + here / likely + left * (moving + each),
        FAST * start * (1 - vague) + here / most + left * FAST * (moving + each),
        SLOW * start / (1 - vague) + here / least + left * SLOW * (moving + each),
    )


def _sure_share(sample: Sample) -> float:
    return CROWDED_SHARE if sample.crowded else SURE_SHARE


def _start(job: str) -> float:
    """Returns how long it takes to have workers: less if the process has used the job before."""
    cold, warm = STARTING[job]
    return warm if job in registry.loaded() else cold


@functools.cache
def is_installed(job: str) -> bool:
    """Returns whether the package of one of the project's own jobs is installed."""
    return importlib.util.find_spec(registry.OWN[job].package.replace("-", "_")) is not None


def _counted(calls: int) -> str:
    return "one" if calls == 1 else f"{calls:,}"
