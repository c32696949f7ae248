"""What runs inside a Ray worker: one piece of a chunk. Nothing here raises; what happened is in what is returned.

This module is sent to workers as source (see `jd_ray.run.remote_function`), with the others of this folder and
`jd_core.worker`: it imports only these, the standard library and Ray. `dispatch` starts it and takes what it returns.
"""

from __future__ import annotations

import contextlib
import os
import pickle
import platform
import time
from collections.abc import Sequence
from typing import Any, NamedTuple

from . import codec, surroundings, worker
from .housekeeping import housekeeping
from .interruption import Cancellation

try:
    from jd_core.worker import state as _installed
except ImportError:
    pass
else:
    worker.state.share(_installed)


class Assignment(NamedTuple):
    """A piece to run: consecutive calls. Its fields go to a worker together: each argument of a task costs the caller.

    Attributes:
        run: names the run, the same for all its pieces.
        work: the caller's `ProcessState`, and the function with its constants, each encoded; a list with the reference to
            these; None: Ray passes them.
        columns: the arguments, encoded: one sequence per parameter.
        stop_at_failure: end with the first failed call.
        patience: seconds after which no further call is begun: others may have nothing to do.
        started: set this key in Ray's key-value store when the calls begin; None: do not.
        beside: whether large buffers may go back beside the pickle of the results.
        kept: 0, or the number of calls if each result stays on the cluster, as an object of Ray's own.
        constants: how many constants are references.
        ends: whether the worker is to end with the run, and says on which node it is.
        recorded: whether to say when the calls ran.
        number: which of the run's workers this is.
    """

    run: str
    work: Any
    columns: codec.Encoded
    stop_at_failure: bool
    patience: float
    started: bytes | None
    beside: bool
    kept: int
    constants: int
    ends: bool
    recorded: bool
    number: int


class Raised(NamedTuple):
    """A failed call.

    Attributes:
        offset: its position in the piece.
        exception: the exception, encoded; None if it does not pickle, or if the call itself did not fail.
        kind: the type's qualified name; empty if the call returned what cannot be pickled.
        message: the exception's message, or which part of the result cannot be pickled.
        traceback: as text.
    """

    offset: int
    exception: codec.Encoded | None
    kind: str
    message: str
    traceback: str


class Done(NamedTuple):
    """A piece that was run.

    Attributes:
        calls: number of calls that were run, failed ones included.
        together: whether ``values`` is one pickle of all results.
        values: the results as `codec.encode_values` returns them, with None at a failed call; None if they are kept.
        failures: in order, each the fields of a `Raised`.
        seconds: what the calls took.
        spans: when they ran, on this machine's performance counter, if that is wanted.
        where: this machine's name and this process's id.
        node: the id of the node, if the worker is to end with the run.
    """

    calls: int
    together: bool
    values: Any
    failures: list[tuple[Any, ...]]
    seconds: float
    spans: list[worker.Span]
    where: tuple[str, int]
    node: str | None


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


def packed(fields: tuple[Any, ...], *encoded: codec.Encoded) -> Any:
    """Returns fields that go to or from a worker as bytes, which Ray does not pickle, if there is nothing for it to see.

    It saves the caller 0.1 ms a task: row ray-sleeps-cpu.

    Args:
        fields: plain values, and ``encoded``.
        encoded: all of the fields that are.
    """
    return pickle.dumps(fields, 5) if all(map(codec.is_plain, encoded)) else fields


def unpacked(fields: Any) -> tuple[Any, ...]:
    """Returns what `packed` was given."""
    whole: tuple[Any, ...] = pickle.loads(fields) if isinstance(fields, bytes) else fields
    return whole


def run_task(fields: Any, *values: Any) -> Any:
    """Runs a piece and returns what its task returns, in plain tuples; after these, results that stay on the cluster.

    Args:
        fields: those of an `Assignment`, `packed`.
        values: what Ray passes in place of references: the work unless the assignment holds it, constants, arguments.
    """
    assigned = Assignment(*unpacked(fields))
    if assigned.work is None:
        assigned, values = assigned._replace(work=values[0]), values[1:]
    outcome = run_piece(assigned, values)
    if not assigned.kept:
        returned = type(outcome).__name__, tuple(outcome)
        if isinstance(outcome, Done) and outcome.together and not outcome.failures:
            return packed(returned, outcome.values)
        return returned
    results: list[Any] = []
    if isinstance(outcome, Done):
        outcome, results = outcome._replace(values=None), outcome.values
    return (type(outcome).__name__, tuple(outcome)), *results, *[None] * (assigned.kept - len(results))


def run_piece(assigned: Assignment, values: Sequence[Any] = ()) -> Done | Refused:
    """Runs consecutive calls.

    Args:
        assigned: the piece.
        values: what Ray passes in place of references: constants, then arguments.
    """
    run, started = assigned.run, assigned.started
    with worker.as_worker(assigned.number), Cancellation() as cancellation, contextlib.ExitStack() as own_state:
        try:
            function, call = housekeeping.prepare(run, assigned.work, own_state, values[: assigned.constants])
        except BaseException as error:
            return _refused("work", error)
        try:
            arguments = codec.decode(assigned.columns, codec.copy_writable, values[assigned.constants :])
            surroundings.adopt_imported()
        except BaseException as error:
            housekeeping.finish(run, None)
            return _refused("arguments", error)
        if started is not None:
            housekeeping.set_key(started)
        began = time.perf_counter()
        spans: list[worker.Span] | None = [] if assigned.recorded else None
        try:
            with cancellation.interrupting():
                results, failures = worker.run_calls(
                    call,
                    arguments,
                    len(arguments[0]),
                    stop_at_failure=assigned.stop_at_failure,
                    between=lambda results, *_: (
                        cancellation.requested or (bool(results) and time.perf_counter() - began > assigned.patience)
                    ),
                    clock=time.perf_counter,
                    spans=spans,
                )
        finally:
            if cancellation.requested:
                housekeeping.close_loop()  # a coroutine that was interrupted must not go on in the next piece's loop
        if not cancellation.requested:
            worker.combine(function, results, failures)
        seconds = time.perf_counter() - began
        housekeeping.finish(run, started)
        if cancellation.requested:
            # As a task that does not catch it: nobody waits for what it has done. One that held GPUs ends its worker, too.
            raise SystemExit(0) if assigned.ends else KeyboardInterrupt
        together, encoded = codec.encode_values(results, assigned.beside)
        raised = [_raised(offset, error) for offset, error in failures]
        failures.clear()  # the frames of their tracebacks hold it, and with it whatever the calls held
        if not together:
            refused = [Raised(at, None, "", one, "") for at, one in enumerate(encoded) if isinstance(one, str)]
            raised = sorted([*raised, *refused], key=lambda failure: failure.offset)
        if assigned.kept:
            encoded = results  # they were encoded to see whether they can be: Ray does it again
            for failure in raised:
                results[failure.offset] = None
        where, node = (platform.node(), os.getpid()), _node() if assigned.ends else None
        in_order = [tuple(failure) for failure in raised]
        return Done(len(results), together, encoded, in_order, seconds, spans or [], where, node)


def _node() -> str:
    import ray

    return str(ray.get_runtime_context().get_node_id())


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
