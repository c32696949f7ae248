"""What is said of the runs of a trace, in about ten lines."""

from __future__ import annotations

import math
from collections.abc import Iterator

from jd_core._tracing.figures import REASONS, Figures
from jd_core._tracing.losses.loss import Loss
from jd_core._tracing.losses.of_many import of_many
from jd_core._tracing.losses.of_run import losses
from jd_core._tracing.record import RunRecord
from jd_core._tracing.words import printable, short, size

#: How many functions and losses are shown.
FUNCTIONS, LOSSES = 3, 2

#: What is said for the reasons for which workers were idle.
_WORDS = {
    "start": "before the first call",
    "deaths": "calls that ended with their worker",
    "messages": "between calls",
    "end": "at the end",
}


class Report:
    """What a trace says: `print` it for the text.

    Attributes:
        runs: the figures of each run, in the order in which they began.
        longest: those of the run that took longest; None if nothing ran.
        losses: where time was lost in that run, or by the number of runs, the largest first; empty if nowhere.
    """

    def __init__(self, records: list[RunRecord]) -> None:
        self.runs = [Figures(record) for record in records]
        self.longest = max(self.runs, key=lambda run: run.seconds, default=None)
        self.losses: list[Loss] = []
        if self.longest is not None:
            alike = [run for run in self.runs if run.name == self.longest.name]
            self.losses = of_many(alike) or losses(self.longest)

    def __str__(self) -> str:
        if self.longest is None:
            return "just-distribute: no run was traced: make the calls of distributed functions inside the with block"
        lines = [*self._runs(), *_lines(self.longest), *self._losses()]
        return printable("\n".join(lines))

    def __repr__(self) -> str:
        return f"<report of {len(self.runs)} runs: {self.losses[0].kind if self.losses else 'no loss'}>"

    def _runs(self) -> Iterator[str]:
        """Yields a line per function, of what took longest, if there are several runs."""
        if len(self.runs) < 2:
            return
        groups: dict[tuple[str, str], list[Figures]] = {}
        for run in self.runs:
            groups.setdefault((run.name, run.job), []).append(run)
        ordered = sorted(groups.items(), key=lambda item: -sum(run.seconds for run in item[1]))
        for (name, job), runs in ordered[:FUNCTIONS]:
            calls = sum(run.calls for run in runs)
            seconds = sum(run.seconds for run in runs)
            yield f'{name}(), job="{job}": {_number(len(runs), "run")}, {_number(calls, "call")}, {short(seconds)} together'
        if len(ordered) > FUNCTIONS:
            yield f"… and {_number(len(ordered) - FUNCTIONS, 'other function')}"
        yield "The longest run:"

    def _losses(self) -> Iterator[str]:
        if not self.losses:
            ran = self.longest is not None and self.longest.calls
            yield f"Nothing to gain by other options: {'the calls themselves take the time' if ran else 'no call ran'}."
        for number, loss in enumerate(self.losses[:LOSSES]):
            start = "Largest loss" if number == 0 else "Also"
            yield f"{start}: {loss.text}."
            yield f"  → {loss.remedy}."


def _lines(run: Figures) -> Iterator[str]:
    record = run.record
    ending = f", ended by {record.error}" if record.error else "" if record.ended else ", still running"
    workers = _number(run.workers, "worker")
    yield f'{run.name}(), job="{run.job}": {_number(run.calls, "call")} in {short(run.seconds)} on {workers}{ending}'
    if not run.calls:
        return
    shares = [("busy", run.busy), *((_WORDS.get(reason, reason), run.idle[reason]) for reason in REASONS)]
    total = sum(seconds for _, seconds in shares) or 1.0
    yield "workers  " + " · ".join(f"{what} {100 * part / total:.0f} %" for what, part in shares if part >= 0.005 * total)
    known = not math.isnan(run.cpu) and run.busy > 0.0
    cpu = f" · computing {100 * min(1.0, run.cpu / run.busy):.0f} % of it" if known else ""
    yield f"calls    mean {short(run.mean)} · median {short(run.median)} · sum {short(run.busy)}{cpu}"
    yield "slowest  " + " · ".join(f"{slow} {short(slow.seconds)}" for slow in run.slowest[:3])
    if record.sent or record.received:
        yield f"bytes    {size(record.sent)} to workers · {size(record.received)} back"
    if record.failures or record.attempts or record.deaths:
        deaths = f" · {_number(len(record.deaths), 'worker')} died" if record.deaths else ""
        yield f"trouble  {record.failures:,} failed · {record.attempts:,} attempted again{deaths}"
    if record.rates:
        yield f"rate     {_rates(record)}"
    yield from record.notes


def _rates(record: RunRecord) -> str:
    """Returns how the rate went over time, in at most eight steps."""
    steps = record.rates[:: max(1, math.ceil(len(record.rates) / 7))]
    if steps[-1] != record.rates[-1]:
        steps.append(record.rates[-1])
    shown = " · ".join(f"{rate:.3g}/s after {short(max(0.0, moment - record.began))}" for moment, rate in steps)
    return shown


def _number(number: int, what: str) -> str:
    return f"{number:,} {what}{'' if number == 1 else 's'}"
