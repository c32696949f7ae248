"""What the demo prints: the table, and what it found in its input."""

from __future__ import annotations

import re
from collections.abc import Sequence

from just_distribute.demo.jobs import Comparison
from just_distribute.demo.work import Measured, Peak
from just_distribute.terminal import Terminal

#: Columns of the table: heading, width, and whether it is a figure, which stands to the right.
COLUMNS = (
    ("job", 8, False),
    ("what each call does", 32, False),
    ("calls", 5, True),
    ("plain loop", 10, True),
    ("waits", 5, True),
    ("first call", 10, True),
    ("next call", 9, True),
    ("gained", 7, True),
)

#: Columns before the second cell of a row, where all text under the table starts.
INDENT = COLUMNS[0][1] + 1

LEGEND = {
    "waits": "part of the plain loop's time in which it computed nothing: threads and coroutines make use of it",
    "first call": "the distributed call with the start of its workers",
    "next call": "the same call again, its workers warm",
    "gained": "plain loop / next call",
}


class Report:
    """Writes the table row by row, as the rows come in."""

    def __init__(self, terminal: Terminal) -> None:
        self._terminal = terminal

    def heading(self) -> None:
        """Writes the head of the table."""
        self._terminal.line(self._terminal.paint(_cells([name for name, _, _ in COLUMNS], "equal"), "bold"))
        self._terminal.ruler()

    def row(self, compared: Comparison) -> None:
        """Writes a job's row."""
        terminal = self._terminal
        gained = f"{compared.gained:.{0 if compared.gained >= 100 else 1}f} {terminal.times}"
        cells = _cells(
            [
                compared.job,
                compared.what,
                str(compared.calls),
                _seconds(compared.plain),
                f"{compared.waits:.0%}",
                _seconds(compared.first),
                _seconds(compared.again),
                gained,
            ],
            "",
        )
        # Painted after the cells are set, because control sequences have no width but a length.
        cells = cells.replace(gained, terminal.paint(gained, "green" if compared.gained >= 1.1 else "yellow"))
        terminal.line(cells + (terminal.paint("yes", "green") if compared.equal else terminal.paint("NO", "red")))

    def instead(self, job: str, outcome: str, reason: str) -> None:
        """Writes, in the place of a job's row, why there is none: ``outcome`` in two or three words, and the reason."""
        self._terminal.line(f"{job:<{COLUMNS[0][1]}} {self._terminal.paint(outcome, 'yellow')}")
        # Some libraries colour their messages, terminal or not.
        self._terminal.paragraph(re.sub(r"\x1b\[[\d;]*m", "", reason), indent=INDENT)

    def notes(self, rows: Sequence[Comparison]) -> None:
        """Writes how the table is to be read, and each job's note."""
        for column, meaning in LEGEND.items():
            self._terminal.paragraph(meaning, label=column, style="dim", indent=max(map(len, LEGEND)) + 2)
        self._terminal.line()
        for compared in rows:
            if compared.note:
                self._terminal.paragraph(compared.note, label=compared.job, indent=INDENT)

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


def _cells(texts: Sequence[str], last: str) -> str:
    cells = (
        f"{text:>{width}}" if right else f"{text:<{width}}" for text, (_, width, right) in zip(texts, COLUMNS, strict=True)
    )
    return " ".join(cells) + "  " + last


def _seconds(seconds: float) -> str:
    return f"{seconds:.2f} s"


def _place(peak: Peak) -> str:
    return f"{peak.file}:{peak.line}"
