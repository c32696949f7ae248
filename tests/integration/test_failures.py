"""Section 5: failures of calls, of the input, of workers and of what travels; the same on every backend."""

from __future__ import annotations

import functools
import itertools
import os
import pickle
import signal
import traceback
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from jd_core import (
    BackendError,
    BatchingError,
    CallError,
    CallTimeoutError,
    DistributeError,
    RemoteError,
    SerializationError,
    SignatureError,
    WorkerDiedError,
    errors,
)
from jd_core.errors import RemoteTraceback
from jd_core.testing import functions
from jd_core.testing.harness import best_of_three

Parallel = Callable[..., Any]

SECRET = "canary-" + "5c1e"  # in two parts, so that the line itself, shown in a traceback, does not hold it


class FormError(Exception):
    """A user's exception with attributes and an ``__init__`` of its own."""

    def __init__(self, field: str, *, code: int) -> None:
        super().__init__(f"field {field} is wrong")
        self.field = field
        self.code = code


def area(width: int, height: int, *, unit: str = "m") -> int:
    """Stands for a user's function."""
    if width == 3:
        raise FormError("width", code=7)
    return width * height


def fails(value: int) -> int:
    """Stands for a user's function that fails for one value, with a cause."""
    try:
        return 10 // (value - 2)
    except ZeroDivisionError as error:
        raise KeyError("two") from error


def notes(error: BaseException) -> list[str]:
    """Returns the notes of an exception."""
    return list(getattr(error, "__notes__", []))


def of_the_call(error: BaseException) -> list[str]:
    """Returns what the notes of an exception say after the name of the function, which may be local to a test."""
    return [note.partition("(): ")[2] for note in notes(error)]


def causes(error: BaseException) -> Iterator[BaseException]:
    """Yields the causes of an exception, of those, and so on."""
    while (cause := error.__cause__) is not None:
        yield cause
        error = cause


# The user's exception.


def test_own_type_and_attributes(parallel: Parallel) -> None:
    """Section 5: the user's own exception is raised, its type and attributes intact."""
    with pytest.raises(FormError) as caught:
        parallel(area)(range(10), range(10))
    assert type(caught.value) is FormError
    assert (caught.value.field, caught.value.code) == ("width", 7)
    assert str(caught.value) == "field width is wrong"


def test_note(parallel: Parallel) -> None:
    """Section 5: a note says which call failed, of how many, and with which arguments; constants are not shown."""
    with pytest.raises(FormError) as caught:
        parallel(area, chunksize=10)(range(1000), range(4000, 2000, -2), unit=SECRET)
    assert notes(caught.value) == ["distribute: area(): call 3 of 1000 failed: width=3, height=3994"]
    assert SECRET not in "".join(traceback.format_exception(caught.value))


def test_note_without_a_total(parallel: Parallel) -> None:
    """Section 5: where the number of calls is unknown, the note leaves it out."""
    with pytest.raises(KeyError) as caught:
        parallel(fails)(iter(range(10)))
    assert of_the_call(caught.value) == ["call 2 failed: value=2"]


def test_note_is_short(parallel: Parallel) -> None:
    """Section 5: arguments are shown with reprlib, short."""

    def function(text: str, batch: list[int]) -> None:
        raise ValueError

    with pytest.raises(ValueError) as caught:  # noqa: PT011 - the note is what is looked at
        parallel(function)(["x" * 10_000], [list(range(10_000))])
    (note,) = of_the_call(caught.value)
    assert note.startswith("call 0 of 1 failed: text='xxx")
    assert len(note) < 250


def test_arguments_that_cannot_be_shown(parallel: Parallel) -> None:
    """Section 5: an argument whose repr raises hides neither the exception nor the note."""

    class Shy:
        def __repr__(self) -> str:
            raise RuntimeError("no repr")

    with pytest.raises(LookupError, match="mine") as caught:
        parallel(_raise_lookup_error)([Shy()])
    assert of_the_call(caught.value)[0].startswith("call 0 of 1 failed: value=<Shy")


def _raise_lookup_error(value: Any) -> None:
    raise LookupError("mine")


def test_workers_traceback(parallel: Parallel, apart: bool) -> None:
    """Section 5: the traceback of the failed call is seen: the worker's as the cause, where it left its process."""
    with pytest.raises(FormError) as caught:
        parallel(area)(range(10), range(10))
    shown = "".join(traceback.format_exception(caught.value))
    assert "in area" in shown
    assert 'raise FormError("width", code=7)' in shown
    remote = [cause for cause in causes(caught.value) if isinstance(cause, RemoteTraceback)]
    assert len(remote) == apart


