"""Figures as a markdown table, and that table in README.md."""

from __future__ import annotations

import importlib.metadata
import os
import platform
from collections.abc import Iterable
from pathlib import Path

from benchmarks.measure import Figure
from benchmarks.rows import ROWS

BEGIN, END = "<!-- figures -->", "<!-- end of figures -->"
HEADING = "| row | work | compared with | at most | measured | ours | theirs |\n|---|---|---|---|---|---|---|"
LIBRARIES = (
    *("aiohttp", "aiometer", "dask", "joblib", "mpire", "numpy", "pandas", "pathos", "pillow", "polars", "ray"),
    *("scikit-learn", "tenacity", "uvloop"),
)


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


def write(page: Path, heading: str, measured: dict[str, list[str]], order: Iterable[str]) -> None:
    """Puts lines of a table into a page, by name and in this order; what was not measured keeps its lines.

    Args:
        page: where the table stands, between two comments.
        heading: what stands above the lines.
        measured: the lines for each name, which is their first cell.
        order: all names that there are.
    """
    before, _, rest = page.read_text(encoding="utf-8").partition(BEGIN)
    old, _, after = rest.partition(END)
    lines = {name: measured.get(name, []) for name in order}
    for kept in old.splitlines():
        name = kept.strip("| ").partition(" |")[0]
        if name in lines and name not in measured:
            lines[name].append(kept)
    body = "\n".join([heading, *(each for group in lines.values() for each in group)])
    page.write_text(f"{before}{BEGIN}\n\n{body}\n\n{END}{after}", encoding="utf-8")


def where() -> str:
    """Returns on what was measured."""
    versions = []
    for name in LIBRARIES:
        try:
            versions.append(f"{name} {importlib.metadata.version(name)}")
        except importlib.metadata.PackageNotFoundError:
            continue
    python = f"{platform.python_implementation()} {platform.python_version()}"
    return f"Measured with {python} on {platform.system()}, {os.cpu_count()} CPUs: {', '.join(versions)}."
