"""Prints what the doctor found, and what is wrong."""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import TextIO

from jd_core import settings

from just_distribute.doctor.facts import FAMILY, NEIGHBOURS, Facts, gather, size
from just_distribute.doctor.problems import judge
from just_distribute.terminal import Terminal


def run(stream: TextIO, *, as_json: bool = False) -> int:
    """Prints the facts and the problems; returns the exit code: 0 if all is fine, 1 if something is wrong."""
    facts = gather()
    problems = judge(facts)
    sections = _sections(facts)
    if as_json:
        report = {
            "ok": not problems,
            "problems": [asdict(one) for one in problems],
            **{k: dict(v) for k, v in sections.items()},
        }
        print(json.dumps(report, indent=2), file=stream)
        return int(bool(problems))
    terminal = Terminal(stream)
    for title, pairs in sections.items():
        terminal.line(terminal.paint(title, "bold"))
        width = max(len(label) for label, _ in pairs) + 4
        for label, text in pairs:
            terminal.paragraph(text, label=f"  {label}", indent=width)
        terminal.line()
    if not problems:
        terminal.line(terminal.paint("Nothing is wrong.", "green"))
    for problem in problems:
        terminal.paragraph(problem.what, label="wrong", style="red", indent=8)
        terminal.paragraph(problem.remedy, label="do", style="green", indent=8)
    return int(bool(problems))


def _sections(facts: Facts) -> dict[str, list[tuple[str, str]]]:
    backends: list[tuple[str, str]] = []
    for job, backend in facts.backends.items():
        backends.append((job, backend.error or f"{'installed, ' if backend.installed else ''}{backend.state}"))
        # CPUs have a section of their own, whichever backend mentions them.
        own = (fact for fact in backend.facts if fact not in facts.cpu_reasons)
        backends.extend((f"{job}: {label}", text) for label, text in own)
    cpus = [("usable", str(facts.cpus)), *facts.cpu_reasons]
    if facts.shared_memory is not None:
        free = "none" if facts.shared_memory < 0 else f"{size(facts.shared_memory)} free"
        cpus.append(("shared memory (/dev/shm)", free))
    return {
        "Python": list(facts.python),
        "Packages": [(name, facts.family.get(name, "not installed")) for name in FAMILY],
        "Built on": list(facts.neighbours.items()) or [("none", "of " + ", ".join(NEIGHBOURS))],
        "Backends": backends,
        "CPUs and memory": cpus,
        "Switches": list(facts.switches) or [("none", f"of defaults(...), {settings.SERIAL}, {settings.WORKERS}")],
    }
