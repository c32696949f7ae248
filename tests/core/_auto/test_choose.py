"""Which job fits: from what a sample of calls cost, without making any."""

from __future__ import annotations

import itertools
from typing import Any

import pytest
from jd_core._auto import choose as choosing
from jd_core._auto import forecast, measure
from jd_core._auto import sample as sampling
from jd_core._auto.choose import choose
from jd_core._auto.sample import Sample
from jd_core.backend import Chunk, ChunkResult


@pytest.fixture(autouse=True)
def four_cpus(monkeypatch: pytest.MonkeyPatch) -> None:
    """The same machine everywhere, with workers that have run before."""
    monkeypatch.setattr(choosing, "usable_cpus", lambda: 4)
    monkeypatch.setattr(choosing, "is_installed", lambda job: True)
    monkeypatch.setattr(forecast, "_start", lambda job: 0.003)


def sample(
    each: float, *, cpu: float = 1.0, late: float = 0.0, everywhere: float | None = None, moving: float = 1e-6
) -> Sample:
    """Ten calls of so many seconds each, of which a share is CPU time, and another waiting for a CPU."""
    own = 10 * each * cpu
    total = own if everywhere is None else 10 * each * everywhere
    return Sample(10, 10 * each, own, 10 * each * late, total, 10, 10 * moving, 1000)


def test_calls_that_wait_go_to_io() -> None:
    """Sleeping, sockets, other programs: no CPU time."""
    choice = choose(sample(0.01, cpu=0.02), 100, None)
    assert choice.job == "io"
    assert 3 < choice.gain <= choice.workers


def test_calls_that_compute_go_to_compute() -> None:
    """CPU time is all of their time."""
    choice = choose(sample(0.01), 100, None)
    assert (choice.job, choice.workers) == ("compute", 4)
    assert 3 < choice.gain <= 4


def test_computing_on_a_busy_machine_is_not_waiting() -> None:
    """A thread that is ready and has no CPU does not wait: the others' load must not send it to threads."""
    assert choose(sample(0.01, cpu=0.25, late=0.75), 1000, None).job == "compute"
    assert choose(sample(0.01, cpu=0.02, late=0.9), 1000, None).job == "io"


@pytest.mark.parametrize(
    ("costs", "left", "why"),
    [
        (sample(2e-6), 1000, "left take 2 ms here"),
        (sample(2e-6, everywhere=3.5), 1000, "left take 2 ms here"),
        (sample(0.001, moving=0.002), 1000, "their data (100 bytes each) takes 2 ms to send"),
        (sample(0.01, everywhere=3.5), 1000, "several CPUs by themselves"),
        (sample(0.01), 1, "one call is left"),
        (sample(0.01), 0, "no call is left"),
        (sample(1e-5, cpu=0.1), 3, "the 3 left take 30 µs"),
    ],
    ids=["tiny", "tiny, beside the clocks", "large data", "threads of a library", "one left", "none left", "a moment"],
)
def test_what_gains_nothing_stays_here(costs: Sample, left: int, why: str) -> None:
    """The reason says what is in the way."""
    choice = choose(costs, left, None)
    assert choice.job == "serial"
    assert why in choice.why


def test_what_cannot_be_sent_stays_here() -> None:
    """A generator among the arguments cannot go to a process, and the plain loop takes it."""
    costs = sample(0.01)
    costs.weighed = 0
    costs.weigh(ChunkResult(Chunk(0, ([(number for number in [1])],)), [1]))
    assert not costs.sendable
    assert choose(costs, 1000, None).job == "serial"


def test_calls_that_use_several_cpus_stay_and_nobody_is_sure() -> None:
    """A library's threads may compute while they wait: processes may gain, or make it worse, and advice says neither."""
    choice = choose(sample(0.01, everywhere=3.5), 1000, None)
    assert choice.job == "serial"
    assert not choice.is_sure
    assert choice.second == "compute"
    assert choice.low < 1.0 < choice.high


