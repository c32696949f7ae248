"""What runs in a process of an executor: one piece of a chunk. Nothing here raises; what happened is in what is returned.

This module is sent as source, with the others of this folder and `jd_core.worker`: it imports only these, the standard
library and cloudpickle. It returns plain tuples, each beginning with its kind: ``"done"``, ``"lacking"`` or ``"refused"``.
"""

from __future__ import annotations

import os
import platform
import threading
import time
from collections.abc import Callable
from typing import Any

from . import codec, worker

try:
    from jd_core.worker import state as _installed
except ImportError:
    pass
else:
    worker.state.share(_installed)

#: Seconds for which a process keeps a run's function and constants after a piece.
KEEP_SECONDS = 10.0


class _Run:
    """A function and its constants, ready to be called.

    Attributes:
        users: pieces that are at it.
        until: when it is dropped, on the monotonic clock, if none is.
    """

    def __init__(self, function: Callable[..., Any], call: Callable[..., Any]) -> None:
        self.function = function
        self.call = call
        self.users = 0
        self.until = 0.0


_runs: dict[str, _Run] = {}
_lock = threading.Lock()
_sweeping = False


def run_piece(
    name: str, work: bytes | None, columns: bytes, stop_at_failure: bool, patience: float, recorded: bool
) -> tuple[Any, ...]:
    """Runs consecutive calls.

    Args:
        name: names the run, the same for all its pieces.
        work: the function and its constants, pickled; None: this process should have them.
        columns: the arguments, pickled: one sequence per parameter.
        stop_at_failure: end with the first failed call.
        patience: seconds after which no further call is begun: others may have nothing to do.
        recorded: whether to say when the calls ran.
    """
    with worker.as_worker():
        try:
            run = _begin(name, work)
        except BaseException as error:
            return "refused", "work", *_in_words(error), _missing(error)
        if run is None:
            return ("lacking",)
        try:
            return _run_calls(run, columns, stop_at_failure, patience, recorded)
        finally:
            _end(run)


def _run_calls(run: _Run, columns: bytes, stop_at_failure: bool, patience: float, recorded: bool) -> tuple[Any, ...]:
    try:
        arguments = codec.loads(columns)
    except BaseException as error:
        return "refused", "arguments", *_in_words(error), _missing(error)
    spans: list[Any] | None = [] if recorded else None
    began = time.perf_counter()
    values, failures = worker.run_calls(
        run.call,
        arguments,
        len(arguments[0]),
        stop_at_failure=stop_at_failure,
        between=lambda values, *_: bool(values) and time.perf_counter() - began > patience,
        clock=time.perf_counter,
        spans=spans,
    )
    worker.combine(run.function, values, failures)
    seconds = time.perf_counter() - began
    encoded = codec.encode_values(values)
    failed = [(offset, codec.encode_exception(error), *_in_words(error)) for offset, error in failures]
    where = f"thread {threading.get_ident()} of process {os.getpid()} on {platform.node()}"
    return "done", len(values), encoded, failed, seconds, spans or (), where


def _begin(name: str, work: bytes | None) -> _Run | None:
    global _sweeping
    with _lock:
        run = _runs.get(name)
        if run is None and work is not None:
            function, constants = codec.loads(work)
            run = _runs[name] = _Run(function, worker.plain(function, constants))
        if run is not None:
            run.users += 1
        if _runs and not _sweeping:
            _sweeping = True
            threading.Thread(target=_sweep, name="just-distribute-sweep", daemon=True).start()
    return run


def _end(run: _Run) -> None:
    with _lock:
        run.users -= 1
        run.until = time.monotonic() + KEEP_SECONDS


def _sweep() -> None:
    """Drops runs that nobody has used for a while, and closes what they have opened."""
    global _sweeping
    left = True
    while left:
        time.sleep(KEEP_SECONDS / 4)
        with _lock:
            old = [name for name, run in _runs.items() if not run.users and run.until < time.monotonic()]
            dropped = [_runs.pop(name) for name in old]
            left = _sweeping = bool(_runs)
        for run in dropped:
            worker.release(run.call, everywhere=True)


def _in_words(error: BaseException) -> tuple[str, str, str]:
    kind = f"{type(error).__module__}.{type(error).__qualname__}".removeprefix("builtins.")
    try:
        return kind, str(error), worker.traceback_text(error)
    except Exception:
        return kind, "(its message cannot be shown)", ""


def _missing(error: BaseException) -> str | None:
    """Returns the top-level name of the module whose import failed, if that is what an exception says."""
    return error.name.partition(".")[0] if isinstance(error, ImportError) and error.name else None
