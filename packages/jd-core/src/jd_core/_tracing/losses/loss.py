"""A loss, and what several kinds of it are told from."""

from __future__ import annotations

from typing import NamedTuple

from jd_core._tracing.figures import RATE, Figures

#: The part of a run from which on a loss is worth a word.
NOTICED = 0.15

#: Calls that use a smaller part of their time for computing wait.
WAITS = 0.25

#: Threads that need this part of one core together, or more, wait for each other: Python runs one thread at a time.
GIL_SHARE = 0.75

#: Below this part of one core they are not said to do so, however busy the machine is: what waits computes a little, too.
LEAST_SHARE = 0.2

#: As many threads as "io" has.
THREADS = 32


class Loss(NamedTuple):
    """Time that was lost.

    Attributes:
        kind: a word for programs: "tiny calls", "start", "input", "consumer", "long call", "few calls", "rate", "retries",
            "messages", "bytes", "gil", "waiting calls", "blocked loop", "serial", "many runs", "turns", "first calls",
            "few workers", "deaths", "buffersize", "aggregate".
        seconds: about how much shorter the run would have been without it.
        text: what happened, in a sentence.
        remedy: what to do about it.
    """

    kind: str
    seconds: float
    text: str
    remedy: str


def waits(run: Figures) -> bool:
    """Whether the calls wait for something else than a CPU. Of short ones that is not said: they are measured in groups."""
    return run.mean > 1e-3 and run.cpu < WAITS * run.granted * run.busy


def fills_a_cpu(run: Figures) -> bool:
    """Whether the calls together compute for as much as one thread could have."""
    return run.cpu > GIL_SHARE * run.granted * run.seconds


def waited(run: Figures) -> float:
    """Returns how long the run waited for what no other way to make its calls would make faster."""
    record = run.record
    return record.input.seconds + record.consumer.seconds + record.pauses.seconds + run.idle[RATE] / run.workers


def is_blocked(run: Figures) -> bool:
    """Whether coroutines never let each other run."""
    return run.job == "web" and run.workers > 1 and run.calls > 2 and not run.overlapped and run.busy > 0.5 * run.seconds


def percent(part: float) -> str:
    """Returns a part of 1 in words."""
    return f"{100 * part:.0f} %"
