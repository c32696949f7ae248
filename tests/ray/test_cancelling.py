"""Tasks that are cancelled at the moment in which they end, many times over, each in a process that must survive it."""

from __future__ import annotations

import os

import pytest

pytestmark = [pytest.mark.ray, pytest.mark.slow, pytest.mark.timeout(300)]

#: Arguments: the address, and how often to cancel. The tasks take equally long, so that replies come in while the rest is
#: cancelled. With ``ray.cancel`` as it is, Ray ended the process after 100 to 280 times, and after 20 through a client, on a
#: machine with nothing else to do.
CANCEL = """
import sys, time
from jd_core import distribute
from jd_core.testing.harness import best_of_three
from jd_ray.cluster.cancellation import cancel

# Connects. A cluster that is held up for some seconds is taken for none.
best_of_three(distribute(abs, job="ray", address=sys.argv[1]))([1])
import ray

@ray.remote(max_retries=0)
def task():
    time.sleep(0.002)
    return bytes(30_000)

for number in range(int(sys.argv[2])):
    _, left = ray.wait([task.remote() for _ in range(3)], num_returns=1)
    cancel(ray, left, force=False)
held = ray.remote(lambda: time.sleep(600)).remote()
ray.wait([held], timeout=0.01)
cancel(ray, [held], force=True)
try:
    ray.get(held)
except (ray.exceptions.TaskCancelledError, ray.exceptions.WorkerCrashedError):
    print("cancelled", number + 1)
"""


def test_tasks_that_end_while_they_are_cancelled(script, ray_cluster):
    """Section 5: what runs is cancelled, and the caller survives it, whatever the tasks are just doing."""
    assert script(CANCEL, dict(os.environ), ray_cluster, "500").output == "cancelled 500\n"


def test_tasks_that_end_while_they_are_cancelled_through_a_client(script, cluster):
    """Sections 5 and 6, Ray: so does the client server's process, in which a client's tasks are owned."""
    assert script(CANCEL, cluster.environment, cluster.client_address, "40").output == "cancelled 40\n"
