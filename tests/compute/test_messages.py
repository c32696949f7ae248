"""What travels between the caller and a worker: no more than must, and never so that one waits for the other to read."""

from __future__ import annotations

import datetime
import enum
import gc
import io
import itertools
import operator
import os
import signal
import socket
import sys
import time
import types
from array import array
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from jd_compute.codec import codec
from jd_compute.pool.shared import shared_pool
from jd_compute.run import orders, workers
from jd_compute.run.tasks import Assignment
from jd_compute.transport import messages
from jd_compute.transport.arena import arena
from jd_compute.transport.channel import NEVER_BLOCKS, Channel
from jd_core import SerializationError, distribute, per_worker
from jd_core.testing import functions
from jd_core.worker.pickling import classes

LONG = list(range(10**6))


@pytest.fixture
def ends():
    """The two ends of a connection, both in this process."""
    one, other = map(Channel, socket.socketpair())
    yield one, other
    one.close()
    other.close()


@pytest.fixture
def limit():
    """Starts a time limit as many libraries do it, by an exception of a type that the system raises, too."""

    def handler(number, frame):
        raise TimeoutError("the limit")

    before = signal.signal(signal.SIGALRM, handler)
    yield lambda: signal.setitimer(signal.ITIMER_REAL, 0.05)
    signal.setitimer(signal.ITIMER_REAL, 0)
    signal.signal(signal.SIGALRM, before)


@pytest.mark.parametrize(
    "act",
    [lambda one: one.receive(), lambda one: one.receive_files(1), lambda one: one.send(1, bytes(10**7))],
    ids=["receive", "receive files", "send"],
)
def test_a_time_limit_is_not_taken_for_the_other_ends_death(ends, limit, act):
    """What a signal's handler raises in the middle of a message comes through."""
    limit()
    with pytest.raises(TimeoutError, match="the limit"):
        act(ends[0])


def test_a_time_limit_while_a_worker_is_told_something(ends, limit):
    """It comes through where a dead worker would be no matter."""
    limit()
    with pytest.raises(TimeoutError, match="the limit"):
        Assignment(types.SimpleNamespace(channel=ends[0]), 0, 0).tell(1, bytes(10**7))


@pytest.mark.parametrize("value", [LONG, [str(number) for number in range(10**5)], bytearray(10**7), {"a": [LONG, LONG]}])
def test_a_long_message_does_not_wait_for_its_receiver(ends, value):
    """A worker goes on with its next calls while the caller has no time to read the results of the last ones."""
    one, other = ends
    encoded = codec.encode(value)
    parcel = arena.place(encoded.buffers)
    assert len(encoded.data) + parcel.weight <= NEVER_BLOCKS
    one.send(1, encoded.data, parcel=parcel)  # and nobody reads: it would wait for ever
    parcel.close()
    message = other.receive()
    assert codec.decode(memoryview(message.body), message.buffers) == value


@pytest.mark.parametrize("value", [[1, 2.5, None], [], [Fraction(1, 3)], "a" * (1 << 16), [LONG], [Fraction(1, 3)] * 10**5])
def test_what_is_encoded_comes_back(value):
    """Short and long, in one piece or not."""
    encoded = codec.encode(value)
    assert codec.decode(memoryview(encoded.data), encoded.buffers) == value
    assert codec.loads(codec.dumps(value)) == value


def huge(number: int) -> int:
    """Returns an int that C pickle is slow with."""
    return (1 << 40) + number


class Colour(enum.IntEnum):
    """Ints of a class of their own."""

    RED = 1 << 40


class Number(int):
    """Another."""


@given(
    st.lists(
        st.integers(-(1 << 70), 1 << 70)
        | st.integers(1 << 31, (1 << 64) - 1)
        | st.sampled_from([True, False, None, 1.0, 2.0**40, Colour.RED, Number(1 << 40), np.int64(1 << 40), "1", b"w"])
    ),
    st.integers(1, 10_000),
)
def test_numbers_come_back_as_they_were(values, times):
    """Large ints travel as machine words, but nothing comes back as an int that was none, or not quite one."""
    values = values * (times if len(values) < 10 else 1)
    encoded = codec.encode(codec.packed(values))
    back = list(codec.decode(memoryview(encoded.data), encoded.buffers))
    assert back == values
    assert list(map(type, back)) == list(map(type, values))


class Contrary(type):
    """A metaclass of which no type can be compared."""

    def __eq__(cls, other: object) -> bool:
        raise ValueError

    __hash__ = type.__hash__


class Lone(metaclass=Contrary):
    """Its type equals no other, and says so loudly."""


class Tee(io.StringIO):
    """Stands for a stream."""

    def __reduce__(self):
        return Tee, ()


class Flags(enum.Flag):
    """Of which some values are members, and others are made of several."""

    A = 1
    B = 2


