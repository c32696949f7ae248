"""The backend of ``job=executor``: one instance for each executor, which stays the user's to make and to shut down."""

from __future__ import annotations

from collections.abc import Generator, Iterator, Mapping
from typing import Any

from jd_core.backend import Backend, Chunk, ChunkResult, Work
from jd_core.backend.cpus import usable_cpus
from jd_core.backend.splitting import full_seconds
from jd_core.errors import BackendError


class ExecutorBackend(Backend):
    """Runs chunks as tasks of an executor: an object with ``submit`` and ``map`` of `concurrent.futures.Executor`.

    Nothing but its ``submit`` is used, and ``cancel``, ``result`` and ``add_done_callback`` of its futures.
    """

    name = "executor"
    message_seconds = 1e-3
    in_processes = False  # not known: it may have threads

    def __init__(self, executor: Any) -> None:
        self._executor = executor

    def default_workers(self, options: Mapping[str, Any]) -> int:
        """Returns ``num_workers`` of the executor, as mpi4py has it; the usable CPUs where it does not say."""
        number = getattr(self._executor, "num_workers", None)
        return number if isinstance(number, int) and number > 0 else usable_cpus()

    def run(self, work: Work, chunks: Iterator[Chunk | None]) -> Generator[ChunkResult, None, None]:
        """Runs the calls in ``chunks``; see `jd_core.backend.Backend` for the contract."""
        if work.timeout is not None:
            raise BackendError(
                f"{work.name}(): an executor does not say when a call starts, and cannot end it, so that "
                f"timeout={work.timeout!r} is not kept: leave it out, or use job='compute'"
            )
        from jd_core._executors.dispatch import Dispatch

        dispatch = Dispatch(self._executor, work, chunks, full_seconds(self, work.workers))
        try:
            yield from dispatch.results()
        finally:
            dispatch.close()
