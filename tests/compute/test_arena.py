"""Memory for large buffers: used again when its receiver is done, never before, bounded, and reclaimed whatever happens."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import socket
import time
import warnings

import numpy as np
import pytest
from jd_compute.transport import arena as arenas
from jd_compute.transport import shared_memory
from jd_compute.transport.arena import Arena, arena
from jd_compute.transport.channel import Channel
from jd_core import WorkerDiedError, distribute

MEGABYTE = 1 << 20


@pytest.fixture
def ends():
    """The two ends of a connection, both in this process; the arena is empty before and after."""
    arena.clear()
    one, other = map(Channel, socket.socketpair())
    yield one, other
    one.close()
    other.close()
    arena.clear()


def send(channel, *buffers, together=False):
    """Sends buffers as one message."""
    parcel = arena.place([memoryview(buffer) for buffer in buffers], together=together)
    channel.send(1, b"body", parcel=parcel)
    parcel.close()


def inodes():
    """The memory files that are kept, by what identifies a file."""
    return {os.fstat(file.file).st_ino for file in arena._files}


def test_memory_is_used_again_when_all_that_was_made_of_it_is_gone(ends):
    """An arena that is kept and reused; the receiver says so with its next message."""
    one, other = ends
    send(one, b"a" * MEGABYTE)
    message = other.receive()
    part = np.frombuffer(message.buffers[0], np.uint8)[5:7]
    del message
    other.send(2)
    one.receive()
    send(one, b"b" * MEGABYTE)  # something is left of the first, so this needs another file
    second = other.receive()
    assert bytes(part) == b"aa"
    assert bytes(second.buffers[0][:2]) == b"bb"
    before = inodes()
    assert len(before) == 2
    del part, second
    other.send(2)
    one.receive()
    for letter in (b"c", b"d"):
        send(one, letter * (MEGABYTE - 100))
        assert bytes(other.receive().buffers[0]) == letter * (MEGABYTE - 100)
    assert inodes() == before


def test_buffers_that_are_sent_together_share_a_file(ends):
    """The arguments of a chunk: one file, which is given back when the last of them is gone."""
    one, other = ends
    send(one, b"a" * MEGABYTE, b"b" * 1001, b"c" * MEGABYTE, together=True)
    message = other.receive()
    assert arena.kept()[0] == 1
    assert [bytes(buffer[-1:]) for buffer in message.buffers] == [b"a", b"b", b"c"]
    last = message.buffers[2]
    del message
    assert not other.has_released
    del last
    assert other.has_released


def test_what_is_kept_is_bounded_in_bytes_and_in_files():
    """Bounded in size. What is lent the longest is forgotten first, after what is free."""
    small = Arena(most_bytes=10 * MEGABYTE, most_files=5)
    for size in (1, 3, 2, 1, 1, 4, 11, 1, 5, 1, 1):
        parcel = small.place([memoryview(bytes(size * MEGABYTE))])
        lent = [file for file, _ in parcel.files if small.lend(file)]
        assert bool(lent) == (size <= 10)
        for file, _ in parcel.files:
            small.unpack(file)
        parcel.files.clear()
        files, kept = small.kept()
        assert files <= 5
        assert kept <= 10 * MEGABYTE
    small.clear()
    assert small.kept() == (0, 0)


def test_memory_that_a_dead_receiver_had_is_reclaimed_and_not_used_again(ends):
    """What a worker's death leaves is freed; a child that it forked may still read it, so it is not reused."""
    one, other = ends
    send(one, b"a" * MEGABYTE)
    message = other.receive()
    one.close()
    assert arena.kept() == (0, 0)
    assert bytes(message.buffers[0][:1]) == b"a"


def test_memory_that_a_forked_child_can_see_is_not_given_back(ends):
    """A child reads what its parent had when it forked, also after the parent has dropped it."""
    one, other = ends
    send(one, b"a" * MEGABYTE)
    message = other.receive()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # of threads, which other tests may have left running
        pid = os.fork()
    if not pid:
        os._exit(len(arena._files))  # and the child keeps nothing that its parent writes to
    assert os.waitpid(pid, 0)[1] == 0
    del message
    assert not other.has_released