def test_many_objects_of_a_type_are_looked_at_once(monkeypatch):
    """In one message; but for what is not all alike: the standard streams, and members of enums."""
    monkeypatch.setattr(sys, "stdout", Tee())
    dates = [datetime.date(2026, 1, day) for day in range(1, 20)]
    looks = []

    def counted(obj, is_importable):
        looks.append(type(obj))
        return reduce_instance(obj, is_importable)

    reduce_instance = classes.reduce_instance
    monkeypatch.setattr(classes, "reduce_instance", counted)
    values = [*dates, Fraction(1, 2), Fraction(1, 3), Tee(), sys.stdout, Flags.A | Flags.B, Flags.A]
    *same, other, stream, both, one = codec.loads(codec.dumps(values))
    assert same == values[:-4]
    assert type(other) is Tee
    assert stream is sys.stdout
    assert (both, one) == (Flags.A | Flags.B, Flags.A)
    assert (looks.count(datetime.date), looks.count(Fraction)) == (1, 1)


@pytest.mark.parametrize("first", [Lone(), -1, 1 << 64])
def test_what_cannot_be_words_is_left_alone(first):
    """Whatever its type does when it is looked at."""
    values = [first, 1 << 40]
    assert codec.packed(values) is values


def test_large_ints_travel_as_words():
    """In a quarter of the time; and a result that is such an array is not taken for one of these messages."""
    numbers = [number << 40 for number in range(1, 20_000)]
    assert type(codec.packed(numbers)) is codec.Words
    assert distribute(operator.lshift, job="compute", workers=2)(range(1, 20_000), [40] * 19_999) == numbers
    arrays = distribute(as_array, job="compute", workers=2)([1 << 40] * 3)
    assert arrays == [array("L", [1 << 40])] * 3


def as_array(number: int) -> array:
    """Returns an array of one number."""
    return array("L", [number])


@pytest.mark.parametrize("function", [functions.same, Fraction, huge])
def test_results_that_did_not_unpickle_are_asked_for_again(monkeypatch, function):
    """Whatever they are: numbers, too, cannot be read where there is no memory for a moment."""
    decode, refused = codec.decode, []

    def short_of_memory(*arguments):
        if len(refused) < 3:
            refused.append(arguments)
            raise MemoryError
        return decode(*arguments)

    run = distribute(function, job="compute", workers=2)
    run(range(1000))
    monkeypatch.setattr(codec, "decode", short_of_memory)
    assert run(range(100_000)) == list(map(function, range(100_000)))
    assert len(refused) == 3


class Unreadable:
    """Can be unpickled where it was made only."""

    def __reduce__(self):
        return in_process, (os.getpid(),)


def in_process(process: int) -> None:
    """Refuses to be unpickled in another process."""
    if os.getpid() != process:
        raise ValueError("unreadable")


def unreadable(value: int) -> Unreadable:
    """Returns, after a while, something that the caller cannot read."""
    time.sleep(0.02)
    return Unreadable()


def test_results_that_are_sent_again_do_not_reach_the_next_run(monkeypatch):
    """A run that ends while the caller waits for results that it has asked for again leaves nothing behind."""
    tell = Assignment.tell

    def tell_and_fail(self, kind, *parts, **options):
        tell(self, kind, *parts, **options)
        if kind == messages.RESEND:
            raise ZeroDivisionError

    after = distribute(functions.same, job="compute", workers=2, chunksize=1)
    for _ in range(3):
        with monkeypatch.context() as patch:
            patch.setattr(Assignment, "tell", tell_and_fail)
            with pytest.raises(ZeroDivisionError):
                distribute(unreadable, job="compute", workers=2, chunksize=40)(range(80))
        for _ in range(3):
            assert after(range(40)) == list(range(40))


def pid_and_more(number: int, *, more: int = 0) -> tuple[int, int]:
    """Returns its process and a sum."""
    return os.getpid(), number + more


def test_one_worker_serves_one_function_after_the_other():
    """A worker that keeps what it was told last does what it is told now, with the constants of now."""
    one = distribute(pid_and_more, job="compute", workers=1)
    other = distribute(functions.same, job="compute", workers=1)
    pids = set()
    for turn in range(3):
        for more in (None, None, turn, turn + 1, None):
            constants = {} if more is None else {"more": more}
            for pid, result in one([1], **constants):
                pids.add(pid)
                assert result == 1 + (more or 0)
        assert other([turn]) == other([turn]) == [turn]
        assert distribute(lambda number, turn=turn: number + turn, job="compute", workers=1)([1]) == [1 + turn]
        assert distribute(operator.neg, job="compute", workers=1)([turn]) == [-turn]
    assert len(pids) == 1


def test_a_worker_that_was_not_told_after_all_is_told_the_next_time():
    """What was to go with a chunk that could not be sent is not taken for known."""
    assert distribute(functions.same, job="compute", workers=1)([4]) == [4]
    negate = distribute(operator.neg, job="compute", workers=1)
    pid = distribute(pid_and_more, job="compute", workers=1)
    for run, result in ((pid, (os.getpid(), 1)), (negate, -1)):
        with pytest.raises(SerializationError):
            run([sys._getframe()])  # a frame cannot be sent
        assert type(run([1])[0]) is type(result)
    assert negate([1]) == [-1]