def test_causes_are_kept(parallel: Parallel) -> None:
    """Section 5: the exception's own cause stays in the chain."""
    with pytest.raises(KeyError) as caught:
        parallel(fails)(range(5))
    assert ZeroDivisionError in [type(cause) for cause in causes(caught.value)]


def test_the_same_exception_object_in_many_calls(parallel: Parallel) -> None:
    """Section 5: an exception that several calls raise has a note for each."""
    shared = ValueError("shared")

    def function(value: int) -> None:
        raise shared

    results = parallel(function, return_exceptions=True)(range(3))
    assert all(type(result) is ValueError for result in results)
    for index, result in enumerate(results):
        assert f"call {index} of 3 failed: value={index}" in of_the_call(result)


def test_failures_of_batches(parallel: Parallel) -> None:
    """Section 5: a failed batch is named by its call, and shows its batch."""

    def total(values: list[int]) -> list[int]:
        if 5 in values:
            raise ValueError("five")
        return values

    with pytest.raises(ValueError, match="five") as caught:
        parallel(total, batch_size=2)(range(10))
    assert of_the_call(caught.value) == ["call 2 of 5 failed: values=[4, 5]"]


@pytest.mark.parametrize(
    "function",
    [
        functions.raise_at,
        functions.raise_at_coroutine,
        functions.raise_at_generator,
        functions.raise_at_async_generator,
    ],
)
def test_failures_of_every_kind_of_function(parallel: Parallel, function: Callable[..., Any]) -> None:
    """Section 5: plain functions, coroutines and generators fail in the same way."""
    with pytest.raises(functions.OddError) as caught:
        parallel(function)(range(6), at=(4,), error=functions.make_odd_error)
    assert caught.value.code == 7
    assert of_the_call(caught.value) == ["call 4 of 6 failed: value=4"]


# What is no Exception.


@pytest.mark.parametrize("error", [SystemExit, KeyboardInterrupt, GeneratorExit, functions.UnrelatedError])
@pytest.mark.parametrize("function", [functions.raise_at, functions.raise_at_coroutine], ids=["plain", "coroutine"])
def test_exits(parallel: Parallel, error: type[BaseException], function: Callable[..., Any]) -> None:
    """Section 5: SystemExit, KeyboardInterrupt and GeneratorExit are a CallError with the original as its cause."""
    with pytest.raises(CallError, match=error.__name__) as caught:
        parallel(function)(range(6), at=(2,), error=error)
    assert error in [type(cause) for cause in causes(caught.value)]
    assert of_the_call(caught.value) == ["call 2 of 6 failed: value=2"]
    assert parallel(functions.same)(range(3)) == [0, 1, 2]


def test_exit_codes_are_kept(parallel: Parallel) -> None:
    """Section 5: sys.exit(3) in a function is found in the cause, with its code."""

    def function(value: int) -> None:
        raise SystemExit(value)

    with pytest.raises(CallError) as caught:
        parallel(function)([3])
    assert [cause.code for cause in causes(caught.value) if isinstance(cause, SystemExit)] == [3]


@pytest.mark.parametrize("function", [functions.raise_at, functions.raise_at_coroutine, functions.raise_at_generator])
def test_stop_iteration(parallel: Parallel, function: Callable[..., Any]) -> None:
    """Section 5: StopIteration becomes a RuntimeError, as in PEP 479; it never shortens a result."""
    with pytest.raises(RuntimeError) as caught:
        parallel(function)(range(6), at=(2,), error=StopIteration)
    assert of_the_call(caught.value) == ["call 2 of 6 failed: value=2"]
    results = parallel(function, return_exceptions=True)(range(6), at=(2,), error=StopIteration)
    assert len(results) == 6
    assert [index for index, result in enumerate(results) if isinstance(result, RuntimeError)] == [2]


# The end of the run.


def test_what_is_pending_does_not_start(parallel: Parallel, folder: str) -> None:
    """Section 5, promise 5: the first failure ends the run: what has not started never does."""
    with pytest.raises(LookupError):
        parallel(fail_and_hold, chunksize=1)(range(500), folder=folder)
    Path(folder, functions.GO).touch()
    assert parallel(functions.same)(range(20)) == list(range(20))
    assert functions.count(folder) <= 5 + 2 * 2


def fail_and_hold(value: int, *, folder: str) -> int:
    """Leaves a file, and fails for one value; what runs beside it must not get on before the caller has the failure."""
    functions.record(folder)
    if value == 4:
        raise LookupError(value)
    if value > 4:
        functions.hold(folder)
    return value


