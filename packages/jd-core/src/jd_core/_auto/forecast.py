"""How long calls take under a job, from what a sample of them costs, and the choice that follows."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

from jd_core._auto.sample import Sample
from jd_core.backend import registry

#: Another job must be expected to take at most this share of the time here. What is nearer is within the error of a sample.
GAIN = 0.8

#: Seconds until the first result of a job whose workers have to be started, or are there; rows first-call and ten-calls.
STARTING = {"compute": (0.2, 0.002), "io": (0.005, 0.001), "web": (0.02, 0.001)}

#: How much of that it is at least, and at most: on a fast machine, and on a busy one or with large imports.
FAST, SLOW = 0.3, 3.0

#: The same of what data costs, which was measured here: as far as more of it is together, or less.
LIGHT, HEAVY = 0.5, 2.0

#: What a call costs in a message among others, in seconds, beside what its data costs: rows tiny-calls, io-tiny-calls,
#: web-tiny-calls.
PER_CALL = 1e-7

#: Calls that take less go on here where they compute little, even if they wait: to wake a thread takes as long.
BRIEF_SECONDS = 5e-6


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


class Speeds(NamedTuple):
    """How many times as fast calls are: likely, at most, and surely."""

    likely: float
    most: float
    sure: float


class Forecast(NamedTuple):
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


class Task(NamedTuple):
    """What is to be done.

    Attributes:
        sample: what calls of the function cost.
        left: how many there are.
        rest: the same in words.
        workers: how many calls the user wants to run at once; None: the job's default.
        warm: whether workers are there, whatever the job.
    """

    sample: Sample
    left: int
    rest: str
    workers: int | None
    warm: bool

    @property
    def here(self) -> float:
        """Seconds that the calls take here."""
        return self.left * self.sample.per_call

    def stay(self, facts: str, why: str = "") -> Choice:
        """Returns the choice to go on here, for a reason that no other job can change."""
        return Choice("serial", 1, 1.0, f"{facts}, and {why}" if why else facts)

    def there(self, job: str, workers: int, speeds: Speeds, moving: float = 0.0) -> Forecast:
        """Returns how long the calls take under a job.

        Args:
            job: its name.
            workers: how many calls run at once.
            speeds: how many times as fast they are, without the cost of workers and messages.
            moving: seconds of CPU time to send one call's data there and back.
        """
        start, data = STARTING[job][1] if self.warm else _start(job), moving + PER_CALL
        vague = min(0.9, 2 * self.sample.error)  # where calls differ, there may be less work than it seems, or more

        def seconds(started: float, sent: float, speed: float) -> float:
            # Half of what data costs, the caller's process does, one call after the other.
            return started + self.left * max((self.sample.per_call + sent) / speed, sent / 2)

        return Forecast(
            job,
            workers,
            seconds(start, data, speeds.likely),
            seconds(FAST * start * (1 - vague), LIGHT * data, speeds.most),
            seconds(SLOW * start / (1 - vague), HEAVY * data, speeds.sure),
        )


def _start(job: str) -> float:
    """Returns how long it takes to have workers: less if they are there."""
    cold, warm = STARTING[job]
    return warm if registry.is_warm(job) else cold


def brief_seconds(left: int, workers: int) -> float:
    """Returns how long calls may take, each, that go on here whatever they do: no worker would be done with them earlier.

    The most for which `Task.there` expects more of processes than `GAIN` of the time here, though no data is sent.

    Args:
        left: how many there are.
        workers: how many calls run at once there.
    """
    start = _start("compute") / left
    sent = (start + PER_CALL / 2) / GAIN  # one process that sends them has as much to do as all workers
    computed = (start + PER_CALL / workers) / (GAIN - 1 / workers) if GAIN * workers > 1 else BRIEF_SECONDS
    return min(BRIEF_SECONDS, max(sent, computed))
