"""What the demo prints: the table, and what it found in its input."""

from __future__ import annotations

import re
from collections.abc import Sequence

from just_distribute.demo.jobs import Comparison
from just_distribute.demo.work import Measured, Peak
from just_distribute.terminal import Terminal

#: Columns of the table: heading and width. The first two are words; the second fills the line, or is left out.
COLUMNS = {"job": 7, "each call": 0, "calls": 5, "plain": 7, "waits": 5, "first": 7, "next": 7, "gained": 7, "equal": 5}
WORDS = ("job", "each call")

#: What the widest text in the second column takes.
WIDEST_CELL = 21

#: Columns before the second cell of a row, where all text under the table starts.
INDENT = COLUMNS["job"] + 1

LEGEND = {
    "plain": "seconds of the plain loop",
    "waits": "part of those in which it waited: threads and coroutines make use of it",
    "first": "seconds of the distributed call with the start of its workers",
    "next": "seconds of the same call again, its workers warm",
    "gained": "plain / next",
    "equal": "whether both returned what the plain loop did",
}


class Report:
    """Writes the table row by row, as the rows come in."""

    def __init__(self, terminal: Terminal) -> None:
        self._terminal = terminal

    def heading(self) -> None:
        """Writes the head of the table."""
        self._terminal.line(self._terminal.paint(self._cells(list(COLUMNS)), "bold"))
        self._terminal.ruler()

    def row(self, compared: Comparison) -> None:
        """Writes a job's row."""
        terminal = self._terminal
        gained = f"{compared.gained:.{0 if compared.gained >= 100 else 1}f} {terminal.times}"
        equal = "yes" if compared.equal else "NO"
        cells = self._cells(
            [
                compared.job,
                compared.what,
                str(compared.calls),
                _seconds(compared.plain),
                f"{compared.waits:.0%}",
                _seconds(compared.first),
                _seconds(compared.again),
                gained,
                equal,
            ]
        )
        # Painted after the cells are set, because control sequences have no width but a length.
        cells = cells.replace(gained, terminal.paint(gained, "green" if compared.has_gained else "yellow"))
        terminal.line(cells.removesuffix(equal) + terminal.paint(equal, "green" if compared.equal else "red"))

    def _cells(self, texts: Sequence[str]) -> str:
        fills = min(self._terminal.width - sum(COLUMNS.values()) - len(COLUMNS) + 1, WIDEST_CELL + 10)
        cells = []
        for (name, width), text in zip(COLUMNS.items(), texts, strict=True):
            if name in WORDS:
                width = width or (fills if fills >= WIDEST_CELL else 0)
                cells += [f"{text:<{width}}"] if width else []
            else:
                cells.append(f"{text:>{width}}")
        return " ".join(cells)

    def instead(self, job: str, outcome: str, reason: str) -> None:
        """Writes, in the place of a job's row, why there is none: ``outcome`` in two or three words, and the reason."""
        self._terminal.line(f"{job:<{COLUMNS['job']}} {self._terminal.paint(outcome, 'yellow')}")
        # Some libraries colour their messages, terminal or not.
        self._terminal.paragraph(re.sub(r"\x1b\[[\d;]*m", "", reason), indent=INDENT)

    def notes(self, rows: Sequence[Comparison]) -> None:
        """Writes how the table is to be read, and each job's note."""
        for column, meaning in LEGEND.items():
            self._terminal.paragraph(meaning, label=column, style="dim", indent=max(map(len, LEGEND)) + 2)
        self._terminal.line()
        for compared in rows:
            for note in compared.notes:
                self._terminal.paragraph(note, label=compared.job, indent=INDENT)

    def findings(self, measured: Sequence[Measured], version: str) -> None:
        """Writes what `measure` found in the standard library."""
        functions = sum(one.functions for one in measured)
        classes, lines = sum(one.classes for one in measured), sum(one.lines for one in measured)
        self._terminal.paragraph(
            f"{functions:,} functions and {classes:,} classes in {lines:,} lines make up Python {version}'s library",
            label="found",
            indent=INDENT,
        )
        longest, deepest = max(one.longest for one in measured), max(one.deepest for one in measured)
        self._terminal.paragraph(
            f"longest function: {longest.name}, {longest.size:,} lines ({_place(longest)})", indent=INDENT
        )
        within = f" in {deepest.name}" if deepest.name else ""
        self._terminal.paragraph(f"deepest nesting: {deepest.size} blocks{within} ({_place(deepest)})", indent=INDENT)
        if foreign := [one.file for one in measured if not one.parsed]:
            self._terminal.paragraph(
                f"{len(foreign)} files are not valid in this Python, {foreign[0]} for one", indent=INDENT
            )


def _seconds(seconds: float) -> str:
    return f"{seconds:.{1 if seconds >= 100 else 2}f} s"


def _place(peak: Peak) -> str:
    return f"{peak.file}:{peak.line}"
