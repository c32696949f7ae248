"""`jd_compute.run.tasks`: what is to run again, and what is to blame, when a worker is lost."""

from __future__ import annotations

import pytest
from jd_compute.run.tasks import Blame, Task, blame_before
from jd_core.backend import Chunk


@pytest.mark.parametrize(
    ("running", "blamed", "again"),
    [
        (4, None, [(2, 3), (3, 4), (4, 5), (5, 8)]),
        (2, 2, [(3, 8)]),
        (None, None, [(2, 8)]),
    ],
)
def test_a_call_that_runs_when_the_connection_is_lost(running, blamed, again):
    """Promise 1: it is to blame only if no other one before it may have closed it, whose result was not sent."""
    task = Task(1, Chunk(0, (range(8),)), 0, 0, done=2)
    rest = (task.chunk.part(3, 8),) if running == 2 else (task.chunk.part(2, 8),)
    found = blame_before(task, Blame(running, rest))
    assert found.crashed_call == blamed
    assert [(chunk.start, chunk.start + len(chunk)) for chunk in found.again] == again
