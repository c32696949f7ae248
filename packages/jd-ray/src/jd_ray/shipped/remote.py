"""What runs inside a Ray worker: one piece of a chunk. Nothing here raises; what happened is in what is returned.

This module is sent to workers as source (see `jd_ray.run.remote_function`), with the others of this folder and
`jd_core.worker`: it imports only these, the standard library and Ray. `dispatch` starts it and takes what it returns.
"""

from __future__ import annotations

import os
import platform
import time
from typing import Any, NamedTuple

from . import codec, worker
from .housekeeping import housekeeping
from .interruption import Cancellation

try:
    # Where the worker has jd-core too, distributed calls made there must see that they are in a worker, and in which call.
    from jd_core.worker import state as _installed
except ImportError:
    pass
else:
    worker.state.inside_worker = _installed.inside_worker
    worker.state.call_stream = getattr(_installed, "call_stream", worker.state.call_stream)


class Raised(NamedTuple):
    """A failed call.

    Attributes:
        offset: its position in the piece.
        exception: the pickled exception; None if it does not pickle, or if the call itself did not fail.
        kind: the type's qualified name; empty if the call returned what cannot be pickled.
        message: the exception's message, or which part of the result cannot be pickled.
        traceback: as text.
    """

    offset: int
    exception: bytes | None
    kind: str
    message: str
    traceback: str


class Done(NamedTuple):
    """A piece that was run.

    Attributes:
        calls: number of calls that were run, failed ones included.
        together: whether ``values`` is one pickle of all results.
        values: the results as `codec.encode_values` gives them, with None at a failed call.
        failures: in order, each the fields of a `Raised`.
        seconds: what the calls took.
        spans: when they ran, on this machine's performance counter, if that is wanted.
        where: this machine's name and this process's id.
    """

    calls: int
    together: bool
    values: Any
    failures: list[tuple[Any, ...]]
    seconds: float
    spans: list[worker.Span]
    where: tuple[str, int]


class Refused(NamedTuple):
    """A piece of which no call was run, since something did not unpickle.

    Attributes:
        what: ``"work"`` (the function or a constant) or ``"arguments"``.
        missing: the module that could not be imported, if that was it.
        kind: the exception's qualified name.
        message: its message.
        traceback: as text.
    """

    what: str
    missing: str | None
    kind: str
    message: str
    traceback: str


def run_piece(
    run: str,
    work: Any,
    columns: codec.Encoded,
    stop_at_failure: bool,
    patience: float,
    started: bytes | None,
    beside: bool,
    recorded: bool,
) -> Done | Refused:
    """Runs consecutive calls.

    Args:
        run: names the run, the same for all its pieces.
        work: the function and its constants, encoded; or a list with the reference to them.
        columns: the arguments, encoded: one sequence per parameter.
        stop_at_failure: end with the first failed call.
        patience: seconds after which no further call is begun: others may have nothing to do.
        started: set this key in Ray's key-value store when the calls begin; None: do not.
        beside: whether large buffers may go back beside the pickle of the results.
        recorded: whether to say when the calls ran.
    """
    with worker.as_worker(), Cancellation() as cancellation:
        try:
            function, call = housekeeping.prepare(run, work)
        except BaseException as error:
            return _refused("work", error)
        try:
            arguments = codec.decode(columns, codec.copy_writable)
        except BaseException as error:
            housekeeping.finish(run, None)
            return _refused("arguments", error)
        if started is not None:
            housekeeping.set_key(started)
        began = time.perf_counter()
        spans: list[worker.Span] | None = [] if recorded else None
        try:
            with cancellation.interrupting():
                values, failures = worker.run_calls(
                    call,
                    arguments,
                    len(arguments[0]),
                    stop_at_failure=stop_at_failure,
                    between=lambda values, *_: (
                        cancellation.requested or (bool(values) and time.perf_counter() - began > patience)
                    ),
                    clock=time.perf_counter,
                    spans=spans,
                )
        finally:
            if cancellation.requested:
                worker.close_loop()  # a coroutine that was interrupted must not go on in the next piece's loop
        if not cancellation.requested:
            worker.combine(function, values, failures)
        seconds = time.perf_counter() - began
        housekeeping.finish(run, started)
        if cancellation.requested:
            raise KeyboardInterrupt  # as a task that does not catch it: nobody waits for what it has done
        together, encoded = codec.encode_values(values, beside)
        raised = [_raised(offset, error) for offset, error in failures]
        if not together:
            raised += [Raised(at, None, "", one, "") for at, one in enumerate(encoded) if isinstance(one, str)]
            raised.sort(key=lambda failure: failure.offset)
        where = platform.node(), os.getpid()
        return Done(len(values), together, encoded, [tuple(failure) for failure in raised], seconds, spans or [], where)


def _raised(offset: int, error: BaseException) -> Raised:
    return Raised(offset, codec.encode_exception(error), *_in_words(error))


def _refused(what: str, error: BaseException) -> Refused:
    return Refused(what, codec.missing_module(error), *_in_words(error))


def _in_words(error: BaseException) -> tuple[str, str, str]:
    kind = f"{type(error).__module__}.{type(error).__qualname__}".removeprefix("builtins.")
    try:
        return kind, str(error), worker.traceback_text(error)
    except Exception:
        return kind, "(its message cannot be shown)", ""
