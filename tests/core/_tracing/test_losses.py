"""What a report finds that was lost: from records of runs that never were, so that no machine's speed matters."""

from __future__ import annotations

import math
from collections.abc import Callable

import pytest
from jd_core._tracing.figures import Figures
from jd_core._tracing.losses.of_many import of_many
from jd_core._tracing.losses.of_run import losses
from jd_core._tracing.record import RunRecord

Record = Callable[..., RunRecord]


def one_call(
    record: Record,
    number: int,
    *,
    job: str,
    cpu: float = math.nan,
    workers: int = 8,
    every: float = 0.011,
    rest: float = 0.0005,
) -> Figures:
    """The run of one call of nine milliseconds or so, one of several in a row."""
    made = record([("a", 0, 1, rest, 0.01 - rest)], 0.01, workers=workers)
    made.job, made.in_processes = job, job == "compute"
    made.spans[5] = cpu
    for place in (3, 4):
        made.spans[place] += every * number
    made.began += every * number
    made.ended += every * number
    return Figures(made)


@pytest.mark.parametrize("job", ["io", "compute"])
def test_runs_of_one_call_each_lose_what_their_workers_could_have_done(record: Record, job: str):
    """Not only what a run costs beside its call: of eight workers, seven had nothing to do."""
    (loss,) = of_many([one_call(record, number, job=job) for number in range(30)])
    assert loss.kind == "many runs"
    assert loss.seconds == pytest.approx(0.3 - 30 * 0.009 / 8)
    assert loss.text == "30 runs with 1 calls each, one after the other"


def test_runs_on_one_worker_lose_only_what_a_run_costs(record: Record):
    """One worker could not have done more at a time."""
    assert not of_many([one_call(record, number, job="io", workers=1) for number in range(30)])
    (loss,) = of_many([one_call(record, number, job="io", workers=1, rest=0.003) for number in range(30)])
    assert loss.seconds == pytest.approx(30 * 0.006)


def test_runs_that_overlap_are_not_one(record: Record):
    """Threads of a server make a run each: their elements cannot be passed in one call."""
    assert not of_many([one_call(record, number, job="io", every=0.005) for number in range(30)])


@pytest.mark.parametrize(
    ("job", "cpu", "remedy"),
    [
        ("serial", 0.0001, 'with job="io"'),
        ("serial", 0.009, 'with job="compute"'),
        ("io", 0.009, 'with job="compute"'),
        ("io", 0.0001, "to .stream"),
    ],
)
def test_runs_of_one_call_may_be_under_the_wrong_job(record: Record, job: str, cpu: float, remedy: str):
    """In one run under the same job, these calls would still run one after the other."""
    (loss,) = of_many([one_call(record, number, job=job, cpu=cpu, workers=1 + 7 * (job == "io")) for number in range(30)])
    assert loss.remedy.endswith(remedy)
    assert loss.seconds >= 0.4 * 0.3


def test_waits_are_not_lost_by_the_number_of_runs(record: Record):
    """A rate holds back one run as it does many."""
    runs = [one_call(record, number, job="io", workers=1, rest=0.003) for number in range(30)]
    for run in runs:
        run.record.pauses.seconds = 0.005
    assert not of_many(runs)


def test_what_a_loop_would_not_lose_is_part_of_tiny_calls(record: Record):
    """Starting workers, messages and idle workers at the end are not losses beside it, whichever of them is large."""
    made = record([("a", 0, 500, 0.5, 0.501), ("b", 500, 500, 0.8, 0.801), ("a", 1000, 9, 0.95, 0.951)], 1.0)
    assert [loss.kind for loss in losses(Figures(made))] == ["tiny calls"]


def test_calls_that_others_hold_up_are_still_tiny(record: Record):
    """Where other programs have the CPUs, calls seem to last as long as their processes wait for one."""
    made = record([("a", 0, 1000, 0.0, 0.1), ("b", 1000, 1000, 0.0, 0.1)], 0.1)
    made.spans[5::6] = type(made.spans)("d", [0.002, 0.002])
    made.load = 1000.0
    (loss, *_) = losses(Figures(made))
    assert (loss.kind, loss.seconds) == ("tiny calls", pytest.approx(0.096))


def test_threads_that_take_turns_do_not_wait(record: Record):
    """Each of 32 computes for a 32nd of its time, which is no reason for more threads."""
    spans = [(f"thread {number}", number, 1, 0.0, 0.3) for number in range(32)]
    spans += [(f"thread {number}", 32 + number, 1, 0.3, 0.6) for number in range(32)]
    spans += [(f"thread {number}", 64 + number, 1, 0.6, 1.0) for number in range(32)]
    made = record(spans, 1.0, workers=32)
    made.job, made.in_processes = "io", False
    made.spans[5::6] = type(made.spans)("d", [0.0095] * 96)
    assert "waiting calls" not in [loss.kind for loss in losses(Figures(made))]