def test_a_function_is_sent_once_to_a_worker_that_can_import_it(monkeypatch):
    """Code once per worker. What goes by value goes again, with its globals as they are now."""
    encoded = []
    encode = codec.encode
    monkeypatch.setattr(codec, "encode", lambda value, **how: encoded.append(value) or encode(value, **how))
    assert distribute(operator.neg, job="compute", workers=1)([1]) == [-1]  # whatever the worker was told by other tests
    by_name = distribute(functions.same, job="compute", workers=1)
    by_value = distribute(lambda value: value, job="compute", workers=1)
    for run, times in ((by_name, 1), (by_value, 3)):
        for _ in range(3):
            assert run([5]) == [5]
        assert sum(isinstance(value, tuple) and value[0] is run.__wrapped__ for value in encoded) == times


def test_a_function_that_could_not_be_loaded_is_sent_again(tmp_path, monkeypatch):
    """What a worker lacked may be there the next time: it is not told to go on with what it could not load."""
    name = f"found_late_{os.getpid()}"
    source = tmp_path / f"{name}.py"
    marker = tmp_path / "ready"
    source.write_text(
        f"import os\nif os.getpid() != {os.getpid()} and not os.path.exists({str(marker)!r}):\n"
        "    raise RuntimeError('not yet')\ndef double(value: int) -> int:\n    return 2 * value\n"
    )
    monkeypatch.syspath_prepend(str(tmp_path))
    module = __import__(name)
    run = distribute(module.double, job="compute", workers=1)
    with pytest.raises(Exception, match="not yet"):
        run([1])
    marker.touch()
    assert run([1]) == [2]


def test_results_are_asked_for_again_when_somebody_reads_there():
    """Promise 1: a worker that is at a chunk reads nothing; what the caller asks it for meanwhile must not fill the pipe."""

    def send_all_at_once():
        from jd_compute.worker import reporter

        reporter.FLUSH_SECONDS = 0.0

    def unreadable(number):
        time.sleep(0.001)
        return functions.Unloadable()

    calls = 2000  # the pipe holds some 280 of such messages
    run = distribute(
        unreadable, job="compute", workers=1, chunksize=calls, initializer=send_all_at_once, return_exceptions=True
    )
    results = run(range(calls))
    assert len(results) == calls
    assert {type(result) for result in results} == {SerializationError}


def where(number, **constants):
    """Returns where it runs, and its argument."""
    return os.getcwd(), number


class Refused:
    """A maker of a constant that does not travel."""

    def __call__(self):
        raise AssertionError("never called")

    def __reduce__(self):
        raise TypeError("does not travel")


@pytest.mark.parametrize("constant", [Refused(), per_worker(Refused())], ids=["plain", "per worker"])
def test_workers_are_told_what_a_run_that_did_not_begin_has_not_told_them(tmp_path, monkeypatch, constant):
    """Section 6: calls run in the caller's folder, whatever happened to the run before."""
    run = distribute(where, job="compute", workers=2, chunksize=1)
    run(range(2))
    monkeypatch.chdir(tmp_path)
    with pytest.raises(SerializationError):
        run(range(2), constant=constant)
    assert run(range(4)) == [(str(tmp_path), number) for number in range(4)]


def test_workers_that_a_run_could_not_use_serve_the_next_one():
    """Promise 8: those that were started for it are not lost."""
    run = distribute(where, job="compute", workers=3, chunksize=1, idle_seconds=77.0)
    with pytest.raises(SerializationError):
        run(range(3), constant=Refused())
    assert [worker.settings.idle_seconds for worker in shared_pool()._idle].count(77.0) == 3
    assert not shared_pool()._lent
    assert run(range(3)) == [(os.getcwd(), number) for number in range(3)]


def test_a_run_that_was_interrupted_anywhere_leaves_the_next_one_as_it_should_be(tmp_path, monkeypatch):
    """Promise 7: Ctrl-C in any line of what tells workers what a run is about, and parts with them."""
    run = distribute(where, job="compute", workers=1, idle_seconds=78.0)
    before, shares = sys.gettrace(), len(shared_pool()._shares)
    for line in itertools.count(1):
        left = itertools.count(line - 1, -1)

        def interrupt(frame, event, argument, left=left):
            if frame.f_code.co_filename not in (workers.__file__, orders.__file__):
                return None
            if event == "line" and next(left) == 0:
                raise KeyboardInterrupt
            return interrupt

        folder = tmp_path / str(line % 2)
        folder.mkdir(exist_ok=True)
        monkeypatch.chdir(folder)
        sys.settrace(interrupt)
        try:
            run(range(3), constant=1)
            break
        except KeyboardInterrupt:
            pass
        finally:
            sys.settrace(before)
        assert run(range(3)) == [(str(folder), number) for number in range(3)], line
    assert line > 50
    gc.collect()
    assert len(shared_pool()._shares) == shares, "each run has given its part of the pool back"
