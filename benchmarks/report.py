"""Figures as a markdown table, and that table in README.md."""

from __future__ import annotations

import importlib.metadata
import os
import platform
from pathlib import Path

from benchmarks.measure import Figure
from benchmarks.rows import ROWS

README = Path(__file__).with_name("README.md")
BEGIN, END = "<!-- figures -->", "<!-- end of figures -->"
HEADING = "| row | work | compared with | at most | measured | ours | theirs |\n|---|---|---|---|---|---|---|"
PEERS = ("aiohttp", "aiometer", "joblib", "mpire", "numpy", "pathos", "ray", "uvloop")


def line(figure: Figure) -> str:
    """Returns a row of the table; what is above its limit is in bold."""
    work = next(row.work for row in ROWS if row.name == figure.row)
    if figure.measured is None:
        measured = f"skipped: {figure.reason}"
    else:
        measured = f"{figure.measured:#.2g}" if figure.measured < 1 else f"{figure.measured:.2f}"
        if figure.limit is not None and figure.measured > figure.limit:
            measured = f"**{measured}**"
    limit = "" if figure.limit is None else f"{figure.limit:.3g}"
    cells = [figure.row, work, figure.peer, limit, measured, duration(figure.ours), duration(figure.theirs)]
    return f"| {' | '.join(cells)} |"


def duration(seconds: float | None) -> str:
    """Returns a time with three digits, in seconds or milliseconds."""
    if seconds is None:
        return ""
    return f"{seconds:.3g} s" if seconds >= 1 else f"{seconds * 1000:.3g} ms"


def write(figures: list[Figure]) -> None:
    """Puts figures into README.md, in the order of the rows; rows that were not measured keep theirs."""
    text = README.read_text(encoding="utf-8")
    before, _, rest = text.partition(BEGIN)
    old, _, after = rest.partition(END)
    lines: dict[str, list[str]] = {row.name: [] for row in ROWS}
    measured = {figure.row for figure in figures}
    for kept in old.splitlines():
        name = kept.strip("| ").partition(" |")[0]
        if name in lines and name not in measured:
            lines[name].append(kept)
    for figure in figures:
        lines[figure.row].append(line(figure))
    body = "\n".join([where(), "", HEADING, *(each for group in lines.values() for each in group)])
    README.write_text(f"{before}{BEGIN}\n\n{body}\n\n{END}{after}", encoding="utf-8")


def where() -> str:
    """Returns on what was measured."""
    versions = []
    for name in PEERS:
        try:
            versions.append(f"{name} {importlib.metadata.version(name)}")
        except importlib.metadata.PackageNotFoundError:
            continue
    python = f"{platform.python_implementation()} {platform.python_version()}"
    return f"Measured with {python} on {platform.system()}, {os.cpu_count()} CPUs: {', '.join(versions)}."
