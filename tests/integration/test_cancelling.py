"""Section 5: whoever gives up, however often and in which way, nothing is left, and no result is wrong."""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from typing import Any

import pytest

pytest.importorskip("anyio")
pytest.importorskip("psutil")
pytest.importorskip("starlette")


@pytest.mark.slow
@pytest.mark.parametrize("jobs", [("io", "web", "serial"), ("compute",)], ids=["here", "compute"])
def test_random_cancelling(run_script: Callable[..., subprocess.CompletedProcess[str]], jobs: Any) -> None:
    """Cancelled tasks and scopes, closed and dropped streams, clients that go away: for some seconds; see the script."""
    for job in jobs:
        if job != "serial":
            pytest.importorskip(f"jd_{job}")
    done = run_script("cancelling.py", 2, 1, *jobs)
    assert (done.returncode, done.stderr) == (0, ""), done.stdout
    assert done.stdout.endswith("left: {}\n")
