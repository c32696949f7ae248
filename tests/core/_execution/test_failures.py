"""The exception that the user sees."""

from __future__ import annotations

import traceback
import types
from typing import Any

import pytest
from jd_core import CallError, SignatureError, distribute, worker
from jd_core._execution.failures import HiddenInternals, to_user
from jd_core._execution.serial import SerialBackend
from jd_core.backend import Chunk, Failure
from jd_core.errors import RemoteTraceback


def shown(error: BaseException, traceback: str | None = None, index: int = 12, **columns: Any) -> Exception:
    """Returns what the user sees of the exception of one call."""
    calls = columns.pop("calls", 100)
    columns = columns or {"width": range(3)}
    planned = types.SimpleNamespace(name="area", names=tuple(columns), calls=calls, stream=None)
    return to_user(Failure(index, error, traceback), Chunk(10, tuple(columns.values())), planned)  # type: ignore[arg-type]


def noted(error: BaseException, index: int = 12, **columns: Any) -> str:
    """Returns the note that an exception of one call gets."""
    return str(shown(error, index=index, **columns).__notes__[-1])


def test_an_exception_is_the_users_own() -> None:
    """Section 5: the very exception of the failure, unless it left its process."""
    error = LookupError()
    assert shown(error) is error
    assert error.__cause__ is None


def test_the_workers_traceback_is_the_cause() -> None:
    """Section 5: the worker's traceback is the cause, and the exception's own cause its cause."""
    error, cause = LookupError(), OSError()
    error.__cause__ = cause
    assert shown(error, "the worker's lines") is error
    assert isinstance(error.__cause__, RemoteTraceback)
    assert error.__cause__.__cause__ is cause
    assert "the worker's lines" in "".join(traceback.format_exception(error))


@pytest.mark.parametrize("error", [SystemExit(3), KeyboardInterrupt(), GeneratorExit()])
def test_exits_become_call_errors(error: BaseException) -> None:
    """Section 5: SystemExit and its like become a CallError with the original as its cause."""
    found = shown(error)
    assert isinstance(found, CallError)
    assert found.__cause__ is error
    assert type(error).__name__ in str(found)


def test_notes() -> None:
    """Section 5: the note says of which function and which of how many calls it was, and shows its arguments."""
    expected = "distribute: area(): call 12 of 100 failed: width=2, height=9"
    assert noted(ValueError(), width=range(3), height=[7, 8, 9]) == expected
    assert noted(ValueError(), calls=None, width=range(3)) == "distribute: area(): call 12 failed: width=2"


def test_notes_are_short() -> None:
    """Section 5: arguments are shown with reprlib."""
    assert len(noted(ValueError(), value=["", "", "x" * 10_000])) < 120


def test_notes_of_arguments_without_a_repr() -> None:
    """Section 5: an argument that cannot be shown is named by its type."""

    class Shy:
        def __repr__(self) -> str:
            raise ZeroDivisionError

    assert "value=<Shy" in noted(ValueError(), value=[0, 0, Shy()])


def test_a_note_comes_once() -> None:
    """Section 5: an exception that came back several times has each note once."""
    error = ValueError()
    for index in (10, 11, 10):
        noted(error, index, value=range(3))
    assert len(error.__notes__) == 2


def test_internals_are_hidden_from_a_calls_failure() -> None:
    """Promise 12: a failed call's traceback shows the user's frames, and none of the library's."""

    async def of_the_user_later(value: int) -> None:
        raise LookupError

    def call(hidden: HiddenInternals) -> None:
        with hidden:
            try:
                worker.plain(of_the_user_later, {})(1)
            except LookupError as error:
                seen.extend(_modules(error))
                hidden.failure = error
                raise

    seen: list[str] = []
    with pytest.raises(LookupError) as caught:
        call(HiddenInternals(SerialBackend()))
    assert "jd_core.worker.calls" in seen
    assert "of_the_user_later" in _functions(caught.value)
    assert {module.partition(".")[0] for module in _modules(caught.value)}.isdisjoint({"jd_core"})


def test_internals_are_shown_where_the_library_may_be_at_fault() -> None:
    """Promise 12: an error that is not a call's keeps its traceback."""
    with pytest.raises(AttributeError) as caught, HiddenInternals(SerialBackend()):
        next(SerialBackend().run(None, None))  # type: ignore[arg-type]
    assert "jd_core._execution.serial" in _modules(caught.value)


def test_internals_are_hidden_from_the_librarys_own_errors() -> None:
    """Promise 12: a DistributeError explains itself in its message."""
    from jd_core._hints.signature import inspect_function
    from jd_core._planning.binding import bind

    with pytest.raises(SignatureError) as caught, HiddenInternals(SerialBackend()):
        bind(inspect_function(lambda one: one), (), {})
    assert "jd_core._planning.binding" not in _modules(caught.value)
    assert __name__ in _modules(caught.value)


def _modules(error: BaseException) -> list[str]:
    return [frame.f_globals["__name__"] for frame, _ in traceback.walk_tb(error.__traceback__)]


def _functions(error: BaseException) -> list[str]:
    return [frame.f_code.co_name for frame, _ in traceback.walk_tb(error.__traceback__)]


@pytest.mark.parametrize("job", ["io", "web"])
def test_tracebacks_of_kept_exceptions_have_no_frames_of_the_library(job):
    """Section 5, promise 12: exceptions in the list of results have no frames of the library, which hold constants."""
    pytest.importorskip(f"jd_{job}")

    def fails(number, *, key):
        raise LookupError(number)

    async def fails_later(number, *, key):
        return fails(number, key=key)

    for function in (fails, fails_later):
        run = distribute(function, job=job, workers=2, return_exceptions=True)
        for error in run(range(4), key="k"):
            frames = [frame for frame, _ in traceback.walk_tb(error.__traceback__)]
            assert not [frame for frame in frames if frame.f_globals["__name__"].startswith("jd_")]
            assert frames[-1].f_code is fails.__code__
