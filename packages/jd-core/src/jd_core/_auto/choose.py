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

#: Seconds until the first result of a job whose workers have to be started, or are there; rows first-call and ten-calls.
STARTING = {"compute": (0.2, 0.002), "io": (0.005, 0.001), "web": (0.02, 0.001)}

#: How much of that it is at least, and at most: on a fast machine, and on a busy one or with large imports.
FAST, SLOW = 0.3, 3.0

#: The same of what data costs, which was measured here: as far as more of it is together, or less.
LIGHT, HEAVY = 0.5, 2.0

#: Of the gain that is likely, so much is sure: CPUs may share a core or memory; and less where other programs use them, too.
SURE_SHARE, CROWDED_SHARE = 0.7, 0.35

#: So many times as fast as their number, at most: each has a CPU's caches for itself.
FASTER = 1.1

#: How far two calls at once are taken to differ from one alone: of more, part is what only the first calls meet.
MOST_APART = 1.3

#: What a call costs in a message among others, in seconds, beside what its data costs: rows tiny-calls, io-tiny-calls,
#: web-tiny-calls.
PER_CALL = {"compute": 1e-7, "io": 1e-7, "web": 1e-7}

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


class _Task(NamedTuple):
    """What is to be done.

    Attributes:
        sample: what calls of the function cost.
        left: how many there are.
        workers: how many calls the user wants to run at once; None: the job's default.
        warm: whether workers are there, whatever the job.
    """

    sample: Sample
    left: int
    workers: int | None
    warm: bool

    @property
    def here(self) -> float:
        """Seconds that the calls take here."""
        return self.left * self.sample.per_call

    def stay(self, facts: str, why: str = "") -> Choice:
        """Returns the choice to go on here, for a reason that no other job can change."""
        return Choice("serial", 1, 1.0, f"{facts}, and {why}" if why else facts)

    def there(self, job: str, workers: int, speeds: _Speeds, moving: float = 0.0) -> _Forecast:
        """Returns how long the calls take under a job.

        Args:
            job: its name.
            workers: how many calls run at once.
            speeds: how many times as fast they are, without the cost of workers and messages.
            moving: seconds of CPU time to send one call's data there and back.
        """
        start, data = STARTING[job][1] if self.warm else _start(job), moving + PER_CALL[job]
        vague = min(0.9, 2 * self.sample.error)  # where calls differ, there may be less work than it seems, or more

        def seconds(started: float, sent: float, speed: float) -> float:
            # Half of what data costs, the caller's process does, one call after the other.
            return started + self.left * max((self.sample.per_call + sent) / speed, sent / 2)

        return _Forecast(
            job,
            workers,
            seconds(start, data, speeds.likely),
            seconds(FAST * start * (1 - vague), LIGHT * data, speeds.most),
            seconds(SLOW * start / (1 - vague), HEAVY * data, speeds.sure),
        )


class _Speeds(NamedTuple):
    """How many times as fast calls are: likely, at most, and surely."""

    likely: float
    most: float
    sure: float


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


def choose(sample: Sample, left: int | None, workers: int | None, *, warm: bool = False) -> Choice:
    """Returns the job for the calls that are left.

    Args:
        sample: what calls of the function cost.
        left: how many are left; None if unknown.
        workers: how many calls the user wants to run at once; None: the job's default.
        warm: whether workers are taken to be there, whatever the job.
    """
    each = sample.per_call
    if left is None:
        left = max(1, round(UNKNOWN_SECONDS / each)) if each else 1
    task = _Task(sample, left, workers, warm)
    if not task.here:
        return task.stay("no call is left")
    found = (_waiting if sample.waiting > WAITING else _computing)(task)
    if found.job != "serial" and not is_installed(found.job):
        package = registry.OWN[found.job].package
        return task.stay(found.why, f'{package} is not installed (pip install "{package}>={registry.MAJOR}")')
    return found


def _waiting(task: _Task) -> Choice:
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
    return task.there(job, threads, _Speeds(likely, ideal, sure)).choice(here, facts, _is_short(task))


def _computing(task: _Task) -> Choice:
    sample, left, here = task.sample, task.left, task.here
    cpus = usable_cpus()
    processes = task.workers or cpus
    at_once = min(processes, left, cpus)
    facts = f"calls of {short(sample.per_call)} compute"
    if at_once < 2:
        one = "call is left" if left < 2 else "CPU may be used" if cpus < 2 else "worker was asked for"
        return task.stay(facts, f"one {one}")
    if sample.seconds > CLOCK_SECONDS and sample.everywhere > 1.5 * max(sample.cpu, 0.7 * sample.seconds):
        return task.stay("calls use several CPUs by themselves")
    sure = _sure_share(sample) * at_once
    apart = min(MOST_APART, max(1 / MOST_APART, sample.apart)) if sample.releases_lock else 1.0
    slowed = min(1.0, apart)
    in_threads = None
    if sample.releases_lock and not sample.crowded:
        speeds = _Speeds(apart * at_once, FASTER * max(1.0, apart) * at_once, slowed * sure)
        in_threads = task.there("io", task.workers or cpus, speeds)
        facts += ", and release the interpreter's lock"
    if not sample.sendable:
        if in_threads is not None:
            return in_threads.choice(here, facts, _is_short(task))
        return task.stay(facts, "what they are passed or return cannot be sent to a process")
    moving = sample.moving_per_call
    forecast = task.there("compute", processes, _Speeds(slowed * at_once, FASTER * at_once, slowed * sure), moving)
    if in_threads is not None and in_threads.likely <= forecast.likely:
        forecast = in_threads
    elif moving > sample.per_call / 2:
        facts = f"calls take {short(sample.per_call)}"
        data = size(round(sample.nbytes / max(1, sample.weighed)))
        return forecast.choice(here, facts, f"their data ({data} each) takes {short(moving)} to send")
    return forecast.choice(here, facts, _is_short(task))


def _is_short(task: _Task) -> str:
    return f"the {'one' if task.left == 1 else f'{task.left:,}'} left take {short(task.here)} here"


def _sure_share(sample: Sample) -> float:
    return CROWDED_SHARE if sample.crowded else SURE_SHARE


def _start(job: str) -> float:
    """Returns how long it takes to have workers: less if they are there."""
    cold, warm = STARTING[job]
    return warm if registry.is_warm(job) else cold


@functools.cache
def is_installed(job: str) -> bool:
    """Returns whether the package of one of the project's own jobs is installed."""
    return importlib.util.find_spec(registry.OWN[job].package.replace("-", "_")) is not None
