"""What the calls of a run have in common, from when they began and ended: turns, slow first calls, lost workers."""

from __future__ import annotations

import itertools
import math
import statistics
from array import array
from collections.abc import Sequence

#: Fewer calls than these show no pattern.
FEWEST_CALLS = 8

#: Calls take turns if nearly all of them end at least such a part of the usual time after the one before.
EVEN = 0.5

#: The first call of a worker is slow if it takes so many times as long as most calls.
SLOW = 5

#: Of so many workers that died it is looked at for how long each was at its last call.
MOST_DEATHS = 100

#: ``columns[i]`` of a run's spans: the number of the worker, index, number of calls, begin, end, CPU time.
Columns = Sequence[Sequence[float]]


def turn(columns: Columns) -> float | None:
    """Returns how long one call held up the others, if calls took turns though several ran at once; None if they did not.

    Then they end at even distances, and the quickest took no longer than that: it met nobody. Calls that do not wait for
    each other end in no such order, or each of them takes as long as one distance for each worker.
    """
    ends = sorted(end for end, calls in zip(columns[4], columns[2], strict=True) if calls == 1)
    if len(ends) < FEWEST_CALLS:
        return None
    gaps = sorted(later - earlier for earlier, later in itertools.pairwise(ends))
    mean = (ends[-1] - ends[0]) / len(gaps)
    durations = [end - start for start, end in zip(columns[3], columns[4], strict=True)]
    quickest = min(durations)
    even = gaps[len(gaps) // 10] >= EVEN * mean
    return mean if even and quickest < mean / EVEN < statistics.fmean(durations) else None


def slow_first_call(columns: Columns) -> float | None:
    """Returns how long the first call of each worker took in the mean, if all of these were slow; None if not."""
    firsts: dict[float, tuple[float, float]] = {}
    durations = sorted((end - start) / calls for calls, start, end in zip(columns[2], columns[3], columns[4], strict=True))
    for number, calls, start, end in zip(columns[0], columns[2], columns[3], columns[4], strict=True):
        firsts[number] = min(firsts.get(number, (math.inf, 0.0)), (start, (end - start) / calls))
    slow = [seconds for _, seconds in firsts.values()]
    if len(durations) < FEWEST_CALLS or len(durations) < 3 * len(slow):
        return None
    return statistics.fmean(slow) if min(slow) > SLOW * durations[len(durations) // 2] else None


def lost(columns: Columns, names: dict[str, int], deaths: Sequence[tuple[float, str]], began: float) -> array[float]:
    """Returns during which times workers were at calls that ended with them, as begin and end of each, without overlaps."""
    spans = array("d")
    for moment, name in sorted(deaths)[:MOST_DEATHS]:
        worker = names.get(name)
        ends = (end for number, end in zip(columns[0], columns[4], strict=True) if number == worker and end < moment)
        start = moment if worker is None else max(ends, default=began)
        if spans and start < spans[-1]:
            start = spans[-1]
        if start < moment:
            spans.extend((start, moment))
    return spans
