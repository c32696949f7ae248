"""What is made of the record of a run: figures, a page, a trace for other tools."""

from __future__ import annotations

import io
import itertools
import json
import sys
import time
import types
from array import array
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from jd_core import trace
from jd_core._tracing.figures import Figures
from jd_core._tracing.losses.of_run import losses
from jd_core._tracing.record import RunRecord
from jd_core._tracing.report import Report
from jd_core._tracing.words import printable, short, size
from jd_core.backend import Chunk, ChunkResult

Record = Callable[..., RunRecord]

SCHEMA = json.loads((Path(__file__).parent / "trace_event.schema.json").read_text(encoding="utf-8"))


@pytest.mark.parametrize(("encoding", "marks"), [("ascii", ["|", "->", "us"]), ("cp1252", ["|", "->"]), ("utf-8", "·→µ")])
def test_a_report_can_be_printed(record: Record, monkeypatch: pytest.MonkeyPatch, encoding: str, marks: Sequence[str]):
    """Also on a stdout that has no arrows: where the locale is C, and on Windows. Names are escaped then."""
    made = record([("a", 0, 500, 0.5, 0.501), ("b", 500, 500, 0.8, 0.801)], 1.0)
    made.name = "größe_→"
    file = io.BytesIO()
    monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(file, encoding=encoding))
    print(Report([made]), flush=True)
    assert all(mark in file.getvalue().decode(encoding) for mark in marks)


@pytest.mark.parametrize("stdout", [None, io.StringIO(), types.SimpleNamespace(encoding="no such"), types.SimpleNamespace()])
def test_texts_where_nothing_is_known_of_stdout(monkeypatch: pytest.MonkeyPatch, stdout: object):
    """A program without a console, a notebook, a stream of a program's own."""
    monkeypatch.setattr(sys, "stdout", stdout)
    assert printable("3 µs → ß") == "3 µs → ß"


def test_idle_time_has_its_reason(record: Record):
    """Before the first call, waiting for input, between calls, and at the end, when all calls have begun."""
    made = record([("a", 0, 1, 1.0, 2.0), ("b", 1, 1, 1.0, 2.0), ("a", 2, 1, 5.0, 8.0), ("b", 3, 1, 5.0, 6.0)], 10.0)
    made.input.add(102.0, 104.0)
    figures = Figures(made)
    assert figures.busy == 6.0
    # Workers a and b: 1 s each before, 2 s each for input, then 1 s each, and b from 6 to 10, a from 8 to 10.
    expected = {"start": 2.0, "input": 4.0, "messages": 2.0, "end": 6.0}
    assert {reason: seconds for reason, seconds in figures.idle.items() if seconds} == pytest.approx(expected, abs=0.1)
    assert figures.busy + sum(figures.idle.values()) == pytest.approx(20.0)


def test_durations_count_calls(record: Record):
    """Spans of several calls count as that many, each as long as their mean."""
    figures = Figures(record([("a", 0, 1000, 0.0, 0.001), ("a", 1000, 1, 0.001, 1.001)], 1.001, workers=1))
    assert figures.calls == 1001
    assert figures.median == pytest.approx(1e-6)
    assert figures.mean == pytest.approx(1e-3)
    assert [str(slow) for slow in figures.slowest] == ["call 1000", "calls 0 to 999 together"]
    assert [(low, calls) for low, _, calls in figures.histogram if calls] == [
        (pytest.approx(1e-6), 1000),
        (pytest.approx(1.0), 1),
    ]


def test_a_long_call_at_the_end_is_found(record: Record):
    """It is named, with its part of the run."""
    spans = [("a", index, 1, 0.1 * index, 0.1 * index + 0.1) for index in range(4)]
    figures = Figures(record([*spans, ("b", 4, 1, 0.4, 2.4), ("a", 5, 1, 0.4, 0.5)], 2.4))
    (found, *_) = losses(figures)
    assert found.kind == "long call"
    assert found.text.startswith("one call took 83 % of the run (call 4)")


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(1.23e-7, "0.123 µs"), (0.00025, "250 µs"), (0.0999, "99.9 ms"), (1.5, "1.5 s"), (600, "10 min"), (7300, "2.03 h")],
)
def test_durations_in_words(seconds: float, text: str):
    """Three digits and a unit."""
    assert short(seconds) == text


