"""Figures as a markdown table, and that table in README.md."""

from __future__ import annotations

import importlib.metadata
import os
import platform
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from benchmarks.measure import Memory, Row

BEGIN, END = "<!-- figures -->", "<!-- end of figures -->"
HEADING = "| row | work | compared with | at most | measured | ours | theirs |\n|---|---|---|---|---|---|---|"
LIBRARIES = (
    *("aiohttp", "aiometer", "dask", "joblib", "mpire", "numpy", "pandas", "pathos", "pillow", "polars", "ray"),
    *("scikit-learn", "tenacity", "uvloop"),
)


def lines(row: Row | Memory, figures: Mapping[str, Mapping[str, Any]]) -> list[str]:
    """Returns the lines of a row, one for each peer; what is above its limit is in bold.

    Args:
        row: what was measured.
        figures: what is known of it for each peer, as `benchmarks.test_rows` says it; a peer that is not there was skipped.
    """
    peers = [(peer.name, peer.limit) for peer in row.peers] if isinstance(row, Row) else [("MB", row.limit)]
    found = []
    for name, limit in peers:
        figure = figures.get(name, {})
        cells = [row.name, row.work, name, "" if limit is None else f"{limit:.3g}", _measured(figure.get("measured"), limit)]
        cells += [duration(figure.get("ours")), duration(figure.get("theirs"))]
        found.append(f"| {' | '.join(cells)} |")
    return found


def _measured(value: float | None, limit: float | None) -> str:
    if value is None:
        return "skipped"
    shown = f"{value:#.2g}" if value < 1 else f"{value:.2f}"
    return f"**{shown}**" if limit is not None and value > limit else shown


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
