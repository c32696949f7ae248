"""The loss that lies in the number of runs: a loop that makes a run for each element, or for a few."""

from __future__ import annotations

from itertools import pairwise

from jd_core._tracing.figures import Figures
from jd_core._tracing.losses.loss import NOTICED, THREADS, WAITS, Loss, waited
from jd_core.backend.cpus import usable_cpus

#: Runs of the same function from which on their number is the matter, if they have few calls each.
MANY_RUNS, FEW_CALLS = 10, 20


def of_many(runs: list[Figures]) -> list[Loss]:
    """Returns the loss that lies in the number of the runs of one function, if it does.

    In one run, the calls of all of them could have been made by the workers that each was allowed. Of runs that overlap that
    is not said: those who make them do not know of each other.
    """
    calls, seconds = sum(run.calls for run in runs), sum(run.seconds for run in runs)
    ordered = sorted(runs, key=lambda run: run.record.began)
    overlap = any(later.record.began < earlier.record.began + earlier.seconds for earlier, later in pairwise(ordered))
    if len(runs) < MANY_RUNS or calls > FEW_CALLS * len(runs) or overlap:
        return []
    job, together = _in_one_run(runs, calls)
    lost = seconds - together - sum(map(waited, runs))
    if lost < NOTICED * seconds:
        return []
    remedy = "pass all elements in one call of the function, or their source to .stream"
    return [
        Loss(
            "many runs",
            lost,
            f"{len(runs)} runs with {calls / len(runs):.3g} call{'s' * (calls != len(runs))} each, one after the other",
            remedy if job == runs[0].job else f'{remedy}, with job="{job}"',
        )
    ]


def _in_one_run(runs: list[Figures], calls: int) -> tuple[str, float]:
    """Returns the job for all calls of some runs together, and how long they would take there."""
    longest = max(runs, key=lambda run: run.seconds)
    workers = max(run.record.workers for run in runs)
    busy, cpu = sum(run.busy for run in runs), sum(run.cpu for run in runs)
    if longest.mean > 1e-3 and cpu >= WAITS * longest.granted * busy and not longest.record.in_processes:
        return "compute", cpu / max(1, min(calls, usable_cpus()))
    if longest.mean > 1e-3 and longest.job == "serial":
        return "io", busy / max(1, min(calls, THREADS))
    return longest.job, busy / max(1, min(calls, workers))
