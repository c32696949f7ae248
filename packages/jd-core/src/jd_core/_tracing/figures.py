"""What the record of a run says: how long calls took, and what workers did when they did nothing."""

from __future__ import annotations

import heapq
import itertools
import math
import os
import time
from array import array
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import NamedTuple

from jd_core._tracing import patterns
from jd_core._tracing.record import SPAN, RunRecord

#: A run is looked at in so many parts of equal length.
BINS = 600

#: How many of the slowest calls are kept.
SLOWEST = 20

#: What workers wait for, in the order in which it is said.
REASONS = ("start", "input", "consumer", "rate", "retries", "deaths", "messages", "end", "aggregate")
START, INPUT, CONSUMER, RATE, RETRIES, DEATHS, MESSAGES, END, AGGREGATE = REASONS


class SlowCall(NamedTuple):
    """A call that took long; or several short ones that were measured together.

    Attributes:
        seconds: how long they took together.
        first: index of the call, or of the first of them.
        calls: their number.
        began: seconds after the run did.
        worker: where.
    """

    seconds: float
    first: int
    calls: int
    began: float
    worker: str

    def __str__(self) -> str:
        return f"call {self.first}" if self.calls == 1 else f"calls {self.first} to {self.first + self.calls - 1} together"


@dataclass
class Lane:
    """What one worker did.

    Attributes:
        name: the worker's.
        calls: how many it ran.
        busy: seconds that they took.
        bins: the part of each bin of the run in which it ran calls, 0.0 to 1.0.
    """

    name: str
    calls: int = 0
    busy: float = 0.0
    bins: array[float] = field(default_factory=lambda: array("d", bytes(8 * BINS)))


class Figures:
    """The figures of one run. All times in seconds.

    Attributes:
        record: the run's.
        seconds: how long it took; until now if it goes on.
        calls: attempts at calls, as far as their workers could tell.
        workers: how many calls could have run at once.
        busy: what the calls took, each counted for itself.
        cpu: what of that they computed; NaN if unknown.
        mean: of a call.
        median: of a call. Calls that are shorter than half a millisecond are measured in groups.
        longest: the longest call.
        lanes: per worker what it did, in the order of their first calls.
        slowest: the slowest calls, the slowest first.
        histogram: (from, to, number of calls) per class of durations, three classes for a factor of ten.
        idle: what workers waited for when they did nothing, in seconds of one worker.
        last_start: seconds after the begin at which the last call started.
        overlapped: whether two calls ever ran at the same time.
        turn: how long one call held up the others, where calls took turns though several ran at once; else None.
        first_call: how long the first call of a worker took, where that was slow on all of them; else None.
        granted: the part of its time in which a computing thread had a CPU, at least; 1.0 where there were enough of them.
    """

    def __init__(self, record: RunRecord) -> None:
        self.record = record
        began = record.began or time.perf_counter()
        self.seconds = max((record.ended or time.perf_counter()) - began, 1e-9)
        spans = record.spans[:]  # others may go on adding
        columns = [spans[column::SPAN] for column in range(SPAN)]
        self.calls = int(sum(columns[2]))
        known = record.calls or record.done or self.calls
        self.lanes = [Lane(name) for name in record.names]
        self.workers = max(1, min(record.workers, known or 1), len(self.lanes) if record.in_processes else 0)
        self.busy = sum(columns[4]) - sum(columns[3])
        if self.busy > self.workers * self.seconds:  # there were more, as where a backend takes what it finds
            self.workers = max(self.workers, len(self.lanes))
        self.cpu = sum(columns[5])
        share = (os.cpu_count() or 1) / max(record.load, 1.0)
        self.granted = 1.0 if share >= 1.0 else share / 2  # half of a fair share: a short run may be unlucky
        self.mean = self.busy / self.calls if self.calls else 0.0
        self.median, self.histogram = _distribution(columns)
        self.slowest = _slowest(columns, list(record.names), began)
        self.longest = self.slowest[0] if self.slowest else None
        self._fill_lanes(columns, began)
        self.last_start = max(columns[3], default=began) - began
        times = sorted(zip(columns[3], columns[4], strict=True))
        self.overlapped = any(later[0] < earlier[1] for earlier, later in itertools.pairwise(times))
        self.turn = patterns.turn(columns) if self.overlapped else None
        self.first_call = patterns.slow_first_call(columns)
        self._lost = patterns.lost(columns, record.names, record.deaths, began)
        self.idle = self._reasons(min(columns[3], default=began) - began, began)

    @property
    def name(self) -> str:
        """The function's name."""
        return self.record.name

    @property
    def job(self) -> str:
        """Where calls ran."""
        return self.record.job

    @property
    def capacity(self) -> float:
        """What the workers could have been busy, all together."""
        return self.workers * self.seconds

    def _fill_lanes(self, columns: list[array[float]], began: float) -> None:
        width = self.seconds / BINS
        lanes = self.lanes
        for number, calls, start, end in zip(columns[0], columns[2], columns[3], columns[4], strict=True):
            lane = lanes[int(number)]
            lane.calls += int(calls)
            lane.busy += end - start
            first, last = (start - began) / width, (end - began) / width
            left, right = max(0, int(first)), min(BINS - 1, int(last))
            if left >= right:
                if 0 <= left < BINS:
                    lane.bins[left] += last - first
                continue
            lane.bins[left] += left + 1 - first
            for position in range(left + 1, right):
                lane.bins[position] += 1.0
            lane.bins[right] += min(last - right, 1.0)

    def _reasons(self, first_start: float, began: float) -> dict[str, float]:
        """Says for each bin what the workers that did nothing waited for."""
        idle: dict[str, float] = dict.fromkeys(REASONS, 0.0)
        width = self.seconds / BINS
        record = self.record
        waits = [
            (INPUT, coverage(record.input.spans, began, width)),
            (CONSUMER, coverage(record.consumer.spans, began, width)),
            (DEATHS, coverage(self._lost, began, width)),
            (RETRIES, coverage(record.pauses.spans, began, width)),
            (AGGREGATE, coverage(record.aggregating, began, width)),
        ]
        for position in range(BINS):
            busy = sum(lane.bins[position] for lane in self.lanes)
            left = max(0.0, self.workers - busy) * width
            middle = (position + 0.5) * width
            for reason, covered in waits:
                part = left * covered[position]
                idle[reason] += part
                left -= part
            if middle < first_start or not self.calls:
                rest = START
            elif middle > self.last_start:
                rest = END
            else:
                rest = MESSAGES if record.rate is None else RATE
            idle[rest] += left
        return idle


