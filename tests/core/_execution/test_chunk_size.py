"""How many calls travel together."""

from __future__ import annotations

import itertools
from typing import Any, ClassVar

import hypothesis.strategies as st
import pytest
from hypothesis import given
from jd_core._execution.chunk_size import MOST_SHARED, CallDurations, Sizer, sizer
from jd_core._execution.serial import SerialBackend
from jd_core.backend.splitting import MESSAGE_SHARE, MOST_PARTS, part


class Guided(SerialBackend):
    """Stands for a backend whose workers run whole chunks, at a millisecond a message."""

    message_seconds = 0.001


class GivesBack(Guided):
    """Its workers give back what they have not begun."""

    gives_back: ClassVar[bool] = True


class Long(Guided):
    """Its chunks may take longer than their messages ask for."""

    long_chunk_seconds: ClassVar[float] = 1.0


class Shared(SerialBackend):
    """Stands for a backend whose workers share a chunk's calls."""

    shares_calls: ClassVar[bool] = True


def lasting(seconds: float | None) -> CallDurations:
    """Returns the durations of calls of so many seconds each; None: unknown."""
    durations = CallDurations()
    if seconds is not None:
        durations.record(1000, 1000 * seconds)
    return durations


def made(backend: type[SerialBackend] = Guided, seconds: float | None = None, workers: int = 2, **given: Any) -> Sizer:
    """Makes the policy of a run."""
    return sizer(backend(), lasting(seconds), workers, **{"total": None, "fixed": None, "buffer": None, **given})


def sizes(policy: Sizer, total: int) -> list[int]:
    """Returns the sizes of all chunks of a run."""
    found: list[int] = []
    while total:
        size = min(policy.next(), total)
        policy.handed_out(size)
        found.append(size)
        total -= size
    return found


@given(
    backend=st.sampled_from([Guided, GivesBack, Long, Shared]),
    seconds=st.one_of(st.none(), st.floats(1e-8, 10.0)),
    workers=st.integers(1, 64),
    total=st.one_of(st.none(), st.integers(1, 10**9)),
    fixed=st.one_of(st.none(), st.integers(1, 10**6)),
    buffer=st.one_of(st.none(), st.integers(1, 10**6)),
)
def test_sizes_are_sound(
    backend: type[SerialBackend],
    seconds: float | None,
    workers: int,
    total: int | None,
    fixed: int | None,
    buffer: int | None,
) -> None:
    """Section 1: a size is at least 1, never above the one chosen, nor above a buffer."""
    policy = made(backend, seconds, workers, total=total, fixed=fixed, buffer=buffer)
    for _ in range(20):
        size = policy.next()
        assert size >= 1
        assert fixed is None or size <= fixed
        assert buffer is None or size <= max(1, buffer)
        assert policy.ahead(size) >= workers
        policy.handed_out(size)


@pytest.mark.parametrize("backend", [Guided, GivesBack, Shared])
def test_a_fixed_size(backend: type[SerialBackend]) -> None:
    """Section 1: chunksize decides."""
    assert sizes(made(backend, 0.1, total=100, fixed=30), 100) == [30, 30, 30, 10]


def test_the_first_chunk_of_unknown_calls_is_one() -> None:
    """Long calls are spread from the start."""
    assert made(total=1_000_000).next() == 1
    assert made(Shared).next() == 1


def test_chunks_shrink() -> None:
    """Large chunks first, then ever smaller, so that no worker straggles."""
    found = sizes(made(seconds=1e-6, total=1_000_000), 1_000_000)
    assert found == sorted(found, reverse=True)
    assert found[0] > 10 * found[-1]


@pytest.mark.parametrize(("total", "found"), [(400, [100] * 4), (401, [101] * 3 + [98]), (10**6, [5000] * 200)])
def test_chunks_need_not_shrink_where_workers_give_back(total: int, found: list[int]) -> None:
    """Fewer messages, where no worker straggles for another reason."""
    assert sizes(made(GivesBack, 1e-5, total=total), total) == found


