"""What a report finds that was lost: from records of runs that never were, so that no machine's speed matters."""

from __future__ import annotations

import math
from collections.abc import Callable

import pytest
from jd_core._tracing.figures import Figures
from jd_core._tracing.losses import of_calls
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
    assert loss.text == "30 runs with 1 call each, one after the other"


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


def test_threads_that_wait_on_a_busy_machine(record: Record):
    """What they compute is too little to be said to take turns, though other programs may have left them no more."""
    spans = [(worker, index, 1, 0.03 * index, 0.03 * index + 0.03) for index in range(10) for worker in "ab"]
    made = record(spans, 0.3)
    made.job, made.in_processes, made.load = "io", False, 1000.0
    made.spans[5::6] = type(made.spans)("d", [0.002] * 20)
    assert "gil" not in [loss.kind for loss in losses(Figures(made))]


@pytest.mark.parametrize("ended", [True, False])
def test_a_run_that_has_not_made_all_calls_has_no_end(record: Record, ended: bool):
    """A stream that was closed, or that somebody still reads: what workers did not do after its last call is not lost."""
    made = record([("a", 0, 1, 0.0, 0.01), ("b", 1, 1, 0.0, 0.02)], 1.0, workers=4)
    made.job, made.in_processes, made.calls, made.done = "io", False, 100, 2
    made.ended = made.ended if ended else None
    assert not {"long call", "few calls"} & {loss.kind for loss in losses(Figures(made))}


def test_large_results_on_a_busy_machine(record: Record):
    """Where other programs have the CPUs for most of the time, it is still the bytes that workers wait for."""
    made = record([(worker, index, 1, 0.1 * index, 0.1 * index + 0.03) for index in range(10) for worker in "ab"], 1.0)
    made.spans[5::6] = type(made.spans)("d", [0.01] * 20)
    made.load, made.received = 1000.0, 10_000_000
    (loss, *_) = losses(Figures(made))
    assert (loss.kind, loss.remedy.partition(":")[0]) == ("bytes", "send less")


def test_threads_that_take_turns_do_not_wait(record: Record):
    """Each of 32 computes for a 32nd of its time, which is no reason for more threads."""
    spans = [(f"thread {number}", number, 1, 0.0, 0.3) for number in range(32)]
    spans += [(f"thread {number}", 32 + number, 1, 0.3, 0.6) for number in range(32)]
    spans += [(f"thread {number}", 64 + number, 1, 0.6, 1.0) for number in range(32)]
    made = record(spans, 1.0, workers=32)
    made.job, made.in_processes = "io", False
    made.spans[5::6] = type(made.spans)("d", [0.0095] * 96)
    assert "waiting calls" not in [loss.kind for loss in losses(Figures(made))]


def largest(record: RunRecord, job: str, *, cpu: float = 0.0, **more: object) -> str:
    """Returns the kind of the largest loss of a run; "" if there is none."""
    record.job, record.in_processes = job, job == "compute"
    for name, value in more.items():
        setattr(record, name, value)
    for place in range(0, len(record.spans), 6):
        record.spans[place + 5] = cpu * (record.spans[place + 4] - record.spans[place + 3])
    found = losses(Figures(record))
    return found[0].kind if found else ""


def in_turns(number: int, workers: int, seconds: float) -> list[tuple[str, int, int, float, float]]:
    """Calls of threads that wait for one lock, which each holds for so long."""
    begins = [0.0] * workers
    spans = []
    for call in range(number):
        worker, end = call % workers, (call + 1) * seconds
        spans.append((str(worker), call, 1, begins[worker], end))
        begins[worker] = end
    return spans


