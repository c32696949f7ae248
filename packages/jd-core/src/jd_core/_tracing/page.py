"""A trace as a page that needs nothing but a browser: ``page.html`` with the figures in it.

Its size does not grow with the number of calls: what workers did is a string per worker, and single calls are in it only
where they are few.
"""

from __future__ import annotations

import html
import json
import math
from array import array
from importlib import resources
from typing import Any

from jd_core._tracing.figures import BINS, REASONS, Figures, coverage
from jd_core._tracing.losses.of_run import losses
from jd_core._tracing.record import SPAN, RunRecord
from jd_core._tracing.report import Report

#: So many of the longest runs are shown, and of each so many workers.
MOST_RUNS, MOST_LANES = 20, 64

#: A run of at most so many spans is drawn call by call.
MOST_SPANS = 4000

#: How busy a worker was in a bin: none to all of the time.
_LEVELS = "0123456789abcdefghijklmnopqrstuvwxyz"


def page(records: list[RunRecord]) -> str:
    """Returns the page."""
    report = Report(records)
    shown = sorted(report.runs, key=lambda run: -run.seconds)[:MOST_RUNS]
    shown.sort(key=lambda run: run.record.began)
    selected = next((number for number, run in enumerate(shown) if run is report.longest), 0)
    data = {
        "runs": [_run(run) for run in shown],
        "selected": selected,
        "all": len(report.runs),
        "bins": BINS,
        "levels": len(_LEVELS) - 1,
    }
    template = resources.files("jd_core._tracing").joinpath("page.html").read_text(encoding="utf-8")
    # In a script element nothing is escaped, so what could end it is not written.
    text = json.dumps(data, separators=(",", ":")).replace("<", "\\u003c")
    return template.replace("<!-- report -->", html.escape(str(report))).replace('"data"', text)


def _run(run: Figures) -> dict[str, Any]:
    record = run.record
    lanes = sorted(run.lanes, key=lambda lane: -lane.busy)[:MOST_LANES]
    found = losses(run)
    return {
        "name": run.name,
        "job": run.job,
        "time": record.time,
        "seconds": run.seconds,
        "calls": run.calls,
        "workers": run.workers,
        "lanes_in_all": len(run.lanes),
        "busy": run.busy,
        "cpu": None if math.isnan(run.cpu) else run.cpu,
        "mean": run.mean,
        "median": run.median,
        "failed": record.failures,
        "retried": record.attempts,
        "error": record.error,
        "sent": record.sent,
        "received": record.received,
        "notes": record.notes,
        "idle": {reason: run.idle[reason] for reason in REASONS},
        "losses": [{"kind": loss.kind, "text": loss.text, "remedy": loss.remedy} for loss in found],
        "histogram": run.histogram,
        "slowest": [
            {"what": str(slow), "seconds": slow.seconds, "began": slow.began, "worker": slow.worker} for slow in run.slowest
        ],
        "deaths": [[moment - record.began, worker] for moment, worker in record.deaths],
        "rates": [[moment - record.began, rate] for moment, rate in record.rates[:: max(1, len(record.rates) // 500)]],
        "lanes": [{"name": lane.name, "calls": lane.calls, "busy": lane.busy, "bins": _levels(lane.bins)} for lane in lanes],
        "waits": [
            {"name": name, "bins": _levels(coverage(waits.spans, record.began, run.seconds / BINS))}
            for name, waits in (("input", record.input), ("consumer", record.consumer), ("retries", record.pauses))
            if waits.spans
        ],
        "spans": _spans(run, [lane.name for lane in lanes]),
    }


def _levels(bins: array[float] | list[float]) -> str:
    most = len(_LEVELS) - 1
    return "".join(_LEVELS[min(most, math.ceil(part * most - 1e-6))] for part in bins)


def _spans(run: Figures, shown: list[str]) -> list[list[float]] | None:
    """Returns (lane, index, calls, microseconds at the begin, microseconds it took) of all spans; None if they are many."""
    spans = run.record.spans
    if len(spans) > SPAN * MOST_SPANS:
        return None
    lanes = {number: shown.index(name) for name, number in run.record.names.items() if name in shown}
    found = zip(*(spans[column::SPAN] for column in range(SPAN)), strict=True)
    return [
        [lanes[int(number)], int(index), int(calls), _micro(begin - run.record.began), _micro(end - begin)]
        for number, index, calls, begin, end, _ in found
        if int(number) in lanes
    ]


def _micro(seconds: float) -> int:
    return round(seconds * 1e6)