@pytest.mark.parametrize("fault", ["no file", "no room"])
def test_without_shared_memory_buffers_go_through_the_connection(monkeypatch, fault):
    """A fall-back to the pipe when shared memory is short; what was kept is given up first."""
    arena.clear()
    held = arena.place([memoryview(bytes(MEGABYTE))])
    held.close()
    assert arena.kept()[0] == 1

    def refuse(*_):
        raise OSError("no more")

    monkeypatch.setattr(arenas, *(("open_nameless", refuse) if fault == "no file" else ("write", refuse)))
    arrays = [np.full(1 << 17, float(number)) for number in range(5)]
    run = distribute(lambda array, *, one: array + one[0], job="compute", workers=2)
    results = run(arrays, one=np.ones(1 << 17))
    assert all(np.array_equal(result, array + 1) for result, array in zip(results, arrays, strict=True))
    assert arena.kept() == (0, 0)


def test_received_files_beyond_the_limit_are_copied_whole(monkeypatch, ends):
    """A process may have only so many mappings; and a system call reads no more than 2 GB, here 1,000 bytes."""
    preadv = os.preadv
    monkeypatch.setattr(shared_memory, "MOST_MAPPED", 0)
    monkeypatch.setattr(os, "preadv", lambda file, views, offset: preadv(file, [views[0][:1000]], offset))
    one, other = ends
    data = np.arange(40_000, dtype=np.uint16)
    send(one, data.view(np.uint8))
    assert np.array_equal(np.frombuffer(other.receive().buffers[0], np.uint16), data)
    assert other.has_released


def test_kept_results_stay_as_they_are_whatever_comes_after():
    """Memory that is used again is never memory that somebody still has."""
    run = distribute(lambda k: np.full(1 << 16, float(k)), job="compute", workers=2)
    kept = {}
    for turn in range(6):
        results = run(range(turn * 20, turn * 20 + 20))
        kept.update({int(result[0]): result for result in results[turn::3]})
    assert all((array == number).all() for number, array in kept.items())
    assert len(kept) > 30


def test_arguments_and_constants_give_their_memory_back_after_every_run():
    """Nothing of the caller's memory stays with workers that have nothing to do."""

    def add(array, *, other):
        return float(array[0] + other[0])

    run = distribute(add, job="compute", workers=2, chunksize=1)
    arrays = [np.full(1 << 16, float(k)) for k in range(6)]
    arena.clear()
    for turn in range(10):
        constant = np.full(1 << 19, float(turn))
        assert run(arrays, other=constant) == [turn + k for k in range(6)]
    files, kept = arena.kept()
    # Two constants, if a worker had not dropped the last when the next came, and two chunks for each worker.
    assert files <= 2 + 4
    assert kept <= 2 * constant.nbytes + 4 * arrays[0].nbytes


def test_two_hundred_calls_with_large_arrays_leave_nothing_behind(run_script):
    """Promise 8: descriptors and memory as before, after successes, failures and abandoned streams."""
    done = run_script("leftovers.py", "arrays")
    assert done.returncode == 0, done.stderr
    report = json.loads(done.stdout)
    assert report["after"] == report["before"]
    assert report["kept"] <= 20
    assert report["growth"] < 5_000_000


def test_what_a_killed_worker_had_is_reclaimed():
    """The memory of its arguments is closed with it, and the next run works."""

    def die(array):
        if array[0] == 2:
            os.kill(os.getpid(), signal.SIGKILL)
        return array

    run = distribute(die, job="compute", workers=2, chunksize=1)
    arrays = [np.full(1 << 16, float(k)) for k in range(6)]
    arena.clear()
    for _ in range(3):
        with pytest.raises(WorkerDiedError):
            run(arrays)
    assert not [file for file in arena._files if file.packed]
    assert arena.kept()[0] <= 8
    assert [float(result[0]) for result in run([arrays[k] for k in (0, 1, 3, 4)])] == [0.0, 1.0, 3.0, 4.0]


def test_an_idle_worker_keeps_no_memory():
    """What a worker keeps for its next results is freed when it has had nothing to do for a while."""

    def hasten():
        from jd_compute.worker import server

        server.KEEP_SECONDS = 0.05

    def array_and_pid(k):
        return np.full(1 << 16, float(k)), os.getpid()

    run = distribute(array_and_pid, job="compute", workers=1, initializer=hasten)
    pid = run(range(8))[0][1]

    def memory_files():
        with contextlib.suppress(OSError):
            return sum(
                "memfd:just-distribute " in os.readlink(f"/proc/{pid}/fd/{fd}") for fd in os.listdir(f"/proc/{pid}/fd")
            )

    if os.path.exists("/proc/self/fd"):
        deadline = time.monotonic() + 20
        while memory_files() != 0:
            assert time.monotonic() < deadline
            time.sleep(0.01)
    assert [float(array[0]) for array, _ in run(range(3))] == [0.0, 1.0, 2.0]
