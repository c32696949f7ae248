"""Makes the exception that the user sees out of a `Failure`: their own, with what they need to find the call."""

from __future__ import annotations

import contextlib
import reprlib
from collections.abc import Iterator
from types import TracebackType
from typing import Self

from jd_core.backend import Backend, Chunk, Failure
from jd_core.errors import CallError, DistributeError, RemoteTraceback

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
    wrapped = CallError(
        f"the call raised {type(error).__name__}({_arguments(error)}), which ends that call only; "
        f"raise an ordinary exception, or return a value, to end it on purpose"
    )
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


class HiddenInternals:
    """A ``with`` block whose exceptions leave it without this library's own frames in their traceback.

    What failed is the user's function or input, and the way through the library explains nothing; above all, the locals of
    these frames are the constants and results of other calls, which tools that show locals would spread. An error that is
    not one of a call's, an interruption or a `DistributeError` keeps them: then the library itself may be at fault.

    Args:
        backend: its package's frames are hidden, too.
    """

    def __init__(self, backend: Backend | None = None) -> None:
        self._hidden = {__name__.partition(".")[0], type(backend).__module__.partition(".")[0]}
        self.failure: BaseException | None = None

    def __enter__(self) -> Self:
        """Returns itself; set ``failure`` to the exception of a call that is raised on."""
        return self

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        """Takes the frames out."""
        if error is not None and (error is self.failure or isinstance(error, (DistributeError, KeyboardInterrupt))):
            self.strip(error)

    @contextlib.contextmanager
    def watching(self) -> Iterator[None]:
        """Takes what is raised in the block for the user's, as a call's exception is: an error of their input, say."""
        try:
            yield
        except BaseException as error:
            self.failure = error
            raise

    def strip(self, error: BaseException) -> None:
        """Takes this library's frames out of the traceback of an exception."""
        kept = None
        for one in reversed(list(_entries(error.__traceback__))):
            if not self._is_internal(one.tb_frame.f_globals.get("__name__", "")):
                one.tb_next, kept = kept, one
        error.__traceback__ = kept

    def _is_internal(self, module: str) -> bool:
        # The functions of the conformance suite stand for the user's.
        return module.partition(".")[0] in self._hidden and not module.startswith("jd_core.testing.")


def _entries(trace: TracebackType | None) -> Iterator[TracebackType]:
    while trace is not None:
        yield trace
        trace = trace.tb_next


def _arguments(error: BaseException) -> str:
    return ", ".join(_shorten.repr(argument) for argument in error.args)
