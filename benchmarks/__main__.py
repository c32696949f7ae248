"""Measures the rows, each in a process of its own, and prints the table: see README.md beside this file."""

from __future__ import annotations

import argparse
import fnmatch
import json
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from benchmarks import report
from benchmarks.places import ROOT
from benchmarks.rows import ROWS


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("rows", nargs="*", metavar="ROW", help="names, or patterns such as 'ray-*'; all if none")
    parser.add_argument("--list", action="store_true", help="only list the rows")
    parser.add_argument("--quick", action="store_true", help="tiny sizes, each once: shows that all works, not how fast")
    parser.add_argument("--pairs", type=int, help="how often ours and each peer are measured, instead of what the rows say")
    parser.add_argument("--write", action="store_true", help="put the figures into README.md too; others stay")
    arguments = parser.parse_args()
    if arguments.write and arguments.quick:
        parser.error("--quick figures mean nothing: leave out --write")
    patterns = arguments.rows or ["*"]
    chosen = [row for row in ROWS if any(fnmatch.fnmatchcase(row.name, pattern) for pattern in patterns)]
    if unknown := [pattern for pattern in patterns if not fnmatch.filter([row.name for row in ROWS], pattern)]:
        parser.error(f"no such row: {', '.join(unknown)} (--list shows them)")
    if arguments.list:
        for row in chosen:
            print(f"{row.name:20} {row.work}")
        return 0
    print(report.HEADING)
    measured: dict[str, list[str]] = {}
    failed: list[str] = []
    options = ["--quick"] * arguments.quick + ([f"--pairs={arguments.pairs}"] if arguments.pairs else [])
    for row in chosen:
        figures, succeeded = measure(row.name, options)
        measured[row.name] = report.lines(row, figures)
        print(*measured[row.name], sep="\n", flush=True)
        if not succeeded:
            failed.append(row.name)
    if arguments.write:
        above = f"{report.where()}\n\n{report.HEADING}"
        report.write(ROOT / "benchmarks" / "README.md", above, measured, [row.name for row in ROWS])
    if failed:
        print(f"failed: {', '.join(failed)}", file=sys.stderr)
    return 1 if failed else 0


def measure(row: str, options: list[str]) -> tuple[dict[str, dict[str, Any]], bool]:
    """Measures one row in a process of its own; returns what is known of it for each peer, and whether all went well."""
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder, "row.json")
        command = [sys.executable, "-m", "pytest", "benchmarks", "-p", "no:randomly", "-q", "-rs", "--benchmark-quiet"]
        command += [f"--benchmark-json={file}", f"--row={row}", *options]
        done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, cwd=ROOT, check=False)
        found = json.loads(file.read_text(encoding="utf-8"))["benchmarks"] if file.exists() else []
    if done.returncode or "SKIPPED" in done.stdout:
        sys.stderr.write(done.stdout)
    return {each["params"]["peer"]: each["extra_info"] for each in found}, not done.returncode


if __name__ == "__main__":
    sys.exit(main())
