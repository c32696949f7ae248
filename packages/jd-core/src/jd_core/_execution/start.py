"""Walks a call up to where its run would start: bind, plan, and all that the backend is to know.

Between the object that is called, `jd_core._api.distributed.Distributed`, and the rooms: each is one line of `start`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from jd_core._collections.table import Kind
from jd_core._execution import run
from jd_core._execution.chunk_size import Pace
from jd_core._hints.signature import Signature
from jd_core._options.defaults import in_effect
from jd_core._options.options import Options
from jd_core._planning.binding import BoundCall
from jd_core._planning.plan import plan
from jd_core.backend import Backend, Work, registry


def start(
    function: Callable[..., Any], signature: Signature, options: Options, pace: Pace, call: BoundCall, *, ordered: bool
) -> tuple[run.Run | None, Kind | None]:
    """Makes the run of a call, of which nothing has started yet.

    Args:
        function: the user's.
        signature: the function's.
        options: the decorated function's.
        pace: what calls of the function took in earlier runs.
        call: the bound arguments.
        ordered: whether results are held back until those before them are there.

    Returns:
        The run, None for an input known to be empty; and how its results are joined, None if they are not.

    Raises:
        BatchingError: known lengths do not fit together.
        SignatureError: a frame for an element parameter.
        BackendError: the backend cannot be used.
    """
    options = in_effect(options)
    backend = registry.backend(options.job)
    workers = _Workers(backend, options)
    planned = plan(call, autobatch=options.autobatch, batch_size=options.batch_size, workers=workers)
    joined = signature.returns if planned.cut and not options.return_exceptions else None
    if planned.calls == 0:
        return None, joined
    work = Work(
        function=function,
        constants=call.constants,
        workers=workers(),
        name=call.name,
        calls=planned.calls,
        timeout=options.timeout,
        stop_at_failure=not (options.return_exceptions or options.retry),
        chunksize=options.chunksize if isinstance(options.chunksize, int) else None,
        options=options.backend,
        workers_given=options.workers is not None,
        on_input=planned.call_on_arrival if planned.arriving else None,
    )
    return run.Run(planned, work, backend, options, pace, ordered=ordered), joined


class _Workers:
    """How many calls run at once; the backend is asked only when it matters, and once: Ray must connect to know."""

    def __init__(self, backend: Backend, options: Options) -> None:
        self._backend = backend
        self._options = options
        self._number = options.workers

    def __call__(self) -> int:
        if self._number is None:
            self._number = self._backend.default_workers(self._options.backend)
        return self._number
