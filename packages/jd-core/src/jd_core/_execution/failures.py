"""Turns the `Failure` of a call into the exception that the user sees: their own, with what they need to find the call."""

from __future__ import annotations

import contextlib
import reprlib
from collections.abc import Iterator
from types import TracebackType
from typing import Self

from jd_core._planning.plan import Plan
from jd_core.backend import Backend, Chunk, Failure
from jd_core.errors import CallError, DistributeError, RemoteTraceback

#: Sets an attribute of an exception, also of one whose class refuses that, as a frozen dataclass does.
assign = object.__setattr__

_shorten = reprlib.Repr()
_shorten.maxstring = _shorten.maxother = 60


def to_user(failure: Failure, chunk: Chunk, plan: Plan) -> Exception:
    """Returns the exception of a failed call as the user sees it.

    It is the call's own exception; its cause is the worker's traceback where it left its process, and a note says which
    call it was and what it was given. What is not an `Exception` (`SystemExit`, `KeyboardInterrupt`, `GeneratorExit`)
    becomes the cause of a `CallError`: it ended a call, and must not end the caller.

    Args:
        failure: the failed call.
        chunk: the chunk that holds it.
        plan: the run's, for the names of the function and its parameters.
    """
    error = failure.exception
    if failure.traceback is not None:
        remote = RemoteTraceback(failure.traceback)
        remote.__cause__ = error.__cause__
        assign(error, "__cause__", remote)
    if not isinstance(error, Exception):
        error = _as_call_error(error)
    _annotate(error, _note(failure.index, chunk, plan))
    return error


def _as_call_error(error: BaseException) -> CallError:
    arguments = ", ".join(_shorten.repr(argument) for argument in error.args)
    wrapped = CallError(
        f"the call raised {type(error).__name__}({arguments}), which ends that call only; "
        f"raise an ordinary exception, or return a value, to end it on purpose"
    )
    wrapped.__cause__ = error
    return wrapped


def _note(index: int, chunk: Chunk, plan: Plan) -> str:
    """Returns which call failed, with its arguments shortened; constants are never shown."""
    values = chunk.arguments(index - chunk.start)[: len(plan.names)]
    shown = ", ".join(f"{name}={_shorten.repr(value)}" for name, value in zip(plan.names, values, strict=True))
    if plan.stream is not None:
        shown += f" ({plan.stream.shown(index)})"
    of = "" if plan.calls is None else f" of {plan.calls}"
    return f"distribute: {plan.name}(): call {index}{of} failed: {shown}"


def _annotate(error: Exception, note: str) -> None:
    # One object may be the exception of several calls, and of several attempts of one.
    notes = []
    with contextlib.suppress(AttributeError):
        notes = object.__getattribute__(error, "__notes__")  # past a __getattr__, which may raise anything
    if note not in notes:
        assign(error, "__notes__", [*notes, note])


class HiddenInternals:
    """A ``with`` block whose exceptions leave it without this library's own frames in their traceback.

    What failed is the user's function or input, and the way through the library explains nothing; above all, the locals of
    these frames are the constants and results of other calls, which tools that show locals would spread. An error that is
    neither a call's, nor an interruption, nor a `DistributeError` keeps them: the library itself may be at fault.

    Args:
        backend: its package's frames are hidden, too.

    Attributes:
        failure: the user's exception that is being raised, such as that of a call.
    """

    def __init__(self, backend: Backend | None = None) -> None:
        self._hidden = {__name__.partition(".")[0], type(backend).__module__.partition(".")[0]}
        self.failure: BaseException | None = None

    def hide(self, backend: Backend) -> None:
        """Hides the frames of another backend's package as well."""
        self._hidden.add(type(backend).__module__.partition(".")[0])

    def __enter__(self) -> Self:
        """Returns itself."""
        return self

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        """Takes the frames out."""
        if error is not None and (error is self.failure or isinstance(error, (DistributeError, KeyboardInterrupt))):
            self.strip(error)

    def watching(self) -> UserCode:
        """Returns a ``with`` block: what is raised in it is the user's, an error of their input, say."""
        return UserCode(self)

    def strip(self, error: BaseException) -> None:
        """Takes this library's frames out of the traceback of an exception."""
        kept = None
        for one in reversed(list(_entries(error.__traceback__))):
            if not self._is_internal(one.tb_frame.f_globals.get("__name__", "")):
                one.tb_next, kept = kept, one
        error.with_traceback(kept)

    def _is_internal(self, module: str) -> bool:
        # The functions of the contract suite stand for the user's.
        return module.partition(".")[0] in self._hidden and not module.startswith("jd_core.testing.")


class UserCode:
    """See `HiddenInternals.watching`. A class, for a generator would take three times as long (row ten-calls)."""

    __slots__ = ("_internals",)

    def __init__(self, internals: HiddenInternals) -> None:
        self._internals = internals

    def __enter__(self) -> None:
        """Does nothing."""

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        """Records what was raised."""
        if error is not None:
            self._internals.failure = error


def _entries(trace: TracebackType | None) -> Iterator[TracebackType]:
    while trace is not None:
        yield trace
        trace = trace.tb_next
