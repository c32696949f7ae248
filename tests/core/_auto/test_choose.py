"""Which job fits: from what a sample of calls cost, without making any."""

from __future__ import annotations

import itertools

import pytest
from jd_core._auto import choose as choosing
from jd_core._auto.choose import choose, shown
from jd_core._auto.sample import Sample
from jd_core.backend import Chunk, ChunkResult


@pytest.fixture(autouse=True)
def four_cpus(monkeypatch: pytest.MonkeyPatch) -> None:
    """The same machine everywhere, with workers that have run before."""
    monkeypatch.setattr(choosing, "usable_cpus", lambda: 4)
    monkeypatch.setattr(choosing, "is_installed", lambda job: True)
    monkeypatch.setattr(choosing, "_start", lambda job: 0.003)


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
        (sample(0.001, moving=0.002), 1000, "their data (100 bytes each) as long to send"),
        (sample(0.01, everywhere=3.5), 1000, "several CPUs by themselves"),
        (sample(0.01), 1, "one call is left"),
        (sample(0.01), 0, "no call is left"),
        (sample(1e-5, cpu=0.1), 3, "the 3 left take 30 µs"),
    ],
    ids=["tiny", "large data", "threads of a library", "one left", "none left", "a moment"],
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
    costs.count(ChunkResult(Chunk(0, ([(number for number in [1])],)), [1]))
    assert not costs.sendable
    assert choose(costs, 1000, None).job == "serial"


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


def test_times_are_shown_as_people_say_them() -> None:
    """Two digits, and a unit."""
    assert [shown(seconds) for seconds in (2e-6, 1.2e-2, 3.0)] == ["2 µs", "12 ms", "3.0 s"]