def test_chunks_are_long_where_many_calls_are_to_come() -> None:
    """Fewer messages than they are worth, once this run has measured its calls, and short chunks towards the end."""
    durations = lasting(0.01)
    policy = sizer(Long(), durations, 2, total=10_000, fixed=None, buffer=None)
    assert policy.next() == 5, "what earlier runs were like may be no guide"
    for _ in range(4):
        durations.record(1, 0.01)
    found = sizes(policy, 10_000)
    assert found[0] == 100, "a second"
    assert found == sorted(found, reverse=True)
    for place, size in enumerate(found):
        assert size <= max(5, sum(found[place:]) / 4), "each of two workers has one more such chunk to come"
    assert len(found) < len(sizes(made(seconds=0.01, total=10_000), 10_000)) / 5


@pytest.mark.parametrize("backend", [Guided, GivesBack])
def test_a_message_costs_a_few_percent(backend: type[SerialBackend]) -> None:
    """A chunk is worth its message, where there is work enough."""
    found = sizes(made(backend, seconds=1e-5, total=10_000_000), 10_000_000)
    messages = len(found) * 0.001
    assert messages <= 10_000_000 * 1e-5 * 2 / MESSAGE_SHARE


def test_long_calls_travel_alone() -> None:
    """Calls longer than many messages are not held together."""
    assert set(sizes(made(seconds=5.0, total=100), 100)) == {1}


def test_unknown_lengths_double() -> None:
    """For unknown lengths sizes double up to what messages ask for."""
    policy = made(seconds=1e-6)
    found = []
    for _ in range(30):
        found.append(policy.next())
        policy.handed_out(found[-1])
    assert all(later <= max(1, 2 * size) for size, later in itertools.pairwise(found))


def test_unknown_lengths_of_one_worker_grow_faster() -> None:
    """No other worker goes without calls meanwhile: an iterator of tiny calls costs few chunks."""
    policy = made(seconds=1e-7, workers=1)
    found = []
    for _ in range(6):
        found.append(policy.next())
        policy.handed_out(found[-1])
    assert found == [1, 8, 64, 512, 4096, 32768]


def test_shared_chunks_are_bounded() -> None:
    """Where workers share calls, a chunk holds no more than pays."""
    assert made(Shared, 1e-9, total=10**9).next() == MOST_SHARED


def test_durations_follow_what_calls_take() -> None:
    """Later reports count more than earlier ones."""
    durations = CallDurations()
    assert durations.calls_in(1.0) is None
    durations.record(10, 0.0)
    assert durations.calls_in(1.0) is None
    durations.record(10, 1.0)
    assert durations.calls_in(1.0) == 10
    for _ in range(20):
        durations.record(10, 10.0)
    assert durations.calls_in(10.0) == 10
    assert durations.calls_in(1e-9) == 1


@pytest.mark.parametrize(("total", "seconds", "first"), [(10, 1e-5, 10), (10, 2e-4, 5), (17, 1e-6, 9), (10, None, 1)])
def test_a_few_tiny_calls_go_to_one_worker_if_it_gives_back_what_turns_out_long(
    total: int, seconds: float | None, first: int
) -> None:
    """Where all calls are expected to take less than a message, a second worker would cost more than it gains."""
    assert made(GivesBack, seconds, total=total).next() == first
    assert made(Guided, seconds, total=total).next() <= -(-total // 2)


@given(
    left=st.integers(1, 10**6),
    calls=st.integers(0, 10**6),
    seconds=st.floats(0, 1e4),
    full=st.floats(1e-4, 10),
    workers=st.integers(1, 200),
)
def test_parts_of_what_is_given_back(left: int, calls: int, seconds: float, full: float, workers: int) -> None:
    """Section 6: for each worker some, and no more than are to be done in one go; but never thousands of messages."""
    size = part(left, calls, seconds, full, workers)
    assert 1 <= size <= -(-left // workers)
    assert -(-left // size) <= MOST_PARTS * workers
    if seconds and size > -(-left // (MOST_PARTS * workers)):
        assert size == 1 or size * seconds / calls <= full * 1.001


def test_combined_results_make_chunks_larger() -> None:
    """Section 4: where a chunk sends one combined result, it is worth as many calls as take a fifth of a second."""
    alone, combined = (made(GivesBack, 0.001, total=100_000, combined=flag) for flag in (False, True))
    assert (alone.next(), combined.next()) == (50, 200)
