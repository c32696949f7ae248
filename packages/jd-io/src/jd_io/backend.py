"""The io backend: calls in threads of this process, for functions that wait: for disks, sockets, other programs."""

from __future__ import annotations

from collections.abc import Generator, Iterator, Mapping
from typing import Any

from jd_core.backend import Backend, Chunk, ChunkResult, Work
from jd_core.backend.cpus import usable_cpus
from jd_core.errors import BackendError
from jd_core.inprocess import MAX_PER_SECOND, driver
from jd_core.inprocess.call_queue import CallQueue
from jd_core.inprocess.threads import ThreadWorkers
from jd_core.worker import is_async, plain, release, threads_are_greenlets


class IoBackend(Backend):
    """Runs calls in threads that are started for the run, take one call after the other, and end with the run.

    Options:
        max_per_second: at most so many calls start per second, over all runs and threads: a number, "auto", or a
            `jd_core.Rate` to share it between functions.
    """

    name = "io"
    message_seconds = 2e-5
    shares_calls = True
    options = {"max_per_second": MAX_PER_SECOND}

    def default_workers(self, options: Mapping[str, Any]) -> int:
        """Returns ``min(32, cpus + 4)``, as `concurrent.futures.ThreadPoolExecutor` has it."""
        return min(32, usable_cpus() + 4)

    def run(self, work: Work, chunks: Iterator[Chunk | None]) -> Generator[ChunkResult, None, None]:
        """Runs the calls; see `Backend`. A running call cannot be cancelled: its thread is left behind."""
        if is_async(work.function) and threads_are_greenlets():
            raise BackendError(
                f"{work.name}() is a coroutine function, and gevent has replaced threads by greenlets, which cannot run "
                f"a loop each: use job='web', or a plain function"
            )
        signal = driver.Signal()
        queue = CallQueue(work, chunks, signal.set)
        call = plain(work.function, work.constants)
        rate = work.options.get("max_per_second")
        workers = ThreadWorkers(queue, work, call, rate, prefix="just-distribute-io", release=lambda: release(call))
        try:
            yield from driver.run(queue, workers, work, signal)
        finally:
            workers.stop()
            workers.join()
