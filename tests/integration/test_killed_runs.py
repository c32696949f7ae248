"""Promise 19: a run that is killed at any moment, and started again, comes to what it would have come to."""

from __future__ import annotations

import os
import random
import sqlite3
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from jd_core.testing import wait_until

SCRIPT = Path(__file__).parent / "scripts/resumed_run.py"

#: Kills in one test; TEST_KILLS=100 in the environment makes a soak of it.
KILLS = int(os.environ.get("TEST_KILLS", "3"))

#: Calls that a kill may cost: those that two workers are at, and 0.1 s worth of what takes them 2 ms each.
COST = 2 + 2 * 50


def calls_in(folder: Path) -> list[int]:
    """Returns the calls that were made so far, as often as each was."""
    texts = [file.read_text().rpartition("\n")[0] for file in folder.glob("calls-*")]
    return [int(line) for text in texts for line in text.splitlines()]


@pytest.mark.slow
@pytest.mark.process
@pytest.mark.timeout(120 + 20 * KILLS)
def test_killed_at_random(job: str, tmp_path: Path, request: pytest.FixtureRequest):
    """``kill -9`` at random moments: the result is complete, and hardly a call is made twice."""
    chance = random.Random(f"{job} {os.environ.get('TEST_SEED', '')}")
    environment = {**os.environ}
    if job == "ray":
        environment |= request.getfixturevalue("ray_program")
    calls = 80 * (KILLS + 1)
    path, folder = tmp_path / "run.db", tmp_path / "calls"
    folder.mkdir()
    command: list[Any] = [sys.executable, SCRIPT, job, path, folder, str(calls)]
    for number in range(KILLS):
        made = len(calls_in(folder))
        process = subprocess.Popen(command, env=environment, start_new_session=True, stdout=subprocess.PIPE, text=True)
        assert process.stdout is not None
        process.stdout.readline()
        at = made + chance.randrange(80) if number % 4 else made  # every fourth before it has made a call, or at its first
        wait_until(lambda at=at, process=process: len(calls_in(folder)) >= at or process.poll() is not None)
        process.kill()
        process.communicate()
        wait_until(lambda group=process.pid: not _lives(group))
    done = subprocess.run(command, env=environment, start_new_session=True, capture_output=True, text=True, check=False)
    assert done.stdout.splitlines()[1:] == [repr([value * value for value in range(calls)])], done.stderr
    made = len(calls_in(folder))
    assert made <= calls + KILLS * COST, f"{made - calls} calls were made twice in {KILLS} kills"
    with sqlite3.connect(path) as connection:
        kept = sorted(call for (call,) in connection.execute("SELECT call FROM results"))
    connection.close()
    assert kept == list(range(calls))
    print(f"{job}: {made - calls} of {calls} calls were made twice in {KILLS} kills")


def _lives(group: int) -> bool:
    """Whether a process of a session is left."""
    try:
        os.killpg(group, 0)
    except ProcessLookupError:
        return False
    return True
