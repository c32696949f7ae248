"""Makes the exception that the user sees out of a `Failure`: their own, with what they need to find the call."""

from __future__ import annotations

import reprlib

from jd_core.backend import Chunk, Failure
from jd_core.errors import CallError, RemoteTraceback

_shorten = reprlib.Repr()
_shorten.maxstring = _shorten.maxother = 60


def exception_of(failure: Failure) -> BaseException:
    """Returns the exception of a failed call, with the worker's traceback as its cause where it left its process.

    What is no `Exception` (`SystemExit`, `KeyboardInterrupt`, `GeneratorExit`) becomes a `CallError` with the original as
    its cause: it ended a call, and must not end the caller.
    """
    error = failure.exception
    if failure.traceback is not None:
        cause = RemoteTraceback(failure.traceback)
        cause.__cause__ = error.__cause__
        error.__cause__ = cause
    if isinstance(error, Exception):
        return error
    wrapped = CallError(f"the call raised {type(error).__name__}({_arguments(error)}), which ends that call only")
    wrapped.__cause__ = error
    return wrapped


def annotate(error: BaseException, index: int, calls: int | None, names: tuple[str, ...], chunk: Chunk) -> None:
    """Adds the note that says which call it was and what it was given, shortened; never a constant.

    Args:
        error: the exception of the call; the same object may have failed several calls and gets a note for each.
        index: the call's index over the run.
        calls: number of calls of the run; None if unknown.
        names: the distributed parameters' names.
        chunk: the chunk that holds the call.
    """
    values = chunk.arguments(index - chunk.start)
    shown = ", ".join(f"{name}={_shorten.repr(value)}" for name, value in zip(names, values, strict=True))
    of = "" if calls is None else f" of {calls}"
    note = f"distribute: call {index}{of} failed: {shown}"
    if note not in getattr(error, "__notes__", ()):
        error.add_note(note)


def _arguments(error: BaseException) -> str:
    return ", ".join(_shorten.repr(argument) for argument in error.args)
