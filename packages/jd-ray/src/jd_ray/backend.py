"""The backend that the core loads for ``job="ray"``: its options, its default number of workers, and `run`.

Nothing here imports ray: `connection` does, when a run has its first chunk, and `dispatch`, which does the run.
"""

from __future__ import annotations

import itertools
import time
from collections.abc import Generator, Iterator, Mapping
from typing import Any, ClassVar

from jd_core.backend import POLL_SECONDS, Backend, Chunk, ChunkResult, Option, Work
from jd_core.backend.splitting import full_seconds

from jd_ray.cluster import capacity
from jd_ray.connection import connection

_AMOUNT = Option("a number, 0 or more, as for ray.remote", (int, float), lambda value: value >= 0)


def _are_resources(value: Mapping[Any, Any]) -> bool:
    return all(
        isinstance(name, str) and name not in ("CPU", "GPU") and isinstance(amount, (int, float)) and amount >= 0
        for name, amount in value.items()
    )


def _are_labels(value: Mapping[Any, Any]) -> bool:
    return all(isinstance(part, str) for item in value.items() for part in item)


class RayBackend(Backend):
    """Runs chunks as Ray tasks, at most a window of them in flight.

    An initialised Ray is used as it is and never shut down; see `connection` for the rest. Options go to Ray under
    their own names and mean what they mean for ``ray.remote``, except that ``max_retries`` is 0 unless given: a call
    whose worker died is found and named by this package, and run again by ``retries``.
    """

    name: ClassVar[str] = "ray"
    #: Measured: from the last call of a chunk to the first of the next, on a warm local cluster that keeps all CPUs busy.
    message_seconds: ClassVar[float] = 3e-3
    #: A task costs the caller about a millisecond of CPU time, and a run should show progress: row ray-sleeps-cpu.
    long_chunk_seconds: ClassVar[float] = 1.0
    connects = True
    in_processes: ClassVar[bool] = True
    options: ClassVar[Mapping[str, Option]] = {
        "address": Option("the address of a cluster: 'host:port', 'ray://host:port', 'auto' or 'local'", (str,), bool),
        "num_cpus": _AMOUNT,
        "num_gpus": _AMOUNT,
        "memory": Option("a number of bytes, 0 or more", (int, float), lambda value: value >= 0),
        "resources": Option(
            "a mapping of the names of custom resources (CPU and GPU have options of their own) to numbers, 0 or more",
            (Mapping,),
            _are_resources,
        ),
        "runtime_env": Option("a mapping or a ray.runtime_env.RuntimeEnv", (Mapping,)),
        "max_retries": Option("a whole number, -1 (without end) or more", (int,), lambda value: value >= -1),
        "scheduling_strategy": Option(
            "'DEFAULT', 'SPREAD' or a strategy of ray.util.scheduling_strategies",
            (object,),
            lambda value: value in ("DEFAULT", "SPREAD") if isinstance(value, str) else hasattr(value, "__dict__"),
        ),
        "label_selector": Option(
            "a mapping of node labels to what is asked of them, as for ray.remote", (Mapping,), _are_labels
        ),
        "fallback_strategy": Option(
            "a list of mappings with a label_selector each, as for ray.remote",
            (list,),
            lambda value: all(isinstance(one, Mapping) for one in value),
        ),
        "enable_task_events": Option("True or False", (bool,)),
        "keep": Option(
            "'cluster': results stay on the cluster, and those of the call are references to them (ray.ObjectRef)",
            (str,),
            lambda value: value == "cluster",
        ),
        "accelerator_type": Option("the name of an accelerator, as in ray.util.accelerators", (str,), bool),
    }

    def default_workers(self, options: Mapping[str, Any]) -> int:
        """Returns how many calls the cluster can run at once, connecting to it (or starting one) if need be."""
        return capacity.offered(connection.connect(options.get("address")), options)

    def returns_values(self, options: Mapping[str, Any]) -> bool:
        """Returns whether results come back, and do not stay on the cluster."""
        return "keep" not in options

    def run(self, work: Work, chunks: Iterator[Chunk | None]) -> Generator[ChunkResult, None, None]:
        """Runs the calls in ``chunks``; see `jd_core.backend.Backend` for the contract."""
        chunks = iter(chunks)
        first: Chunk | None = None
        while first is None:
            if work.cancelled is not None and work.cancelled():
                return
            try:
                first = next(chunks)
            except StopIteration:
                return
            if first is None:
                time.sleep(POLL_SECONDS)
        ray = connection.connect(work.options.get("address"))
        from jd_ray.run.dispatch import Dispatch

        dispatch = Dispatch(ray, work, itertools.chain([first], chunks), full_seconds(self, work.workers))
        try:
            yield from dispatch.results()
        finally:
            dispatch.close()

    def doctor(self) -> list[tuple[str, str]]:
        """Returns Ray's version and which cluster would be used; starts and imports nothing."""
        return connection.facts()