def record_and_fail(value: int, *, folder: str) -> int:
    """Leaves a file, and fails for one value."""
    functions.record(folder)
    if value == 4:
        raise LookupError(value)
    return value


def test_failures_within_a_chunk(parallel: Parallel, folder: str) -> None:
    """Section 5, promise 5: calls behind the failed one in its chunk do not start."""
    with pytest.raises(LookupError):
        parallel(record_and_fail, chunksize=100, workers=1)(range(100), folder=folder)
    assert functions.count(folder) == 5


def test_partial_results_behind_the_failure(parallel: Parallel, folder: str) -> None:
    """Section 5: results of later calls that were there before the failure are in it, too."""

    def function(value: int, *, folder: str) -> int:
        if value:
            functions.record(folder)
            return value
        functions.hold(folder)
        raise LookupError

    def values() -> Iterator[int]:
        yield from range(4)
        # Asked for a fifth, there were the results of all but the first, for only two calls are read ahead of results.
        Path(folder, functions.GO).touch()
        yield 4

    with pytest.raises(LookupError) as caught:
        parallel(function, chunksize=1, buffersize=2)(values(), folder=folder)
    partial = caught.value.partial  # type: ignore[attr-defined]
    assert partial.items() >= {1: 1, 2: 2, 3: 3}.items()
    assert all(index == value for index, value in partial.items())


def test_partial_results_of_exceptions_without_attributes(parallel: Parallel) -> None:
    """Section 5: nothing is known of partial results on success; an exception keeps its own attributes."""
    with pytest.raises(FormError) as caught:
        parallel(area)([3], [1])
    assert caught.value.partial == {}  # type: ignore[attr-defined]
    assert caught.value.field == "width"


# return_exceptions


def test_return_exceptions(parallel: Parallel, folder: str) -> None:
    """Section 5: with return_exceptions every call runs, and exceptions stand at their index, with their notes."""
    results = parallel(record_and_fail, return_exceptions=True)(range(10), folder=folder)
    assert [type(result) for result in results] == [*[int] * 4, LookupError, *[int] * 5]
    assert of_the_call(results[4]) == ["call 4 of 10 failed: value=4"]
    assert functions.count(folder) == 10


def test_return_exceptions_of_everything(parallel: Parallel) -> None:
    """Section 5: a run in which all calls fail gives a list of their exceptions."""
    results = parallel(functions.raise_at, return_exceptions=True)(range(30), at=tuple(range(30)), error=SystemExit)
    assert [type(result) for result in results] == [CallError] * 30


