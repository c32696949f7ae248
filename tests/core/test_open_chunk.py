"""`jd_core.open_chunk`: calls taken by several workers, and results that come in at their places in any order."""

import threading

import pytest
from hypothesis import given
from hypothesis import strategies as st
from jd_core import open_chunk
from jd_core.backend import Chunk
from jd_core.open_chunk import OpenChunk


@given(order=st.permutations(range(9)), looks=st.sets(st.integers(0, 8)), failed=st.sets(st.integers(0, 8)))
def test_parts_give_each_result_once(order, looks, failed):
    """Contract 1: however results come in and whenever one looks, every call is given exactly once, at its place."""
    opened = OpenChunk(Chunk(100, (list("abcdefghi"),)))
    given, failures = {}, {}
    calls = dict(opened.calls)
    for turn, offset in enumerate(order):
        if offset in failed:
            opened.fail(offset, ValueError(offset))
        else:
            opened.values[offset] = calls[offset]
        opened.left -= 1
        if turn in looks or not opened.left:
            for part in opened.parts():
                for index, value in enumerate(part.values, part.offset):
                    assert index not in given
                    given[index] = value
                failures.update({failure.index: failure.exception.args for failure in part.failures})
                assert all(
                    100 + part.offset <= failure.index < 100 + part.offset + len(part.values) for failure in part.failures
                )
    assert given == {offset: None if offset in failed else "abcdefghi"[offset] for offset in range(9)}
    assert failures == {100 + offset: (offset,) for offset in failed}


@pytest.mark.parametrize("has_gil", [True, False])
def test_calls_are_given_once_to_racing_threads(monkeypatch, has_gil):
    """SPEC 8.6: no call runs twice and none is left out, with and without the GIL."""
    monkeypatch.setattr(open_chunk, "_has_gil", lambda: has_gil)
    opened = OpenChunk(Chunk(0, (range(20_000), [str(number) for number in range(20_000)])))
    barrier = threading.Barrier(4)
    taken = []

    def take():
        barrier.wait(10.0)
        taken.extend(opened.calls)

    takers = [threading.Thread(target=take) for _ in range(4)]
    for taker in takers:
        taker.start()
    for taker in takers:
        taker.join()
    assert sorted(taken) == [(number, (number, str(number))) for number in range(20_000)]


def test_seconds_of_an_unfinished_chunk_are_unknown():
    """Contract: ``seconds`` tells what the calls took; a part does not stand for calls that are not there."""
    opened = OpenChunk(Chunk(0, ([1, 2, 3, 4],)))
    opened.values[0] = 1
    assert [part.seconds for part in opened.parts()] == [0.0]
    opened.values[1:] = 2, 3, 4
    opened.left, opened.seconds = 0, 8.0
    assert [(part.offset, part.seconds) for part in opened.parts()] == [(1, 6.0)]
