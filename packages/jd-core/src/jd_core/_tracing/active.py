"""Which traces are recording now. All that a run asks of this folder while nobody traces."""

from __future__ import annotations

import contextvars
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from jd_core._tracing.record import RunRecord
    from jd_core.backend import Backend

#: The traces that are open, in any thread.
traces: list[list[RunRecord]] = []

#: Those that are open where the code runs, for whoever has begun one; None where nobody has.
inherited: contextvars.ContextVar[tuple[list[RunRecord], ...] | None] = contextvars.ContextVar(
    "just_distribute_traces", default=None
)


def new_record(
    name: str, backend: Backend, workers: int, calls: int | None, options: Mapping[str, Any], *, streamed: bool
) -> RunRecord | None:
    """Returns a record for a run, which is put into the traces it belongs to; None, at once, if there are none.

    A run belongs to the traces of its context. One in a context that nobody has traced in, such as that of a thread that was
    started within the block, belongs to all that are open.

    Args:
        name: the function's.
        backend: where the calls run.
        workers: how many run at once.
        calls: number of calls; None if unknown.
        options: the backend's own.
        streamed: whether the caller takes results while the run goes on.
    """
    if not traces:
        return None
    found = inherited.get()
    targets = traces if found is None else [one for one in found if any(one is other for other in traces)]
    if not targets:
        return None
    from jd_core._tracing.record import RunRecord  # here, because runs that nobody traces do not need it

    record = RunRecord(name, backend, workers, calls, options.get("max_per_second"), streamed=streamed)
    for target in [*targets]:
        target.append(record)
    return record