def test_one_cpu(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where one CPU may be used, computing gains nothing, and waiting does."""
    monkeypatch.setattr(choosing, "usable_cpus", lambda: 1)
    assert "one CPU" in choose(sample(0.01), 1000, None).why
    assert choose(sample(0.01, cpu=0.01), 1000, None).job == "io"


def test_the_users_workers() -> None:
    """A stated number of workers is kept."""
    assert choose(sample(0.01, cpu=0.01), 1000, 50).workers == 50
    assert choose(sample(0.01), 1000, 2).workers == 2
    assert choose(sample(0.01), 1000, 1).job == "serial"


def test_an_unknown_length_counts_as_long() -> None:
    """A stream's source may go on for long, so workers are worth starting."""
    assert choose(sample(0.01), None, None).job == "compute"
    assert choose(sample(0.01, cpu=0.01), None, None).job == "io"


def test_a_job_whose_package_is_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    """Calls stay here, and the choice says what to install."""
    monkeypatch.setattr(choosing, "is_installed", lambda job: job == "io")
    choice = choose(sample(0.01), 1000, None)
    assert choice.job == "serial"
    assert 'jd-compute is not installed (pip install "jd-compute>=1")' in choice.why


def test_gains_are_never_below_one_elsewhere() -> None:
    """Whatever a sample says, another job is chosen for a gain of a quarter or more."""
    for each, cpu, moving, left in itertools.product((1e-7, 1e-4, 1.0), (0.0, 0.4, 1.0), (0.0, 1e-3), (0, 1, 50, None)):
        choice = choose(sample(each, cpu=cpu, moving=moving), left, None)
        assert choice.gain >= (1.0 if choice.job == "serial" else 1.25)
        assert choice.why


def test_calls_that_release_the_lock_go_to_threads() -> None:
    """Two at once were twice as fast: threads compute at the same time, and nothing has to be sent."""
    costs = sample(0.01)
    costs.at_once[2] = 1.95
    choice = choose(costs, 100, None)
    assert (choice.job, choice.workers) == ("io", 4)
    costs.at_once[2] = 1.1
    assert choose(costs, 100, None).job == "compute"


def test_on_a_busy_machine_threads_are_not_trusted() -> None:
    """There, a thread that waits for the interpreter's lock seems to wait for a CPU."""
    costs = sample(0.01)
    costs.crowded = True
    costs.at_once[2] = 1.95
    assert choose(costs, 100, None).job == "compute"


def test_a_gain_has_a_range(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is likely lies within it, and it is wider where other programs run, and before workers have started."""
    idle = choose(sample(0.01), 100, None)
    assert 1.0 < idle.low < idle.gain < idle.high < 5.0
    assert idle.is_sure
    monkeypatch.setattr(forecast, "_start", lambda job: 0.35)
    assert choose(sample(0.01), 100, None).low < idle.low
    costs = sample(0.01)
    costs.crowded = True
    crowded = choose(costs, 100, None)
    assert crowded.low < 1.0
    assert not crowded.is_sure


def test_to_stay_is_sure_where_nothing_can_be_gained(monkeypatch: pytest.MonkeyPatch) -> None:
    """And not where workers may start faster than is likely."""
    monkeypatch.setattr(forecast, "_start", lambda job: 0.35)
    assert choose(sample(1e-6), 1000, None).is_sure
    near = choose(sample(0.01), 40, None)
    assert (near.job, near.second, near.is_sure) == ("serial", "compute", False)


@pytest.mark.parametrize(("gain", "low", "high"), [(7.9, 4.0, 6.6), (1.0, 0.9, 1.6), (3.0, 1.9, 4.6)])
def test_what_limits_waiting_calls_limits_the_gain(gain: float, low: float, high: float) -> None:
    """A server that serves one at a time makes eight threads as slow as one."""
    costs = sample(0.01, cpu=0.01)
    costs.at_once[8] = gain
    choice = choose(costs, 1000, 6)
    assert low <= choice.low <= choice.high <= high
    assert choice.job == ("io" if gain > 1.5 else "serial")


def test_coroutines_go_to_web() -> None:
    """Those that were seen to wait at the same time on one loop."""
    costs = sample(0.01, cpu=0.01)
    costs.waits_in, costs.at_once = "web", {8: 7.8}
    choice = choose(costs, 1000, None)
    assert (choice.job, choice.workers) == ("web", 100)
    assert 5 < choice.low < 60 < choice.high


def test_where_calls_differ_less_is_sure() -> None:
    """The work that is left may be less than it seems, and the start of workers then counts for more."""
    costs = sample(0.01)
    sure = choose(costs, 10, None)
    costs.error = 0.4
    assert choose(costs, 10, None).low < sure.low


@pytest.mark.parametrize(
    ("each", "moving", "number", "job"),
    [
        (6e-8, 3e-8, 100_000, "serial"),
        (6e-8, 3e-8, 10_000_000, "serial"),
        (2e-6, 1e-7, 100_000, "compute"),
        (2e-6, 1e-7, 100, "serial"),
        (2e-6, 5e-6, 1_000_000, "serial"),
        (1e-3, 1e-4, 1_000, "compute"),
    ],
)
def test_short_calls_go_where_their_message_is_cheaper(each: float, moving: float, number: int, job: str) -> None:
    """A call of 60 ns costs more to hand out than to make, however many there are; one of 2 µs does not."""
    costs = sample(each, moving=moving)
    costs.seconds = costs.cpu = costs.everywhere = 10 * each
    choice = choose(costs, number, None)
    assert choice.job == job
    assert choice.low < choice.high


def test_workers_that_are_there_may_make_the_difference(monkeypatch: pytest.MonkeyPatch) -> None:
    """A first call would wait for them for longer than it takes here."""
    monkeypatch.setattr(forecast, "_start", lambda job: forecast.STARTING[job][0])
    assert choose(sample(0.001), 100, None).job == "serial"
    assert choose(sample(0.001), 100, None, warm=True).job == "compute"


def test_what_two_at_once_share_is_in_the_range() -> None:
    """Where they share a core or memory, less is sure; where threads are faster than the caller's, more is likely."""
    costs = sample(0.01)
    costs.at_once[2] = 1.95
    alike = choose(costs, 1000, None)
    costs.apart = 0.8
    shared = choose(costs, 1000, None)
    costs.apart = 1.2
    nearer = choose(costs, 1000, None)
    assert shared.low < alike.low
    assert shared.gain < alike.gain < nearer.gain
    assert nearer.low == pytest.approx(alike.low, rel=0.01)
    assert nearer.high > 1.15 * alike.high
    costs.apart = 5.0  # the first calls met what the others did not
    assert choose(costs, 1000, None).high < 6.0
    costs.apart, costs.at_once = 0.5, {2: 1.0}  # that is the interpreter's lock, which processes do not share
    assert choose(costs, 1000, None).gain == pytest.approx(choose(sample(0.01), 1000, None).gain)


def weighed(*values: object) -> Sample:
    """A sample that has weighed calls which return what they are passed."""
    found = Sample()
    found.weigh(ChunkResult(Chunk(0, (list(values),)), list(values)))
    return found


def test_the_cost_of_a_message_is_none_of_a_call() -> None:
    """Many calls share it: to send a number takes next to nothing, also where only one was weighed."""
    assert weighed(7).moving_per_call < 1e-5
    assert weighed(7).nbytes < 100


@pytest.mark.parametrize("number", [40, 1000])
def test_each_call_is_weighed_without_its_message(number: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """By what many take more than a few: 10 µs of a message are none of theirs. Many more are weighed again."""

    def serialized(data: Any) -> tuple[float, int]:
        calls = len(data[1]) if data else 0
        return 1e-5 + 1e-7 * calls, 50 + 8 * calls

    monkeypatch.setattr(sampling, "_serialized", serialized)
    found = Sample()
    for calls in (1, number, 2 * number):
        found.weigh(ChunkResult(Chunk(0, ([1] * calls,)), [1] * calls))
    assert found.weighed >= 36
    assert found.moving_per_call == pytest.approx(2e-7 + 9e-9, rel=0.05)
    assert found.renewed().moving_per_call == found.moving_per_call


def test_large_data_takes_its_time() -> None:
    """By its size, also where serializing it copies nothing."""
    for data in (bytes(1_000_000), bytearray(1_000_000), [bytes(100_000)] * 10, memoryview(bytes(1_000_000)).tobytes()):
        found = weighed(data)
        assert found.sendable
        assert found.moving_per_call > 1e-4
        assert found.nbytes > 100_000


@pytest.mark.parametrize(("others", "crowded"), [(0.0, False), (1.0, False), (1.5, True), (4.0, True), (9.0, True)])
def test_what_other_programs_use_decides_what_is_sure(others: float, crowded: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of four CPUs, 70 % of which would be sure. The load of the last minute, this program's own too, is no matter then."""
    monkeypatch.setattr(measure.os, "cpu_count", lambda: 4)
    monkeypatch.setattr(measure, "machine_load", lambda: 100.0 if not crowded else 0.0)
    assert measure.is_crowded(others) is crowded
    assert measure.is_crowded(None) is not crowded


def test_a_cpu_lost_while_the_clocks_are_read_is_not_waiting(monkeypatch: pytest.MonkeyPatch) -> None:
    """Others get the CPU after this thread was told for how long it had none: that it does not know of any more."""
    now, asked = 100.0, 0

    def late() -> float:
        nonlocal now, asked
        asked += 1
        if asked == 2:
            now += 0.01
        return 0.0

    monkeypatch.setattr(sampling, "_runqueue_seconds", late)
    monkeypatch.setattr(sampling.time, "perf_counter", lambda: now)
    costs = Sample()
    with costs.measuring():
        now += 0.001
    assert costs.seconds == pytest.approx(0.001)
