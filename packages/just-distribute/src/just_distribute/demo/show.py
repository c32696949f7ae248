"""Runs the demo from its first line to its exit code."""

from __future__ import annotations

import platform
import time
from collections.abc import Callable, Sequence
from typing import TextIO

from jd_core.backend import registry
from jd_core.backend.cpus import usable_cpus
from jd_core.errors import BackendNotInstalledError

from just_distribute.demo.jobs import Comparison, Jobs
from just_distribute.demo.report import Report
from just_distribute.demo.sources import standard_library
from just_distribute.terminal import Terminal

#: The jobs that the demo shows, in this order.
JOBS: dict[str, Callable[[Jobs], Comparison]] = {
    "compute": Jobs.compute,
    "io": Jobs.io,
    "web": Jobs.web,
    "ray": Jobs.ray,
}


def run(stream: TextIO, *, jobs: Sequence[str] | None = None, workers: int | None = None) -> int:
    """Runs jobs beside their plain loops and prints what was gained.

    Args:
        stream: where to print.
        jobs: names of the jobs, out of `JOBS`; None: all, and one that is not installed is then no failure.
        workers: how many calls run at once; None: each backend's default.

    Returns:
        The exit code: 0 if every job that ran gave exactly what its plain loop gave; 1 if one did not, or failed, or
        was asked for by name and is not installed, or if none could run.
    """
    began = time.perf_counter()
    terminal = Terminal(stream)
    report = Report(terminal)
    sources = standard_library()
    megabytes = sum(len(source.text) for source in sources) / 1e6
    terminal.line(terminal.paint("just-distribute: four jobs, each beside its plain loop", "bold"))
    terminal.paragraph(
        f"Input: the standard library's own sources, {len(sources)} files of {megabytes:.1f} MB. "
        f"Here: Python {platform.python_version()} on {platform.system()}, usable CPUs: {usable_cpus()}."
    )
    terminal.line()
    report.heading()

    shown = Jobs(sources, workers, terminal.progress)
    rows: list[Comparison] = []
    failed = False
    for job in jobs or JOBS:
        try:
            registry.backend(job)
            rows.append(JOBS[job](shown))
        except BackendNotInstalledError as error:
            report.instead(job, "is not installed", str(error))
            failed |= jobs is not None
        except Exception as error:
            report.instead(job, "failed", f"{type(error).__name__}: {error}")
            failed = True
        else:
            report.row(rows[-1])
    terminal.ruler()
    report.notes(rows)
    if {"compute", "ray"} & {compared.job for compared in rows}:
        report.findings(shown.measured.value, platform.python_version())
    different = [compared.job for compared in rows if not compared.equal]
    if different:
        terminal.paragraph(
            f"{', '.join(different)}: the result is not that of the plain loop. That is a bug in just-distribute; "
            "please report it with the output of: just-distribute doctor"
        )
    terminal.line()
    terminal.line(f"{len(rows)} of {len(jobs or JOBS)} jobs ran, in {time.perf_counter() - began:.1f} s.")
    return int(failed or bool(different) or not rows)
