"""`jd_core.inprocess.open_chunk`: calls taken by several workers, and results that come in at their places in any order."""

import threading

import pytest
from hypothesis import given
from hypothesis import strategies as st
from jd_core.backend import Chunk, Work
from jd_core.inprocess import open_chunk
from jd_core.inprocess.call_queue import CallQueue
from jd_core.inprocess.open_chunk import OpenChunk


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
    """Promise 6: no call runs twice and none is left out, with and without the GIL."""
    monkeypatch.setattr(open_chunk, "_has_gil", lambda: has_gil)
    opened = OpenChunk(Chunk(0, (range(20_000), [str(number) for number in range(20_000)])))
    barrier = threading.Barrier(4)
    taken = []

    def take():
        barrier.wait(30.0)
        taken.extend(opened.calls)

    takers = [threading.Thread(target=take) for _ in range(4)]
    for taker in takers:
        taker.start()
    for taker in takers:
        taker.join()
    assert sorted(taken) == [(number, (number, str(number))) for number in range(20_000)]


def test_a_chunk_that_is_finished_while_the_caller_looks_is_given_once():
    """Contract 1: the caller, who found it unfinished, then takes all of it, and finds it among the finished ones, too."""
    finished = []

    class Finishing:
        """Stands for the lock under which the caller lists what is unfinished: a worker finishes it right after."""

        def __enter__(self):
            return self

        def __exit__(self, *error):
            if not finished:
                finished.append(True)
                for offset, argument in opened.calls:
                    opened.values[offset] = argument
                queue.record(opened, 3, 0.1)

    work = Work(function=abs, constants={}, workers=2, name="abs")
    queue = CallQueue(work, iter([Chunk(0, ([1, 2, 3],))]), lambda: None)
    queue.pull()
    (opened,) = queue._open
    assert queue.pull() == 0
    queue._collected -= 10.0  # nothing was finished for long, so what is unfinished is looked at
    queue.lock = Finishing()
    given = [result.values for _ in range(3) for result in queue.collect()]
    assert given == [[1, 2, 3]]
    assert queue.is_over()


def test_seconds_of_an_unfinished_chunk_are_unknown():
    """Contract: ``seconds`` tells what the calls took; a part does not stand for calls that are not there."""
    opened = OpenChunk(Chunk(0, ([1, 2, 3, 4],)))
    opened.values[0] = 1
    assert [part.seconds for part in opened.parts()] == [0.0]
    opened.values[1:] = 2, 3, 4
    opened.left, opened.seconds = 0, 8.0
    assert [(part.offset, part.seconds) for part in opened.parts()] == [(1, 6.0)]
