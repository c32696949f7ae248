"""Section 5: a user's test suite with distributed functions, run by pytest in processes of its own, with its plugins."""

from __future__ import annotations

import importlib.util
import os
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = [pytest.mark.slow, pytest.mark.process]

SUITE = Path(__file__).parent / "scripts" / "suite"

#: The jobs whose calls print and log as those of a plain loop do.
JOBS = [job for job in ("compute", "io", "web") if importlib.util.find_spec(f"jd_{job}")]


def test_a_suite() -> None:
    """What capsys, caplog, monkeypatch and warning filters do holds in calls, in each of xdist's processes."""
    pytest.importorskip("xdist")
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-W", "error", "-n", "2", str(SUITE)]
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("PYTEST", "COV"))}
    environment["JOBS"] = " ".join([*JOBS, "serial"])
    done = subprocess.run(command, cwd=SUITE, env=environment, capture_output=True, text=True, timeout=170, check=False)
    assert (done.returncode, done.stderr) == (0, ""), done.stdout
