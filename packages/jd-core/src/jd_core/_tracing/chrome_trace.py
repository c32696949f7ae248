"""A trace in the format of Chrome's trace viewer, which Perfetto shows, too.

The format: "Trace Event Format", https://docs.google.com/document/d/1CvAClvFfyA5R-PhYUmn5OOQtYMH4h6I0nSsKchNAySU. A run is a
"process", and each worker a "thread" of it.
"""

from __future__ import annotations

import json
import math
from array import array
from collections.abc import Iterator
from typing import Any

from jd_core._tracing.record import SPAN, RunRecord

#: Where the run itself and its waits are shown, beside the workers.
_RUN, _FIRST_WORKER = 0, 10


def chrome_trace(records: list[RunRecord]) -> str:
    """Returns the runs as JSON: an object with ``traceEvents``, whose times are microseconds since the first run began."""
    began = min((record.began for record in records if record.began), default=0.0)
    events = [event for number, record in enumerate(records, 1) for event in _events(number, record, began)]
    return json.dumps({"traceEvents": events, "displayTimeUnit": "ms"}, separators=(",", ":"))


def _events(run: int, record: RunRecord, began: float) -> Iterator[dict[str, Any]]:
    def micro(moment: float) -> float:
        return round((moment - began) * 1e6, 3)

    def complete(name: str, thread: int, start: float, end: float, **more: Any) -> dict[str, Any]:
        times = {"ts": micro(start), "dur": max(0.0, round((end - start) * 1e6, 3))}
        return {"ph": "X", "name": name, "cat": "call", "pid": run, "tid": thread, **times, "args": more}

    yield _name("process_name", run, 0, f"{record.name}(), job={record.job}")
    yield _name("thread_name", run, _RUN, "run")
    for thread, (waits, what) in enumerate(_waits(record), 1):
        if waits:
            yield _name("thread_name", run, thread, what)
        for start, end in zip(waits[::2], waits[1::2], strict=True):
            yield complete(what, thread, start, end)
    for worker, number in [*record.names.items()]:
        yield _name("thread_name", run, _FIRST_WORKER + number, worker)
    spans = record.spans[:]
    columns = (spans[column::SPAN] for column in range(SPAN))
    last = record.began
    for number, index, calls, start, end, cpu in zip(*columns, strict=True):
        name = f"call {index:.0f}" if calls == 1 else f"{calls:.0f} calls from {index:.0f} on"
        more = {} if math.isnan(cpu) else {"cpu_ms": round(cpu * 1e3, 3)}
        yield complete(name, _FIRST_WORKER + int(number), start, end, **more)
        last = max(last, end)
    if record.began:
        yield complete(f"{record.name}()", _RUN, record.began, record.ended or last, calls=record.done)
    for moment, worker in record.deaths:
        yield {"ph": "i", "s": "p", "name": f"{worker} died", "pid": run, "tid": _RUN, "ts": micro(moment)}
    for moment, rate in record.rates:
        yield {"ph": "C", "name": "calls per second", "pid": run, "tid": _RUN, "ts": micro(moment), "args": {"rate": rate}}


def _waits(record: RunRecord) -> list[tuple[array[float], str]]:
    return [
        (record.input.spans[:], "waiting for input"),
        (record.consumer.spans[:], "waiting for the consumer"),
        (record.pauses.spans[:], "waiting for another attempt"),
    ]


def _name(what: str, run: int, thread: int, name: str) -> dict[str, Any]:
    return {"ph": "M", "name": what, "pid": run, "tid": thread, "args": {"name": name}}