def side_by_side(number: int, workers: int, seconds: float, *, apart: float) -> list[tuple[str, int, int, float, float]]:
    """Calls that do not wait for each other; the workers began one after the other."""
    return [
        (str(call % workers), call, 1, begin, begin + seconds)
        for call in range(number)
        for begin in [apart * (call % workers) + seconds * (call // workers)]
    ]


@pytest.mark.parametrize("job", ["io", "compute"])
def test_calls_that_take_turns(record: Record, job: str):
    """More workers would not help: they wait for one another."""
    assert largest(record(in_turns(50, 8, 0.02), 1.0, workers=8), job) == "turns"


def test_calls_at_even_distances_that_do_not_wait_for_each_other(record: Record):
    """They all take as long; only those that met nobody were quick where they take turns."""
    made = record(side_by_side(48, 8, 0.16, apart=0.02), 1.1, workers=8)
    assert largest(made, "io") == "waiting calls"


def test_few_coroutines_at_once(record: Record):
    """An event loop has room for more."""
    assert largest(record(side_by_side(60, 2, 0.02, apart=0.0), 0.6), "web", cpu=math.nan) == "waiting calls"


def test_a_slow_first_call_of_each_worker(record: Record):
    """What a worker loads is not a long call that could be made earlier."""
    spans = [(str(k), k, 1, 0.0, 1.0) for k in range(2)]
    spans += [(str(k % 2), 2 + k, 1, 1.0 + 0.002 * (k // 2), 1.002 + 0.002 * (k // 2)) for k in range(100)]
    assert largest(record(spans, 1.1), "compute", cpu=0.1) == "first calls"


def test_all_calls_at_once(record: Record):
    """There is none to be ordered first, nor a chunk to be made smaller: the slowest decides."""
    made = record([(str(k), k, 1, 0.0, 0.02 * (k // 2 + 1)) for k in range(60)], 0.61, workers=60)
    found = losses(Figures(made))
    assert found[0].kind == "long call"
    assert found[0].text.startswith("all calls ran at once, and the slowest (call 5")
    assert found[0].text.endswith("took 600 ms, half of them less than 300 ms")


@pytest.mark.parametrize(("number", "workers", "remedy"), [(1, 2, "split"), (30, 1, "leave workers= out")])
def test_fewer_calls_or_workers_than_cpus(
    record: Record, number: int, workers: int, remedy: str, monkeypatch: pytest.MonkeyPatch
):
    """Calls that compute leave CPUs idle."""
    monkeypatch.setattr(of_calls, "usable_cpus", lambda: 4)
    made = record([("a", k, 1, k / number, (k + 0.99) / number) for k in range(number)], 1.0, workers=workers)
    assert largest(made, "compute", cpu=1.0) == "few workers"
    (found,) = losses(Figures(made))
    assert remedy in found.remedy


def test_calls_that_end_with_their_worker(record: Record):
    """What a call took that was ended is not a wait between calls, and a plain loop would have hung there, or died."""
    spans = [("a", k, 1, 0.01 * k, 0.01 * k + 0.01) for k in range(10)] + [("b", 10, 1, 0.0, 0.01)]
    made = record(spans, 1.1)
    made.deaths.append((101.01, "b"))
    assert largest(made, "compute") == "deaths"
    run = Figures(made)
    assert run.idle["deaths"] > 0.9
    assert losses(run)[0].text == "1 worker ended with a call, and had to be replaced"


def test_tiny_calls_that_end_their_worker(record: Record):
    """It is not said that a plain loop is faster, which would have ended."""
    made = record([("a", k, 1, 0.01 * k, 0.01 * k + 1e-5) for k in range(10)], 0.1)
    made.deaths.append((100.05, "c"))
    assert [loss.kind for loss in losses(Figures(made))] == ["deaths"]


def test_a_small_buffer(record: Record):
    """Two calls at once keep two of sixteen workers busy, whatever a chunk holds."""
    made = record(side_by_side(60, 2, 0.02, apart=0.0), 0.6, workers=16)
    assert largest(made, "io", buffersize=2) == "buffersize"


def test_results_that_take_long_together(record: Record):
    """To join or aggregate them is not a wait for calls at the end."""
    made = record(side_by_side(20, 2, 0.01, apart=0.0), 1.0)
    made.aggregating.extend((100.1, 101.0))
    assert largest(made, "compute", cpu=1.0) == "aggregate"


@pytest.mark.parametrize(("began", "remedy"), [(0.0, "split it; or, if it loads"), (0.4, "order long calls first")])
def test_a_long_call_that_was_first_need_not_be_ordered_first(record: Record, began: float, remedy: str):
    """What helps with a long call depends on when it began."""
    spans = [("a", 0, 1, began, began + 0.6), *(("b", 1 + k, 1, 0.01 * k, 0.01 * k + 0.01) for k in range(30))]
    assert losses(Figures(record(spans, began + 0.6)))[0].remedy.startswith(remedy)