def test_return_exceptions_is_not_joined(parallel: Parallel) -> None:
    """Section 5: with return_exceptions results are never joined."""

    def halves(values: list[int]) -> list[int]:
        return [value // (values[0] - 4) for value in values]

    results = parallel(halves, batch_size=2, return_exceptions=True)(range(8))
    assert [type(result) for result in results] == [list, list, ZeroDivisionError, list]


def test_aggregate_gets_the_exceptions(parallel: Parallel) -> None:
    """Section 5: with return_exceptions, an aggregate callable gets them in the list."""
    count = parallel(fails, return_exceptions=True, aggregate=lambda results: sum(map(_is_exception, results)))
    assert count(range(6)) == 1


def _is_exception(result: Any) -> bool:
    return isinstance(result, BaseException)


# Errors beside the calls.


@pytest.mark.parametrize("good", [0, 1, 25])
def test_errors_of_the_input(parallel: Parallel, good: int) -> None:
    """Section 5: an error in the input iterator is raised as it is, the same object."""
    error = FormError("input", code=1)

    def values() -> Iterator[int]:
        yield from range(good)
        raise error

    with pytest.raises(FormError) as caught:
        parallel(functions.same)(values())
    assert caught.value is error
    assert not notes(error)
    with pytest.raises(FormError):
        list(parallel(functions.same).stream(values()))
    assert parallel(functions.same)(range(5)) == list(range(5))


def test_errors_of_the_input_cancel(parallel: Parallel, folder: str) -> None:
    """Section 5: when the input fails the run is cancelled, also while its calls are held."""

    def values() -> Iterator[int]:
        yield 1
        raise FormError("input", code=1)

    with pytest.raises(FormError):
        parallel(functions.held)(values(), folder=folder)


# Progress.


@pytest.mark.parametrize("total", [30, None])
def test_progress(parallel: Parallel, total: int | None) -> None:
    """Section 1: progress=callable gets (done, total or None), ever more, and all of them at the end."""
    seen: list[tuple[int, int | None]] = []
    values = range(30) if total else iter(range(30))
    assert parallel(functions.same, progress=lambda *state: seen.append(state))(values) == list(range(30))
    assert seen[-1] == (30, total)
    assert [done for done, _ in seen] == sorted({done for done, _ in seen})
    assert {shown for _, shown in seen} == {total}


def test_progress_counts_failures(parallel: Parallel) -> None:
    """Section 1: failed calls are done, too."""
    seen: list[int] = []
    parallel(fails, return_exceptions=True, progress=lambda done, total: seen.append(done))(range(8))
    assert seen[-1] == 8


# Timeouts.


@best_of_three
def test_timeouts_cost_no_other_result(parallel: Parallel, new_folder: Callable[[], str]) -> None:
    """Section 5: the one call is ended; all others have their results."""
    function = parallel(functions.held_at, timeout=0.5, return_exceptions=True)
    results = function(range(12), folder=new_folder(), at=5)
    assert [type(result) for result in results] == [*[int] * 5, CallTimeoutError, *[int] * 6]


def test_timeouts_of_coroutines(parallel: Parallel, folder: str) -> None:
    """Section 5: a coroutine is cancelled."""
    with pytest.raises(CallTimeoutError):
        parallel(functions.held_coroutine, timeout=0.3)([1], folder=folder)


# Deaths, and what does not travel: where calls run in processes of their own.


def exits(value: int, *, token: str = "") -> int:
    """Ends its process for one value."""
    if value == 3:
        os._exit(9)
    return value


@pytest.mark.usefixtures("only_apart")
def test_deaths(parallel: Parallel, job: str) -> None:
    """Section 5: a worker that dies is named with its exit code, the call it was running is blamed; nothing hangs."""
    # Ray does not tell how its workers end.
    with pytest.raises(WorkerDiedError, match="died" if job == "ray" else "exit code 9") as caught:
        parallel(exits)(range(10), token=SECRET)
    assert of_the_call(caught.value) == ["call 3 of 10 failed: value=3"]
    assert SECRET not in "".join(traceback.format_exception(caught.value))
    assert parallel(functions.same)(range(3)) == [0, 1, 2]


@pytest.mark.usefixtures("only_apart")
@pytest.mark.parametrize("chunksize", [1, 4, "auto"])
def test_deaths_cost_no_other_result(parallel: Parallel, chunksize: int | str) -> None:
    """Section 5: no other call's result is lost: calls that shared the message are run again."""
    results = parallel(exits, return_exceptions=True, chunksize=chunksize)(range(10))
    assert [type(result) for result in results] == [*[int] * 3, WorkerDiedError, *[int] * 6]
    assert results[:3] + results[4:] == [0, 1, 2, 4, 5, 6, 7, 8, 9]


@pytest.mark.usefixtures("only_apart")
def test_at_most_once(parallel: Parallel, folder: str) -> None:
    """Section 5: with chunksize=1 no call runs twice, though a worker dies."""

    def function(value: int, *, folder: str) -> int:
        functions.record(folder, f"call{value}")
        return exits(value)

    parallel(function, return_exceptions=True, chunksize=1)(range(10), folder=folder)
    assert [functions.count(folder, f"call{value}") for value in range(10)] == [1] * 10


@pytest.mark.usefixtures("only_apart")
@pytest.mark.parametrize(
    ("make", "index"),
    [
        (lambda parallel: parallel(functions.same, **KEEP)([0, 1, functions.Unsendable(), 3]), 2),
        (lambda parallel: parallel(functions.same, **KEEP)([0, 1, functions.Unloadable(), 3]), 2),
        (lambda parallel: parallel(functions.unsendable_at, **KEEP)(range(4), at=2), 2),
        (lambda parallel: parallel(functions.unloadable_at, **KEEP)(range(4), at=2), 2),
    ],
    ids=["argument pickles", "argument unpickles", "result pickles", "result unpickles"],
)
def test_what_does_not_travel(parallel: Parallel, make: Callable[..., Any], index: int) -> None:
    """Section 5: an argument or result that does not travel is a SerializationError of its call alone; never a hang."""
    results = make(parallel)
    assert [result for at, result in enumerate(results) if at != index] == [0, 1, 3]
    assert isinstance(results[index], SerializationError)
    assert any(note.startswith(f"call {index} of 4 failed") for note in of_the_call(results[index]))


KEEP = {"return_exceptions": True}


class Alarmed:
    """Is interrupted by a signal each time it is pickled."""

    def __reduce__(self) -> Any:
        signal.raise_signal(signal.SIGUSR2)
        return Alarmed, ()


class Limit:
    """Handlers of signals that raise, of each kind."""

    def method(self, *_: object) -> None:
        """As a method."""
        raise LookupError("the limit")

    def __call__(self, *_: object) -> None:
        """As an object."""
        raise LookupError("the limit")


@pytest.mark.usefixtures("only_apart")
@pytest.mark.parametrize("handler", [Limit().method, Limit(), functools.partial(Limit().method, 1)])
@pytest.mark.parametrize("argument", [True, False])
def test_what_a_signals_handler_raises_is_no_refusal(
    parallel: Parallel, handler: Callable[..., Any], argument: bool
) -> None:
    """A time limit that comes while something is pickled ends the run: it is not swallowed, and no argument's fault."""
    before = signal.signal(signal.SIGUSR2, handler)
    try:
        with pytest.raises(LookupError, match="the limit"):
            parallel(functions.same)([Alarmed()]) if argument else parallel(lambda x, *, y: x)([1], y=Alarmed())
    finally:
        signal.signal(signal.SIGUSR2, before)
    assert parallel(functions.same)([1, 2]) == [1, 2]


@pytest.mark.usefixtures("only_apart")
def test_functions_that_do_not_travel(parallel: Parallel) -> None:
    """Section 5: a function that cannot be sent is a SerializationError."""
    held = functions.Unsendable()
    with pytest.raises(SerializationError, match="function"):
        parallel(lambda value: (held, value))([1])


@pytest.mark.usefixtures("only_apart")
def test_exceptions_that_do_not_travel(parallel: Parallel) -> None:
    """Section 5: an exception that cannot come back is a RemoteError with its type's name, message and traceback."""
    with pytest.raises(RemoteError) as caught:
        parallel(functions.raise_at)(range(3), at=(1,), error=functions.make_unsendable_error)
    shown = "".join(traceback.format_exception(caught.value))
    assert "UnsendableError" in str(caught.value)
    assert "kept its message" in str(caught.value)
    assert "in raise_at" in shown


# The error classes.


def test_error_classes() -> None:
    """Section 5: the tree of error classes."""
    parents = {
        SignatureError: (DistributeError, TypeError),
        BatchingError: (DistributeError, ValueError),
        BackendError: (DistributeError, RuntimeError),
        errors.BackendNotInstalledError: (BackendError,),
        WorkerDiedError: (BackendError,),
        CallTimeoutError: (BackendError, TimeoutError),
        SerializationError: (BackendError,),
        RemoteError: (BackendError,),
        CallError: (BackendError,),
    }
    for error, bases in parents.items():
        assert all(issubclass(error, base) for base in bases)
        assert pickle.loads(pickle.dumps(error("said"))).args == ("said",)
        assert type(error.__new__(error)) is error  # by which tblib makes one that comes from elsewhere


def test_nothing_is_truncated(parallel: Parallel) -> None:
    """Section 5: whatever fails, results are never fewer than calls, or there is an error."""
    for at in itertools.combinations(range(5), 2):
        results = parallel(functions.raise_at, return_exceptions=True)(range(5), at=at, error=StopIteration)
        assert len(results) == 5


class HostileError(Exception):
    """Answers for every attribute by raising."""

    def __init__(self, code: int) -> None:
        super().__init__(code)
        self.code = code

    def __getattr__(self, name: str) -> object:
        raise RuntimeError(name)


@pytest.mark.parametrize("how", ["raised", "cause", "context", "in a group"])
def test_exceptions_whose_attributes_raise(parallel: Callable[..., Any], how: str) -> None:
    """Section 8: the user's own exception arrives; what reads its attributes on the way does not end a worker."""

    def fail(code: int) -> None:
        if how == "raised":
            raise HostileError(code)
        if how == "in a group":
            raise ExceptionGroup("several", [HostileError(code)])
        try:
            raise HostileError(code)
        except HostileError as error:
            if how == "context":
                raise ValueError(code)  # noqa: B904
            raise ValueError(code) from error

    (error,) = parallel(fail, return_exceptions=True)([7])
    assert {one.code for one in _all_of(error) if isinstance(one, HostileError)} == {7}


def _all_of(error: BaseException) -> list[BaseException]:
    """Returns an exception, those that led to it and those that are in it."""
    found = [error]
    for one in found:  # which grows
        found += [led for led in (one.__cause__, one.__context__) if led is not None and led not in found]
        found += getattr(one, "exceptions", ()) if isinstance(one, BaseExceptionGroup) else ()
    return found
