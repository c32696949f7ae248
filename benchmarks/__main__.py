"""Measures the rows, each in a process of its own, and prints the table: see README.md beside this file."""

from __future__ import annotations

import argparse
import dataclasses
import fnmatch
import json
import subprocess
import sys

from benchmarks import report
from benchmarks.measure import Figure
from benchmarks.places import ROOT
from benchmarks.rows import ROWS


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("rows", nargs="*", metavar="ROW", help="names, or patterns such as 'ray-*'; all if none")
    parser.add_argument("--list", action="store_true", help="only list the rows")
    parser.add_argument("--quick", action="store_true", help="tiny sizes, each once: shows that all works, not how fast")
    parser.add_argument("--pairs", type=int, help="how often ours and each peer are measured, instead of what the rows say")
    parser.add_argument("--write", action="store_true", help="put the figures into README.md too; others stay")
    parser.add_argument("--here", action="store_true", help=argparse.SUPPRESS)  # in this process, one line of JSON each
    arguments = parser.parse_args()
    if arguments.write and arguments.quick:
        parser.error("--quick figures mean nothing: leave out --write")
    patterns = arguments.rows or ["*"]
    chosen = [row for row in ROWS if any(fnmatch.fnmatchcase(row.name, pattern) for pattern in patterns)]
    if unknown := [pattern for pattern in patterns if not fnmatch.filter([row.name for row in ROWS], pattern)]:
        parser.error(f"no such row: {', '.join(unknown)} (--list shows them)")
    if arguments.here or arguments.list:
        for row in chosen:
            if arguments.list:
                print(f"{row.name:20} {row.work}")
                continue
            for figure in row.figures(quick=arguments.quick, pairs=arguments.pairs):
                print(json.dumps(dataclasses.asdict(figure)), flush=True)
        return 0
    print(report.HEADING)
    figures: list[Figure] = []
    failed: list[str] = []
    options = ["--quick"] * arguments.quick + ([f"--pairs={arguments.pairs}"] if arguments.pairs else [])
    for row in chosen:
        command = [sys.executable, "-m", "benchmarks", "--here", *options, row.name]
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=ROOT) as process:
            for line in process.stdout or ():
                if not line.startswith("{"):  # something that a library has to say
                    sys.stderr.write(line)
                    continue
                figures.append(Figure(**json.loads(line)))
                print(report.line(figures[-1]), flush=True)
        if process.returncode:
            failed.append(row.name)
    if arguments.write:
        measured: dict[str, list[str]] = {}
        for figure in figures:
            measured.setdefault(figure.row, []).append(report.line(figure))
        above = f"{report.where()}\n\n{report.HEADING}"
        report.write(ROOT / "benchmarks" / "README.md", above, measured, [row.name for row in ROWS])
    if failed:
        print(f"failed: {', '.join(failed)}", file=sys.stderr)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