def test_sizes_in_words():
    """The same for bytes."""
    assert [size(number) for number in (7, 1200, 3_456_000, 2 * 10**9)] == ["7 bytes", "1.2 kB", "3.46 MB", "2 GB"]


def test_a_backend_that_tells_nothing(record: Record):
    """The times of its results stand for those of its calls."""
    made = record([], 1.0)
    made.begin()
    made.take(ChunkResult(Chunk(0, ([1, 2, 3],)), [1, 2, 3], seconds=0.5))
    made.end(None)
    figures = Figures(made)
    assert (figures.calls, [lane.name for lane in figures.lanes]) == (3, ["all workers"])


def test_the_trace_for_other_tools(tmp_path: Path, record: Record):
    """It is what Chrome's format says, with names for runs and workers, and times from the first run's begin on."""
    traced = trace()
    made = record([("process 7", 0, 1, 1.0, 2.0), ("process 8", 1, 50, 1.0, 2.0)], 3.0)
    made.input.add(100.0, 101.0)
    made.died("process 8")
    made.rates.append((101.0, 20.0))
    traced.runs.append(made)
    traced.save(tmp_path / "run.json")
    written = json.loads((tmp_path / "run.json").read_text(encoding="utf-8"))
    jsonschema.validate(written, SCHEMA)
    events: list[dict[str, Any]] = written["traceEvents"]
    names = {event["tid"]: event["args"]["name"] for event in events if event["name"] == "thread_name"}
    assert {"process 7", "process 8", "run", "waiting for input"} == set(names.values())
    assert [event["args"]["name"] for event in events if event["name"] == "process_name"] == ["f(), job=somewhere"]
    calls = {event["name"]: event for event in events if event["ph"] == "X"}
    assert set(calls) == {"call 0", "50 calls from 1 on", "waiting for input", "f()"}
    assert (calls["call 0"]["ts"], calls["call 0"]["dur"], names[calls["call 0"]["tid"]]) == (1e6, 1e6, "process 7")
    assert [event["name"] for event in events if event["ph"] == "i"] == ["process 8 died"]


@pytest.fixture(scope="module")
def million(record: Record) -> RunRecord:
    """A run of a million calls of about a second, on 16 workers, each with a span of its own."""
    made = record([(f"worker {number}", 0, 1, 0.0, 0.0) for number in range(16)], 60_000.0, workers=16)
    began = (100.0 + number // 16 * 0.9 for number in range(1_000_000))
    spans = ((number % 16, number, 1.0, begin, begin + 0.9, 0.1) for number, begin in enumerate(began))
    made.spans = array("d", itertools.chain.from_iterable(spans))
    made.calls = made.done = 1_000_000
    return made


@pytest.mark.slow
def test_a_page_of_a_million_calls_is_small(million: RunRecord, tmp_path: Path):
    """Under two megabytes; and the report of it is there in seconds."""
    traced = trace()
    traced.runs.append(million)
    began = time.process_time()
    traced.save(tmp_path / "run.html")
    assert time.process_time() - began < 30.0
    assert (tmp_path / "run.html").stat().st_size < 2_000_000
    assert "1,000,000 calls" in (tmp_path / "run.html").read_text(encoding="utf-8")


@pytest.mark.slow
def test_a_page_of_many_runs_and_workers_is_small(tmp_path: Path, record: Record):
    """It has the longest runs, and the busiest workers of each."""
    traced = trace()
    spans = [(f"task {number}", number, 1, 0.001 * number, 1.0) for number in range(300)]
    traced.runs.extend(record(spans, 1.0 + number, workers=300) for number in range(100))
    traced.save(tmp_path / "run.html")
    assert (tmp_path / "run.html").stat().st_size < 2_000_000


def test_several_runs_in_a_few_lines(record: Record):
    """A line for each function, and then the longest run."""
    made = [record([("a", 0, 1, 0.0, 1.0)], 1.0 + number / 100) for number in range(40)]
    text = str(Report(made))
    assert text.startswith('f(), job="somewhere": 40 runs, 40 calls, ')
    assert len(text.splitlines()) <= 12
