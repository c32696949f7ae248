"""Ends the workers that have held GPUs for a run, for what libraries keep on a GPU is free only when their process ends.

Ray does so after each task, by ``max_calls=1``, which it sets where a function is decorated for GPUs; then each piece of a
run would load its model anew. So these workers end with their run: each gets a last task after which Ray has it end.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from jd_ray.cluster import cancellation

#: Seconds that the workers have to run their last task: those that are idle do so within milliseconds.
ENDING_SECONDS = 1.0

#: The least of a resource that Ray counts. Workers that have had GPUs get tasks that ask for some, and no others.
LEAST = 1e-4

#: How often it is tried: a last task may go to an idle worker of another run, which then ends in vain.
ATTEMPTS = 3


def end(ray: Any, places: set[tuple[str, int]], options: Mapping[str, Any]) -> None:
    """Ends workers, unless another run is using them, which ends them then. Some may have ended by themselves.

    Args:
        ray: the module, connected.
        places: the node's id and the process id of each.
        options: those of the run.
    """
    settings = {name: options[name] for name in ("runtime_env",) if name in options}  # workers are those of one environment
    last = ray.remote(max_calls=1, num_cpus=0, num_gpus=LEAST, max_retries=0, **settings)(_last_task())
    left = set(places)
    from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

    for _ in range(ATTEMPTS):
        placed = [NodeAffinitySchedulingStrategy(node, soft=True) for node, _ in left]
        refs = [last.options(name="just-distribute-end", scheduling_strategy=one).remote() for one in placed]
        ended, late = ray.wait(refs, num_returns=len(refs), timeout=ENDING_SECONDS)
        cancellation.cancel(ray, late, force=False)
        found = set(ray.get(ended))
        if found <= left:
            return
        left -= found


def _last_task() -> Any:
    # A function within a function goes by value, also to workers that have no jd-ray.
    def end_worker() -> tuple[str, int]:
        import os

        import ray

        return ray.get_runtime_context().get_node_id(), os.getpid()

    return end_worker
