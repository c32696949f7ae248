"""Cancels tasks of a run without endangering the process that owns them; used by `dispatch`.

``ray.cancel`` from a thread of ours races with Ray's own I/O thread. While that thread takes in the reply of a task it has
struck the task off the list of those that run, but not yet off the list of those that are pending; a cancel just then makes
the task fail, and the I/O thread ends the whole process with exit code 1: "Check failed: Tried to complete task that was not
pending" (Ray 2.60; after some hundred cancels of tasks of 2 ms). So the I/O thread itself has to cancel, between replies.
"""

from __future__ import annotations

import threading
from collections.abc import Sequence
from typing import Any

from jd_ray.connection.connection import through_client

#: Seconds to wait for a cancel to be carried out; through Ray's client a process may have to be started for it.
CARRIED_OUT_SECONDS = 5.0


def cancel(ray: Any, refs: Sequence[Any], *, force: bool) -> None:
    """Cancels tasks: those that have not started never do, those that run are interrupted.

    Args:
        ray: the module, connected.
        refs: what `ray.remote` gave for each task.
        force: end the workers of those that run, instead of interrupting them.
    """
    if not refs:
        return
    if through_client():
        # The owner is a process of Ray's client server. Its I/O thread does what others ask of it, so a task has to ask.
        ask = ray.remote(_asking()).options(num_cpus=0, max_retries=0, name="just-distribute-cancel")
        ray.wait([ask.remote(list(refs), force)], timeout=CARRIED_OUT_SECONDS)
        return
    carried_out = threading.Event()

    def on_io_thread(_: object) -> None:
        try:
            for ref in refs:
                ray.cancel(ref, force=force)
        finally:
            carried_out.set()

    # Ray calls back on its I/O thread, also for an object that is there already.
    there = ray.put(None)
    there._on_completed(on_io_thread)
    carried_out.wait(CARRIED_OUT_SECONDS)


def _asking() -> Any:
    # A function within a function goes by value, also to workers that have no jd-ray.
    def cancel_all(refs: Any, force: bool) -> None:
        import ray

        for ref in refs:
            ray.cancel(ref, force=force)

    return cancel_all