def coverage(spans: array[float], began: float, width: float) -> list[float]:
    """Returns the part of each bin that spans, which do not overlap, cover."""
    bins = [0.0] * BINS
    for start, end in _pairs(spans):
        first, last = max(0.0, (start - began) / width), min(float(BINS), (end - began) / width)
        for position in range(int(first), min(BINS, math.ceil(last))):
            bins[position] += min(last, position + 1) - max(first, position)
    return [min(1.0, max(0.0, part)) for part in bins]


def _pairs(spans: array[float]) -> Iterator[tuple[float, float]]:
    return zip(spans[::2], spans[1::2], strict=True)


def _distribution(columns: list[array[float]]) -> tuple[float, list[tuple[float, float, int]]]:
    """Returns the median duration of a call, and how many calls are in each class of durations."""
    classes: dict[int, int] = {}
    durations = sorted(
        (max(end - start, 1e-9) / calls, int(calls))
        for calls, start, end in zip(columns[2], columns[3], columns[4], strict=True)
    )
    half, before, median = sum(columns[2]) / 2, 0, 0.0
    for seconds, calls in durations:
        if before < half:
            median = seconds
        before += calls
        number = math.floor(3 * math.log10(seconds) + 1e-9)
        classes[number] = classes.get(number, 0) + calls
    if not classes:
        return 0.0, []
    numbers = range(min(classes), max(classes) + 1)
    return median, [(10 ** (number / 3), 10 ** ((number + 1) / 3), classes.get(number, 0)) for number in numbers]


def _slowest(columns: list[array[float]], names: list[str], began: float) -> list[SlowCall]:
    durations = map(float.__sub__, columns[4], columns[3])
    slowest = heapq.nlargest(SLOWEST, zip(durations, itertools.count(), strict=False))
    return [
        SlowCall(seconds, int(columns[1][k]), int(columns[2][k]), columns[3][k] - began, names[int(columns[0][k])])
        for seconds, k in slowest
    ]
